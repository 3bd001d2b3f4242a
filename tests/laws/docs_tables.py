"""The tables of docs/contract.md and other pages, by the name before each: `<!-- table: metrics -->`."""

import re
from pathlib import Path

CONTRACT = Path(__file__).parents[2] / "docs" / "contract.md"
INTEGRATE = CONTRACT.with_name("integrate.md")


def table(name: str, page: Path = CONTRACT) -> list[list[str]]:
    """Give a table's rows, each a list of cells without backticks; the heading is left out."""
    text = page.read_text(encoding="utf-8")
    lines = text.split(f"<!-- table: {name} -->\n", 1)[1].splitlines()
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows[2:]
