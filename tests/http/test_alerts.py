"""Contract section 7, alerts, and rule 10: what is low, with the threshold that makes it, and how it is dismissed."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from stock_worker.core.model import Record
from stock_worker.core.topics import PRODUCT_CHANGED, STOCK_ADJUSTMENT
from stock_worker.handle import Policy, handle_batch
from stock_worker.wire.decode import decode
from tests.http.own_site import own_site
from tests.http.running import OTHER, Api, product, token

OFFSETS = itertools.count()
RED = product(101)


@pytest.fixture
def api(served: Api) -> Api:
    """The API, and a site of which nothing is known."""
    return own_site(served)


async def send(api: Api, topic: str, key: str, fields: dict[str, Any], ago: timedelta = timedelta(0)) -> None:
    """Apply a message as the worker does, at some time ago."""
    value = json.dumps({"site_id": api.site_id, **fields}).encode()
    record = Record(topic, 0, next(OFFSETS), 1_772_366_400_000, key.encode(), value, ())
    clock = datetime.now(UTC) - ago if ago else None
    (done,) = await api.backend.steer(
        lambda connection: handle_batch(connection, [decode(record, topic)], Policy(), clock=clock)
    )
    assert done.kind.value == "applied", done


async def announce(api: Api, number: int, variant: str | None = None, **fields: object) -> None:
    """Announce a product or a variant."""
    key = f"{api.site_id}/{product(number)}/{variant or ''}"
    about = {"product_id": product(number), "variant_id": variant, "status": "active"}
    await send(api, PRODUCT_CHANGED, key, about | fields)


async def move(api: Api, number: int, type_: str, quantity: int, days_ago: float, **line: object) -> None:
    """Move stock of a product some days ago."""
    lines = [{"product_id": product(number), "quantity": quantity, **line}]
    command = {"reference_id": str(uuid4()), "type": type_, "lines": lines}
    await send(api, STOCK_ADJUSTMENT, "", command, timedelta(days=days_ago))


async def alerts(api: Api, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - parameters of any kind
    answer = await api.get("/alerts", bearer=api.token("viewer"), **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["alerts"]


async def numbers(api: Api, **query: Any) -> list[int]:  # noqa: ANN401 - parameters of any kind
    """Which products are in the list, by number."""
    names = {product(number): number for number in range(20)}
    return [names[each["product_id"]] for each in await alerts(api, **query)]


async def rule(api: Api, path: str, **given: object) -> None:
    assert (await api.ask("PATCH", f"/alert-rules/{path}", json=given)).status_code == 200


# ---------------------------------------------------------------- which, and in which order


STOCK = {1: 11, 2: 10, 3: 4, 4: 3, 5: 1, 6: 0}
"""Available of products 1 to 6: by 10, 3 and 0 the first is ok, two are low, two critical, one is out."""


async def fill(api: Api) -> None:
    for number, quantity in STOCK.items():
        await api.stock(number, quantity or 1)
    await move(api, 6, "damage", 1, 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [6, 5, 4, 3, 2]),
        ({"level": "all"}, [6, 5, 4, 3, 2]),
        ({"level": "out"}, [6]),
        ({"level": "critical"}, [5, 4]),
        ({"level": "low"}, [3, 2]),
    ],
)
async def test_levels_are_exact_and_the_worst_comes_first(api: Api, query: dict, found: list[int]) -> None:
    await fill(api)
    assert await numbers(api, **query) == found
    total = (await api.get("/alerts", **query)).json()["pagination"]
    assert total == {"page": 1, "limit": 50, "total": len(found), "total_pages": 1}


async def test_pages_join_to_the_whole(api: Api) -> None:
    await fill(api)
    pages = [(await api.get("/alerts", page=page, limit=2)).json() for page in (1, 2, 3, 4)]
    assert [each["current_stock"] for page in pages for each in page["alerts"]] == [0, 1, 3, 4, 10]
    assert {(page["pagination"]["total"], page["pagination"]["total_pages"]) for page in pages} == {(5, 3)}
    assert pages[3]["alerts"] == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"search": "muG"}, [6, 4]),
        ({"search": "s-3"}, [3]),
        ({"search": "mug", "level": "out"}, [6]),
        ({"category_id": "cups"}, [6, 4, 3]),
        ({"category_id": "cups", "search": "mug"}, [6, 4]),
        ({"category_id": "cup"}, []),
        ({"search": "mug", "dismissed": "true"}, []),
    ],
    ids=lambda value: "&".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
async def test_name_sku_and_category_narrow_the_list(api: Api, query: dict, found: list[int]) -> None:
    await fill(api)
    for number, name in ((3, "Plate"), (4, "Mug"), (6, "Blue mug")):
        await announce(api, number, name=name, sku=f"s-{number}", category_id="cups", category_name="Cups", revision=1)
    assert await numbers(api, **query) == found
    assert (await api.get("/alerts", **query)).json()["pagination"]["total"] == len(found)


async def test_what_is_ok_untracked_archived_or_never_moved_is_not_here(api: Api) -> None:
    await fill(api)
    await announce(api, 3, name="Plate", track_inventory=False, revision=1)
    await announce(api, 7, name="Never moved", revision=1)
    await announce(api, 4, name="Cup", status="archived", revision=1)
    assert await numbers(api) == [6, 5, 2]
    await announce(api, 3, name="Plate", track_inventory=True, revision=2)
    assert await numbers(api) == [6, 5, 3, 2]


async def test_a_rule_that_is_not_active_hides_no_level(api: Api) -> None:
    await rule(api, "site", is_active=False)
    await api.stock(1, 5)
    (alert,) = await alerts(api)
    assert (alert["alert_level"], alert["last_alerted_at"]) == ("low", None), "it shows, and nobody was told"


# ---------------------------------------------------------------- what is told


async def test_an_alert_tells_what_the_catalog_and_the_books_say(api: Api) -> None:
    about = {"name": "Mug", "variant_name": "Red", "sku": "M-1", "image_url": "https://shop.test/mug.png"}
    about |= {"category_id": "c", "category_name": "Cups"}
    await rule(api, "site", reorder_quantity=24)
    await announce(api, 1, RED, revision=1, **about)
    await api.stock(1, 5, variant_id=RED)
    hold = {"type": "reserved", "lines": [{"product_id": product(1), "variant_id": RED, "quantity": 2}]}
    held = (await api.write("/adjustments", hold)).json()["rows"][0]
    (alert,) = await alerts(api)
    assert alert == {
        "alert_id": alert["alert_id"],
        "product_id": product(1),
        "variant_id": RED,
        "product_name": "Mug",
        "variant_name": "Red",
        "sku": "M-1",
        "category_id": "c",
        "category_name": "Cups",
        "current_stock": 3,
        "alert_level": "critical",
        "threshold": 3,
        "threshold_source": "built-in",
        "reorder_quantity": 24,
        "image_url": "https://shop.test/mug.png",
        "last_movement_at": held["recorded_at"],
        "last_alerted_at": held["recorded_at"],
        "dismissed_at": None,
        "dismissed_by": None,
        "days_until_stockout": None,
    }


@pytest.mark.parametrize(
    ("available", "level", "field", "built_in"),
    [(5, "low", "low", 10), (2, "critical", "critical", 3), (0, "out", "out_of", 0)],
)
async def test_the_threshold_is_of_the_nearest_that_says_it(
    api: Api, available: int, level: str, field: str, built_in: int
) -> None:
    """Of four nearer and nearer sources each is asked in turn; none changes the level, so no item has to move."""
    name = f"{field}_stock_threshold"
    setting = {"low": "default_low_threshold", "critical": "default_critical_threshold"}.get(field)

    async def threshold() -> tuple[int, str]:
        (alert,) = await alerts(api)
        assert (alert["alert_level"], alert["current_stock"]) == (level, available)
        return alert["threshold"], alert["threshold_source"]

    await api.stock(1, 20, variant_id=RED)
    take = {"type": "damage", "lines": [{"product_id": product(1), "variant_id": RED, "quantity": 20 - available}]}
    await api.write("/adjustments", take)
    assert await threshold() == (built_in, "built-in")
    await api.ask("PATCH", "/settings", json={setting or "default_out_threshold": built_in + 1})
    assert await threshold() == (built_in + 1, "settings")
    await rule(api, "site", **{name: built_in + 2})
    assert await threshold() == (built_in + 2, "site")
    await rule(api, f"products/{product(1)}", **{name: built_in + 3})
    assert await threshold() == (built_in + 3, "product")
    await rule(api, f"products/{product(1)}/variants/{RED}", **{name: built_in + 4})
    await rule(api, f"products/{product(2)}", **{name: 99})
    await rule(api, f"products/{product(1)}/variants/{product(102)}", **{name: 98})
    assert await threshold() == (built_in + 4, "variant")


@pytest.mark.parametrize(
    ("history", "days"),
    [
        pytest.param([("restock", 9, 40.0)], None, id="no sales"),
        pytest.param([("restock", 100, 40.0), ("sale", 95, 31.0)], None, id="none within 30 days"),
        pytest.param(
            [("restock", 100, 40.0), ("sale", 31, 35.0), ("sale", 40, 20.0), ("sale", 20, 1.0)], 4.5,
            id="9 left, 60 in 30 days: 2 a day"),
        pytest.param([("restock", 16, 2.0), ("sale", 8, 1.0)], 2.0, id="8 left, 8 in the 2 days of its life"),
        pytest.param([("restock", 9, 0.1), ("sale", 5, 0.05)], 0.8, id="4 left, 5 in its first day"),
        pytest.param(
            [("restock", 100, 40.0), ("sale", 95, 20.0), ("return", 2, 10.0)], 2.3,
            id="7 left, 93 net of what came back: 3.1 a day"),
        pytest.param([("restock", 9, 3.0), ("sale", 9, 1.0)], 0.0, id="nothing left"),
    ],
)  # fmt: skip
async def test_days_until_stockout(api: Api, history: list[tuple[str, int, float]], days: float | None) -> None:
    for type_, quantity, days_ago in history:
        await move(api, 1, type_, quantity, days_ago)
    (alert,) = await alerts(api)
    assert alert["days_until_stockout"] == days


# ---------------------------------------------------------------- dismissal


async def dismiss(api: Api, alert_id: str, bearer: str | None = "") -> httpx.Response:
    return await api.ask("POST", f"/alerts/{alert_id}/dismissal", bearer=bearer)


async def test_dismissing_hides_one_stay_and_the_first_who_did_stays(api: Api) -> None:
    await fill(api)
    (out,) = await alerts(api, level="out")
    first = (await dismiss(api, out["alert_id"])).json()
    assert (first["alert_id"], first["dismissed_by"]) == (out["alert_id"], "Ada")
    bob = token("org_admin", (api.site_id,), name="Bob")
    assert (await dismiss(api, out["alert_id"].upper(), bearer=bob)).json() == first
    assert await numbers(api) == await numbers(api, dismissed="false") == [5, 4, 3, 2]
    assert await numbers(api, dismissed="all") == [6, 5, 4, 3, 2]
    (hidden,) = await alerts(api, dismissed="true")
    assert hidden == out | {"dismissed_at": first["dismissed_at"], "dismissed_by": "Ada"}
    assert (await api.get("/alerts")).json()["pagination"]["total"] == 4
    await api.stock(6, 50)
    await move(api, 6, "damage", 50, 0)
    (again,) = await alerts(api, level="out")
    assert again["alert_id"] != out["alert_id"], "the next stay is another alert"


async def test_a_stay_that_is_over_is_a_conflict(api: Api) -> None:
    await api.stock(1, 5)
    (low,) = await alerts(api)
    await move(api, 1, "damage", 4, 0)
    answer = await dismiss(api, low["alert_id"])
    assert (answer.status_code, answer.json()["code"], answer.json()["why"]) == (409, "conflict", "stale")
    assert await numbers(api, dismissed="true") == []


@pytest.mark.parametrize(("alert_id", "status"), [(OTHER, 404), ("1", 422), ("%00", 422)])
async def test_what_is_no_alert(api: Api, alert_id: str, status: int) -> None:
    assert (await dismiss(api, alert_id)).status_code == status


async def test_an_alert_of_another_site_is_not_found_and_not_seen(api: Api) -> None:
    other = own_site(api)
    await other.stock(1, 5)
    (theirs,) = await alerts(other)
    both = token("org_admin", (api.site_id, other.site_id))
    assert (await dismiss(api, theirs["alert_id"], bearer=both)).status_code == 404
    assert (await api.get("/alerts", bearer=both)).json()["alerts"] == []
    assert await numbers(other) == [1]


async def test_a_long_name_is_cut(api: Api) -> None:
    await api.stock(1, 5)
    (low,) = await alerts(api)
    answer = await dismiss(api, low["alert_id"], bearer=token("org_admin", (api.site_id,), name="x" * 2_000))
    assert answer.json()["dismissed_by"] == "x" * 500


# ---------------------------------------------------------------- who may, and what is asked wrongly


@pytest.mark.parametrize(
    "query",
    [{"level": "ok"}, {"level": "LOW"}, {"dismissed": "maybe"}, {"page": 0}, {"limit": 0}, {"limit": 201},
     {"page": "\x00"}, {"level": "\x00"}, {"search": "mu"}, {"search": "mu\x00g"}],
)  # fmt: skip
async def test_a_query_that_does_not_fit_is_422(api: Api, query: dict) -> None:
    answer = await api.get("/alerts", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_who_may(api: Api) -> None:
    await api.stock(1, 5)
    (low,) = await alerts(api)
    stranger = token("org_admin", (str(uuid4()),))
    for bearer, reads, dismisses in (
        (None, 401, 401),
        (stranger, 403, 403),
        (api.token("viewer"), 200, 403),
        (api.token("org_admin"), 200, 200),
        (token("platform_admin", ()), 200, 200),
    ):
        assert (await api.get("/alerts", bearer=bearer)).status_code == reads
        assert (await dismiss(api, low["alert_id"], bearer=bearer)).status_code == dismisses
