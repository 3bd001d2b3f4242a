"""Contract section 7, alert rules: own values, what holds and who says so; rule 10: items are evaluated again."""

import asyncio
from typing import Any

import pytest

from tests.http.own_site import own_site
from tests.http.running import Api, product, token

MUG, RED = product(1), product(101)
PATHS = {
    "site": "/alert-rules/site",
    "product": f"/alert-rules/products/{MUG}",
    "variant": f"/alert-rules/products/{MUG}/variants/{RED}",
}
BUILT_IN = {
    "low_stock_threshold": 10,
    "critical_stock_threshold": 3,
    "out_of_stock_threshold": 0,
    "backorder_limit": 0,
    "reorder_point": None,
    "reorder_quantity": None,
    "is_active": True,
    "notify_email": True,
    "notify_dashboard": True,
    "notify_webhook": False,
}
NOTHING = dict.fromkeys(BUILT_IN)
FIT = {
    "low_stock_threshold": 20,
    "critical_stock_threshold": -(10**15),
    "out_of_stock_threshold": 10**15,
    "backorder_limit": -2,
    "reorder_point": 0,
    "reorder_quantity": 1,
    "is_active": False,
    "notify_email": False,
    "notify_dashboard": False,
    "notify_webhook": True,
}
UNFIT = {
    "low_stock_threshold": 2.5,
    "critical_stock_threshold": -(10**15) - 1,
    "out_of_stock_threshold": "0",
    "backorder_limit": True,
    "reorder_point": -1,
    "reorder_quantity": 0,
    "is_active": 1,
    "notify_email": "true",
    "notify_dashboard": [],
    "notify_webhook": {},
}


@pytest.fixture
def api(served: Api) -> Api:
    """The API, and a site of which nothing is known."""
    return own_site(served)


async def get(api: Api, scope: str) -> dict[str, Any]:
    answer = await api.get(PATHS[scope], bearer=api.token("viewer"))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def patch(api: Api, scope: str, **given: object) -> dict[str, Any]:
    answer = await api.ask("PATCH", PATHS[scope], json=given)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def jobs(api: Api) -> list[tuple]:
    """What waits to be evaluated again: product, variant, and whether the backorder limit changed."""
    async with api.backend.reading([api.site_id]) as connection:
        rows = await connection.fetch(
            "SELECT product_id, variant_id, limit_changed FROM stock.reevaluations WHERE site_id = $1 ORDER BY job_id",
            api.site_id,
        )
    return [(row[0] and str(row[0]), row[1] and str(row[1]), row[2]) for row in rows]


@pytest.mark.parametrize("scope", PATHS)
async def test_without_a_rule_the_built_in_values_hold(api: Api, scope: str) -> None:
    told = await get(api, scope)
    assert (told["rule"], told["updated_at"]) == (None, None)
    assert told["effective"] == {name: {"value": value, "source": "built-in"} for name, value in BUILT_IN.items()}
    assert told["site_id"] == api.site_id
    assert told["product_id"] == (None if scope == "site" else MUG)
    assert told["variant_id"] == (RED if scope == "variant" else None)


@pytest.mark.parametrize("scope", PATHS)
@pytest.mark.parametrize("name", BUILT_IN)
async def test_each_field_is_set_alone_and_null_inherits(api: Api, scope: str, name: str) -> None:
    told = await patch(api, scope, **{name: FIT[name]})
    assert told["rule"] == NOTHING | {name: FIT[name]}
    assert told["effective"][name] == {"value": FIT[name], "source": scope}
    assert await patch(api, scope) == told == await get(api, scope), "what is absent stays"
    cleared = await patch(api, scope, **{name: None})
    assert cleared["rule"] == NOTHING
    assert cleared["effective"][name] == {"value": BUILT_IN[name], "source": "built-in"}


@pytest.mark.parametrize("name", BUILT_IN)
async def test_what_does_not_fit_changes_nothing(api: Api, name: str) -> None:
    others = {other: value for other, value in FIT.items() if other != name}
    answer = await api.ask("PATCH", PATHS["product"], json={**others, name: UNFIT[name]})
    assert (answer.status_code, answer.json()["code"], name in answer.json()["detail"]) == (422, "malformed", True)
    assert (await get(api, "product"))["rule"] is None
    assert await jobs(api) == []


