"""Opening stock or a count from a file. Law: a file with a mistake changes nothing; one that comes twice does so once.

A row is a command of its own, whose reference is made of the import's name, its item and its location: rows that were
booked before are duplicates, rows that say something else under the same name are conflicts and are reported, and what
is new is booked. So an import that was cut off goes on where it ended when it is started again. Contract rule 1.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stock_worker.core.model import Command, ItemKey, Outcome, OutcomeKind, Source
from stock_worker.core.topics import RESTOCK, STOCK_COUNT
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.load import item_key
from stock_worker.store.sql import statements
from stock_worker.store.steering.locations import list_locations
from stock_worker.wire.decode import command_of

if TYPE_CHECKING:
    from asyncpg import Connection

SQL: Final = statements("imports")

AT_ONCE: Final = 1_000
"""Rows booked in one transaction."""
NAME_MAX: Final = 80
"""Characters of an import's name: with what tells the row, a reference has 128."""
_SOURCE: Final = Source("cli")
_WHOLE: Final = re.compile(r"[0-9]{1,10}")


class What(StrEnum):
    """What the rows of a file say: goods that are there from the start, or what was counted."""

    STOCK = "stock"
    COUNT = "count"


COLUMNS: Final[Mapping[What, tuple[str, ...]]] = {
    What.STOCK: ("product_id", "variant_id", "sku", "location", "quantity", "unit_cost", "currency", "note"),
    What.COUNT: ("product_id", "variant_id", "sku", "location", "counted", "note"),
}
"""The columns that a file may have. A row names its item by product_id (and variant_id) or by sku."""
_FIGURE: Final = {What.STOCK: "quantity", What.COUNT: "counted"}
_TOPIC: Final = {What.STOCK: RESTOCK, What.COUNT: STOCK_COUNT}


class Known(NamedTuple):
    """What a file may name of its site: locations by code and by id, items by sku (None where several have it)."""

    locations: Mapping[str, str]
    skus: Mapping[str, ItemKey | None]


class Row(NamedTuple):
    """A row that can be booked: its line in the file, and its command."""

    line: int
    command: Command


class Mistake(NamedTuple):
    """What is wrong in a line of the file, for a person."""

    line: int
    words: str


class Told(NamedTuple):
    """What became of a row that was not simply booked."""

    line: int
    outcome: OutcomeKind
    words: str


def read(
    lines: Iterable[str], what: What, *, name: str, site_id: str, known: Known, now: datetime
) -> tuple[list[Row], list[Mistake]]:
    """Read a file's lines, the first of which names its columns (separated by commas, semicolons or tabs).

    Returns the rows and the mistakes, in the order of the file; a line with a mistake gives no row.
    """
    numbered = iter(lines)
    heading = next(numbered, "").lstrip("\ufeff").rstrip("\r\n")
    separator = max(",;\t", key=heading.count)
    names = [column.strip().lower() for column in next(csv.reader([heading], delimiter=separator), [])]
    wrong = _heading_mistake(names, what)
    if wrong is not None:
        return [], [Mistake(1, wrong)]
    rows: list[Row] = []
    mistakes: list[Mistake] = []
    seen: dict[tuple[ItemKey, str | None], int] = {}
    reader = csv.reader(numbered, delimiter=separator)
    for cells in reader:
        line = reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            mistakes.append(Mistake(line, "the row does not have as many cells as there are columns"))
            continue
        found = _row(dict(zip(names, map(str.strip, cells), strict=True)), what, known, site_id)
        if isinstance(found, str):
            mistakes.append(Mistake(line, found))
            continue
        place = (found.item, found.location_id)
        if place in seen:
            mistakes.append(Mistake(line, f"the item and location of line {seen[place]} again"))
            continue
        seen[place] = line
        command = command_of(_document(found, what, name, site_id), _TOPIC[what], _SOURCE, now)
        if isinstance(command, str):
            mistakes.append(Mistake(line, command.removeprefix("lines[0].")))
        else:
            rows.append(Row(line, command))
    return rows, mistakes


