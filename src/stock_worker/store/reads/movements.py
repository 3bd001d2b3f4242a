"""Ledger rows as they are told. Law: a row has the contract's names of a movement, with who, what, when and why.

A page is the rows after a key in the order (recorded_at, item, version), newest first, so that the rows of one batch,
which share their time, are told apart. An order's and a command's rows are found through what lists them, an item's by
their versions, and only a question about a whole site goes by time. Source: contract sections 2 and 7.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stock_worker.core.events import told_source
from stock_worker.core.model import Source
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("movements")

FIELDS: Final = (
    *("movement_id", "site_id", "product_id", "variant_id", "name", "variant_name", "sku", "image_url"),
    *("location_id", "version", "type", "quantity", "previous_stock", "new_stock", "on_hand", "reserved"),
    *("location_on_hand", "location_reserved", "unit_cost", "average_cost", "costed_quantity"),
    *("reference_type", "reference_id", "order_id", "line_id", "reason", "note", "actor", "actor_id"),
    *("occurred_at", "recorded_at", "last_of_command"),
)

TOTAL_MAX: Final = 10_000
"""Up to so many rows a total is exact."""
EARLIEST: Final = datetime(1, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
"""The finest step of PostgreSQL's clock, and of ours."""

Told = Mapping[str, Any]
Position = tuple[int, int]
"""The key of a ledger row: item and version."""


class Place(NamedTuple):
    """Where a row stands in the order of time; rows of one batch have the same `recorded_at`."""

    recorded_at: datetime
    item_id: int
    version: int


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows of a site are asked for; what is left out does not narrow. `since` is included, `until` is not.

    Where a product is named it is all its variants, or else the one, None being the item without variant. `reference`
    is type and id.
    """

    site_id: str
    product_id: str | None = None
    variant_id: str | None = None
    all_variants: bool = True
    types: tuple[str, ...] = ()
    location_id: str | None = None
    order_id: str | None = None
    reference: tuple[str, str] | None = None
    since: datetime = EARLIEST
    until: datetime = LATEST


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first; `after` is the last one's place where more follow. `total` counts those of all pages."""

    rows: list[Told]
    after: Place | None
    total: int
    total_is_exact: bool


async def read_page(connection: "Connection", asked: Question, before: Place | None, limit: int) -> Page:
    """Give up to `limit` rows that come after `before` in the order from new to old; None begins with the newest."""
    end = _end(asked)
    top = end if before is None else min(before, end)
    items = await _items_meant(connection, asked)
    positions = await _positions_listed(connection, asked)
    if positions is not None:
        meant = [each for each in positions if items is None or each[0] in items]
        found, count = await _among_positions(connection, asked, meant, top, limit)
    elif items is not None:
        found, count = await _among_items(connection, asked, items, top, limit)
    else:
        found, count = await _in_site(connection, asked, top, limit)
    places = [Place(row["recorded_at"], row["item_id"], row["version"]) for row in found]
    rows = await at_positions(connection, (place[1:] for place in places[:limit]))
    return Page(
        [rows[place[1:]] for place in places[:limit]],
        places[limit - 1] if len(places) > limit else None,
        min(count, TOTAL_MAX),
        count <= TOTAL_MAX,
    )


async def at_positions(connection: "Connection", positions: Iterable[Position]) -> dict[Position, Told]:
    """Give the rows of these keys."""
    wanted = list(positions)
    if not wanted:
        return {}
    columns = [item_id for item_id, _ in wanted], [version for _, version in wanted]
    rows = await connection.fetch(SQL["movements_at"], *columns)
    return {(row["item_id"], row["version"]): told(row) for row in rows}


def told(row: "Row") -> Told:
    """Tell a row: its fields, and where its command came from."""
    return {name: row[name] for name in FIELDS} | {"source": source_of(row)}


def source_of(row: "Row") -> dict[str, Any] | str:
    """Where a row's command came from, as its event tells it."""
    return told_source(Source(row["source"], row["source_partition"], row["source_offset"]))


