"""Contract section 7, who may: every route by role and site, and row level security as the second wall."""

from typing import Final

import pytest

from stock_worker.http.app import BASE, create_app
from stock_worker.metrics import Metrics
from tests.http.routes import SITED, RouteOf, routes_of
from tests.http.running import OTHER, SITE, Api, product, serving, token

NO_KAFKA: Final = 503
"""What the stream says to one who may listen: there is none here."""
READS, WRITES, OPERATES, ANYBODY = "reads", "writes", "operates", "anybody"

NEEDS: Final = {
    "DELETE /sites/{site}/alert-rules/products/{product_id}": WRITES,
    "DELETE /sites/{site}/alert-rules/products/{product_id}/variants/{variant_id}": WRITES,
    "DELETE /sites/{site}/alert-rules/site": WRITES,
    "DELETE /sites/{site}/locations/{location_id}": WRITES,
    "GET /dead-letters": OPERATES,
    "GET /dead-letters/{topic}/{partition}/{offset}/{timestamp_ms}": OPERATES,
    "GET /docs": ANYBODY,
    "GET /docs/{part}": ANYBODY,
    "GET /openapi.json": ANYBODY,
    "GET /sites/{site}/alert-rules": READS,
    "GET /sites/{site}/alert-rules/products/{product_id}": READS,
    "GET /sites/{site}/alert-rules/products/{product_id}/variants/{variant_id}": READS,
    "GET /sites/{site}/alert-rules/site": READS,
    "GET /sites/{site}/alerts": READS,
    "GET /sites/{site}/dead-letters": READS,
    "GET /sites/{site}/dead-letters/{topic}/{partition}/{offset}/{timestamp_ms}": READS,
    "GET /sites/{site}/items": READS,
    "GET /sites/{site}/items/{product_id}/explain": READS,
    "GET /sites/{site}/items/{product_id}/{variant_id}/explain": READS,
    "GET /sites/{site}/items/{product}": READS,
    "GET /sites/{site}/items/{product}/{variant}": READS,
    "GET /sites/{site}/locations": READS,
    "GET /sites/{site}/locations/{location_id}": READS,
    "GET /sites/{site}/movements": READS,
    "GET /sites/{site}/orders/{order_id:path}": READS,
    "GET /sites/{site}/parked": READS,
    "GET /sites/{site}/references/{reference_type}/{reference_id:path}": READS,
    "GET /sites/{site}/reports/inventory": READS,
    "GET /sites/{site}/reports/low-stock": READS,
    "GET /sites/{site}/reports/movements": READS,
    "GET /sites/{site}/reports/out-of-stock": READS,
    "GET /sites/{site}/reports/reorder": READS,
    "GET /sites/{site}/reports/valuation": READS,
    "GET /sites/{site}/reservations": READS,
    "GET /sites/{site}/settings": READS,
    "GET /sites/{site}/stream": READS,
    "PATCH /sites/{site}/alert-rules/products/{product_id}": WRITES,
    "PATCH /sites/{site}/alert-rules/products/{product_id}/variants/{variant_id}": WRITES,
    "PATCH /sites/{site}/alert-rules/site": WRITES,
    "PATCH /sites/{site}/items/{product_id}/locations/{location_id}": WRITES,
    "PATCH /sites/{site}/items/{product_id}/{variant_id}/locations/{location_id}": WRITES,
    "PATCH /sites/{site}/locations/{location_id}": WRITES,
    "PATCH /sites/{site}/settings": WRITES,
    "POST /dead-letters/{topic}/{partition}/{offset}/{timestamp_ms}/discard": OPERATES,
    "POST /dead-letters/{topic}/{partition}/{offset}/{timestamp_ms}/replay": OPERATES,
    "POST /sites/{site}/adjustments": WRITES,
    "POST /sites/{site}/adjustments/bulk": WRITES,
    "POST /sites/{site}/alerts/{alert_id}/dismissal": WRITES,
    "POST /sites/{site}/availability": READS,
    "POST /sites/{site}/counts": WRITES,
    "POST /sites/{site}/dead-letters/{topic}/{partition}/{offset}/{timestamp_ms}/discard": WRITES,
    "POST /sites/{site}/dead-letters/{topic}/{partition}/{offset}/{timestamp_ms}/replay": WRITES,
    "POST /sites/{site}/locations": WRITES,
    "POST /sites/{site}/locations/{location_id}/restoration": WRITES,
    "POST /sites/{site}/restocks": WRITES,
    "POST /sites/{site}/transfers": WRITES,
}
"""What each route asks for. A route that is not here fails the test: somebody has to say who may."""