async def known_of(connection: "Connection", site_id: str) -> Known:
    """What the site has that a file may name."""
    there = [place for place in await list_locations(connection, site_id) if place.archived_at is None]
    locations = {name: place.location_id for place in there for name in (place.location_id, place.code.lower())}
    skus: dict[str, ItemKey | None] = {}
    for row in await connection.fetch(SQL["skus"], site_id):
        skus[row["sku"]] = None if row["sku"] in skus else item_key(row)
    return Known(locations, skus)


async def book(
    connection: "Connection", rows: Sequence[Row], policy: Policy, *, say: Callable[[int], None]
) -> tuple[dict[OutcomeKind, int], list[Told]]:
    """Book rows, a thousand in a transaction. Returns how many had which outcome, and what was refused or conflicts."""
    counted: dict[OutcomeKind, int] = {}
    told: list[Told] = []
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        outcomes = await handle_batch(connection, [row.command for row in part], policy)
        for row, outcome in zip(part, outcomes, strict=True):
            counted[outcome.kind] = counted.get(outcome.kind, 0) + 1
            if outcome.code is not None:
                told.append(Told(row.line, outcome.kind, _words(outcome)))
        say(start + len(part))
    return counted, told


class _Asked(NamedTuple):
    item: ItemKey
    location_id: str | None
    figure: int
    more: dict[str, Any]


def _heading_mistake(names: list[str], what: What) -> str | None:
    columns = COLUMNS[what]
    unknown = [name for name in names if name not in columns]
    if unknown:
        return f"unknown column {unknown[0]!r}; the columns are {', '.join(columns)}"
    if len(set(names)) < len(names):
        return "a column is named twice"
    if not {"product_id", "sku"} & set(names):
        return "a column product_id or sku must say which item a row is about"
    return None if _FIGURE[what] in names else f"the column {_FIGURE[what]} is missing"


def _row(cells: dict[str, str], what: What, known: Known, site_id: str) -> _Asked | str:
    """Read the cells of a row; a text says what is wrong with them."""
    item = _item(cells, known, site_id)
    if isinstance(item, str):
        return item
    location = cells.get("location") or None
    location_id = None if location is None else known.locations.get(location.lower())
    if location is not None and location_id is None:
        return f"location {location!r} is neither the code nor the id of a location of the site"
    figure = cells[_FIGURE[what]]
    if not _WHOLE.fullmatch(figure):
        return f"{_FIGURE[what]} {figure!r} is not a whole number"
    more = {name: cells[name] for name in ("unit_cost", "currency", "note") if cells.get(name)}
    return _Asked(item, location_id, int(figure), more)


def _item(cells: dict[str, str], known: Known, site_id: str) -> ItemKey | str:
    product_id, sku = cells.get("product_id", ""), cells.get("sku", "")
    if product_id:
        return ItemKey(site_id, product_id.lower(), (cells.get("variant_id") or "").lower() or None)
    if not sku:
        return "neither product_id nor sku says which item this is about"
    if sku not in known.skus:
        return f"sku {sku!r} is in no catalog entry of the site"
    return known.skus[sku] or f"sku {sku!r} belongs to several items; name the product_id"


def _document(asked: _Asked, what: What, name: str, site_id: str) -> dict[str, Any]:
    """The row as the message of its topic."""
    place = "\x1f".join((asked.item.text, asked.location_id or ""))
    line = {
        "product_id": asked.item.product_id,
        "variant_id": asked.item.variant_id,
        "location_id": asked.location_id,
        _FIGURE[what]: asked.figure,
        **asked.more,
    }
    reference_id = f"{name}/{blake2b(place.encode(), digest_size=16).hexdigest()}"
    return {"site_id": site_id, "reference_id": reference_id, "reason": f"import {name}", "lines": [line]}


def _words(outcome: Outcome) -> str:
    if outcome.kind is OutcomeKind.CONFLICT:
        return "this item and location was imported under this name with other figures, which stand"
    return outcome.message or (outcome.code.text if outcome.code else "")