@pytest.mark.parametrize("body", [{"low_threshold": 5}, [], None, "five"])
async def test_a_body_that_is_no_rule_is_422(api: Api, body: object) -> None:
    answer = await api.ask("PATCH", PATHS["site"], json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_each_field_comes_from_the_nearest_that_says_it(api: Api) -> None:
    settings = {"default_low_threshold": 50, "default_critical_threshold": 30, "default_out_threshold": 20}
    await api.ask("PATCH", "/settings", json=settings)
    await patch(api, "site", critical_stock_threshold=6, backorder_limit=7)
    await patch(api, "product", backorder_limit=8, reorder_point=9)
    told = (await patch(api, "variant", reorder_point=11))["effective"]
    assert {name: (each["value"], each["source"]) for name, each in told.items()} == {
        "low_stock_threshold": (50, "settings"),
        "critical_stock_threshold": (6, "site"),
        "out_of_stock_threshold": (20, "settings"),
        "backorder_limit": (8, "product"),
        "reorder_point": (11, "variant"),
        "reorder_quantity": (None, "built-in"),
        "is_active": (True, "built-in"),
        "notify_email": (True, "built-in"),
        "notify_dashboard": (True, "built-in"),
        "notify_webhook": (False, "built-in"),
    }


@pytest.mark.parametrize(
    ("scope", "given", "left"),
    [
        ("site", {"low_stock_threshold": 5}, [(None, None, False)]),
        ("product", {"critical_stock_threshold": 5}, [(MUG, None, False)]),
        ("variant", {"is_active": False}, [(MUG, RED, False)]),
        ("product", {"backorder_limit": 5}, [(MUG, None, True)]),
        ("product", {"reorder_point": 5, "notify_email": False}, []),
    ],
)
async def test_a_change_that_may_change_a_level_leaves_a_job(
    api: Api, scope: str, given: dict, left: list[tuple]
) -> None:
    await patch(api, scope, **given)
    await patch(api, scope, **given)
    assert await jobs(api) == left


@pytest.mark.parametrize("scope", PATHS)
async def test_a_rule_that_is_removed_inherits_everything(api: Api, scope: str) -> None:
    await patch(api, scope, low_stock_threshold=5)
    answer = await api.ask("DELETE", PATHS[scope])
    assert answer.status_code == 200
    assert answer.json() == await get(api, scope)
    assert (answer.json()["rule"], len(await jobs(api))) == (None, 2)
    again = await api.ask("DELETE", PATHS[scope])
    assert (again.status_code, again.json()["code"]) == (404, "not_found")


async def test_all_rules_are_listed_by_product_and_variant_the_sites_last(api: Api) -> None:
    others = sorted(product(number) for number in range(2, 6))
    for other in others:
        await api.ask("PATCH", f"/alert-rules/products/{other}", json={"low_stock_threshold": 5})
    for scope in PATHS:
        await patch(api, scope, reorder_point=4)
    expected: list[tuple[str | None, str | None]] = []
    expected += sorted(
        [*((other, None) for other in others), (MUG, None), (MUG, RED)], key=lambda k: (k[0], k[1] is None)
    )
    expected.append((None, None))
    pages = [(await api.get("/alert-rules", page=page, limit=3)).json() for page in (1, 2, 3, 4)]
    assert [page["pagination"] for page in pages] == [
        {"page": page, "limit": 3, "total": 7, "total_pages": 3} for page in (1, 2, 3, 4)
    ]
    listed = [(rule["product_id"], rule["variant_id"]) for page in pages for rule in page["rules"]]
    assert listed == expected
    assert pages[2]["rules"][-1]["rule"] == NOTHING | {"reorder_point": 4}
    of_mug = (await api.get("/alert-rules", product_id=MUG)).json()
    assert [rule["variant_id"] for rule in of_mug["rules"]] == [RED, None]
    assert of_mug["pagination"]["total"] == 2


@pytest.mark.parametrize("query", [{"page": 0}, {"limit": 201}, {"limit": "x"}, {"product_id": "x"}, {"page": 10**30}])
async def test_a_query_that_does_not_fit_is_422(api: Api, query: dict) -> None:
    assert (await api.get("/alert-rules", **query)).status_code == 422


async def test_two_that_change_different_fields_at_once_lose_nothing(api: Api) -> None:
    await asyncio.gather(*(patch(api, "product", **{name: value}) for name, value in FIT.items()))
    assert (await get(api, "product"))["rule"] == FIT


@pytest.mark.parametrize("scope", PATHS)
async def test_who_may(api: Api, scope: str) -> None:
    stranger = token("org_admin", (own_site(api).site_id,))
    for bearer, reads, changes in (
        (None, 401, 401),
        (stranger, 403, 403),
        (api.token("viewer"), 200, 403),
        (api.token("org_admin"), 200, 200),
        (token("platform_admin", ()), 200, 200),
    ):
        assert (await api.get(PATHS[scope], bearer=bearer)).status_code == reads
        assert (await api.get("/alert-rules", bearer=bearer)).status_code == reads
        assert (await api.ask("PATCH", PATHS[scope], bearer=bearer, json={})).status_code == changes
        deleted = (await api.ask("DELETE", PATHS[scope], bearer=bearer)).status_code
        assert deleted == (404 if changes == 200 else changes)


async def test_a_rule_of_one_site_is_no_other_sites(api: Api) -> None:
    other = own_site(api)
    await patch(other, "product", low_stock_threshold=5)
    both = token("viewer", (api.site_id, other.site_id))
    assert (await api.get(PATHS["product"], bearer=both)).json()["rule"] is None
    assert (await api.get("/alert-rules", bearer=both)).json()["rules"] == []
