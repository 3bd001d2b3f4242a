"""All orders of all multisets of a few commands on one order. Law: fewer tried is a failure.

If any order of a multiset is free of refusals, all its refusal-free orders must end in equal totals (rule 5). The
orders are walked as a tree: each is one step from its parent, and a step decides one command on a copy of the state.

Rule 5 has two halves. In mode sale ten commands are walked, up to six at a time; in mode reserve time is the eleventh,
and up to five at a time are walked: six would be 1,948,716 orders, which is for those who can wait (`depth`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import comb
from typing import Any, Final, NamedTuple, Protocol

PRODUCT: Final = "00000000-0000-4000-8000-000000000061"
PLACED: Final = 3
DEEPEST: Final = 6
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
DUE: Final = "2026-03-01T18:00:00Z"
EVENING: Final = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
EXPIRE: Final = "expire"
"""In the place of a topic: `DUE` has come, and the sweeper looks at the order. What comes later is decided later."""

Asked = tuple[str, dict[str, Any]]


class Totals(NamedTuple):
    """A line's state by rule 5; two orders of one multiset must agree on it for every line."""

    placed: int
    sold: int
    cancelled: int
    out: int
    reserved: int
    expired: int


class Half(NamedTuple):
    """One mode of orders: its commands by name, each given the number of its occurrence, and how deep to walk."""

    commands: dict[str, Callable[[int], Asked]]
    depth: int

    def orders(self, depth: int | None = None) -> int:
        """How many orders there are of 1 to `depth` commands."""
        return sum(len(self.commands) ** length for length in range(1, (depth or self.depth) + 1))

    def multisets(self, depth: int | None = None) -> int:
        """How many multisets those are the orders of."""
        return comb(len(self.commands) + (depth or self.depth), depth or self.depth) - 1

    def steps(self) -> list[list[Asked]]:
        """Every command by its occurrences, to be made once; the one before the first has the number 0."""
        return [[command(n) for n in range(DEEPEST + 1)] for command in self.commands.values()]


class Subject(Protocol):
    """What is walked: a state that decides the n-th occurrence of a command, on a copy of itself."""

    def step(self, kind: int, occurrence: int) -> tuple["Subject", bool]:
        """Decide on a copy; return it, and whether anything was refused (a parked command set free included)."""

    def totals(self) -> Any:  # noqa: ANN401 - compared for equality alone
        """The totals of every line, and the stock of the item."""


@dataclass(slots=True)
class Report:
    """What was tried, and what contradicts rule 5: the multiset, the totals first seen, and others."""

    orders: int = 0
    free: int = 0
    multisets: set[int] = field(default_factory=set)
    totals: dict[int, Any] = field(default_factory=dict)
    contradictions: list[tuple[tuple[str, ...], Any, Any]] = field(default_factory=list)


def walk(start: Subject, half: Half, depth: int | None = None) -> Report:
    """Try every order of up to `depth` commands."""
    walked = _Walk(tuple(half.commands), depth or half.depth)
    walked.on(start, depth or half.depth, 0, free=True)
    return walked.report


class _Walk:
    """The tree from one start: how often each command stands on the way to here, and what was found."""

    def __init__(self, names: tuple[str, ...], depth: int) -> None:
        self.names, self.base = names, depth + 1
        self.counts = [0] * len(names)
        self.report = Report()

    def on(self, subject: Subject, depth: int, multiset: int, *, free: bool) -> None:
        """Take each command as the next; a multiset is a number with one digit for each command."""
        report, counts = self.report, self.counts
        for kind, name in enumerate(self.names):
            counts[kind] += 1
            child, refused = subject.step(kind, counts[kind])
            drawn = multiset + self.base**kind
            report.orders += 1
            report.multisets.add(drawn)
            if free and not refused:
                report.free += 1
                totals = child.totals()
                first = report.totals.setdefault(drawn, totals)
                if first != totals:
                    names = tuple(name for name, many in zip(self.names, counts, strict=True) for _ in range(many))
                    report.contradictions.append((names, first, totals))
            if depth > 1:
                self.on(child, depth - 1, drawn, free=free and not refused)
            counts[kind] -= 1


def _placement(reference: str, line_id: str, quantity: int, **more: object) -> Asked:
    line = {"line_id": line_id, "product_id": PRODUCT, "quantity": quantity}
    return "order-placed", {"order_id": "O", "reference_id": reference, "lines": [line], **more}


def _about(topic: str, reference: str, quantity: int) -> Asked:
    lines = [{"line_id": "1", "quantity": quantity}]
    return topic, {"order_id": "O", "reference_id": reference, "lines": lines}


def _commands(**placed: str) -> dict[str, Callable[[int], Asked]]:
    """The two placements keep their references, so that a second occurrence is a redelivery.

    The others tell a new thing each time. An amendment adds a line of its own, in the order's mode.
    """
    return {
        "place": lambda _: _placement("O", "1", PLACED, **placed),
        "duplicate placement": lambda _: _placement("again", "1", PLACED, **placed),
        "amend": lambda n: _placement(f"amend {n}", f"added {n}", 2, amend=True),
        "cancel 1": lambda n: _about("order-cancelled", f"one {n}", 1),
        "cancel 2": lambda n: _about("order-cancelled", f"two {n}", 2),
        "cancel whole": lambda n: ("order-cancelled", {"order_id": "O", "reference_id": f"whole {n}"}),
        "fulfil 1": lambda n: _about("order-fulfilled", f"one {n}", 1),
        "fulfil 2": lambda n: _about("order-fulfilled", f"two {n}", 2),
        "return 1": lambda n: _about("return-received", f"one {n}", 1),
        "return 2": lambda n: _about("return-received", f"two {n}", 2),
    }


SALE: Final = Half(_commands(), DEEPEST)
RESERVE: Final = Half(
    {**_commands(mode="reserve", expires_at=DUE), EXPIRE: lambda _: (EXPIRE, {"order_id": "O"})},
    DEEPEST - 1,
)