BEARERS: Final = {
    "nobody": None,
    "nonsense": "nonsense",
    "viewer": token("viewer"),
    "org_admin": token("org_admin"),
    "org_admin without a site": token("org_admin", ()),
    "platform_admin": token("platform_admin", ()),
}


def expected(needs: str, who: str, *, own: bool) -> int | None:
    """Whether it is refused, and how; None where it is let in, whatever comes then."""
    if needs == ANYBODY:
        return None
    if BEARERS[who] in {None, "nonsense"}:
        return 401
    if who == "platform_admin":
        return None
    if needs == OPERATES or not own or who == "org_admin without a site":
        return 403
    return 403 if needs == WRITES and who == "viewer" else None


def of_the_api(api: Api) -> list[RouteOf]:
    """The API's routes. Whatever is none of them is the page's, which has a table of its own in tests/admin."""
    routes = routes_of(create_app(api.backend, Metrics()))
    assert all(route.template.startswith((f"{BASE}/", "/admin")) for route in routes), "who says who may?"
    return [route for route in routes if route.template.startswith(f"{BASE}/")]


async def test_every_route_has_its_row_and_every_row_its_route(api: Api) -> None:
    assert {str(route) for route in of_the_api(api)} == set(NEEDS)


async def test_every_route_by_role_and_site(module_database: str) -> None:
    async with serving(module_database) as api:
        wrong = []
        for route in of_the_api(api):
            for who, bearer in BEARERS.items():
                for site in (SITE, OTHER) if route.template.startswith(SITED) else (SITE,):
                    needs = NEEDS.get(str(route), "nobody said what")
                    wanted = expected(needs, who, own=site == SITE)
                    status = await _status(api, route, bearer, site)
                    refused = status if status in {401, 403} else None
                    if refused != wanted or (status >= 500 and status != NO_KAFKA):
                        wrong.append((str(route), who, "own" if site == SITE else "other", status, wanted))
        assert not wrong, "\n".join(map(str, wrong))


async def _status(api: Api, route: RouteOf, bearer: str | None, site: str) -> int:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    async with api.client.stream(
        route.method,
        f"http://stock.test{route.path(site)}",
        headers=headers | {"Idempotency-Key": "k"},
        json={} if route.method in {"POST", "PATCH", "PUT"} else None,
    ) as answer:
        return answer.status_code


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
async def test_another_scheme_is_no_token(api: Api, scheme: str) -> None:
    answer = await api.ask(
        "POST",
        "/restocks",
        bearer=None,
        headers={"Authorization": f"{scheme} {token()}".strip(), "Idempotency-Key": "k"},
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_another_ones_site_is_forbidden_whether_there_is_such_a_site_or_not(api: Api) -> None:
    there = {"lines": [{"product_id": product(1), "quantity": 1}]}
    await api.write("/restocks", there, site=OTHER, bearer=token("platform_admin", ()))
    answers = [await api.write("/restocks", there, site=site) for site in (OTHER, product(99))]
    assert {answer.status_code for answer in answers} == {403}
    assert answers[0].json() == answers[1].json()


async def test_who_may_not_is_told_so_before_what_is_wrong_with_the_request(api: Api) -> None:
    for bearer, status in ((None, 401), (token("viewer"), 403)):
        answer = await api.ask("POST", "/restocks", bearer=bearer, content=b"no json")
        assert answer.status_code == status


# ---------------------------------------------------------------- the second wall


async def test_a_reader_sees_the_sites_it_was_told_in_every_table_and_the_next_one_only_its_own(api: Api) -> None:
    """The policies of each table are tested in tests/store/test_guards.py; here, that requests come under them."""
    await api.stock(quantity=3)
    await api.write(
        "/restocks",
        {"lines": [{"product_id": product(1), "quantity": 4}]},
        site=OTHER,
        bearer=token("platform_admin", ()),
    )
    for sites, seen in (([SITE], [3]), ([], []), ([OTHER], [4]), ([SITE, OTHER], [3, 4]), ([product(9)], [])):
        async with api.backend.reading(sites) as connection:
            for statement in (
                "SELECT on_hand FROM stock.items ORDER BY 1",
                "SELECT quantity FROM stock.movements ORDER BY 1",
                "SELECT on_hand FROM stock.location_stock ORDER BY 1",
            ):
                assert [row[0] for row in await connection.fetch(statement)] == seen, (sites, statement)
            assert await connection.fetchval('SELECT count(*) FROM stock."references"') == len(seen)
            assert await connection.fetchval("SELECT current_user::text") == "stock_api"
