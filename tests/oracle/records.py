"""What the oracle reads and what it answers. Law: bytes in, sentences out, and no product code.

A record of an event topic is known by its ce_id: it may come again, but only as it came first, and with all that was
told under its key since. For whoever reads a compacted topic, or begins in the middle, has not seen it before: an old
state that comes again alone is the state. A dead letter is known by the position that it names.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]

EVENT_TOPICS: Final = (
    "stock-changed",
    "stock-level",
    "alert-level-changed",
    "adjustment-applied",
    "adjustment-rejected",
)
DEAD_LETTERS: Final = "-dlt"


class Sent(NamedTuple):
    """A command record as it was produced: `topic` without prefix, `poison` when its sender broke it on purpose.

    Partition and offset are those of the acknowledgement; -1 where it was never seen, though the record may have come.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    poison: bool = False
    partition: int = -1
    offset: int = -1


class Seen(NamedTuple):
    """A record as it was consumed from an event or dead-letter topic, `topic` without prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(slots=True)
class Judgement:
    """What is wrong, in sentences by kind, and what there was of each outcome and code.

    lost: no outcome, no dead letter. doubled: two of them, or two events for one thing. inversions: an older state
    published after a newer. gaps: a version that never came. wrong: everything else.
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    inversions: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    moved: int = 0
    redelivered_events: int = 0
    expiries: int = 0

    @property
    def moved_share(self) -> float:
        """The share of the commands (a reference counts once) that moved stock."""
        return self.moved / self.commands if self.commands else 0.0

    @property
    def faults(self) -> list[str]:
        """All that is wrong."""
        kinds = ("lost", "doubled", "inversions", "gaps", "wrong")
        return [f"{kind}: {sentence}" for kind in kinds for sentence in getattr(self, kind)]


class Event(NamedTuple):
    """A first-seen record of an event topic with its decoded value."""

    topic: str
    partition: int
    offset: int
    key: str
    value: dict[str, Any]


@dataclass(slots=True)
class Published:
    """What came out, each thing once, in the order in which it was first seen in its partition."""

    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    dead: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class Told:
    """The identities told under one key, by when they came first, and which of them came last."""

    places: dict[tuple[str, ...], int] = field(default_factory=dict)
    last: int = -1

    def follows(self, identity: tuple[str, ...]) -> bool:
        """Take the next one; says whether it is new after the newest, or goes back and leaves nothing out."""
        place = self.places.setdefault(identity, len(self.places))
        before, self.last = self.last, place
        return place <= before + 1


def read(seen: Iterable[Seen], judgement: Judgement) -> Published:
    """Drop what came again, and say where it differs from what it was, or left something out."""
    published = Published()
    known: dict[tuple[str, ...], Seen] = {}
    told: dict[tuple[str, bytes | None], Told] = defaultdict(Told)
    for record in sorted(seen, key=lambda each: (each.topic, each.partition, each.offset)):
        dead = record.topic.endswith(DEAD_LETTERS)
        identity = _position_told(record) if dead else _ce_id(record)
        if identity is None:
            judgement.wrong.append(f"{_where(record)} has no identity in its headers")
            continue
        if not dead and not told[record.topic, record.key].follows(identity):
            judgement.inversions.append(f"{_where(record)} comes after a repetition that did not come so far")
        first = known.setdefault((record.topic, *identity), record)
        if first is not record:
            judgement.redelivered_events += 1
            if first[3:] != record[3:]:
                judgement.doubled.append(f"{_where(record)} is not {_where(first)}, which had the same identity")
        elif dead:
            published.dead[record.topic.removesuffix(DEAD_LETTERS)].append(record)
        else:
            _add_event(published, record, judgement)
    judgement.inversions += [
        f"the last record of {topic} under {key!r} is an old one that came again"
        for (topic, key), each in told.items()
        if each.last != len(each.places) - 1
    ]
    return published


def _add_event(published: Published, record: Seen, judgement: Judgement) -> None:
    headers = dict(record.headers)
    wanted = {
        "ce_specversion": b"1.0",
        "ce_type": f"stock-worker.{record.topic}.v1".encode(),
        "content-type": b"application/json",
    }
    if record.key is None or record.value is None:
        judgement.wrong.append(f"{_where(record)} has no key or no value")
        return
    judgement.wrong += [
        f"{_where(record)}: {name} is {headers.get(name)!r}"
        for name, value in wanted.items()
        if headers.get(name) != value
    ]
    judgement.wrong += [f"{_where(record)} has no {name}" for name in ("ce_source", "ce_time") if not headers.get(name)]
    event = Event(record.topic, record.partition, record.offset, record.key.decode(), json.loads(record.value))
    published.events[record.topic].append(event)


def _ce_id(record: Seen) -> tuple[str, ...] | None:
    value = dict(record.headers).get("ce_id")
    return None if value is None else (value.decode(),)


def _position_told(record: Seen) -> tuple[str, ...] | None:
    headers = dict(record.headers)
    told = [headers.get(f"dlt-original-{name}") for name in ("topic", "partition", "offset", "timestamp")]
    if not dict(record.headers).get("dlt-reason"):
        return None
    return None if None in told else tuple(str(each, "utf-8") for each in told if each is not None)


def _where(record: Seen) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"
