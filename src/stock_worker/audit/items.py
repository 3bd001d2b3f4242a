"""Items, their ledger and their locations. Law: each row continues the one before it, and the last one is the state."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from stock_worker.audit.costs import check_costs
from stock_worker.audit.drift import Drift, Kind, item_words
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    import asyncpg

SQL = statements("verify")

_LEVELS: Final = ("out", "critical", "low")
"""Rule 10: an item is at the first of these levels whose threshold its available does not exceed, else ok."""

_LAWS: Final = {
    Kind.VERSION_GAP: "the version that follows the row before",
    Kind.PREVIOUS_STOCK: "previous_stock as the row before left it",
    Kind.QUANTITY: "new_stock = previous_stock + quantity",
    Kind.NEW_STOCK: "new_stock = on_hand - reserved",
    Kind.ON_HAND_STEP: "on_hand after the row's type and quantity",
    Kind.RESERVED_STEP: "reserved after the row's type and quantity",
    Kind.LOCATION_ON_HAND_STEP: "location_on_hand after the row's type and quantity",
    Kind.LOCATION_RESERVED_STEP: "location_reserved after the row's type and quantity",
    Kind.NET_SOLD_STEP: "net_sold after the row's type and quantity",
    Kind.TIME_WENT_BACK: "microseconds by which recorded_at lies before that of the row before",
    Kind.SITE: "rows of another site than the item's",
}


async def check_items(connection: "asyncpg.Connection", ids: Sequence[int]) -> list[Drift]:
    """Check these items with all their rows and locations. The connection is in the portion's transaction."""
    drifts: list[Drift] = []
    for row in await connection.fetch(SQL["ledger"], ids):
        kind = Kind(row["kind"])
        drifts.append(Drift(kind, _row_words(row), _LAWS[kind], str(row["expected"]), str(row["found"])))
    for row in await connection.fetch(SQL["items"], ids):
        drifts += _item_drifts(row)
    for row in await connection.fetch(SQL["places"], ids):
        drifts += _place_drifts(row)
    for row in await connection.fetch(SQL["held"], ids):
        law = "units that people reserved and did not release"
        drifts.append(Drift(Kind.LOCATION_HELD, _place_words(row), law, str(row["expected"]), str(row["found"])))
    for row in await connection.fetch(SQL["daily_totals"], ids):
        law = f"movements, units in, units out of type {row['type']}"
        drifts.append(Drift(Kind.DAILY_TOTALS, _place_words(row), law, _text(row["expected"]), _text(row["found"])))
    drifts += check_costs(await connection.fetch(SQL["costed_rows"], ids))
    for row in await connection.fetch(SQL["unlisted_by_reference"], ids):
        words = f"{row['reference_type']} {row['reference_id']}"
        drifts.append(
            Drift(Kind.MOVEMENT_REFERENCE, _row_words(row), "the reference lists the row", words, "not listed")
        )
    for row in await connection.fetch(SQL["unlisted_by_line"], ids):
        words = f"order {row['order_id']} line {row['line_id']}"
        drifts.append(Drift(Kind.LINE_VERSIONS, _row_words(row), "the order line lists the row", words, "not listed"))
    return drifts


async def check_movements_without_item(connection: "asyncpg.Connection") -> list[Drift]:
    """Find rows of items that do not exist: nothing else leads to them."""
    return [
        Drift(Kind.MOVEMENT_WITHOUT_ITEM, f"item_id {row['item_id']}", "the item of a movement exists", "a row", "none")
        for row in await connection.fetch(SQL["movements_without_item"])
    ]


def _item_drifts(row: "asyncpg.Record") -> Iterator[Drift]:
    moved = row["newest_version"] is not None
    available = row["on_hand"] - row["reserved"]
    last = (row["newest_on_hand"] or 0, row["newest_reserved"] or 0)
    laws = (
        (Kind.ITEM_VERSION, "version of the last row", row["newest_version"] or 0, row["version"]),
        (Kind.ITEM_COUNTERS, "on_hand, reserved of the last row", last, (row["on_hand"], row["reserved"])),
        (
            Kind.LOCATION_SUM,
            "on_hand, reserved as the sums of the locations",
            (row["places_on_hand"], row["places_reserved"]),
            (row["on_hand"], row["reserved"]),
        ),
        (
            Kind.ITEM_MOVED_AT,
            "time of the first row, time and type of the last",
            (row["oldest_at"], row["newest_at"], row["newest_type"]),
            (row["first_movement_at"], row["last_movement_at"], row["last_movement_type"]),
        ),
        (
            Kind.ITEM_COST,
            "average_cost, costed_quantity, net_sold of the last row",
            (row["newest_average"], row["newest_costed"] or 0, row["newest_sold"] or 0),
            (row["average_cost"], row["costed_quantity"], row["net_sold"]),
        ),
        # Before its first movement an item has no level; the column then holds what alerts start from. While a rule's
        # change is being worked off the old level may still stand.
        (
            Kind.LEVEL,
            f"level at {available} available",
            row["level"] if row["is_being_evaluated"] else _level(row, available) if moved else "ok",
            row["level"],
        ),
        (Kind.REVISION, "an item that moved was published", moved, row["revision"] > 0),
    )
    words = item_words(row["site_id"], row["product_id"], row["variant_id"])
    for kind, law, expected, found in laws:
        if expected != found:
            yield Drift(kind, words, law, _text(expected), _text(found))


def _level(row: "asyncpg.Record", available: int) -> str:
    return next((level for level in _LEVELS if row["watched"] and available <= row[level]), "ok")


def _place_drifts(row: "asyncpg.Record") -> Iterator[Drift]:
    words = _place_words(row)
    ledger = (row["location_on_hand"] or 0, row["location_reserved"] or 0)
    stored = (row["on_hand"], row["reserved"])
    if ledger != stored:
        yield Drift(Kind.LOCATION_COUNTERS, words, "on_hand, reserved of the last row", _text(ledger), _text(stored))
    if not row["known"]:
        yield Drift(Kind.LOCATION_UNKNOWN, words, "a location of the site", "a row", "none")
    if row["place_site_id"] not in (None, row["site_id"]):
        yield Drift(Kind.SITE, words, "the item's site", str(row["site_id"]), str(row["place_site_id"]))


def _place_words(row: "asyncpg.Record") -> str:
    return f"{item_words(row['site_id'], row['product_id'], row['variant_id'])} location {row['location_id']}"


def _row_words(row: "asyncpg.Record") -> str:
    return f"{item_words(row['site_id'], row['product_id'], row['variant_id'])} version {row['version']}"


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(_text(part) for part in value)
    return "none" if value is None else str(value)
