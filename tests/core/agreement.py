"""Whether the product and the model say the same. Law: what the contract promises is compared, and nothing else.

The order of a command's rows across lines, and of its failing lines, is nobody's promise.
"""

from collections import Counter
from collections.abc import Iterable

from stock_worker.core.model import OrderKey, Outcome, OutcomeKind
from stock_worker.core.orders import held, units_cancelled
from stock_worker.core.state import Item, OrderLine, World
from tests.core.product import SITE
from tests.models import words
from tests.models.costs import Value
from tests.models.levels import Mood
from tests.models.meaning import reference_of
from tests.models.orders import parts_of
from tests.models.stock_model import StockModel
from tests.models.trial import Line
from tests.models.words import Expected, Moved

SILENT = (OutcomeKind.DUPLICATE, OutcomeKind.CONFLICT, OutcomeKind.REJECTED, OutcomeKind.PARKED)


def compare(actual: Expected, expected: Expected) -> None:
    """One command: its outcome, its rows, its alerts, its failing lines."""
    both = f"the product says {actual}, the model {expected}"
    assert actual[:2] == expected[:2], both
    assert Counter(map(row_of, actual.moved)) == Counter(map(row_of, expected.moved)), both
    for item, rows in by_item(expected).items():
        others = by_item(actual)[item]
        # Where the rows come in the same order, all that runs along with them is the same; else at least its end.
        same_order = list(map(row_of, others)) == list(map(row_of, rows))
        assert others[-1][7:] == rows[-1][7:], both
        assert not same_order or others == rows, both
    assert sorted(actual.alerts, key=repr) == sorted(expected.alerts, key=repr), both
    assert comparable(actual) == comparable(expected), both


def row_of(row: Moved) -> Moved:
    """A row without what runs along."""
    return row._replace(on_hand=0, reserved=0, average_cost=None, costed=0)


def by_item(expected: Expected) -> dict[words.Item, list[Moved]]:
    """The rows of each item in the order written."""
    rows: dict[words.Item, list[Moved]] = {}
    for row in expected.moved:
        rows.setdefault(row.item, []).append(row)
    return rows


def comparable(expected: Expected) -> list[tuple[str, int, int, int, str]]:
    """The failing lines that made the code, with what was asked and short where the contract says what it is.

    A line that fails by a later code may be told or not: a command is refused by the first that applies.
    """
    short = "insufficient_stock"
    return sorted(
        (
            fail.code,
            (fail.requested or 0) if fail.shortfall else 0,
            fail.shortfall or 0,
            (fail.available or 0) if fail.code == short else 0,
            (fail.detail or "") if fail.code == short else "",
        )
        for fail in expected.failed
        if fail.code == expected.code or expected.outcome == "partly_applied"
    )


def rows_are_whole(outcome: Outcome) -> None:
    """Each row adds up, each item's rows follow each other, and one of them is the command's last."""
    last: dict[object, bool] = {}
    for row in outcome.movements:
        assert row.previous_stock + row.quantity == row.new_stock == row.on_hand - row.reserved
        assert not last.get(row.item), "a row after the last of the command"
        last[row.item] = row.last_of_command
    assert all(last.values())
    if outcome.kind in SILENT:
        assert outcome.movements == ()


# ---------------------------------------------------------------- states


def same_places(world: World, model: StockModel) -> None:
    """The locations, which of them are in use, and the order in which they sell."""
    site = world.sites[SITE]
    assert site.routing == model.book.routing()
    assert site.default_location_id == model.book.default
    assert {name: (each.code, each.priority, each.active) for name, each in site.locations.items()} == model.book.places


def same_items(world: World, model: StockModel) -> None:
    """Counters, versions, value and level of each item."""
    assert {key[1:] for key, item in world.items.items() if item.version} == set(model.ledger)
    for item in world.items.values():
        key = item.key[1:]
        assert (item.on_hand, item.reserved) == (model.book.all_on_hand(key), model.book.all_reserved(key))
        assert item.version == model.version(key)
        assert (item.average_cost, item.costed) == model.book.value.get(key, Value())
        assert (item.level.value, item.emitted.value, item.stay) == model.mood.get(key, Mood())
        assert item.policy.notify == model.policy.notify(key)
        same_stock(item, model)


def same_stock(item: Item, model: StockModel) -> None:
    """Counters of an item at each location, and when it was last counted there."""
    key = item.key[1:]
    for place in model.book.places:
        spot, there = (key, place), item.places.get(place)
        expected = tuple(counts.get(spot, 0) for counts in (model.book.on_hand, model.book.reserved, model.book.held))
        assert ((there.on_hand, there.reserved, there.held) if there else (0, 0, 0)) == expected
        assert (there.counted_at if there else None) == model.counted_at.get(spot)
    assert sum(place.on_hand for place in item.places.values()) == item.on_hand
    assert sum(place.reserved for place in item.places.values()) == item.reserved


def same_orders(world: World, model: StockModel) -> None:
    """Orders with their lines, what is parked for them, and the references that are known."""
    assert {reference[1:] for reference in world.references} == set(model.known)
    for name, order in model.orders.items():
        held_order = world.orders[OrderKey(SITE, name)]
        assert (held_order.placed, held_order.cancelled_whole) == (order.placed, order.whole)
        assert [each.reference[1:] for each in held_order.parked] == [reference_of(*each) for each in order.parked]
        if order.placed and not order.whole:  # under a whole cancellation neither matters any more
            assert (held_order.mode.value, held_order.expires_at) == (order.mode, order.expires_at)
        holds = any(line["held"] for line in order.lines.values())
        assert held_order.due_at == (order.expires_at if holds else None)
        assert set(held_order.lines) == set(order.lines)
        for line_id, line in order.lines.items():
            same_line(held_order.lines[line_id], line, whole=order.whole)


def same_line(actual: OrderLine, line: Line, *, whole: bool) -> None:
    """The totals of a line, and where its units are."""
    parts, totals = parts_of(line, whole=whole), actual.totals
    assert (totals.placed, totals.fulfilled, totals.returned) == (line["P"], line["F"], line["R"])
    assert (actual.mode.value, actual.tracked) == (line["mode"], line["tracked"])
    assert units_cancelled(totals, whole=whole) == parts.cancelled
    assert held(totals, actual.mode, whole=whole, expired=actual.expired) == (parts.sold, parts.reserved)
    assert summed((each.location_id, each.reserved) for each in actual.allocations) == summed(line["held"])
    gone = summed((each.location_id, each.sold - each.returned) for each in actual.allocations)
    assert gone == summed(line["gone"])


def summed(parts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Units by location."""
    sums: Counter[str] = Counter()
    for place, quantity in parts:
        sums[place] += quantity
    return {place: quantity for place, quantity in sums.items() if quantity}
