"""Records as Kafka would bring them, each at an offset of its own."""

import itertools
import json
from collections.abc import Iterable
from uuid import UUID, uuid5

from stock_worker.core.model import Entry, Record
from stock_worker.wire.decode import decode

SITE = "00000000-0000-4000-8000-000000000001"
DEFAULT = str(uuid5(UUID(SITE), "default"))
_OFFSETS = itertools.count()


def product(letter: str) -> str:
    """The product id of an item named by one letter."""
    return f"00000000-0000-4000-8000-0000000000{ord(letter):02x}"


def line(letter: str, quantity: int, **more: object) -> dict[str, object]:
    """A line about the item with this letter."""
    return {"product_id": product(letter), "quantity": quantity, **more}


def record(
    topic: str, value: dict[str, object] | bytes | None, headers: Iterable[tuple[str, bytes | None]] = ()
) -> Record:
    """A record on partition 0 of a topic; `value` is JSON unless it is bytes already."""
    body = value if isinstance(value, bytes) or value is None else json.dumps({"site_id": SITE, **value}).encode()
    return Record(topic, 0, next(_OFFSETS), 1_772_366_400_000, b"key", body, tuple(headers))


def message(topic: str, **fields: object) -> Entry:
    """A decoded record."""
    return decode(record(topic, fields), topic)
