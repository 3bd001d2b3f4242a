"""Reports. Law: each tells tracked items only, on one snapshot, and is the same as JSON and as CSV.

As CSV (`?format=csv` or `Accept: text/csv`) a report that has pages is whole, and comes in parts as it is read.
Source: contract section 7.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from stock_worker.core.model import MAX_COUNTER, Level, MovementType
from stock_worker.http import spreadsheet
from stock_worker.http.access import Access, Books, Reader
from stock_worker.http.backend import Backend
from stock_worker.http.documents import Responses, problems
from stock_worker.http.parameters import DayOrInstant, Instant, Paged
from stock_worker.http.problems import Problem
from stock_worker.http.routes.items import ItemsAsked, told
from stock_worker.http.shapes import Shape
from stock_worker.http.shapes_items import ReportItem
from stock_worker.http.shapes_reports import (
    AlertedProduct,
    AlertedProducts,
    CategoryValue,
    DayFlow,
    InventoryReport,
    ReorderLine,
    ReorderReport,
    StockMovementReport,
    StockValuation,
)
from stock_worker.projection.asked import FindDue, ListItems, find_untracked, value
from stock_worker.projection.days import Flow, Total
from stock_worker.store.reads import items as reads
from stock_worker.store.reads import reports
from stock_worker.store.reads.items import Order, Slice, State, Wanted

if TYPE_CHECKING:
    from asyncpg import Connection

_CSV: Final[Responses] = {200: {"content": {spreadsheet.MEDIA_TYPE: {"schema": {"type": "string"}}}}}
_AT_ONCE: Final = 1_000
"""Items that are read together for a file."""

router = APIRouter(prefix="/sites/{site}/reports", tags=["reports"], responses={**problems(), **_CSV})

Row = dict[str, Any]
Format = Annotated[
    spreadsheet.Format | None, Field(description="json or csv; without it the header Accept says which.")
]


class InventoryAsked(ItemsAsked):
    """Which items, in which order."""

    format: Format = None


class ValuationAsked(BaseModel):
    """At which moment."""

    as_of: Annotated[
        Instant | None, Field(description="Quantity and cost as the ledger had them then, at today's prices.")
    ] = None
    format: Format = None


class MovementsAsked(BaseModel):
    """Between which days of the site, or moments."""

    from_: Annotated[DayOrInstant, Field(alias="from", description="The first day of the site, or a moment.")]
    to: Annotated[DayOrInstant, Field(description="The day after the last, or a moment: what is then is not in.")]
    format: Format = None


class ShortAsked(Paged):
    """Which page."""

    format: Format = None


class LowAsked(ShortAsked):
    """Below which threshold."""

    threshold: Annotated[
        int | None,
        Field(ge=-MAX_COUNTER, le=MAX_COUNTER, description="In the place of the low threshold of every item."),
    ] = None


@router.get("/inventory", response_model=InventoryReport)
async def report_inventory(
    request: Request, books: Books, access: Reader, asked: Annotated[InventoryAsked, Query()]
) -> object:
    """Report the tracked items, filtered and sorted like the list of items, with the sums of all tracked ones."""
    wanted = asked.wanted(tracked_only=True)
    if spreadsheet.is_wanted(request, asked.format):
        return await _file("inventory", ReportItem, _states(books, access, wanted, asked.sorted_by, _told_all))
    question = ListItems(wanted, asked.sorted_by, Slice(asked.limit, asked.offset), summary=True)
    async with books.sites.asking(access.sites, access.site_id, question) as (connection, listed):
        states = await reads.read_states(connection, access.site_id, listed.item_ids)
    document = {"items": [told(state) for state in states], "summary": listed.summary}
    return InventoryReport.model_validate(document | {"pagination": asked.pagination(listed.total)})


@router.get("/valuation", response_model=StockValuation)
async def report_valuation(
    request: Request, books: Books, access: Reader, asked: Annotated[ValuationAsked, Query()]
) -> object:
    """Report what the stock is worth, at price and at cost, by category; as CSV only the categories."""
    if asked.as_of is None:
        async with books.sites.asking(access.sites, access.site_id, value) as (_, document):
            pass
    else:
        async with books.at_length(), books.reading(access.sites) as connection:
            document = await reports.value_at(connection, access.site_id, asked.as_of)
    if spreadsheet.is_wanted(request, asked.format):
        return await _file("valuation", CategoryValue, _once(document["by_category"]))
    return StockValuation.model_validate(document | {"as_of": asked.as_of})


@router.get("/movements", response_model=StockMovementReport)
async def report_movements(
    request: Request, books: Books, access: Reader, asked: Annotated[MovementsAsked, Query()]
) -> object:
    """Report what moved from a day or moment up to before another; as CSV only the days."""
    is_cold = books.flows.is_cold(access.site_id, _day_of(asked.from_), _day_of(asked.to))
    asking = books.sites.asking(access.sites, access.site_id, find_untracked)
    async with books.at_length() if is_cold else nullcontext(), asking as (connection, untracked):
        period = await _period(connection, access.site_id, asked.from_, asked.to)
        sums = await books.flows.read(connection, access.site_id, period, untracked)
        names = await reports.read_names(connection, access.site_id, [product_id for product_id, _ in sums.top])
    days = [_day_told(day, flow) for day, flow in sums.by_day.items()]
    if spreadsheet.is_wanted(request, asked.format):
        return await _file("movements", DayFlow, _once(days))
    types = {kind: sums.by_type.get(kind, Total(0, 0)) for kind in MovementType}
    movers = [
        {"product_id": product_id, "product_name": names.get(product_id)}
        | {"total_out": flow.units_out, "total_in": flow.units_in}
        for product_id, flow in sums.top
    ]
    document = {
        "movements_by_type": {
            kind.value: {"count": total.movements, "total_quantity": total.units} for kind, total in types.items()
        },
        "daily_movements": days,
        "top_movers": movers,
    }
    return StockMovementReport.model_validate(document | {"period": period})


@router.get("/low-stock", response_model=AlertedProducts)
async def report_low_stock(
    request: Request, books: Books, access: Reader, asked: Annotated[LowAsked, Query()]
) -> object:
    """Report what is low or worse, but not out, the least available first.

    With `threshold`: what has at most so many available and is not out.
    """
    levels = (Level.LOW, Level.CRITICAL) if asked.threshold is None else (Level.OK, Level.LOW, Level.CRITICAL)
    wanted = Wanted(levels, max_available=asked.threshold, tracked_only=True)
    return await _alerted(request, books, access, asked, ("low-stock", wanted, asked.threshold))


@router.get("/out-of-stock", response_model=AlertedProducts)
async def report_out_of_stock(
    request: Request, books: Books, access: Reader, asked: Annotated[ShortAsked, Query()]
) -> object:
    """Report what is out of stock, the least available first; what never moved is too."""
    wanted = Wanted((Level.OUT,), tracked_only=True)
    return await _alerted(request, books, access, asked, ("out-of-stock", wanted, None))


@router.get("/reorder", response_model=ReorderReport)
async def report_reorder(
    request: Request, books: Books, access: Reader, asked: Annotated[ShortAsked, Query()]
) -> object:
    """Report what is at or below its reorder point, as a whole and by location, and how much to order."""
    if spreadsheet.is_wanted(request, asked.format):
        return await _file("reorder", ReorderLine, _due(books, access))
    question = FindDue(Slice(asked.limit, asked.offset))
    async with books.sites.asking(access.sites, access.site_id, question) as (connection, (total, due)):
        lines = await _reorder_lines(connection, access.site_id, due)
    return ReorderReport.model_validate({"items": lines, "pagination": asked.pagination(total)})


async def _alerted(
    request: Request, books: Backend, access: Access, asked: ShortAsked, which: tuple[str, Wanted, int | None]
) -> object:
    name, wanted, threshold = which
    least_first = Order("available")

    async def rows(connection: "Connection", states: Sequence[State]) -> list[Row]:
        days = await reads.days_left(connection, states, books.clock())
        return [_alert(state, threshold, days[state.item_id]) for state in states]

    if spreadsheet.is_wanted(request, asked.format):
        return await _file(name, AlertedProduct, _states(books, access, wanted, least_first, rows))
    question = ListItems(wanted, least_first, Slice(asked.limit, asked.offset))
    async with books.sites.asking(access.sites, access.site_id, question) as (connection, listed):
        states = await reads.read_states(connection, access.site_id, listed.item_ids)
        found = await rows(connection, states)
    return AlertedProducts.model_validate({"items": found, "pagination": asked.pagination(listed.total)})


def _alert(state: State, threshold: int | None, days: float | None) -> Row:
    made_by = state.policy.thresholds
    at_level = {Level.OUT: made_by.out, Level.CRITICAL: made_by.critical}
    same = ("product_id", "variant_id", "variant_name", "sku", "image_url", "last_movement_at")
    return {name: getattr(state, name) for name in same} | {
        "product_name": state.name,
        "current_stock": state.available,
        "alert_level": state.level,
        "threshold": at_level.get(state.level or Level.OK, made_by.low) if threshold is None else threshold,
        "days_until_stockout": days,
    }


async def _reorder_lines(connection: "Connection", site_id: str, due: Sequence[reports.Due]) -> list[Row]:
    ids = list(dict.fromkeys(each.item_id for each in due))
    states = {state.item_id: state for state in await reads.read_states(connection, site_id, ids)}
    places = {
        (item_id, str(place["location_id"])): place
        for item_id, found in (await reads.read_places(connection, site_id, ids)).items()
        for place in found
    }
    return [
        _reorder_line(states[each.item_id], each, places.get((each.item_id, each.location_id or ""))) for each in due
    ]


def _reorder_line(state: State, due: reports.Due, place: Mapping[str, Any] | None) -> Row:
    same = ("product_id", "variant_id", "name", "variant_name", "sku", "image_url")
    counters = ("on_hand", "reserved", "available")
    line = {name: getattr(state, name) for name in (*same, *counters)} | {
        "location_id": due.location_id,
        "location_code": None,
        "location_name": None,
        "bin_location": None,
        "reorder_point": due.reorder_point,
        "reorder_quantity": state.policy.reorder_quantity,
        "alert_level": state.level,
    }
    if place is None:
        return line
    there = {"location_code": place["code"], "location_name": place["name"], "bin_location": place["bin_location"]}
    return line | there | {name: place[name] for name in counters}


def _day_told(day: date, flow: Flow) -> Row:
    told = {"date": day, "in_quantity": flow.units_in, "out_quantity": flow.units_out}
    return told | {"net_change": flow.units_in - flow.units_out}


def _day_of(bound: date | datetime) -> date:
    return bound.date() if isinstance(bound, datetime) else bound


async def _period(
    connection: "Connection", site_id: str, start: date | datetime, end: date | datetime
) -> reports.Period:
    try:
        period = await reports.period_of(connection, site_id, start, end)
    except OverflowError:
        raise Problem("malformed", "from and to must be days of the years 1 to 9999, in UTC") from None
    if period.start >= period.end:
        raise Problem("malformed", "to must come after from")
    return period


# ---------------------------------------------------------------- files

_FILE_MAX_S: Final = 600.0
"""How long a file may take, however slowly it is read at the other end."""

Tell = Callable[["Connection", Sequence[State]], Awaitable[list[Row]]]


async def _file(name: str, shape: type[Shape], parts: AsyncGenerator[spreadsheet.Rows]) -> object:
    return await spreadsheet.answer(name, list(shape.model_fields), parts)


async def _states(
    books: Backend, access: Access, wanted: Wanted, order: Order, tell: Tell
) -> AsyncGenerator[spreadsheet.Rows]:
    """Tell of all items that fit, part by part, on one snapshot."""
    asking = books.sites.asking(access.sites, access.site_id, ListItems(wanted, order), at_most_s=_FILE_MAX_S)
    async with books.filing(), asking as (connection, listed):
        for first in range(0, listed.total, _AT_ONCE):
            ids = listed.item_ids[first : first + _AT_ONCE]
            yield await tell(connection, await reads.read_states(connection, access.site_id, ids))


async def _told_all(_connection: "Connection", states: Sequence[State]) -> list[Row]:
    return [told(state) for state in states]


async def _due(books: Backend, access: Access) -> AsyncGenerator[spreadsheet.Rows]:
    """Tell of all that is to be reordered, part by part, on one snapshot."""
    asking = books.sites.asking(access.sites, access.site_id, FindDue(), at_most_s=_FILE_MAX_S)
    async with books.filing(), asking as (connection, (total, due)):
        for first in range(0, total, _AT_ONCE):
            yield await _reorder_lines(connection, access.site_id, due[first : first + _AT_ONCE])


async def _once(rows: spreadsheet.Rows) -> AsyncGenerator[spreadsheet.Rows]:
    """Give rows that are all there."""
    yield rows