async def _items_meant(connection: "Connection", asked: Question) -> dict[int, int] | None:
    """Give the items that are asked for with their versions; None where no product is named."""
    if asked.product_id is None:
        return None
    meant = asked.site_id, asked.product_id, asked.all_variants, asked.variant_id
    rows = await connection.fetch(SQL["items_meant"], *meant)
    return {row["item_id"]: row["version"] for row in rows}


async def _positions_listed(connection: "Connection", asked: Question) -> set[Position] | None:
    """Give the rows that the order and the command list; None where neither is named."""
    listed = []
    if asked.order_id is not None:
        rows = await connection.fetch(SQL["order_positions"], asked.site_id, asked.order_id)
        listed.append({(row["item_id"], row["version"]) for row in rows})
    if asked.reference is not None:
        pairs = await connection.fetchval(SQL["reference_positions"], asked.site_id, *asked.reference)
        listed.append(set(as_positions(pairs or ())))
    return set.intersection(*listed) if listed else None


Found = tuple[list["Row"], int]
"""The places of a page and of one row more, and how many there are on all pages, up to one more than TOTAL_MAX."""


async def _among_positions(
    connection: "Connection", asked: Question, meant: Iterable[Position], top: Place, limit: int
) -> Found:
    columns = list(map(list, zip(*meant, strict=True))) or [[], []]
    given = (asked.site_id, *columns, *_narrowed(asked), asked.since)
    found = await connection.fetch(SQL["page_of_positions"], *given, *top, limit + 1)
    return found, await connection.fetchval(SQL["count_of_positions"], *given, asked.until, TOTAL_MAX + 1)


async def _among_items(
    connection: "Connection", asked: Question, items: Mapping[int, int], top: Place, limit: int
) -> Found:
    """Find rows by version: where a time begins or ends, and which rows come after `top`, is searched for once."""
    low = await _versions_before(connection, items, dict.fromkeys(items, asked.since))
    high = await _versions_before(connection, items, dict.fromkeys(items, asked.until))
    moments = {item_id: top.recorded_at + _TICK * (item_id <= top.item_id) for item_id in items}
    below = await _versions_before(connection, items, moments)
    if top.item_id in below:
        below[top.item_id] = min(below[top.item_id], top.version - 1)
    ids, lows, narrowed = list(items), [low[item_id] for item_id in items], _narrowed(asked)
    belows, highs = [below[item_id] for item_id in items], [high[item_id] for item_id in items]
    found = await connection.fetch(SQL["page_of_items"], asked.site_id, ids, lows, belows, *narrowed, limit + 1)
    count = await connection.fetchval(SQL["count_of_items"], asked.site_id, ids, lows, highs, *narrowed, TOTAL_MAX + 1)
    return found, count


async def _in_site(connection: "Connection", asked: Question, top: Place, limit: int) -> Found:
    given = (asked.site_id, *_narrowed(asked), asked.since)
    found = await connection.fetch(SQL["page_of_site"], *given, *top, limit + 1)
    if len(found) <= limit and top == _end(asked):
        return found, len(found)  # the page is all there is: where rows are rare, a count would read the site once more
    return found, await connection.fetchval(SQL["count_of_site"], *given, asked.until, TOTAL_MAX + 1)


def _end(asked: Question) -> Place:
    """Where the first page begins: the place that all rows come before."""
    return Place(asked.until, 0, 0)


async def _versions_before(
    connection: "Connection", items: Mapping[int, int], moments: Mapping[int, datetime]
) -> dict[int, int]:
    """How many rows each item has from before its moment. At the ends of time there is nothing to search for."""
    told = {item_id: version if moments[item_id] >= LATEST else 0 for item_id, version in items.items()}
    sought = [item_id for item_id in items if EARLIEST < moments[item_id] < LATEST]
    if sought:
        columns = sought, [items[item_id] for item_id in sought], [moments[item_id] for item_id in sought]
        rows = await connection.fetch(SQL["versions_before"], *columns)
        told |= {row["item_id"]: row["versions"] for row in rows}
    return told


def _narrowed(asked: Question) -> tuple[list[str] | None, str | None]:
    return list(asked.types) or None, asked.location_id


def as_positions(pairs: Sequence[int]) -> list[Position]:
    """Read a reference's list of rows, which is item, version, item, version."""
    return list(zip(pairs[::2], pairs[1::2], strict=True))
