"""Commands that name no order (contract rules 4, 7, 8 and 9). Law: facts are booked, promises are checked.

A line of an untracked item is accepted, moves nothing, and asks nothing of its location or version (rule 11).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from tests.models.costs import cost_of
from tests.models.meaning import SIGNED, canonical_type
from tests.models.site import Site
from tests.models.trial import Line, Trial, item_of
from tests.models.words import Expected, Item, Refused

GIVES: Final = ("restock", "return")
"""The adjustment types that are inflows; `adjustment` is one when its quantity is positive."""
PROMISES: Final = ("sale", "reserved")
OLDEST: Final = 100_000
"""How many versions back a count may have looked."""


def located_first(lines: list[Line]) -> list[tuple[int, Line]]:
    """The order in which lines are decided (rule 7): those that name a location first."""
    return sorted(enumerate(lines), key=lambda numbered: numbered[1].get("location_id") is None)


def decide_lines(
    site: Site, value: dict[str, Any], decide: Callable[[Trial, Line, Item], None], *, located: bool = True
) -> Trial:
    """Try every line that is about a tracked item."""
    trial, lines = Trial(site.book), value["lines"]
    for position, line in located_first(lines) if located else list(enumerate(lines)):
        with trial.line(position):
            if site.tracked(item_of(line)):
                decide(trial, line, item_of(line))
    return trial


def restock(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Book what arrived, with what it cost."""

    def decide(trial: Trial, line: Line, item: Item) -> None:
        cost = cost_of(line.get("unit_cost"), line.get("currency"), site.policy.settings.get("currency"))
        place = trial.book.inflow_to(line.get("location_id"))
        trial.move(item, place, "restock", line["quantity"], line.get("line_id"), cost)

    return site.conclude(decide_lines(site, value, decide), now)


def blind_return(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Book goods that came back and name no order."""

    def decide(trial: Trial, line: Line, item: Item) -> None:
        place = trial.book.inflow_to(line.get("location_id"))
        trial.move(item, place, "return", line["quantity"], line.get("line_id"))
        if line.get("condition") == "damaged":
            trial.move(item, place, "damage", -line["quantity"], line.get("line_id"))

    return site.conclude(decide_lines(site, value, decide), now)


# ---------------------------------------------------------------- adjustments


def adjust(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Book a manual change; with `atomic` false each line stands alone."""
    kind = canonical_type(value["type"])

    def decide(trial: Trial, line: Line, item: Item) -> None:
        quantity = line["quantity"] if kind == SIGNED else abs(line["quantity"])
        wanted, version = line.get("expected_version"), site.version(item)
        stale = wanted is not None and wanted != version
        named, name = line.get("location_id"), line.get("line_id")
        if kind in GIVES or (kind == SIGNED and quantity > 0):
            if stale:
                raise Refused("version_conflict", quantity)
            trial.move(item, trial.book.inflow_to(named), kind, quantity, name)
            return
        place = trial.book.outflow_from(named)
        if stale:
            raise Refused("version_conflict", quantity)
        if kind == "unreserved":
            release(trial, item, quantity, named, name)
            return
        promise = kind in PROMISES
        limit = site.policy.backorder_limit(item)
        could = trial.book.room(item, place, limit) if promise else max(trial.book.on_hand.get((item, place), 0), 0)
        if abs(quantity) > could:
            raise short(site, trial, item, abs(quantity), could, named)
        if kind == "reserved":
            trial.hold(item, place, quantity, name)
        else:
            trial.move(item, place, kind, -abs(quantity), name)

    return site.conclude(decide_lines(site, value, decide), now, atomic=value.get("atomic") is not False)


def short(site: Site, trial: Trial, item: Item, quantity: int, could: int, named: str | None) -> Refused:
    """Say that stock is short: by how much, and what is available where the line looks."""
    book = trial.book
    available = book.available(item) if named is None else book.available_at(item, named)
    detail = None if site.version(item) else "never_stocked"
    return Refused("insufficient_stock", quantity, quantity - could, available, detail)


def release(trial: Trial, item: Item, quantity: int, named: str | None, line_id: str | None) -> None:
    """Release manual holds where they are, by routing order where no location is named (rule 8)."""
    places = trial.book.routing() if named is None else [named]
    held = {place: trial.book.held.get((item, place), 0) for place in places}
    could = sum(held.values())
    if quantity > could:
        raise Refused("exceeds_reserved", quantity, quantity - could)
    for place, there in held.items():
        part = min(there, quantity)
        if part:
            trial.hold(item, place, -part, line_id)
        quantity -= part


# ---------------------------------------------------------------- transfers


def transfer(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Move units between two locations in use; the source alone is bounded, and a line's own location is ignored."""
    source, target = value["from_location_id"], value["to_location_id"]

    trial = Trial(site.book)
    for position, line in enumerate(value["lines"]):
        item, quantity = item_of(line), line["quantity"]
        with trial.line(position):
            if not site.tracked(item):
                continue
            refuse_places(trial, source, target)
            could = max(trial.book.available_at(item, source), 0)
            if quantity > could:
                raise short(site, trial, item, quantity, could, source)
            trial.transfer(item, source, target, quantity, line.get("line_id"))
    return site.conclude(trial, now)


def refuse_places(trial: Trial, source: str, target: str) -> None:
    """A transfer goes from one location in use to another; both must be known before either need be in use."""
    if not {source, target} <= set(trial.book.places):
        raise Refused("unknown_location")
    for place in (source, target):
        trial.book.outflow_from(place)
    if source == target:
        raise Refused("same_location")


# ---------------------------------------------------------------- counts


def count(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Book what a count found, without undoing what happened since the counter looked (rule 9)."""
    seen: dict[tuple[Item, str], None] = {}

    def decide(trial: Trial, line: Line, item: Item) -> None:
        place, version = counted_place(trial, line), site.version(item)
        at = line.get("counted_at_version")
        if at is not None and not version - OLDEST <= at <= version:
            raise Refused("unknown_version")
        on_hand = trial.book.on_hand.get((item, place), 0)
        if at is not None:
            # What was on hand then, and with it what counts have corrected since, this command's lines included.
            rows = [row for row in site.ledger.get(item, []) if row.place == place]
            since = [row for row in site.ledger.get(item, [])[at:] if row.place == place]
            then = sum(row.on_hand for row in rows) - sum(row.on_hand for row in since)
            own = sum(row.quantity for row in trial.rows if (row.item, row.location) == (item, place))
            on_hand = then + sum(row.on_hand for row in since if row.counted) + own
        delta = line["counted"] - on_hand
        trial.move(item, place, "adjustment", delta, line.get("line_id"))
        seen[item, place] = None

    expected = site.conclude(decide_lines(site, value, decide), now, counted=True)
    if expected.outcome != "rejected":
        site.counted_at.update(dict.fromkeys(seen, now))
    return expected


def counted_place(trial: Trial, line: Line) -> str:
    """Where was counted: the site's one active location need not be named."""
    named = line.get("location_id")
    if named is None and len(trial.book.routing()) > 1:
        raise Refused("location_required")
    return trial.book.outflow_from(named)
