"""Ids derived from what they name. Law: the same fact has the same id, however often it is decided or sent again.

A UUID of version 8 (RFC 9562): a hash of the kind and the subject, then 48 bits of counter where the subject counts.
So an event that is decided again after an unknown COMMIT keeps its `ce_id`. See docs/decisions/0004.
"""

from functools import lru_cache
from hashlib import blake2b
from uuid import UUID, uuid5


def series(kind: str, subject: str) -> str:
    """Give the first 24 characters of the ids of one series, e.g. the movements of one item."""
    digest = blake2b(f"{kind}\x1f{subject}".encode(), digest_size=9).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-8{digest[15:18]}-"


def numbered(prefix: str, number: int) -> str:
    """Give the id of the member `number` (below 2**48) of the series with this prefix."""
    return f"{prefix}{number:012x}"


def single(kind: str, subject: str) -> str:
    """Give the id of a fact that happens once, e.g. the outcome of a reference."""
    digest = blake2b(f"{kind}\x1f{subject}".encode(), digest_size=15).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-8{digest[15:18]}-{digest[18:30]}"


@lru_cache(maxsize=65_536)
def default_location_id(site_id: str) -> str:
    """Give the id of a site's default location until another is made the default (contract section 1)."""
    return str(uuid5(UUID(site_id), "default"))
