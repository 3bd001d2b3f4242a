"""Which location a line uses. Law: one that it names is used or refused, never replaced by another.

Inflows open what they name; promises of orders that name no place are routed: to the first active location that has
the whole line, else to all that have some, and what no location has is a backorder at the default. Nothing here books
anything. Source: contract rules 4, 7 and 8 and the decided cases on places.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stock_worker.core.booking import Draft
from stock_worker.core.lines import Refused, available_to, short
from stock_worker.core.model import Line
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, OrderLine


class Part(NamedTuple):
    """Units of a line at one location."""

    location_id: str
    units: int


def refusal_of(draft: Draft, item: Item, line: Line, location_id: str | None) -> Refused | None:
    """Refuse a line whose location, where it names one, is unknown or not in use."""
    if location_id is None or draft.is_active(location_id):
        return None
    code = Code.INACTIVE_LOCATION if location_id in draft.site.locations else Code.UNKNOWN_LOCATION
    return Refused(line, code, available_to(draft, item, line))


def inflow_place(draft: Draft, line: Line) -> str:
    """The place where goods arrive: the one named, which is opened where it is not in use, else the default."""
    if line.location_id is None:
        return draft.site.default_location_id
    if not draft.is_active(line.location_id):
        draft.open(line.location_id)
    return line.location_id


def usable(draft: Draft, location_id: str) -> str:
    """The location if it is in use, else the default."""
    return location_id if draft.is_active(location_id) else draft.site.default_location_id


def route(draft: Draft, item: Item, line: Line) -> list[Part] | Refused:
    """Find the places that can give an order's line, its named one or by routing (rule 7)."""
    assert line.quantity is not None
    if line.location_id is not None or (line.location_ids is None and len(draft.site.routing) == 1):
        return promise_at(draft, item, line, line.location_id or draft.site.default_location_id)
    quantity, site, limit = line.quantity, draft.site, item.policy.backorder_limit
    for location_id in line.location_ids or ():
        if location_id not in site.locations:
            return Refused(line, Code.UNKNOWN_LOCATION, draft.available(item), detail=location_id)
    permitted = [each for each in site.routing if line.location_ids is None or each in line.location_ids]
    there = [Part(location_id, draft.available_at(item, location_id)) for location_id in permitted]
    default = site.default_location_id
    at_default = next((part.units for part in there if part.location_id == default), None)
    more = 0 if at_default is None else max(limit, 0) + min(at_default, 0)
    could = min(draft.available(item) + limit, sum(max(part.units, 0) for part in there) + max(more, 0))
    if quantity > could:
        return short(draft, item, line, could)
    for part in there:
        if part.units >= quantity:
            return [Part(part.location_id, quantity)]
    parts = _take(there, quantity)
    missing = quantity - sum(part.units for part in parts)
    return _with_more(parts, default, missing) if missing else parts


def promise_at(draft: Draft, item: Item, line: Line, location_id: str) -> list[Part] | Refused:
    """Check a promise at one place: the item stays >= -limit and the place >= -max(limit, 0) (rule 4)."""
    assert line.quantity is not None
    refusal = refusal_of(draft, item, line, location_id)
    if refusal is not None:
        return refusal
    limit = item.policy.backorder_limit
    could = min(draft.available(item) + limit, draft.available_at(item, location_id) + max(limit, 0))
    if line.quantity > could:
        return short(draft, item, line, could)
    return [Part(location_id, line.quantity)]


def holding(draft: Draft, item: Item, line: Line) -> list[Part] | Refused:
    """Find the places whose holds a release ends: the one named, else in the order of routing (rule 8)."""
    assert line.quantity is not None
    refusal = refusal_of(draft, item, line, line.location_id)
    if refusal is not None:
        return refusal
    places = draft.site.routing if line.location_id is None else [line.location_id]
    there = [Part(location_id, draft.held_at(item, location_id)) for location_id in places]
    could = sum(part.units for part in there)
    if line.quantity > could:
        return Refused(line, Code.EXCEEDS_RESERVED, available_to(draft, item, line), could)
    return _take(there, line.quantity)


def reserved_parts(order_line: OrderLine, units: int, named: str | None) -> list[Part]:
    """Where a fulfilment takes reserved units from: at its own place first, then the oldest first."""
    allocations = sorted(order_line.allocations, key=lambda each: each.location_id != named)
    return _take(((each.location_id, each.reserved) for each in allocations), units)


def newest_reserved_parts(order_line: OrderLine, units: int) -> list[Part]:
    """Where reserved units are given back: last in, first out."""
    return _take(((each.location_id, each.reserved) for each in reversed(order_line.allocations)), units)


def sold_parts(order_line: OrderLine, units: int) -> list[Part]:
    """Where sold units came from that have not come back: last in, first out."""
    sold = ((each.location_id, each.sold - each.returned) for each in reversed(order_line.allocations))
    return _take(sold, units)


def unheld_parts(draft: Draft, order_line: OrderLine, units: int, named: str | None) -> list[Part]:
    """Where units leave from that nobody holds any more.

    The place named, else where they were given back, else the line's own, else the default.
    """
    if named is not None:
        return [Part(named, units)]
    back = ((each.location_id, each.given_back) for each in reversed(order_line.allocations))
    parts = _take(((place, many) for place, many in back if draft.is_active(place)), units)
    rest = units - sum(part.units for part in parts)
    if not rest:
        return parts
    return _with_more(parts, usable(draft, order_line.location_id or draft.site.default_location_id), rest)


def _take(there: Iterable[tuple[str, int]], units: int) -> list[Part]:
    """Take up to `units` from these places, in their order."""
    parts = []
    for location_id, many in there:
        given = min(units, many)
        if given > 0:
            parts.append(Part(location_id, given))
            units -= given
    return parts


def _with_more(parts: list[Part], location_id: str, units: int) -> list[Part]:
    """Add units at a location, to its part where it has one: rows are one per line, location and step."""
    if any(part.location_id == location_id for part in parts):
        return [part._replace(units=part.units + units) if part.location_id == location_id else part for part in parts]
    return [*parts, Part(location_id, units)]
