"""Items: lists of them, one of them, now or as it was, and what can be had of many.

Law: every item that moved or was announced is there, told of on one snapshot. Source: contract section 7.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from stock_worker.core.model import MAX_COUNTER, Level
from stock_worker.http.access import Access, Books, Reader
from stock_worker.http.backend import Backend
from stock_worker.http.documents import problems
from stock_worker.http.parameters import Instant, Paged, PlainText
from stock_worker.http.problems import Problem
from stock_worker.http.shapes_items import AskedAvailability, Availabilities, Item, ItemList, ItemThen
from stock_worker.projection.asked import ListItems
from stock_worker.store.reads import items as reads
from stock_worker.store.reads.items import Order, Slice, Sort, State, Wanted

if TYPE_CHECKING:
    from asyncpg import Connection

router = APIRouter(prefix="/sites/{site}", tags=["items"], responses=problems())

Status = Literal["all", "in_stock", "low_stock", "critical", "out_of_stock"]
LEVELS: Final[Mapping[Status, tuple[Level, ...] | None]] = {
    "all": None,
    "in_stock": (Level.OK,),
    "low_stock": (Level.LOW, Level.CRITICAL),
    "critical": (Level.CRITICAL,),
    "out_of_stock": (Level.OUT,),
}
"""The levels that a status stands for."""


class ItemsAsked(Paged):
    """Which items, in which order."""

    status: Annotated[
        Status,
        Field(description="in_stock: level ok; low_stock: low or worse, but not out; critical; out_of_stock: out."),
    ] = "all"
    max_available: Annotated[
        int | None, Field(ge=-MAX_COUNTER, le=MAX_COUNTER, description="At most so many available.")
    ] = None
    search: Annotated[
        PlainText | None,
        Field(min_length=3, max_length=500, description="A part of name or sku, in any case, sign for sign."),
    ] = None
    category_id: Annotated[PlainText | None, Field(max_length=500, description="Of this category.")] = None
    location_id: Annotated[UUID | None, Field(description="That lie or have lain at this location.")] = None
    sort: Annotated[Sort, Field(description="By what; what has no such value comes last.")] = "name"
    order: Annotated[Literal["asc", "desc"], Field(description="Upwards or downwards.")] = "asc"

    def wanted(self, *, tracked_only: bool = False) -> Wanted:
        """Say which items are asked for."""
        location_id = None if self.location_id is None else str(self.location_id)
        levels = LEVELS[self.status]
        return Wanted(levels, self.max_available, self.search, self.category_id, location_id, tracked_only)

    @property
    def sorted_by(self) -> Order:
        """Say in which order."""
        return Order(self.sort, self.order == "desc")


class OneAsked(BaseModel):
    """At which moment an item is asked for."""

    as_of: Annotated[
        Instant | None, Field(description="As the ledger had it then; by the time at which movements were recorded.")
    ] = None


Product = Annotated[UUID, Path(description="The product's id.")]
Variant = Annotated[UUID, Path(description="The variant's id.")]
_NOT_FOUND: Final = problems("not_found")


@router.get("/items")
async def list_items(books: Books, access: Reader, asked: Annotated[ItemsAsked, Query()]) -> ItemList:
    """List every item that moved or was announced, but for what is archived and empty.

    A product without variant is hidden when it has variants and never moved; what never moved is out of stock.
    """
    question = ListItems(asked.wanted(), asked.sorted_by, Slice(asked.limit, asked.offset))
    async with books.sites.asking(access.sites, access.site_id, question) as (connection, listed):
        items = await _items(connection, access.site_id, listed.item_ids)
    return ItemList.model_validate({"items": items, "pagination": asked.pagination(listed.total)})


@router.get("/items/{product}", responses=_NOT_FOUND)
async def get_product(books: Books, access: Reader, product: Product, asked: Annotated[OneAsked, Query()]) -> ItemThen:
    """Give a product that has no variants, now or as it was."""
    return await _one(books, access, (str(product), None), asked)


@router.get("/items/{product}/{variant}", responses=_NOT_FOUND)
async def get_variant(
    books: Books, access: Reader, product: Product, variant: Variant, asked: Annotated[OneAsked, Query()]
) -> ItemThen:
    """Give a variant of a product, now or as it was."""
    return await _one(books, access, (str(product), str(variant)), asked)


@router.post("/availability", responses=problems("too_large"))
async def tell_availability(books: Books, access: Reader, asked: AskedAvailability) -> Availabilities:
    """Say what can be had of up to 1,000 items. One that was never seen has nothing but what may be backordered."""
    keys = [(str(item.product_id), None if item.variant_id is None else str(item.variant_id)) for item in asked.items]
    async with books.reading(access.sites) as connection:
        ids = await reads.find_items(connection, access.site_id, set(keys))
        states = await reads.read_states(connection, access.site_id, list(ids.values()))
        unseen = await _unseen(connection, access.site_id, set(keys) - ids.keys())
    told = {(state.product_id, state.variant_id): _availability(state) for state in states} | unseen
    return Availabilities.model_validate({"items": [told[key] for key in keys]})


async def read_items(books: Backend, access: Access, keys: Collection[reads.Key]) -> list[Item]:
    """Give these items as they are now, all on one snapshot, in any order; one that was never seen is left out."""
    async with books.reading(access.sites) as connection:
        ids = await reads.find_items(connection, access.site_id, keys)
        items = await _items(connection, access.site_id, list(ids.values()))
    return [Item.model_validate(item) for item in items]


def told(state: State) -> dict[str, Any]:
    """An item under the names of the inventory report."""
    same = ("product_id", "variant_id", "name", "variant_name", "sku", "category_id", "category_name", "image_url")
    more = ("unit_cost", "total_value", "uncosted_quantity", "last_movement_at", "last_movement_type")
    return {name: getattr(state, name) for name in (*same, *more)} | {
        "quantity": state.on_hand,
        "reserved_quantity": state.reserved,
        "available_quantity": state.available,
        "low_stock_threshold": state.policy.thresholds.low,
        "alert_level": state.level,
    }


def with_places(state: State, places: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An item under the names of the inventory report, with what else there is to say and where it lies."""
    found = list(places)
    more = {name: getattr(state, name) for name in ("options", "track_inventory", "archived", "version")}
    counted = [place["last_counted_at"] for place in found if place["last_counted_at"] is not None]
    return told(state) | more | {"last_counted_at": max(counted, default=None), "locations": found}


