"""Rule 10 by hand: each field is inherited on its own, and what was emitted last is what the next is compared with."""

from decimal import Decimal
from typing import Any

import pytest

from tests.models.desk import Desk, X, line
from tests.models.levels import Policy
from tests.models.words import Expected, Item

RED: Item = ("shirt", "red")
BLUE: Item = ("shirt", "blue")
BARE: Item = ("shirt", None)
VARIANT, PRODUCT, SITE = ("variant", "shirt", "red"), ("product", "shirt"), ("site",)


def policy() -> Policy:
    """Rules that say something at each scope, and settings that say something too."""
    made = Policy()
    made.rules = {
        VARIANT: {"low_stock_threshold": 40, "is_active": False, "notify_email": None},
        PRODUCT: {"low_stock_threshold": 30, "critical_stock_threshold": 20, "backorder_limit": -2, "reorder_point": 9},
        SITE: {"critical_stock_threshold": 15, "backorder_limit": 5, "reorder_quantity": 50, "notify_email": False},
    }
    made.settings = {"low_stock_threshold": 12, "out_of_stock_threshold": 1}
    return made


@pytest.mark.parametrize(
    ("item", "field", "expected"),
    [
        (RED, "low_stock_threshold", (40, "variant")),
        (BLUE, "low_stock_threshold", (30, "product")),
        (BARE, "low_stock_threshold", (30, "product")),
        (X, "low_stock_threshold", (12, "default")),
        (RED, "critical_stock_threshold", (20, "product")),
        (X, "critical_stock_threshold", (15, "site")),
        (RED, "out_of_stock_threshold", (1, "default")),
    ],
)
def test_each_threshold_is_inherited_on_its_own(item: Item, field: str, expected: tuple[int, str]) -> None:
    assert policy().threshold(item, field) == expected


@pytest.mark.parametrize(
    ("item", "field", "expected"),
    [
        (RED, "backorder_limit", (-2, "product")),
        (X, "backorder_limit", (5, "site")),
        (RED, "reorder_point", (9, "product")),
        (X, "reorder_point", (None, "default")),
        (RED, "reorder_quantity", (50, "site")),
        (RED, "is_active", (False, "variant")),
        (BLUE, "is_active", (None, "default")),
        (RED, "notify_email", (False, "site")),
    ],
)
def test_every_other_field_is_too(item: Item, field: str, expected: tuple[Any, str]) -> None:
    assert policy().said(item, field) == expected


@pytest.mark.parametrize(
    ("available", "level", "scope"),
    [
        *((41, "ok", "variant"), (40, "low", "variant"), (21, "low", "variant")),
        *((20, "critical", "product"), (2, "critical", "product"), (1, "out", "default"), (-7, "out", "default")),
    ],
)
def test_the_scope_is_that_of_the_threshold_which_made_the_level(available: int, level: str, scope: str) -> None:
    assert policy().level(RED, available) == (level, scope)


@pytest.mark.parametrize(
    ("available", "level"),
    [(11, "ok"), (10, "low"), (4, "low"), (3, "critical"), (1, "critical"), (0, "out"), (-1, "out")],
)
def test_what_is_built_in(available: int, level: str) -> None:
    assert Policy().level(X, available) == (level, "default")


def test_who_is_told() -> None:
    made = policy()
    made.settings |= {"email_recipients": ["a@b.example"], "webhook_url": "https://b.example", "webhook_enabled": True}
    made.rules[PRODUCT]["notify_webhook"] = True
    assert made.notify(RED) == {
        "dashboard": True,
        "email": {"enabled": False, "recipients": ["a@b.example"], "frequency": "daily"},
        "webhook": {"enabled": True, "url": "https://b.example"},
    }
    assert made.notify(X)["webhook"]["enabled"] is False
    assert Policy().notify(X) == {
        "dashboard": True,
        "email": {"enabled": True, "recipients": [], "frequency": "daily"},
        "webhook": {"enabled": False, "url": None},
    }


# ---------------------------------------------------------------- what is emitted


def changes(expected: Expected) -> list[tuple[str, str, str, int]]:
    """The alerts of a command, without what they count."""
    return [(alert.previous, alert.level, alert.cause, alert.episode) for alert in expected.alerts]


def adjusted(desk: Desk, quantity: int) -> list[tuple[str, str, str, int]]:
    """Change X by so many units."""
    return changes(desk.tell("stock-adjustment", line("X", quantity), type="adjustment"))


def test_every_change_is_emitted_once_after_the_command() -> None:
    desk = Desk()
    assert desk.mood == {}
    assert adjusted(desk, 20) == []
    assert adjusted(desk, -10) == [("ok", "low", "movement", 1)]
    assert adjusted(desk, -1) == []
    assert adjusted(desk, -9) == [("low", "out", "movement", 2)]
    lines = line("X", 20), line("X", -17)
    assert changes(desk.tell("stock-adjustment", *lines, type="adjustment")) == [("out", "critical", "movement", 3)]


def test_while_a_rule_is_not_active_the_level_shows_and_activation_emits_the_difference() -> None:
    desk = Desk()
    adjusted(desk, 20)
    desk.set_rule(SITE, {"is_active": False})
    assert changes(desk.reevaluate(desk.now)) == []
    assert adjusted(desk, -12) == []
    assert adjusted(desk, -6) == []
    assert (desk.mood[X].shown, desk.mood[X].emitted, desk.mood[X].episode) == ("critical", "ok", 2)
    desk.set_rule(SITE, {"is_active": None})
    assert changes(desk.reevaluate(desk.now)) == [("ok", "critical", "rule", 2)]
    desk.set_rule(SITE, {"is_active": False})
    assert adjusted(desk, 9) == []
    assert adjusted(desk, -9) == []
    desk.set_rule(SITE, {"is_active": True})
    assert changes(desk.reevaluate(desk.now)) == []
    assert desk.mood[X].episode == 4


