"""Contract rules 10 and 11: levels under rules and settings, and what the catalog changes. Tables; no I/O."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stock_worker.core.alerts import days_until_stockout
from stock_worker.core.catalog import change_product
from stock_worker.core.levels import evaluate
from stock_worker.core.model import CatalogEntry, Level, OutcomeKind, ProductChanged, Record
from stock_worker.core.policy import PLAIN, Rule, Settings, resolve
from stock_worker.core.state import Changes, World
from tests.core.shop import NOON, cancel_whole, hold_to, item_key, line, place, restock, run, world

OK, LOW, CRITICAL, OUT = Level.OK, Level.LOW, Level.CRITICAL, Level.OUT


def alerts(opened: World) -> list[tuple[str, str]]:
    return [(change.previous_level.value, change.level.value) for change in opened.changes.alerts]


# ------------------------------------------------------------------ inheritance


@pytest.mark.parametrize(
    ("variant", "product", "site", "settings", "low", "scope"),
    [
        (None, None, None, None, 10, "default"),
        (None, None, None, 20, 20, "default"),
        (None, None, 30, 20, 30, "site"),
        (None, 40, 30, 20, 40, "product"),
        (50, 40, 30, 20, 50, "variant"),
        (50, None, None, None, 50, "variant"),
        (0, 40, None, None, 0, "variant"),
    ],
)
def test_c50_a_threshold_is_looked_up_on_its_own(
    variant: int | None, product: int | None, site: int | None, settings: int | None, low: int, scope: str
) -> None:
    def rule(threshold: int | None) -> Rule | None:
        return None if threshold is None else Rule(low_stock_threshold=threshold)

    policy = resolve(None, rule(variant), rule(product), rule(site), Settings(low_stock_threshold=settings))
    assert (policy.thresholds.low, policy.scopes.low) == (low, scope)
    assert (policy.thresholds.critical, policy.scopes.critical) == (3, "default")


def test_rule_10_each_field_is_inherited_alone() -> None:
    policy = resolve(
        None,
        Rule(critical_stock_threshold=5, notify_email=False),
        Rule(critical_stock_threshold=6, out_of_stock_threshold=1, backorder_limit=4),
        Rule(backorder_limit=9, is_active=False, notify_webhook=True, reorder_point=12),
        Settings(email_recipients=("a@shop.example",), webhook_enabled=True, webhook_url="https://shop.example/h"),
    )
    assert policy.thresholds == (10, 5, 1)
    assert policy.scopes == ("default", "variant", "product")
    assert (policy.backorder_limit, policy.backorder_scope) == (4, "product")
    assert (policy.reorder_point, policy.reorder_quantity, policy.is_active) == (12, None, False)
    assert policy.notify == {
        "dashboard": True,
        "email": {"enabled": False, "recipients": ["a@shop.example"], "frequency": "daily"},
        "webhook": {"enabled": True, "url": "https://shop.example/h"},
    }


# ------------------------------------------------------------------ emitted once


def test_rule_10_while_a_rule_is_inactive_the_level_shows_and_nothing_is_emitted() -> None:
    opened = hold_to(world(), "a", is_active=False)
    run(opened, restock(line("a", 5), ref="r"))
    item = opened.items[item_key("a")]
    assert (item.level, item.emitted, alerts(opened)) == (LOW, OK, [])
    hold_to(opened, "a", is_active=True)
    evaluate(opened, item, None)
    assert alerts(opened) == [("ok", "low")]
    evaluate(opened, item, None)
    assert alerts(opened) == [("ok", "low")], "every change is emitted exactly once"


def test_rule_10_a_level_that_came_back_while_inactive_is_not_emitted() -> None:
    opened = world()
    run(opened, restock(line("a", 5), ref="r"))
    hold_to(opened, "a", is_active=False)
    run(opened, place("O", line("a", 5)), cancel_whole("O"))
    hold_to(opened, "a", is_active=True)
    evaluate(opened, opened.items[item_key("a")], None)
    assert alerts(opened) == [("ok", "low")]


def test_rule_10_an_alerts_id_is_one_stay_at_one_level() -> None:
    opened = world()
    run(opened, restock(line("a", 5), ref="r"))
    item = opened.items[item_key("a")]
    for low in (4, 10, 4):
        item.policy = item.policy._replace(thresholds=item.policy.thresholds._replace(low=low))
        evaluate(opened, item, None)
    ids = [change.alert_id for change in opened.changes.alerts]
    assert alerts(opened) == [("ok", "low"), ("low", "ok"), ("ok", "low"), ("low", "ok")]
    assert len(set(ids)) == 4, "although no row was written between them"


def test_c52_before_its_first_movement_an_item_has_no_level() -> None:
    opened = hold_to(world(), "a", backorder_limit=0)
    evaluate(opened, opened.items[item_key("a")], None)
    assert (alerts(opened), opened.changes.items) == ([], {})


def test_section_6_a_rules_change_publishes_the_state_with_a_revision_of_its_own() -> None:
    opened = world()
    run(opened, restock(line("a", 5), ref="r"))
    item = opened.items[item_key("a")]
    opened.changes = Changes()
    item.policy = item.policy._replace(thresholds=item.policy.thresholds._replace(low=4))
    evaluate(opened, item, None)
    (change,) = opened.changes.alerts
    assert (item.revision, change.revision, change.command) == (2, 2, None)
    assert list(opened.changes.items.values()) == [item]


# ------------------------------------------------------------------ the catalog

ENTRY = CatalogEntry("Shirt", None, "S-1", *(None,) * 6, track_inventory=True, archived=False, revision=5)
RECORD = Record("product-changed", 0, 0, 0, b"", b"", ())


def told(opened: World, entry: CatalogEntry | None) -> OutcomeKind:
    """What becomes of a record of the catalog about item a."""
    hold_to(opened, "a")
    return change_product(opened, ProductChanged(item_key("a"), entry, RECORD)).kind


def test_section_3_older_and_equal_revisions_are_ignored() -> None:
    opened = world()
    kinds = [told(opened, ENTRY._replace(revision=revision, sku=str(revision))) for revision in (5, 5, 4, 6)]
    assert kinds == ["applied", "duplicate", "duplicate", "applied"]
    assert opened.items[item_key("a")].policy.sku == "6"


def test_section_3_a_null_value_archives_and_a_higher_revision_brings_back() -> None:
    opened = world()
    kinds = [told(opened, entry) for entry in (ENTRY, None, None, ENTRY, ENTRY._replace(revision=6))]
    assert kinds == ["applied", "applied", "duplicate", "duplicate", "applied"]
    assert not opened.items[item_key("a")].policy.archived
    assert opened.catalog[item_key("a")].name == "Shirt"


@pytest.mark.parametrize("change", [{"track_inventory": False}, {"archived": True}])
def test_c53_becoming_untracked_or_archived_emits_one_change_to_ok_then_nothing(change: dict[str, bool]) -> None:
    opened = world()
    run(opened, restock(line("a", 5), ref="r"))
    assert told(opened, replace_entry(6, **change)) == "applied"
    assert told(opened, replace_entry(7, **change)) == "applied"
    assert alerts(opened) == [("ok", "low"), ("low", "ok")]
    assert told(opened, replace_entry(8)) == "applied"
    assert alerts(opened)[2:] == [("ok", "low")]


def replace_entry(revision: int, **change: Any) -> CatalogEntry:  # noqa: ANN401 - any field
    """The entry in another revision."""
    return ENTRY._replace(revision=revision, **change)


# ------------------------------------------------------------------ how long it lasts


@pytest.mark.parametrize(
    ("available", "sold", "age_days", "days"),
    [
        (30, 30, 30, 30.0),
        (30, 30, 300, 30.0),
        (10, 30, 3, 1.0),
        (10, 5, 0, 2.0),
        (10, 0, 30, None),
        (10, -3, 30, None),
        (-4, 30, 30, 0.0),
        (1, 8, 2, 0.2),
        (3, 8, 2, 0.8),
        (7, 3, 30, 70.0),
    ],
)
def test_c54_days_until_stockout(available: int, sold: int, age_days: int, days: float | None) -> None:
    assert days_until_stockout(available, sold, NOON - timedelta(days=age_days), NOON) == days


def test_an_item_without_rules_is_held_to_what_is_built_in() -> None:
    assert resolve(None, None, None, None, Settings()) == PLAIN
    assert replace(world(), recorded_at=NOON).recorded_at == NOON
