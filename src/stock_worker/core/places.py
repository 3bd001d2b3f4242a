"""Which location a line uses. Law: one that it names is used or refused, never replaced by another.

Inflows open what they name; promises of orders that name no place are routed: to the first active location that has
the whole line, else to all that have some, and what no location has is a backorder at the default. Nothing here books
anything. Source: contract rules 4, 7 and 8 and the decided cases on places.
"""

from collections.abc import Iterable

from stock_worker.core.allocations import Part
from stock_worker.core.booking import Draft
from stock_worker.core.lines import Refused, available_to, short
from stock_worker.core.model import Line
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item


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
    """Find the places that can give an order's line, its named one or by routing (rule 7).

    What no location has is a part of its own, the last one, also where the default gives something itself.
    """
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
    return [*parts, Part(default, missing)] if missing else parts


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


def _take(there: Iterable[tuple[str, int]], units: int) -> list[Part]:
    """Take up to `units` from these places, in their order."""
    parts = []
    for location_id, many in there:
        given = min(units, many)
        if given > 0:
            parts.append(Part(location_id, given))
            units -= given
    return parts
