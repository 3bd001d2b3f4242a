"""What the state machine may draw: items, places, lines, rules. Law: small numbers, so that bounds are met often.

A shirt without and with a colour, and a mug; a default location, two more, and one that nobody has heard of.
"""

from datetime import timedelta
from typing import Any, Final

from hypothesis import strategies as st

from tests.core.product import DEFAULT
from tests.models.levels import Scope

SHIRT_ID: Final = "00000000-0000-4000-8000-000000000061"
RED_ID: Final = "00000000-0000-4000-8000-000000000062"
MUG_ID: Final = "00000000-0000-4000-8000-000000000063"
ITEMS: Final = ({"product_id": SHIRT_ID}, {"product_id": SHIRT_ID, "variant_id": RED_ID}, {"product_id": MUG_ID})
PLACES: Final = (DEFAULT, *(f"00000000-0000-4000-8000-0000000000{letter}" for letter in ("a1", "b1", "c1")))
LINE_IDS: Final = ("1", "2", "3")
ADJUSTMENTS: Final = (
    *("adjustment", "adjustment", "damage", "expired", "sale", "sold", "restock", "received", "return"),
    *("reserved", "unreserved", "unreserved"),
)
WORDS: Final = (
    *("applied", "partly_applied", "no_effect", "superseded", "expired", "rejected", "conflict", "duplicate", "parked"),
    *("order_already_placed", "unknown_line", "location_required", "unknown_location", "inactive_location"),
    *("same_location", "version_conflict", "unknown_version", "exceeds_placed", "exceeds_cancellable"),
    *("exceeds_returnable", "exceeds_reserved", "insufficient_stock", "order_never_placed"),
)
"""Every outcome and code but those of what is no command, and `counter_overflow`, which needs greater numbers."""

Part = dict[str, Any]

ORDERS: Final = st.sampled_from(("O1", "O2", "O3"))
PLACE: Final = st.sampled_from(PLACES)
ITEM: Final = st.sampled_from(ITEMS)
NOWHERE: Final[st.SearchStrategy[Part]] = st.just({})
SOMEWHERE: Final[st.SearchStrategy[Part]] = st.one_of(
    st.just({}), st.just({}), PLACE.map(lambda place: {"location_id": place})
)
ANYWHERE: Final = st.one_of(
    SOMEWHERE,
    SOMEWHERE,
    st.lists(PLACE, min_size=1, max_size=3, unique=True).map(lambda places: {"location_ids": places}),
)
RETURNED: Final = st.sampled_from(({}, {"condition": "sellable"}, {"condition": "damaged"}))
COST: Final = st.one_of(
    st.just({}),
    st.builds(
        lambda cost, currency: {"unit_cost": cost, **currency},
        st.sampled_from(("0", "1.00", "2.5", "0.333333", "7.0000005")),
        st.sampled_from(({}, {}, {"currency": "EUR"}, {"currency": "USD"})),
    ),
)


def quantity(least: int = 1, most: int = 4) -> st.SearchStrategy[Part]:
    """The quantity of a line."""
    return st.integers(least, most).map(lambda many: {"quantity": many})


def lines_of(*parts: st.SearchStrategy[Part], most: int = 3) -> st.SearchStrategy[list[Part]]:
    """One to `most` lines, each of these parts."""
    line = st.tuples(*parts).map(lambda chosen: {name: value for part in chosen for name, value in part.items()})
    return st.lists(line, min_size=1, max_size=most)


def numbered(lines: list[Part], names: tuple[str, ...]) -> list[Part]:
    """Give lines their ids."""
    return [{**line, "line_id": name} for line, name in zip(lines, names, strict=False)]


TOLD: Final = st.sampled_from(({}, {}, {"line_id": "told"}))
STOCKED: Final = lines_of(ITEM, quantity(1, 5), SOMEWHERE, TOLD)
ARRIVED: Final = lines_of(ITEM, quantity(1, 12), SOMEWHERE, COST)
MOVED: Final = lines_of(ITEM, quantity(1, 5), SOMEWHERE, most=2)
NEW_LINES: Final = st.builds(
    numbered, lines_of(ITEM, quantity(1, 7), ANYWHERE), st.sampled_from((LINE_IDS, LINE_IDS, LINE_IDS[::-1]))
)
ANY_NAME: Final = st.one_of(
    st.sampled_from(LINE_IDS).map(lambda name: {"line_id": name}),
    ITEM,
    st.tuples(st.sampled_from(LINE_IDS), ITEM).map(lambda two: {"line_id": two[0], **two[1]}),
)
COUNTED: Final = st.lists(
    st.tuples(ITEM, SOMEWHERE, st.integers(0, 12), st.sampled_from((None, None, 0, 1, 2, 5, -1))),
    min_size=1,
    max_size=3,
    unique_by=lambda drawn: repr(drawn[:2]),  # the same item and location twice is malformed
)
"""What was counted where, and how many versions ago the counter looked."""

MODE: Final = st.sampled_from((None, "sale", "reserve", "reserve"))
HOURS: Final = st.sampled_from((None, 1, 1, 3, -1))
"""When a reservation ends, from now."""
WAITS: Final = st.sampled_from(
    (timedelta(), timedelta(minutes=40), timedelta(hours=2), timedelta(days=1), timedelta(days=16))
)

SCOPES: Final[st.SearchStrategy[Scope]] = st.sampled_from(
    (("site",), ("product", SHIRT_ID), ("variant", SHIRT_ID, RED_ID), ("product", MUG_ID))
)
RULE: Final = st.one_of(
    *(
        st.tuples(st.just(name), st.sampled_from(values)).map(lambda pair: {pair[0]: pair[1]})
        for name, values in (
            ("low_stock_threshold", (None, 0, 5, 18)),
            ("critical_stock_threshold", (None, 2, 6)),
            ("out_of_stock_threshold", (None, 1, -2)),
            ("backorder_limit", (None, 0, 2, 5, -2)),
            ("is_active", (None, True, False)),
        )
    )
)
SETTINGS: Final = st.one_of(
    *(
        st.tuples(st.just(name), st.sampled_from(values)).map(lambda pair: {pair[0]: pair[1]})
        for name, values in (
            ("mode", (None, "sale", "reserve")),
            ("reservation_ttl", (None, 3_600, 90_000)),
            ("currency", (None, "EUR", "USD")),
            ("low_stock_threshold", (None, 14)),
        )
    )
)
CATALOG: Final = st.one_of(
    st.just({"gone": True}),
    *(
        st.just({"status": status, "track_inventory": tracked})
        for status, tracked in (("active", True), ("active", True), ("active", False), ("archived", True))
    ),
)
