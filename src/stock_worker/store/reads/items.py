"""Items as people list them, and as they were. Law: which items fit is asked apart from what is told of each.

A list is found among what is held of a site (projection/lists.py) and is ids; `read_states` says what is told of them.
An item is known once it moved or was announced; before its first movement it has no level and counts as out of stock,
unless it is not tracked. Source: contract sections 1, 2, 6 and 7 (`…/items`), rules 10 to 12.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from stock_worker.core.alerts import SALES_WINDOW, days_until_stockout
from stock_worker.core.model import Level
from stock_worker.core.policy import ItemPolicy, Rule, resolve
from stock_worker.store.sql import statements
from stock_worker.store.steering import settings

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("items")
POLICIES: Final = statements("policies")

Sort = Literal["name", "sku", "quantity", "available", "value", "last_movement"]
Key = tuple[str, str | None]
"""A product and a variant of one site."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items are asked for; None asks for nothing. `search` is plain text, found anywhere in name or sku."""

    levels: tuple[Level, ...] | None = None
    max_available: int | None = None
    search: str | None = None
    category_id: str | None = None
    location_id: str | None = None
    tracked_only: bool = False


class Order(NamedTuple):
    """By what items are sorted; what has no such value comes last either way, and ties are broken by the item."""

    sort: Sort = "name"
    descending: bool = False


class Slice(NamedTuple):
    """Which of the items that fit: `limit` None gives all."""

    limit: int | None = None
    offset: int = 0


class Listed(NamedTuple):
    """How many items fit, the ids of the slice in order, and the sums over all tracked items where they were asked."""

    total: int
    item_ids: list[int]
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """One item: its counters, its cost, what the catalog calls it, and what it is held to.

    `level` is None where a past state is told, since the ledger keeps none. `options` is what the catalog said.
    """

    item_id: int
    product_id: str
    variant_id: str | None
    name: str | None
    variant_name: str | None
    sku: str | None
    options: Any
    category_id: str | None
    category_name: str | None
    image_url: str | None
    cost_price: Decimal | None
    track_inventory: bool
    archived: bool
    on_hand: int
    reserved: int
    version: int
    costed_quantity: int
    average_cost: Decimal | None
    net_sold: int
    level: Level | None
    first_movement_at: datetime | None
    last_movement_at: datetime | None
    last_movement_type: str | None
    policy: ItemPolicy

    @property
    def available(self) -> int:
        """What can still be sold."""
        return self.on_hand - self.reserved

    @property
    def sellable(self) -> int | None:
        """What promises may still take, backorders included; None where the item is not tracked."""
        return max(self.available + self.policy.backorder_limit, 0) if self.track_inventory else None

    @property
    def unit_cost(self) -> Decimal | None:
        """The average cost, else what the catalog says a unit costs."""
        return self.cost_price if self.average_cost is None else self.average_cost

    @property
    def uncosted_quantity(self) -> int:
        """Units that lie there and of which nobody knows what they cost."""
        return max(self.on_hand, 0) - self.costed_quantity if self.cost_price is None else 0

    @property
    def total_value(self) -> Decimal | None:
        """What lies there at cost, as far as that is known; None where nothing of it is."""
        if self.uncosted_quantity and not self.costed_quantity:
            return None
        costed = self.costed_quantity * (self.average_cost or Decimal(0))
        return costed + (max(self.on_hand, 0) - self.costed_quantity) * (self.cost_price or Decimal(0))


async def find_items(connection: "Connection", site_id: str, keys: Collection[Key]) -> dict[Key, int]:
    """Give the ids of items by key; one that never moved and was never announced is left out."""
    columns = [product_id for product_id, _ in keys], [variant_id for _, variant_id in keys]
    rows = await connection.fetch(SQL["known"], site_id, *columns)
    return {(str(row["product_id"]), _text(row["variant_id"])): row["item_id"] for row in rows}


async def read_states(connection: "Connection", site_id: str, item_ids: Sequence[int]) -> list[State]:
    """Tell of these items of a site, in this order."""
    rows = await connection.fetch(SQL["states"], site_id, item_ids)
    keys = {row["item_id"]: (str(row["product_id"]), _text(row["variant_id"])) for row in rows}
    policies = await read_policies(connection, site_id, set(keys.values()))
    found = {row["item_id"]: _state(row, policies[keys[row["item_id"]]]) for row in rows}
    return [found[item_id] for item_id in item_ids]


