"""Contract rule 11: whether a line moves stock is settled when it is placed, and never again. Tables; no I/O."""

import pytest

from stock_worker.core.model import Command, Mode, OutcomeKind
from tests.core.shop import (
    cancel,
    cancel_whole,
    fulfil,
    give_back,
    hold_to,
    item_key,
    line,
    place,
    restock,
    run,
    there,
    world,
)


@pytest.mark.parametrize("mode", [Mode.SALE, Mode.RESERVE])
@pytest.mark.parametrize(
    "after",
    [
        (fulfil("O", line("a", 2), ref="f"),),
        (cancel("O", line("a", 1), ref="c"), fulfil("O", line("a", 3), ref="f")),
        (cancel_whole("O"), fulfil("O", line("a", 3), ref="f")),
        (cancel_whole("O"), give_back("O", line("a", 3), ref="r")),
    ],
    ids=["left", "left although it was cancelled", "left of a cancelled order", "came back of a cancelled order"],
)
def test_rule_11_what_was_placed_untracked_never_moves(after: tuple[Command, ...], mode: Mode) -> None:
    opened = hold_to(world(), "a", tracked=False)
    run(opened, place("O", line("a", 3), mode=mode))
    hold_to(opened, "a", tracked=True)
    run(opened, restock(line("a", 10), ref="r"))
    outcomes = run(opened, *after)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.NO_EFFECT}
    assert there(opened, "a") == {"D": (10, 0)}
    assert opened.items[item_key("a")].version == 1
