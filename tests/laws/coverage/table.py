"""The table of promises: read, and written as docs/coverage.md."""

import re
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[3]
TABLE: Final = Path(__file__).with_name("promises.toml")
PAGE: Final = ROOT / "docs" / "coverage.md"
NOT_YET: Final = "Not shown yet"
"""The section of what no test shows: a reason stands where the others have tests."""
HEAD: Final = """\
# What shows the contract

Each row is one promise of [the contract](contract.md), in short words and in its order, with the tests that show it. A
name in brackets is one row of a test's table; without one, every row of it counts. `R` is a rule, `C` a decided
case, `H` one of the API.

`make test` writes this page at the end of a run in which each test named here was seen passing; it fails if one was
not. The page is made of `tests/laws/coverage/promises.toml`; `make coverage` writes it before a run.
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
        if found := re.fullmatch(r"([RC])(\d+)", kind):
            letter, number = found.groups()
            return rf"_rule_{number}_" if letter == "R" else rf"(?i:_c{number}_|\[C{number}:|_cases_decided_)"
        return None


def sections() -> dict[str, list[Promise]]:
    """Give the promises that are shown, by section, in the contract's order."""
    return {
        title: [Promise(name, says, tuple(f"tests/{test}" for test in tests)) for name, (says, *tests) in rows.items()]
        for title, rows in _tables().items()
        if title != NOT_YET
    }


def promises() -> list[Promise]:
    """Give all promises that are shown, in the contract's order."""
    return [promise for rows in sections().values() for promise in rows]


def not_yet() -> list[tuple[str, str, str]]:
    """Give what no test shows: its id, what it says, and why."""
    return [(name, says, why) for name, (says, why) in _tables().get(NOT_YET, {}).items()]


def missing(named: Iterable[str], there: Collection[str]) -> list[str]:
    """Give what is named and is not there."""
    return sorted(set(named) - set(there))


def page() -> str:
    """Write the page."""
    parts = [HEAD]
    for title, rows in sections().items():
        parts.append(_heading(title, "shown by"))
        for name, says, shown_by in rows:
            tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in shown_by)
            parts.append(f"| {name} | {_cell(says)} | {_cell(tests)} |\n")
    if left := not_yet():
        parts.append(_heading(NOT_YET, "why"))
        parts += [f"| {name} | {_cell(says)} | {_cell(why)} |\n" for name, says, why in left]
    return "".join(parts)


def _tables() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def _heading(title: str, column: str) -> str:
    return f"\n## {title}\n\n| | promise | {column} |\n|---|---|---|\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