def test_rules_and_settings_are_seen_when_levels_are_evaluated_again_or_something_moves() -> None:
    desk = Desk()
    adjusted(desk, 20)
    desk.set_settings({"low_stock_threshold": 30})
    assert adjusted(desk, 1) == [("ok", "low", "movement", 1)]
    desk.set_rule(("product", "X"), {"low_stock_threshold": 5})
    again = desk.reevaluate(desk.now)
    assert (changes(again), again.told) == ([("low", "ok", "rule", 2)], (X,))
    desk.set_rule(("product", "X"), {"low_stock_threshold": None})
    assert changes(desk.reevaluate(desk.now)) == [("ok", "low", "rule", 3)]
    assert desk.reevaluate(desk.now) == Expected("applied")


def test_an_item_that_never_moved_has_no_level() -> None:
    desk = Desk()
    desk.set_rule(SITE, {"low_stock_threshold": 99})
    assert desk.reevaluate(desk.now) == Expected("applied")
    assert desk.tell("product-changed", product_id="X", revision=1, status="archived").told == ()


def test_a_changed_limit_is_told_for_the_items_that_it_reaches() -> None:
    desk = Desk()
    adjusted(desk, 20)
    desk.tell("restock", line("Y", 20))
    desk.set_rule(("product", "Y"), {"backorder_limit": 1})
    assert desk.reevaluate(desk.now).told == (("Y", None),)
    desk.set_rule(SITE, {"backorder_limit": 2})
    assert desk.reevaluate(desk.now).told == (X,)


@pytest.mark.parametrize(
    "hidden", [{"status": "archived"}, {"status": "active", "track_inventory": False}], ids=["archived", "untracked"]
)
def test_what_is_not_watched_is_ok_and_says_so_once(hidden: dict[str, Any]) -> None:
    desk = Desk()
    adjusted(desk, 2)
    told = desk.tell("product-changed", product_id="X", revision=1, **hidden)
    assert (changes(told), told.told) == ([("critical", "ok", "rule", 2)], (X,))
    assert adjusted(desk, -1) == []
    assert changes(desk.reevaluate(desk.now)) == []
    again = desk.tell("product-changed", product_id="X", revision=2, status="active")
    level = "critical" if desk.book.available(X) else "out"
    assert changes(again) == [("ok", level, "rule", 3)]


def test_a_copy_that_changes_neither_tracking_nor_status_is_not_told() -> None:
    desk = Desk()
    adjusted(desk, 2)
    told = desk.tell("product-changed", product_id="X", revision=1, status="active")
    assert (told.outcome, told.told, told.alerts) == ("applied", (), ())
    for revision in (1, 0):
        assert desk.tell("product-changed", product_id="X", revision=revision, status="archived").outcome == "duplicate"
    assert desk.tell("product-changed", product_id="X", gone=True).told == (X,)
    assert desk.tell("product-changed", product_id="X", gone=True).outcome == "duplicate"
    assert desk.tell("product-changed", product_id="X", revision=1, status="active").outcome == "duplicate"
    assert desk.tell("product-changed", product_id="X", revision=2, status="active").told == (X,)


# ---------------------------------------------------------------- how long the stock lasts


def test_days_until_stockout() -> None:
    desk = Desk()
    desk.stock(D=100)
    assert desk.days_until_stockout(X, desk.now) is None
    desk.place(line("X", 20, line_id="1"))
    assert desk.days_until_stockout(X, desk.now) == Decimal("4.0")  # 80 left, 20 in what counts as one day
    desk.wait(days=2)
    assert desk.days_until_stockout(X, desk.now) == Decimal("8.0")  # 20 in two days
    desk.cancel(4)
    desk.give_back(1)
    assert desk.days_until_stockout(X, desk.now) == Decimal("11.3")  # 85 left, 15 in two days
    desk.tell("stock-adjustment", line("X", 9), type="sold")
    assert desk.days_until_stockout(X, desk.now) == Decimal("6.3")  # 76 left, 24 in two days: 6.33
    desk.wait(days=28)
    # The first 20 are out of the window; 4 cancelled, 1 returned and 9 sold are just within it.
    assert desk.days_until_stockout(X, desk.now) == Decimal("570.0")  # 76 left, 4 in thirty days
    desk.wait(days=2)
    assert desk.days_until_stockout(X, desk.now) is None


def test_days_go_half_to_even_and_never_below_nothing() -> None:
    desk = Desk()
    desk.set_rule(SITE, {"backorder_limit": 99})
    desk.stock(D=33)
    desk.place(line("X", 20))
    assert desk.days_until_stockout(X, desk.now) == Decimal("0.6")  # 13 / 20 = 0.65
    desk.place(line("X", 40), order_id="P")
    assert desk.days_until_stockout(X, desk.now) == Decimal("0.0")


def test_an_alert_tells_the_days_of_its_moment() -> None:
    desk = Desk()
    desk.stock(D=12)
    (alert,) = desk.place(line("X", 4)).alerts
    assert (alert.level, alert.days) == ("low", Decimal("2.0"))
