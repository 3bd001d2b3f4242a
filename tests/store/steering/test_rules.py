"""Alert rules (contract rule 10, section 7): what inherits, what a change leaves behind, and what is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_worker.core.policy import Rule, Settings, resolve
from stock_worker.store.steering import rules
from stock_worker.store.steering import settings as site_settings
from stock_worker.store.steering.refused import Refused, Why
from stock_worker.store.steering.rules import Scope, ScopeRule
from tests.store.records import product
from tests.store.steering.conftest import Site

LIMIT = 10**15
WORDS = ("site", "product", "variant")


def scope(site: Site, word: str) -> Scope:
    """The scope of the site, of product a, or of its variant v."""
    return Scope(site.site_id, *[product("a"), product("v")][: WORDS.index(word)])


async def set_(site: Site, word: str, **given: object) -> ScopeRule:
    """Change a rule."""
    changed = await rules.change(site.worker, scope(site, word), given)
    assert isinstance(changed, ScopeRule), changed
    return changed


async def left(site: Site) -> tuple[int | None, list[tuple[str | None, str | None, bool]]]:
    """The site's stamp, and the jobs that wait: (product, variant, whether the limit changed)."""
    stamp = await site.ask("SELECT stamp FROM stock.site_settings WHERE site_id = $1")
    jobs = await site.worker.fetch(
        "SELECT product_id::text, variant_id::text, limit_changed FROM stock.reevaluations WHERE site_id = $1 "
        "ORDER BY job_id",
        site.site_id,
    )
    return stamp, [tuple(job) for job in jobs]


# ---------------------------------------------------------------- reading


async def test_rule_10_where_nothing_is_said_what_is_built_in_holds(site: Site) -> None:
    found = await rules.read(site.worker, scope(site, "variant"))
    assert (found.rule, found.updated_at) == (None, None)
    assert {name: (*each,) for name, each in found.effective.items()} == {
        "low_stock_threshold": (10, "built-in"),
        "critical_stock_threshold": (3, "built-in"),
        "out_of_stock_threshold": (0, "built-in"),
        "backorder_limit": (0, "built-in"),
        "reorder_point": (None, "built-in"),
        "reorder_quantity": (None, "built-in"),
        "is_active": (True, "built-in"),
        "notify_email": (True, "built-in"),
        "notify_dashboard": (True, "built-in"),
        "notify_webhook": (False, "built-in"),
    }


async def test_rule_10_each_field_is_inherited_on_its_own_and_says_from_where(site: Site) -> None:
    await site_settings.change(site.worker, site.site_id, {"low_stock_threshold": 40, "out_of_stock_threshold": 1})
    await set_(site, "site", low_stock_threshold=30, critical_stock_threshold=20, backorder_limit=7)
    await set_(site, "product", critical_stock_threshold=15, is_active=False)
    found = await set_(site, "variant", backorder_limit=-2, notify_webhook=True)
    assert found == await rules.read(site.worker, scope(site, "variant"))
    assert found.rule == Rule(backorder_limit=-2, notify_webhook=True)
    assert found.effective == {
        "low_stock_threshold": (30, "site"),
        "critical_stock_threshold": (15, "product"),
        "out_of_stock_threshold": (1, "settings"),
        "backorder_limit": (-2, "variant"),
        "reorder_point": (None, "built-in"),
        "reorder_quantity": (None, "built-in"),
        "is_active": (False, "product"),
        "notify_email": (True, "built-in"),
        "notify_dashboard": (True, "built-in"),
        "notify_webhook": (True, "variant"),
    }
    of_the_site = (await rules.read(site.worker, scope(site, "site"))).effective
    assert of_the_site["critical_stock_threshold"] == (20, "site")
    assert [each for each, _ in await rules.list_rules(site.worker, site.site_id)] == [
        scope(site, word) for word in ("variant", "product", "site")
    ]


RULE = st.none() | st.builds(
    Rule,
    *[st.none() | st.integers(-5, 50) for _ in range(4)],
    st.none() | st.integers(0, 50),
    st.none() | st.integers(1, 50),
    *[st.none() | st.booleans() for _ in range(4)],
)
SETTINGS = st.tuples(*[st.none() | st.integers(-5, 50) for _ in range(3)]).map(
    lambda said: Settings(said[0], said[1], said[2], webhook_enabled=True)
)


@settings(max_examples=200)
@given(RULE, RULE, RULE, SETTINGS)
def test_rule_10_what_is_shown_is_what_items_are_held_to(
    variant: Rule | None, of_product: Rule | None, site: Rule | None, said: Settings
) -> None:
    shown = rules.effective([("variant", variant), ("product", of_product), ("site", site)], said)
    held = resolve(None, variant, of_product, site, said)
    assert [shown[f"{name}_threshold"].value for name in ("low_stock", "critical_stock", "out_of_stock")] == [
        *held.thresholds
    ]
    sources = [shown[f"{name}_threshold"].source for name in ("low_stock", "critical_stock", "out_of_stock")]
    assert ["default" if each in {"settings", "built-in"} else each for each in sources] == [*held.scopes]
    assert shown["backorder_limit"].value == held.backorder_limit
    assert (shown["reorder_point"].value, shown["reorder_quantity"].value) == (
        held.reorder_point,
        held.reorder_quantity,
    )
    assert shown["is_active"].value == held.is_active
    told = held.notify["email"]["enabled"], held.notify["dashboard"], held.notify["webhook"]["enabled"]
    assert tuple(shown[f"notify_{name}"].value for name in ("email", "dashboard", "webhook")) == told