async def _items(connection: "Connection", site_id: str, item_ids: Sequence[int]) -> list[dict[str, Any]]:
    states = await reads.read_states(connection, site_id, item_ids)
    places = await reads.read_places(connection, site_id, item_ids)
    return [with_places(state, places[state.item_id]) for state in states]


async def _one(books: Books, access: Access, key: reads.Key, asked: OneAsked) -> ItemThen:
    async with books.reading(access.sites) as connection:
        ids = list((await reads.find_items(connection, access.site_id, [key])).values())
        if not ids:
            raise Problem("not_found", "this item never moved and is in no catalog")
        (state,) = await reads.read_states(connection, access.site_id, ids)
        places: Sequence[Mapping[str, Any]] = (await reads.read_places(connection, access.site_id, ids))[state.item_id]
        if asked.as_of is not None:
            state, places = await reads.as_of(connection, state, places, asked.as_of)
    return ItemThen.model_validate(with_places(state, places) | {"as_of": asked.as_of})


def _availability(state: State) -> dict[str, Any]:
    names = ("product_id", "variant_id", "on_hand", "reserved", "available", "sellable", "track_inventory", "level")
    return {name: getattr(state, name) for name in (*names, "version")}


async def _unseen(connection: "Connection", site_id: str, keys: set[reads.Key]) -> dict[reads.Key, dict[str, Any]]:
    """What can be had of items that were never seen: what may be backordered."""
    if not keys:
        return {}
    return {
        key: dict.fromkeys(("on_hand", "reserved", "available", "version"), 0)
        | {"product_id": key[0], "variant_id": key[1], "track_inventory": True, "level": Level.OUT}
        | {"sellable": max(policy.backorder_limit, 0)}
        for key, policy in (await reads.read_policies(connection, site_id, keys)).items()
    }
