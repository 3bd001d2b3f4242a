"""What came of the demo. Law: it was well only if every command had one outcome and every movement was told once.

The ledger's length is the database's, what was told is the topics', and `verify` judges the ledger by laws of its own.
"""

from typing import NamedTuple

from stock_worker.cli.demo.figures import Figures
from stock_worker.core.topics import STOCK_CHANGED


class Verdict(NamedTuple):
    """One thing that has to be so: whether it is, in words."""

    ok: bool
    words: str


def judge(figures: Figures, drifts: int, exit_code: int | None) -> list[Verdict]:
    """Judge the last figures, `verify`'s drifts and the worker's exit code."""
    commands, told = sum(figures.commands.values()), figures.events.get(STOCK_CHANGED, 0)
    return [
        Verdict(commands == figures.decided, f"{commands:,} commands in, {figures.decided:,} outcomes"),
        Verdict(figures.movements == told, f"{figures.movements:,} movements in the ledger, {told:,} told by events"),
        Verdict(
            figures.dead == figures.dead_letters,
            f"{figures.dead:,} dead letters kept, {figures.dead_letters:,} published",
        ),
        Verdict(drifts == 0, f"verify: {drifts} drifts" if drifts else "verify: no drift"),
        Verdict(exit_code == 0, f"the worker ended with {exit_code}"),
    ]


def as_json(figures: Figures, verdicts: list[Verdict], first_event_s: float | None) -> dict[str, object]:
    """Give the summary as one JSON document."""
    return {
        "first_event_s": first_event_s,
        "commands": dict(figures.commands),
        "outcomes": dict(figures.outcomes),
        "refusals": dict(figures.refusals),
        "movements": dict(figures.rows),
        "events": dict(figures.events),
        "levels": dict(figures.levels),
        "parked": figures.parked,
        "verdicts": [verdict._asdict() for verdict in verdicts],
    }
