"""Contract rule 8: what people hold and what orders reserve are two things at one location. Tables; no I/O."""

import pytest

from stock_worker.core.model import Command, MovementType, OutcomeKind
from stock_worker.core.refusals import Code
from tests.core.shop import DEFAULT, adjust, cancel_whole, fulfil, item_key, line, reserve, restock, run, there, world

HELD_BY_HAND = adjust(MovementType.RESERVED, line("a", 2), ref="h")
OF_AN_ORDER = reserve("O", line("a", 3))


@pytest.mark.parametrize("location_id", [None, DEFAULT], ids=["wherever", "named"])
@pytest.mark.parametrize(
    "before", [(OF_AN_ORDER, HELD_BY_HAND), (HELD_BY_HAND, OF_AN_ORDER)], ids=["the order first", "the order last"]
)
def test_rule_8_nobody_releases_by_hand_what_an_order_reserved(
    before: tuple[Command, ...], location_id: str | None
) -> None:
    opened = world()
    asked = line("a", 3)._replace(location_id=location_id)
    *_, more = run(opened, restock(line("a", 9), ref="r"), *before, adjust(MovementType.UNRESERVED, asked, ref="u"))
    assert more.code is Code.EXCEEDS_RESERVED
    assert [told.shortfall for told in more.rejected] == [1]
    assert there(opened, "a") == {"D": (9, 5)}


@pytest.mark.parametrize(
    ("end", "left"),
    [(cancel_whole("O"), (9, 2)), (fulfil("O", line("a", 3), ref="f"), (6, 2))],
    ids=["cancelled", "fulfilled"],
)
def test_rule_8_an_order_that_ends_leaves_what_people_hold(end: Command, left: tuple[int, int]) -> None:
    opened = world()
    run(opened, restock(line("a", 9), ref="r"), HELD_BY_HAND, OF_AN_ORDER, end)
    assert there(opened, "a") == {"D": left}
    assert opened.items[item_key("a")].places[DEFAULT].held == 2
    (released,) = run(opened, adjust(MovementType.UNRESERVED, line("a", 2), ref="u"))
    assert released.kind is OutcomeKind.APPLIED
