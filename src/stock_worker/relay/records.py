"""Outbox rows as batches of Kafka records. Law: one partition's records leave in the order of the outbox, none is lost.

An event gets the CloudEvents headers of its columns; a dead letter has the headers that its row has and no others. The
record's own timestamp is the moment of publishing: retention counts from there, and no clock of ours can make a broker
refuse it. A record that a broker refuses as too large is cut until it fits (`Fit`). Source: contract section 6.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from stock_worker.log import say
from stock_worker.relay.partition import item_key_hash, key_hash

if TYPE_CHECKING:
    from stock_worker.store.outbox import Row

logger = logging.getLogger(__name__)

TRUNCATED: Final = "dlt-truncated"
_SMALLEST_BYTES: Final = 512
"""A value cut to less than this did not make the record too large: its headers did."""

Header = tuple[str, bytes | None]


@dataclass(slots=True)
class Batch:
    """Records of one partition, and the rows they came from: (seq, shard) each."""

    topic: str
    partition: int
    builder: Any  # aiokafka's BatchBuilder
    rows: list[tuple[int, int]] = field(default_factory=list)


class Fit:
    """What has been learned of records that were refused as too large; forgotten when they are published."""

    def __init__(self) -> None:
        self.hopeful = False  # whether what was refused last will be another record next time
        self._alone: set[int] = set()
        self._cut: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._alone)

    def refused(self, batch: Batch, sizes: Mapping[int, int]) -> None:
        """Learn from a refusal: a batch of several is sent one by one, one alone is cut to half of what it was."""
        self._alone.update(seq for seq, _ in batch.rows)
        self.hopeful = True
        if len(batch.rows) == 1:
            ((seq, _),) = batch.rows
            was = self._cut.get(seq, sizes[seq])
            self._cut[seq] = was // 2
            self.hopeful = was > 0
            say(logger, logging.ERROR, "a record is too large for its topic and is cut; raise its max.message.bytes",
                topic=batch.topic, seq=seq, to_bytes=was // 2)  # fmt: skip

    def forget(self, seqs: Sequence[int]) -> None:
        """They are published."""
        if self._alone:
            self._alone.difference_update(seqs)
            for seq in seqs:
                self._cut.pop(seq, None)

    def alone(self, seq: int) -> bool:
        """Whether a row goes in a batch of its own."""
        return seq in self._alone

    def cut(self, seq: int, payload: bytes | None, headers: list[Header]) -> tuple[bytes | None, list[Header]]:
        """Cut a value to what is thought to fit, and say so; where the headers are too large, keep only our own."""
        most = self._cut.get(seq)
        if most is None:
            return payload, headers
        if most < _SMALLEST_BYTES:
            headers = [(name, value) for name, value in headers if name.startswith(("ce_", "dlt-", "content-type"))]
        if payload is not None and len(payload) > most and all(name != TRUNCATED for name, _ in headers):
            headers = [*headers, (TRUNCATED, str(len(payload)).encode())]
        return shrink(payload, most), headers


def batches(
    rows: Sequence["Row"],
    *,
    source: bytes,
    partitions: Mapping[str, int],
    new: Callable[[], Any],
    fit: Fit,
) -> list[Batch]:
    """Lay rows out, in order, into batches by topic and partition. A full batch is followed by another."""
    made: list[Batch] = []
    filling: dict[tuple[str, int], Batch] = {}
    fixed: dict[str, list[Header]] = {}
    at, time = None, b""
    for seq, shard, _, id_, created_at, aggregate, type_, topic, key, payload, names, values in rows:
        value = payload
        if aggregate == "dead_letter":
            headers = list(zip(names, values, strict=True))
        else:
            if created_at != at:  # a batch of commands shares one
                at, time = created_at, f"{created_at.isoformat()[:-6]}Z".encode()
            if type_ not in fixed:
                fixed[type_] = _fixed_headers(type_, source)
            headers = [*fixed[type_], ("ce_id", str(id_).encode()), ("ce_time", time)]
            if names:
                headers += zip(names, values, strict=True)
        if fit:
            value, headers = fit.cut(seq, value, headers)
        # Null keys share a partition, as any one key does.
        where = (topic, (item_key_hash(key) if aggregate == "item" else key_hash(key or b"")) % partitions[topic])
        batch = filling.get(where)
        if batch is None or (fit and fit.alone(seq)) or not _append(batch, key, value, headers):
            batch = filling[where] = Batch(*where, new())
            made.append(batch)
            if not _append(batch, key, value, headers):
                raise AssertionError(f"a fresh batch refused outbox row {seq}")
            if fit and fit.alone(seq):
                del filling[where]
        batch.rows.append((seq, shard))
    return made


def shrink(payload: bytes | None, most: int) -> bytes | None:
    """Cut a value to at most `most` bytes. A JSON object stays one while emptying its largest lists is enough."""
    if payload is None or len(payload) <= most:
        return payload
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload[:most]
    if isinstance(fields, dict):
        lists = {name: len(orjson.dumps(value)) for name, value in fields.items() if isinstance(value, list)}
        for name in sorted(lists, key=lambda name: -lists[name]):
            fields[name] = []
            shorter: bytes = orjson.dumps(fields)
            if len(shorter) <= most:
                return shorter
    return payload[:most]


def _append(batch: Batch, key: bytes | None, payload: bytes | None, headers: list[Header]) -> bool:
    """Add a record, if the batch has room; the first one always has."""
    return batch.builder.append(timestamp=None, key=key, value=payload, headers=headers) is not None


def _fixed_headers(type_: str, source: bytes) -> list[Header]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", type_.encode()),
        ("ce_source", source),
        ("content-type", b"application/json"),
    ]
