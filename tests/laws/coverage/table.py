"""The table of promises: read, held to a list of tests, and written as docs/coverage.md."""

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[3]
TABLE: Final = Path(__file__).with_name("promises.toml")
PAGE: Final = ROOT / "docs" / "coverage.md"
HEAD: Final = """\
# What shows the contract

Each row is one promise of [the contract](contract.md), in our words and in its order, with the tests that show it. A
name in brackets is one row of a test's table; without one, every row of it counts. `R` is a rule, `C` a decided case.

`make test` writes this page at the end of a run in which every test named here was seen passing, and fails if one was
not. What it is made of is `tests/laws/coverage/promises.toml`; `make coverage` writes it before a run.
"""


class Promise(NamedTuple):
    """One sentence or table row of the contract, and the tests that show it."""

    id: str
    says: str
    shown_by: tuple[str, ...]

    @property
    def named(self) -> str | None:
        """What is in the name of a test that is named after this promise; None where the contract gives no name."""
        kind, _, row = self.id.partition(".")
        if kind in ("Topic", "Refusal", "Event"):
            return rf"\[{re.escape(row)}\]$"
        if not kind[1:].isdigit():
            return None
        number = rf"{kind[1:]}(?![0-9])"
        return rf"rule_{number}" if kind[0] == "R" else rf"(?i:\bc{number}|_c{number}|cases_decided)"


def sections(text: str | None = None) -> Iterator[tuple[str, list[Promise]]]:
    """Give the promises by section, in the contract's order."""
    for title, rows in tomllib.loads(TABLE.read_text(encoding="utf-8") if text is None else text).items():
        yield (
            title,
            [Promise(name, says, tuple(f"tests/{test}" for test in tests)) for name, (says, *tests) in rows.items()],
        )


def promises() -> list[Promise]:
    """Give all promises, in the contract's order."""
    return [promise for _, rows in sections() for promise in rows]


def missing(named: Iterable[str], there: Collection[str]) -> list[str]:
    """Give what is named and is not there."""
    return sorted(set(named) - set(there))


def page() -> str:
    """Write the page."""
    parts = [HEAD]
    for title, rows in sections():
        parts += [f"\n## {title}\n\n", "| | promise | shown by |\n", "|---|---|---|\n"]
        for name, says, shown_by in rows:
            tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in shown_by)
            parts.append(f"| {name} | {_cell(says)} | {_cell(tests)} |\n")
    return "".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
