"""Which partition a key belongs to. Law: the same as every other client of Kafka says, so that joins and lookups agree.

Java's default partitioner: murmur2 of the key, its sign dropped, modulo the partitions. aiokafka's goes byte by byte
in Python (18 µs for the key of an order, here 7); a test holds the two to each other.
"""

from functools import lru_cache
from struct import Struct
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF
_WORDS: Final = tuple(Struct(f"<{count}I") for count in range(80))
_REMEMBERED: Final = 32_768
"""Item keys come again and again; 32,768 of them take some 10 MB."""


def key_hash(key: bytes) -> int:
    """Hash a key to a number that is not negative; its partition is this modulo their number."""
    size = len(key)
    count = size >> 2
    words = _WORDS[count] if count < len(_WORDS) else Struct(f"<{count}I")
    h = _SEED ^ size
    for word in words.unpack_from(key):
        k = word * _M & _WORD
        h = (h * _M ^ (k ^ k >> 24) * _M) & _WORD
    if rest := size & 3:
        h = (h ^ int.from_bytes(key[-rest:], "little")) * _M & _WORD
    h = (h ^ h >> 13) * _M & _WORD
    return (h ^ h >> 15) & 0x7FFFFFFF


item_key_hash = lru_cache(maxsize=_REMEMBERED)(key_hash)
"""The same for keys that come again; keys of orders and rejections come once, and would only push these out."""