# ---------------------------------------------------------------- changing


async def test_7_what_is_absent_stays_and_null_inherits_again(site: Site) -> None:
    await set_(site, "product", low_stock_threshold=5, critical_stock_threshold=2)
    changed = await set_(site, "product", critical_stock_threshold=None, notify_email=False)
    assert changed.rule == Rule(low_stock_threshold=5, notify_email=False)
    assert changed.effective["critical_stock_threshold"] == (3, "built-in")


EXTREMES = [
    *((name, value) for name in list(rules.FIELDS)[:4] for value in (-LIMIT, LIMIT)),
    *(("reorder_point", value) for value in (0, LIMIT)),
    *(("reorder_quantity", value) for value in (1, LIMIT)),
]


async def test_7_a_number_goes_to_its_bounds(site: Site) -> None:
    for name, value in EXTREMES:
        assert (await set_(site, "site", **{name: value})).effective[name] == (value, "site")


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"threshold": 5}, "threshold is no field of an alert rule; one of: low_stock_threshold, "),
    *(
        ({name: value}, f"{name} must be an integer from -1000000000000000 to 1000000000000000")
        for name in list(rules.FIELDS)[:4]
        for value in (LIMIT + 1, -LIMIT - 1, 2**63)
    ),
    ({"low_stock_threshold": "5"}, "low_stock_threshold must be an integer from "),
    ({"low_stock_threshold": True}, "low_stock_threshold must be an integer from "),
    ({"reorder_point": -1}, "reorder_point must be an integer from 0 to 1000000000000000"),
    ({"reorder_quantity": 0}, "reorder_quantity must be an integer from 1 to 1000000000000000"),
    ({"is_active": 1}, "is_active must be true or false"),
    ({"notify_email": "false"}, "notify_email must be true or false"),
]


@pytest.mark.parametrize(("given", "words"), MALFORMED)
async def test_7_a_malformed_field_is_refused_and_changes_nothing(
    site: Site, given: dict[str, Any], words: str
) -> None:
    await set_(site, "product", low_stock_threshold=5)
    before = await site.state()
    refused = await rules.change(site.worker, scope(site, "product"), {"is_active": False, **given})
    assert isinstance(refused, Refused)
    assert (refused.why, refused.message[: len(words)]) == (Why.MALFORMED, words)
    assert await site.state() == before


async def test_7_a_variant_is_one_of_a_product(site: Site) -> None:
    alone = await rules.change(site.worker, Scope(site.site_id, None, product("v")), {"is_active": True})
    assert alone == Refused(Why.MALFORMED, "product_id is missing: a variant is one of a product")


# ---------------------------------------------------------------- what a change leaves behind

LEAVES: list[tuple[dict[str, Any], list[bool]]] = [
    ({"low_stock_threshold": 5}, [False]),
    ({"critical_stock_threshold": 5}, [False]),
    ({"out_of_stock_threshold": 5}, [False]),
    ({"is_active": False}, [False]),
    ({"backorder_limit": 5}, [True]),
    ({"backorder_limit": 5, "low_stock_threshold": 5}, [True]),
    ({"reorder_point": 5}, []),
    ({"reorder_quantity": 5}, []),
    ({"notify_email": False}, []),
    ({"notify_dashboard": False}, []),
    ({"notify_webhook": True}, []),
]


def test_every_field_of_a_rule_has_its_row() -> None:
    assert {name for given_, _ in LEAVES for name in given_} == set(rules.FIELDS) == set(Rule._fields)


@pytest.mark.parametrize(("given_", "jobs"), LEAVES)
@pytest.mark.parametrize("word", WORDS)
async def test_rule_10_a_change_leaves_a_stamp_and_a_job_where_it_decides_levels(
    site: Site, word: str, given_: dict[str, Any], jobs: list[bool]
) -> None:
    ids = scope(site, word)[1:]
    await set_(site, word, **given_)
    assert await left(site) == (1, [(*ids, limit_changed) for limit_changed in jobs])
    await set_(site, word, **given_)
    assert await left(site) == (1, [(*ids, limit_changed) for limit_changed in jobs]), "nothing changed"
    await set_(site, word, **dict.fromkeys(given_))
    assert await left(site) == (2, [(*ids, limit_changed) for limit_changed in jobs * 2])


@pytest.mark.parametrize(("given_", "jobs"), LEAVES)
async def test_rule_10_removing_a_rule_leaves_what_clearing_its_fields_would(
    site: Site, given_: dict[str, Any], jobs: list[bool]
) -> None:
    await set_(site, "product", **given_)
    assert await rules.delete(site.worker, scope(site, "product")) is None
    assert await left(site) == (2, [(product("a"), None, limit_changed) for limit_changed in jobs * 2])
    assert (await rules.read(site.worker, scope(site, "product"))).rule is None
    again = await rules.delete(site.worker, scope(site, "product"))
    assert again == Refused(Why.NOT_FOUND, "the product has no rule of its own")
    assert (await left(site))[0] == 2


@pytest.mark.parametrize("word", WORDS)
async def test_7_only_the_scope_that_is_named_is_removed(site: Site, word: str) -> None:
    for each in WORDS:
        await set_(site, each, low_stock_threshold=5)
    await rules.delete(site.worker, scope(site, word))
    assert {each for each, _ in await rules.list_rules(site.worker, site.site_id)} == {
        scope(site, each) for each in WORDS if each != word
    }
