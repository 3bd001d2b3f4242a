"""What a peer holds an order to, and where its units come from. Law: both peers ask for the same in the same words.

Inheritance of rules, levels and days until stockout are the product's own functions: what is compared is how the work
is done, not who wrote the rules down. Routing is that of contract rule 7, for lines that name no location.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from stock_worker.core.alerts import level_of
from stock_worker.core.policy import ItemPolicy, Rule, Settings, resolve

Key = tuple[str, str | None]
"""Product and variant."""


class Place(NamedTuple):
    """An active location."""

    location_id: str
    code: str


class Part(NamedTuple):
    """Units of a line at one location."""

    location_id: str
    units: int


class Wanted(NamedTuple):
    """A line of an order."""

    line_id: str
    key: Key
    quantity: int


@dataclass(frozen=True, slots=True)
class Site:
    """What a site says: its settings, its alert rules, its active locations in the order of routing."""

    settings: Settings
    rules: Mapping[tuple[str | None, str | None], Rule]
    routing: Sequence[Place]
    default_location_id: str
    policies: dict[Key, ItemPolicy] = field(default_factory=dict)

    def policy(self, key: Key) -> ItemPolicy:
        """Join the rules that reach an item; worked out once for as long as this copy of the rules is used."""
        policy = self.policies.get(key)
        if policy is None:
            product_id, variant_id = key
            of_variant = self.rules.get(key) if variant_id else None
            of_product = self.rules.get((product_id, None))
            policy = resolve(None, of_variant, of_product, self.rules.get((None, None)), self.settings)
            self.policies[key] = policy
        return policy

    def level(self, key: Key, available: int) -> str:
        """Give the item's alert level."""
        return level_of(available, self.policy(key).thresholds).value

    def day(self, moment: datetime) -> date:
        """Give the day that it is at the site."""
        return moment.astimezone(ZoneInfo(self.settings.timezone)).date()

    def code(self, location_id: str) -> str:
        """Give a location's code."""
        return next((place.code for place in self.routing if place.location_id == location_id), location_id)


def site_of(settings: Mapping[str, Any] | None, rules: Iterable[Any], locations: Iterable[Any]) -> Site:
    """Read rows: `rules` with the names of Rule and the scope, `locations` the active ones in order of routing."""
    places = list(locations)
    return Site(
        Settings(**{**settings, "email_recipients": tuple(settings["email_recipients"])}) if settings else Settings(),
        {
            (_text(row["product_id"]), _text(row["variant_id"])): Rule(**{name: row[name] for name in Rule._fields})
            for row in rules
        },
        [Place(str(row["location_id"]), row["code"]) for row in places],
        next(str(row["location_id"]) for row in places if row["is_default"]),
    )


def allot(
    site: Site, lines: Iterable[Wanted], stock: Mapping[Key, Mapping[str, int]]
) -> tuple[list[list[Part]], list[dict[str, Any]]]:
    """Find where each line's units come from, each on what the ones before left; `stock` is available by location.

    Returns the parts of each line, and the lines that cannot be met as they are told.
    """
    left = {key: dict(places) for key, places in stock.items()}
    parts, refused = [], []
    for line in lines:
        there = left.setdefault(line.key, {})
        available = sum(there.values())
        found = _route(site, line.quantity, there, site.policy(line.key).backorder_limit)
        if isinstance(found, int):
            refused.append(_told(line, available, max(found, 0), never_stocked=line.key not in stock))
            continue
        parts.append(found)
        for location_id, units in found:
            there[location_id] = there.get(location_id, 0) - units
    return parts, refused


def costed_after(costed: int, on_hand: int, units: int) -> int:
    """Give the costed units that an outflow leaves: pro rata, half to even."""
    if units >= on_hand:
        return 0
    return costed - (units if costed == on_hand else round(Fraction(units * costed, on_hand)))


def _route(site: Site, quantity: int, there: Mapping[str, int], limit: int) -> list[Part] | int:
    """Give the parts of a line, or how many units could be had."""
    by_place = [Part(place.location_id, there.get(place.location_id, 0)) for place in site.routing]
    at_default = there.get(site.default_location_id, 0)
    backorder = max(max(limit, 0) + min(at_default, 0), 0)
    could = min(sum(there.values()) + limit, sum(max(part.units, 0) for part in by_place) + backorder)
    if quantity > could:
        return could
    for part in by_place:
        if part.units >= quantity:
            return [Part(part.location_id, quantity)]
    given = dict[str, int]()
    for location_id, units in by_place:
        if (taken := min(units, quantity - sum(given.values()))) > 0:
            given[location_id] = taken
    if missing := quantity - sum(given.values()):
        given[site.default_location_id] = given.get(site.default_location_id, 0) + missing
    return [Part(*part) for part in given.items()]


def _told(line: Wanted, available: int, could: int, *, never_stocked: bool) -> dict[str, Any]:
    return {
        "line_id": line.line_id,
        "product_id": line.key[0],
        "variant_id": line.key[1],
        "location_id": None,
        "requested": line.quantity,
        "available": available,
        "shortfall": line.quantity - could,
        "code": "insufficient_stock",
        "detail": "never_stocked" if never_stocked else None,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
