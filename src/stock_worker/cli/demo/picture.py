"""How the demo shows its figures. Law: the same figures, drawn where somebody watches, else in lines."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, Self

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stock_worker.cli.demo.figures import Figures
from stock_worker.cli.demo.verdicts import Verdict
from stock_worker.core.model import Level, MovementType, OutcomeKind
from stock_worker.core.topics import COMMAND_TOPICS, EVENT_TOPICS

_COLOURS: Final = {"ok": "green", "low": "yellow", "critical": "dark_orange", "out": "red"}

Names = Mapping[tuple[str, str | None], str]


class Picture(Protocol):
    """What shows figures while the demo runs."""

    every_s: float

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End, and leave the last figures where they can be read."""

    def show(self, figures: Figures, what: str) -> None:
        """Show figures, and what is going on."""

    def tell(self, words: str) -> None:
        """Say what is to stay where it can be read."""


class Drawn:
    """A table that is drawn again and again."""

    every_s = 0.5

    def __init__(self, console: Console, names: Names) -> None:
        self._names = names
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back."""
        self._live.__exit__(None, None, None)

    def show(self, figures: Figures, what: str) -> None:
        """Draw."""
        self._live.update(drawing(figures, what, self._names), refresh=True)

    def tell(self, words: str) -> None:
        """Print it above what is drawn."""
        self._live.console.print(words, soft_wrap=True)


class Plain:
    """One line every two seconds, for a log."""

    every_s = 2.0

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        """Nothing to take."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to give back."""

    def show(self, figures: Figures, what: str) -> None:
        """Print one line."""
        self._console.print(line(figures, what), soft_wrap=True)

    def tell(self, words: str) -> None:
        """Print it."""
        self._console.print(words, soft_wrap=True)


def line(figures: Figures, what: str) -> str:
    """Say the figures in one line."""
    parts = {
        "commands in": sum(figures.commands.values()),
        **{kind.value: figures.outcomes[kind] for kind in OutcomeKind if figures.outcomes.get(kind)},
        "movements": figures.movements,
        "events out": sum(figures.events.values()) - figures.dead_letters,
        "alerts": figures.events.get("alert-level-changed", 0),
        "dead letters": figures.dead_letters,
        "lag": figures.lag,
    }
    told = "  ".join(f"{name} {count:,}" for name, count in parts.items())
    return f"{figures.elapsed_s:5.1f} s  {what}  {told}  {figures.commands_per_s:,.0f} commands/s"


def drawing(figures: Figures, what: str, names: Names) -> Group:
    """Draw the figures."""
    head = Text.assemble(
        (f"{what}  ", "bold"),
        f"{figures.elapsed_s:.0f} s   {figures.commands_per_s:,.0f} commands/s   {figures.events_per_s:,.0f} events/s"
        f"   lag {figures.lag:,}   outbox {figures.outbox:,}   Ctrl-C ends",
    )
    alerts = Table.grid(padding=(0, 2))
    for alert in figures.alerts:
        change = Text.assemble(alert.previous_level, " → ", (alert.level, _COLOURS[alert.level]))
        alerts.add_row(names.get(alert.item, alert.item[0]), change, f"available {alert.available}")
    return Group(
        head,
        Columns(
            [
                _counts("commands in", figures.commands, COMMAND_TOPICS),
                _counts("what became of them", figures.outcomes, [kind.value for kind in OutcomeKind]),
                _counts("movements", figures.rows, [kind.value for kind in MovementType]),
                _counts("events out", figures.events, [*EVENT_TOPICS, *_dead_letter_topics(figures)]),
                _counts("items", figures.levels, [level.value for level in Level]),
            ]
        ),
        Panel(alerts, title="latest alerts", title_align="left", height=10),
    )


def summary(figures: Figures, verdicts: Sequence[Verdict], first_event_s: float | None) -> Group:
    """Say what came of it, for a person or a log."""
    listed = Table(box=None, show_header=False, pad_edge=False)
    for justify in ("left", "left", "right"):
        listed.add_column(justify=justify)
    for kind in OutcomeKind:
        listed.add_row("command", kind.value, f"{figures.outcomes.get(kind, 0):,}")
    for code, count in sorted(figures.refusals.items()):
        listed.add_row("refusal", code, f"{count:,}")
    for kind_of_row in MovementType:
        listed.add_row("movement", kind_of_row.value, f"{figures.rows.get(kind_of_row, 0):,}")
    for topic in [*EVENT_TOPICS, *_dead_letter_topics(figures)]:
        listed.add_row("event", topic, f"{figures.events.get(topic, 0):,}")
    for level in Level:
        listed.add_row("item", level.value, f"{figures.levels.get(level, 0):,}")
    when = "no event came out" if first_event_s is None else f"first event {first_event_s:.1f} s after the start"
    said = [Text(("✓ " if one.ok else "✗ ") + one.words, style="green" if one.ok else "red") for one in verdicts]
    return Group(Text(when, style="bold"), listed, *said)


def _counts(title: str, counts: Mapping[str, int], names: Sequence[str]) -> Table:
    """One column of counts in a fixed order, zeros and all: a list that grows jumps."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name in names:
        table.add_row(Text(name, style=_COLOURS.get(name, "")), f"{counts.get(name, 0):,}")
    return table


def _dead_letter_topics(figures: Figures) -> list[str]:
    return sorted(topic for topic in figures.events if topic not in EVENT_TOPICS)