async def read_policies(connection: "Connection", site_id: str, keys: Collection[Key]) -> dict[Key, ItemPolicy]:
    """Say what items are held to by rules and settings, whether they exist or not; the catalog is not asked."""
    products = sorted({product_id for product_id, _ in keys})
    rows = await connection.fetch(POLICIES["rules_of_products"], [site_id] * len(products), products)
    rules = {
        (_text(row["product_id"]), _text(row["variant_id"])): Rule(*(row[name] for name in Rule._fields))
        for row in rows
    }
    site = await settings.read(connection, site_id)
    policies: dict[tuple[Rule | None, Rule | None], ItemPolicy] = {}  # of most items only the site's rule speaks
    for key in keys:
        near = _near(rules, key)
        if near not in policies:
            policies[near] = resolve(None, *near, rules.get((None, None)), site)
    return {key: policies[_near(rules, key)] for key in keys}


def _near(rules: Mapping[tuple[str | None, str | None], Rule], key: Key) -> tuple[Rule | None, Rule | None]:
    """Give the rules of an item's variant and of its product."""
    return rules.get(key) if key[1] is not None else None, rules.get((key[0], None))


async def read_places(
    connection: "Connection", site_id: str, item_ids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    """Tell where these items lie or have lain, in the order in which places are asked for stock."""
    places: dict[int, list[dict[str, Any]]] = {item_id: [] for item_id in item_ids}
    for row in await connection.fetch(SQL["places"], site_id, item_ids):
        place = dict(row)
        places[place.pop("item_id")].append(place | {"available": row["on_hand"] - row["reserved"]})
    return places


async def as_of(
    connection: "Connection", state: State, places: Sequence[Mapping[str, Any]], moment: datetime
) -> tuple[State, list[dict[str, Any]]]:
    """Give an item and its places as the ledger had them at a moment; names, notes and rules are today's.

    A place where nothing had moved yet is left out. When a place was counted is not in the ledger: it is None.
    """
    rows = await connection.fetch(SQL["rows_at"], [state.item_id], moment)
    if not rows:
        none_yet: dict[str, Any] = dict.fromkeys(("on_hand", "reserved", "version", "costed_quantity", "net_sold"), 0)
        none_yet |= dict.fromkeys(("average_cost", "first_movement_at", "last_movement_at", "last_movement_type"))
        return replace(state, **none_yet, level=None), []
    row = rows[0]
    counters = {name: row[name] for name in ("on_hand", "reserved", "version", "average_cost", "costed_quantity")}
    then = replace(
        state,
        **counters,
        net_sold=row["net_sold"],
        level=None,
        last_movement_at=row["recorded_at"],
        last_movement_type=row["type"],
    )
    there = {
        found["location_id"]: found for found in await connection.fetch(SQL["places_at"], state.item_id, row["version"])
    }
    return then, [_place_then(place, there[place["location_id"]]) for place in places if place["location_id"] in there]


async def days_left(connection: "Connection", states: Collection[State], now: datetime) -> dict[int, float | None]:
    """For how many days the available of each item lasts, by id; None without sales in the last 30 days."""
    rows = await connection.fetch(SQL["rows_at"], [state.item_id for state in states], now - SALES_WINDOW)
    before = {row["item_id"]: row["net_sold"] for row in rows}
    return {
        state.item_id: days_until_stockout(
            state.available, state.net_sold - before.get(state.item_id, 0), state.first_movement_at, now
        )
        for state in states
    }


def _state(row: "Row", policy: ItemPolicy) -> State:
    told = dict(row)
    told["product_id"], told["variant_id"] = str(told["product_id"]), _text(told["variant_id"])
    told["options"] = None if told["options"] is None else json.loads(told["options"])
    never_moved = Level.OUT if told["track_inventory"] and not told["archived"] else Level.OK
    told["level"] = Level(told["level"]) if told["version"] else never_moved
    return State(**told, policy=policy)


def _place_then(place: Mapping[str, Any], then: "Row") -> dict[str, Any]:
    counters = {"on_hand": then["on_hand"], "reserved": then["reserved"]}
    return {**place, **counters, "available": then["on_hand"] - then["reserved"], "last_counted_at": None}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
