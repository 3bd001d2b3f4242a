"""Contract section 7, writes: the commands of section 3 under an Idempotency-Key, and what is answered."""

import asyncio
from collections import Counter

import pytest

from tests.http.running import OTHER, SITE, USER, Api, product, token

DAMAGE = {"type": "damage", "reason": "water", "lines": [{"product_id": product(1), "quantity": 3}]}


async def test_an_adjustment_is_booked_and_answered_with_its_rows(api: Api) -> None:
    await api.stock(quantity=10)
    answer = await api.write("/adjustments", DAMAGE, key="a1")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["outcome"], told["repeated"], told["reference_id"]) == ("applied", False, "a1")
    (row,) = told["rows"]
    assert (row["type"], row["quantity"], row["previous_stock"], row["new_stock"]) == ("damage", -3, 10, 7)
    assert (row["reason"], row["actor"], row["actor_id"], row["source"]) == ("water", "Ada", USER, "http")


async def test_a_repeated_key_gets_the_first_answer(api: Api) -> None:
    await api.stock(quantity=10)
    first = (await api.write("/adjustments", DAMAGE, key="a1")).json()
    again = await api.write("/adjustments", DAMAGE, key="a1")
    assert (again.status_code, again.json()) == (200, first | {"repeated": True})


async def test_a_refusal_is_409_and_sticks(api: Api) -> None:
    first = await api.write("/adjustments", DAMAGE, key="a1")
    assert (first.status_code, first.headers["content-type"]) == (409, "application/problem+json")
    told = first.json()
    assert (told["code"], told["outcome"]) == ("insufficient_stock", "rejected")
    assert [(line["requested"], line["available"], line["shortfall"]) for line in told["lines"]] == [(3, 0, 3)]
    await api.stock(quantity=10)
    again = await api.write("/adjustments", DAMAGE, key="a1")
    assert (again.status_code, again.json()) == (409, told | {"repeated": True})


async def test_a_key_of_another_command_is_a_conflict(api: Api) -> None:
    await api.stock(quantity=10)
    await api.write("/adjustments", DAMAGE, key="a1")
    answer = await api.write("/adjustments", DAMAGE | {"type": "expired"}, key="a1")
    assert (answer.status_code, answer.json()["code"]) == (409, "reference_conflict")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (DAMAGE | {"type": "stolen"}, "type must be one of"),
        ({"type": "damage"}, "lines is missing"),
        (["damage"], "must be a JSON object"),
    ],
)
async def test_what_is_malformed_is_422_and_says_what_to_mend(api: Api, body: object, words: str) -> None:
    answer = await api.write("/adjustments", body)
    assert answer.status_code == 422
    assert (answer.json()["code"], words in answer.json()["detail"]) == ("malformed", True), answer.text


async def test_without_a_key_nothing_is_booked(api: Api) -> None:
    answer = await api.ask("POST", "/adjustments", json=DAMAGE)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_who_acted_comes_from_the_token_alone(api: Api) -> None:
    forged = DAMAGE | {"type": "restock", "actor": "Eve", "actor_id": OTHER, "site_id": OTHER, "reference_id": "x"}
    answer = await api.write("/adjustments", forged, key="a1", bearer=token(sub="ci", name=None))
    (row,) = answer.json()["rows"]
    assert (row["actor"], row["actor_id"], row["site_id"], row["reference_id"]) == ("ci", None, SITE, "a1")


async def test_of_two_hundred_at_once_one_gets_the_last_unit(api: Api) -> None:
    await api.stock(quantity=1)
    take = {"type": "sale", "lines": [{"product_id": product(1), "quantity": 1}]}
    answers = await asyncio.gather(*(api.write("/adjustments", take) for _ in range(200)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 199}


@pytest.mark.parametrize(
    ("bearer", "site", "status"),
    [
        (None, SITE, 401),
        ("nonsense", SITE, 401),
        (token("viewer"), SITE, 403),
        (token(), OTHER, 403),
        (token("viewer"), OTHER, 403),
        (token("platform_admin", ()), OTHER, 200),
        (token(), SITE, 200),
    ],
)
async def test_who_may_write(api: Api, bearer: str | None, site: str, status: int) -> None:
    body = {"lines": [{"product_id": product(1), "quantity": 1}]}
    assert (await api.write("/restocks", body, bearer=bearer, site=site)).status_code == status
