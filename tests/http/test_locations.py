"""Contract section 7, locations and what is noted of items at them; section 1 (location), rule 7."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from stock_worker.core.ids import default_location_id
from tests.http.own_site import own_site
from tests.http.running import OTHER, Api, product, token

FIT = {
    "code": "WH1",
    "name": "Warehouse 1",
    "type": "fulfillment_center",
    "address_line_1": "1 Long Street",
    "address_line_2": "Gate 2",
    "city": "Łódź",
    "state": "Łódzkie",
    "postal_code": "90-001",
    "country": "PL",
    "contact_name": "Ada",
    "contact_email": "ada@shop.test",
    "contact_phone": "+48 1",
    "fulfillment_priority": -3,
    "is_default": True,
    "is_active": True,
}
NEVER_NULL = ("code", "name", "type", "fulfillment_priority", "is_default", "is_active")
UNFIT = {
    "code": "",
    "name": "  ",
    "type": "garage",
    "address_line_1": "a\nb",
    "address_line_2": "x" * 501,
    "city": 5,
    "state": ["a"],
    "postal_code": "\x00",
    "country": "",
    "contact_name": "a\u0085b",
    "contact_email": "ada at shop",
    "contact_phone": "\x7f",
    "fulfillment_priority": 10**9 + 1,
    "is_default": "yes",
    "is_active": 1,
}


@pytest.fixture
def api(served: Api) -> Api:
    """The API, and a site of which nothing is known."""
    return own_site(served)


async def made(api: Api, code: str, **more: object) -> dict[str, Any]:
    answer = await api.ask("POST", "/locations", json={"name": code, "code": code, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def patch(api: Api, location_id: str, **given: object) -> dict[str, Any]:
    answer = await api.ask("PATCH", f"/locations/{location_id}", json=given)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(api: Api, **query: Any) -> list[str]:  # noqa: ANN401 - parameters of any kind
    answer = await api.get("/locations", bearer=api.token("viewer"), **query)
    assert answer.status_code == 200, answer.text
    return [each["code"] for each in answer.json()["locations"]]


# ---------------------------------------------------------------- look


async def test_a_site_has_its_default_before_anything_happened(api: Api) -> None:
    (only,) = (await api.get("/locations")).json()["locations"]
    assert only["location_id"] == default_location_id(api.site_id)
    assert (only["code"], only["is_default"], only["is_active"], only["created_at"]) == ("DEFAULT", True, True, None)
    assert (await api.get(f"/locations/{only['location_id']}")).json() == only


async def test_locations_are_listed_in_the_order_in_which_they_serve(api: Api) -> None:
    for code, priority in (("B", 5), ("A", 5), ("Z", -1)):
        await made(api, code, fulfillment_priority=priority)
    closed = await made(api, "C", is_active=False)
    assert closed["is_active"] is False
    assert await listed(api) == ["Z", "DEFAULT", "A", "B", "C"]
    assert await listed(api, is_active="true") == ["Z", "DEFAULT", "A", "B"]
    assert await listed(api, is_active="false") == ["C"]
    assert await listed(api, page=2, limit=2) == ["A", "B"]
    pagination = (await api.get("/locations", page=4, limit=2)).json()
    assert pagination == {"locations": [], "pagination": {"page": 4, "limit": 2, "total": 5, "total_pages": 3}}


@pytest.mark.parametrize(("location_id", "status"), [(OTHER, 404), ("DEFAULT", 422), ("%00", 422)])
async def test_what_is_no_location(api: Api, location_id: str, status: int) -> None:
    assert (await api.get(f"/locations/{location_id}")).status_code == status
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/restoration")):
        body = {"name": "x"} if method == "PATCH" else None
        answer = await api.ask(method, f"/locations/{location_id}{path}", json=body)
        assert answer.status_code == status, answer.text


# ---------------------------------------------------------------- make and change


async def test_a_location_has_every_field_that_was_given(api: Api) -> None:
    answer = await api.ask("POST", "/locations", json=FIT)
    told = answer.json()
    assert (answer.status_code, {name: told[name] for name in FIT}) == (201, FIT)
    assert answer.headers["Location"].endswith(f"/sites/{api.site_id}/locations/{told['location_id']}")
    assert told["created_at"] == told["updated_at"]
    assert told["created_at"].endswith("Z")
    assert (await api.get(f"/locations/{told['location_id']}")).json() == told
    default = (await api.get(f"/locations/{default_location_id(api.site_id)}")).json()
    assert default["is_default"] is False, "there is one default"


@pytest.mark.parametrize("name", FIT)
async def test_each_field_is_changed_alone_and_null_clears_what_may_be_empty(api: Api, name: str) -> None:
    first = await made(api, "SHOP")
    told = await patch(api, first["location_id"], **{name: FIT[name]})
    assert told == first | {name: FIT[name], "updated_at": told["updated_at"]}
    cleared = await api.ask("PATCH", f"/locations/{first['location_id']}", json={name: None})
    if name in NEVER_NULL:
        assert (cleared.status_code, name in cleared.json()["detail"]) == (422, True)
    else:
        assert cleared.json()[name] is None


@pytest.mark.parametrize("name", FIT)
async def test_what_does_not_fit_changes_nothing(api: Api, name: str) -> None:
    first = await made(api, "SHOP")
    body = {**FIT, name: UNFIT[name]}
    for method, path in (("POST", "/locations"), ("PATCH", f"/locations/{first['location_id']}")):
        answer = await api.ask(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), answer.text
        assert name in answer.json()["detail"]
    assert await listed(api) == ["DEFAULT", "SHOP"]
    assert (await api.get(f"/locations/{first['location_id']}")).json() == first


@pytest.mark.parametrize("body", [{"code": "A"}, {"name": "A", "site_id": "x"}, {"name": "A", "code": OTHER}])
async def test_what_makes_no_location(api: Api, body: object) -> None:
    answer = await api.ask("POST", "/locations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_two_that_change_different_fields_at_once_lose_nothing(api: Api) -> None:
    first = await made(api, "SHOP")
    given = {name: value for name, value in FIT.items() if name not in {"is_default", "is_active"}}
    await asyncio.gather(*(patch(api, first["location_id"], **{name: value}) for name, value in given.items()))
    told = (await api.get(f"/locations/{first['location_id']}")).json()
    assert told == first | given | {"updated_at": told["updated_at"]}


# ---------------------------------------------------------------- what cannot be


async def refused(api: Api, method: str, path: str, **body: object) -> str:
    """Why something is a conflict."""
    answer = await api.ask(method, path, json=body or None)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), answer.text
    return answer.json()["why"]


async def test_a_code_is_taken_once_in_a_site(api: Api) -> None:
    shop = await made(api, "SHOP")
    other = await made(api, "B")
    assert await refused(api, "POST", "/locations", name="x", code="SHOP") == "code_taken"
    assert await refused(api, "PATCH", f"/locations/{other['location_id']}", code="SHOP") == "code_taken"
    assert (await made(own_site(api), "SHOP"))["location_id"] != shop["location_id"]


async def test_the_default_and_what_is_not_empty_stay_open(api: Api) -> None:
    shop = await made(api, "SHOP")
    default = default_location_id(api.site_id)
    await api.stock(quantity=5, location_id=shop["location_id"])
    for method, path, body, why in (
        ("DELETE", default, {}, "is_default"),
        ("PATCH", default, {"is_active": False}, "is_default"),
        ("PATCH", default, {"is_default": False}, "is_default"),
        ("DELETE", shop["location_id"], {}, "not_empty"),
        ("PATCH", shop["location_id"], {"is_active": False}, "not_empty"),
    ):
        assert await refused(api, method, f"/locations/{path}", **body) == why
    shut = await made(api, "SHUT", is_active=False)
    assert await refused(api, "PATCH", f"/locations/{shut['location_id']}", is_default=True) == "not_active"


async def test_an_empty_location_is_archived_and_restored(api: Api) -> None:
    shop, last = await made(api, "SHOP"), await made(api, "LAST")
    path = f"/locations/{shop['location_id']}"
    archived = (await api.ask("DELETE", path)).json()
    assert archived["is_active"] is False
    assert archived["archived_at"].endswith("Z")
    assert (await api.ask("DELETE", path)).json() == archived, "again changes nothing"
    assert (await api.get(path)).json() == archived, "it is kept"
    restored = (await api.ask("POST", f"{path}/restoration")).json()
    assert (restored["is_active"], restored["archived_at"]) == (True, None)
    assert restored["fulfillment_priority"] == last["fulfillment_priority"] + 1


# ---------------------------------------------------------------- items at locations


async def note(api: Api, path: str, **given: object) -> dict[str, Any]:
    answer = await api.ask("PATCH", path, json=given)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("variant", [None, product(101)])
async def test_what_is_noted_of_an_item_leaves_its_counters(api: Api, variant: str | None) -> None:
    default = default_location_id(api.site_id)
    await api.stock(quantity=7, variant_id=variant)
    hold = {"type": "reserved", "lines": [{"product_id": product(1), "variant_id": variant, "quantity": 2}]}
    assert (await api.write("/adjustments", hold)).status_code == 200
    path = f"/items/{product(1)}{f'/{variant}' if variant else ''}/locations/{default}"
    expected = {
        "product_id": product(1),
        "variant_id": variant,
        "location_id": default,
        "on_hand": 7,
        "reserved": 2,
        "available": 5,
        "held": 2,
        "bin_location": "A-3",
        "reorder_point": None,
        "last_counted_at": None,
    }
    assert await note(api, path, bin_location="A-3") == expected
    assert await note(api, path, reorder_point=4) == expected | {"reorder_point": 4}, "what is absent stays"
    assert await note(api, path, bin_location=None) == expected | {"bin_location": None, "reorder_point": 4}
    shop = await made(api, "SHOP")
    there = await note(api, path.replace(default, shop["location_id"]), reorder_point=0)
    assert (there["on_hand"], there["reserved"], there["reorder_point"]) == (0, 0, 0), "where it has never been"


@pytest.mark.parametrize(
    "given", [{"bin_location": ""}, {"bin_location": "x" * 501}, {"bin_location": "a\x00"}, {"reorder_point": -1},
              {"reorder_point": "5"}, {"reorder_point": 10**15 + 1}, {"on_hand": 5}, []],
)  # fmt: skip
async def test_a_note_that_does_not_fit_is_422(api: Api, given: object) -> None:
    await api.stock()
    path = f"/items/{product(1)}/locations/{default_location_id(api.site_id)}"
    answer = await api.ask("PATCH", path, json=given)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_a_note_needs_an_item_and_a_place_of_the_site(api: Api) -> None:
    await api.stock()
    other = own_site(api)
    theirs = await made(other, "SHOP")
    default = default_location_id(api.site_id)
    for path in (
        f"/items/{product(2)}/locations/{default}",
        f"/items/{product(1)}/{product(101)}/locations/{default}",
        f"/items/{product(1)}/locations/{theirs['location_id']}",
    ):
        assert (await api.ask("PATCH", path, json={"reorder_point": 1})).status_code == 404, path


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/locations"),
        ("POST", "/locations"),
        ("GET", "/locations/{id}"),
        ("PATCH", "/locations/{id}"),
        ("DELETE", "/locations/{id}"),
        ("POST", "/locations/{id}/restoration"),
        ("PATCH", f"/items/{product(1)}/locations/{{id}}"),
        ("PATCH", f"/items/{product(1)}/{product(101)}/locations/{{id}}"),
    ],
)
async def test_who_may(api: Api, method: str, path: str) -> None:
    shop = await made(api, "SHOP")
    path = path.format(id=shop["location_id"])
    stranger = token("org_admin", (str(uuid4()),))
    reads = method == "GET"
    for bearer, status in ((None, 401), (stranger, 403), (api.token("viewer"), 200 if reads else 403)):
        assert (await api.ask(method, path, bearer=bearer)).status_code == status
    everybodys = await api.ask(method, path, bearer=token("platform_admin", ()))
    assert everybodys.status_code not in {401, 403}


async def test_a_location_of_another_site_is_not_found(api: Api) -> None:
    theirs = await made(own_site(api), "SHOP")
    both = token("org_admin", (api.site_id, theirs["location_id"]))
    assert (await api.get(f"/locations/{theirs['location_id']}", bearer=both)).status_code == 404
