r"""Every record can be read. Law: a header that is not text hides neither its record nor the record's neighbours.

Kafka's header names are bytes that should be UTF-8; librdkafka lets a producer write others. aiokafka 0.14 then raises
UnicodeDecodeError out of the poll and never moves on: the partition stands still. `tests/flow/test_worker_poison.py`
sends one, and its twin without this module says when it can go. Here such a batch is read again, and a byte of a
header's name that is no UTF-8 becomes the four signs `\xff`. Contract rule 13.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

_LENGTH_AT: Final = struct.calcsize(">q")  # after the base offset
_LENGTH_ENDS: Final = struct.calcsize(">qi")
_MAGIC_AT: Final = struct.calcsize(">qii")
_MAGIC_WITH_HEADERS: Final = 2


def install() -> None:
    """Let every consumer of this process read what it fetches through ReadableRecords; once is enough."""
    fetcher.MemoryRecords = ReadableRecords


class ReadableRecords:
    """Stands in for aiokafka's MemoryRecords: the same batches, each of which can be read to its end."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = data
        self._at = 0

    def has_next(self) -> bool:
        """Whether a whole batch is left."""
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        """The size of what was fetched."""
        return int(self._records.size_in_bytes())

    def next_batch(self) -> Any:  # noqa: ANN401 - aiokafka's own batch, or ours in its place
        """Give the next batch; those of the old formats have no headers and are given as they are."""
        batch = self._records.next_batch()
        length = struct.unpack_from(">i", self._data, self._at + _LENGTH_AT)[0]
        begin, self._at = self._at, self._at + _LENGTH_ENDS + length
        if batch is None or self._data[begin + _MAGIC_AT] < _MAGIC_WITH_HEADERS:
            return batch
        return _Batch(batch, self._data, begin, self._at)


class ReadRecord(NamedTuple):
    """A record as aiokafka's fetcher wants to see it."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


class _Batch:
    """A batch of aiokafka's, read whole: either by it or, where a header stops it, here."""

    __slots__ = ("_batch", "_begin", "_data", "_end")

    def __init__(self, batch: Any, data: bytes, begin: int, end: int) -> None:  # noqa: ANN401 - aiokafka's has no type
        self._batch, self._data, self._begin, self._end = batch, data, begin, end

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - base_offset, is_control_batch, validate_crc, …
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(_read(self._data[self._begin : self._end]))

    def __next__(self) -> Any:  # noqa: ANN401 - a control record, which has no headers
        return next(self._batch)


def _read(data: bytes) -> list[ReadRecord]:
    """Read one batch of format 2, whatever its header names are.

    Record: length, attributes, timestamp delta, offset delta, key, value, headers; lengths are zigzag varints, -1 null.
    """
    batch = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()  # noqa: SLF001 - its codecs are all that is wanted of it
    buffer, at = batch._buffer, batch._pos  # noqa: SLF001 - the same
    stamped_by_broker = batch.timestamp_type == batch.LOG_APPEND_TIME
    records = []
    for _ in range(batch._num_records):  # noqa: SLF001 - the same
        _, at = decode_varint(buffer, at)
        at += 1  # attributes: unused
        timestamp_delta, at = decode_varint(buffer, at)
        offset_delta, at = decode_varint(buffer, at)
        key, at = _nullable(buffer, at)
        value, at = _nullable(buffer, at)
        count, at = decode_varint(buffer, at)
        headers = []
        for _ in range(count):
            name, at = _nullable(buffer, at)
            header, at = _nullable(buffer, at)
            headers.append(((name or b"").decode("utf-8", "backslashreplace"), header))
        timestamp = batch.max_timestamp if stamped_by_broker else batch.first_timestamp + timestamp_delta
        offset = batch.base_offset + offset_delta
        records.append(ReadRecord(offset, timestamp, batch.timestamp_type, key, value, headers))
    return records


def _nullable(buffer: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(buffer, at)
    return (None, at) if length < 0 else (bytes(buffer[at : at + length]), at + length)
