"""Where a listener is, as the id of a server-sent event. Law: an id that is read back is the position it was made from.

A position is, for every partition of the event topics, the offset to be read next. It is spelled by topic and partition
in order, dots within a topic and tildes between them: `12.0.7~3.4.5`. Source: contract section 7 (`…/stream`).
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from aiokafka import TopicPartition

from stock_worker.http.problems import Problem

Position = dict[TopicPartition, int]
"""The offset to be read next of each partition, by topic and number in order."""

_ID: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*(?:~[0-9]{1,18}(?:\.[0-9]{1,18})*)*")
"""18 digits fit into Kafka's 64 bits."""


def write_id(position: Mapping[TopicPartition, int]) -> str:
    """Spell a position."""
    topics: dict[str, list[str]] = {}
    for at, offset in position.items():
        topics.setdefault(at.topic, []).append(str(offset))
    return "~".join(".".join(offsets) for offsets in topics.values())


def read_id(text: str, partitions: Collection[TopicPartition]) -> Position | None:
    """Read an id, for these partitions; one that was made since is read from its beginning.

    None where the id has partitions that are not there: it is of other topics than these. Raises Problem: malformed.
    """
    names = list(dict.fromkeys(at.topic for at in partitions))
    parts = [part.split(".") for part in text.split("~")]
    if not _ID.fullmatch(text) or len(parts) != len(names):
        raise Problem("malformed", "Last-Event-ID is no id of this stream; connect without it")
    told = {
        TopicPartition(name, number): int(offset)
        for name, offsets in zip(names, parts, strict=True)
        for number, offset in enumerate(offsets)
    }
    if not told.keys() <= set(partitions):
        return None
    return {at: told.get(at, 0) for at in partitions}
