"""Events and dead letters as outbox rows. Law: the bytes that Kafka will carry are fixed in the batch's transaction.

Row: (created_at, id, shard, aggregatetype, aggregateid, type, topic, key, payload, header_names, header_values).
Source: contract section 6 and rule 13.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final
from zlib import crc32

import orjson

from stock_worker.core.events import Event
from stock_worker.core.ids import single
from stock_worker.core.model import Record
from stock_worker.core.topics import DEAD_LETTER_MAX_BYTES, EVENT_TOPICS, dead_letter_topic

SHARDS: Final = 16
EVENT_TYPE: Final = "stock-worker.{topic}.v1"
_DEAD_LETTER_VALUE_MAX_BYTES: Final = DEAD_LETTER_MAX_BYTES - 64 * 1024
"""What a dead letter's value and headers may take together; the rest is room for Kafka's own framing."""

OutboxRow = tuple[
    datetime, str, int, str, str, str, str, bytes | None, bytes | None, list[str] | None, list[bytes | None] | None
]


def shard_of(key: bytes | None) -> int:
    """Which relay publishes this key: all records of one key stay in one shard, so in one order."""
    return crc32(key or b"") % SHARDS


def event_row(event: Event, *, prefix: str, created_at: datetime) -> OutboxRow:
    """Fix an event's bytes; its CloudEvents headers are added from the columns when it is published."""
    key = event.key.encode()
    names: list[str] | None = None
    values: list[bytes | None] | None = None
    if event.traceparent is not None:
        names, values = ["traceparent"], [event.traceparent.encode()]
    return (
        created_at,
        event.id,
        shard_of(key),
        event.aggregate,
        event.key,
        _TYPES[event.topic],
        prefix + event.topic,
        key,
        orjson.dumps(event.payload, default=_decimal_text, option=orjson.OPT_UTC_Z),
        names,
        values,
    )


def dead_letter_row(record: Record, reason: str, detail: str, *, created_at: datetime) -> OutboxRow:
    """Fix a dead letter: the original key, value and headers, and why it died.

    A record without key and value gets an empty key, since a consumer could not tell it from nothing; a value that
    would not fit is cut, and the database keeps it whole.
    """
    added = {
        "dlt-reason": reason,
        "dlt-detail": detail,
        "dlt-original-topic": record.topic,
        "dlt-original-partition": str(record.partition),
        "dlt-original-offset": str(record.offset),
        "dlt-original-timestamp": str(record.timestamp_ms),
    }
    key, value = record.key, record.value
    if key is None and value is None:
        key = b""
        added["dlt-null-key"] = "true"
    room = _DEAD_LETTER_VALUE_MAX_BYTES - len(key or b"") - _size(record.headers)
    if value is not None and len(value) > room:
        added["dlt-truncated"] = str(len(value))
        value = value[: max(room, 0)]
    headers = [*record.headers, *((name, text.encode()) for name, text in added.items())]
    return (
        created_at,
        single("dead-letter", f"{record.topic}\x1f{record.partition}\x1f{record.offset}\x1f{record.timestamp_ms}"),
        shard_of(key),
        "dead_letter",
        (key or b"").decode("utf-8", "replace").replace("\x00", "\ufffd"),
        f"dead-letter.{reason}",
        dead_letter_topic(record.topic),
        key,
        value,
        [name for name, _ in headers],
        [value for _, value in headers],
    )


def _size(headers: Iterable[tuple[str, bytes | None]]) -> int:
    return sum(len(name) * 4 + len(value or b"") + 10 for name, value in headers)


def _decimal_text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"no event field is a {type(value).__name__}")


_TYPES: Final = {topic: EVENT_TYPE.format(topic=topic) for topic in EVENT_TOPICS}
