"""All orders of all multisets of one to six out of ten commands on one order. Law: fewer tried is a failure.

If any order of a multiset is free of refusals, all its refusal-free orders must end in equal totals (rule 5). The
orders are walked as a tree: each is one step from its parent, and a step decides one command on a copy of the state.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

PRODUCT: Final = "00000000-0000-4000-8000-000000000061"
PLACED: Final = 3
DEPTH: Final = 6
ORDERS: Final = sum(10**length for length in range(1, DEPTH + 1))
MULTISETS: Final = 8_007


class Totals(NamedTuple):
    """A line's state by rule 5; two orders of one multiset must agree on it for every line."""

    placed: int
    sold: int
    cancelled: int
    out: int


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


def walk(start: Subject, depth: int = DEPTH) -> Report:
    """Try every order of up to `depth` commands."""
    report = Report()
    _walk(start, depth, [0] * len(COMMANDS), 0, report, free=True)
    return report


def _walk(subject: Subject, depth: int, counts: list[int], multiset: int, report: Report, *, free: bool) -> None:
    for kind in range(len(COMMANDS)):
        counts[kind] += 1
        child, refused = subject.step(kind, counts[kind])
        drawn = multiset + (DEPTH + 1) ** kind
        report.orders += 1
        report.multisets.add(drawn)
        if free and not refused:
            report.free += 1
            totals = child.totals()
            first = report.totals.setdefault(drawn, totals)
            if first != totals:
                drawn_names = tuple(name for name, count in zip(COMMANDS, counts, strict=True) for _ in range(count))
                report.contradictions.append((drawn_names, first, totals))
        if depth > 1:
            _walk(child, depth - 1, counts, drawn, report, free=free and not refused)
        counts[kind] -= 1


def _placement(reference: str, line_id: str, quantity: int, **more: object) -> tuple[str, dict[str, Any]]:
    line = {"line_id": line_id, "product_id": PRODUCT, "quantity": quantity}
    return "order-placed", {"order_id": "O", "reference_id": reference, "lines": [line], **more}


def _about(topic: str, reference: str, quantity: int) -> tuple[str, dict[str, Any]]:
    lines = [{"line_id": "1", "quantity": quantity}]
    return topic, {"order_id": "O", "reference_id": reference, "lines": lines}


COMMANDS: Final[dict[str, Callable[[int], tuple[str, dict[str, Any]]]]] = {
    # The two placements keep their references, so that a second occurrence is a redelivery; the others tell a new
    # thing each time. An amendment adds a line of its own.
    "place": lambda _: _placement("O", "1", PLACED),
    "duplicate placement": lambda _: _placement("again", "1", PLACED),
    "amend": lambda n: _placement(f"amend {n}", f"added {n}", 2, amend=True),
    "cancel 1": lambda n: _about("order-cancelled", f"one {n}", 1),
    "cancel 2": lambda n: _about("order-cancelled", f"two {n}", 2),
    "cancel whole": lambda n: ("order-cancelled", {"order_id": "O", "reference_id": f"whole {n}"}),
    "fulfil 1": lambda n: _about("order-fulfilled", f"one {n}", 1),
    "fulfil 2": lambda n: _about("order-fulfilled", f"two {n}", 2),
    "return 1": lambda n: _about("return-received", f"one {n}", 1),
    "return 2": lambda n: _about("return-received", f"two {n}", 2),
}
