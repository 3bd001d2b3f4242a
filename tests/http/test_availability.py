"""Contract section 7, `POST …/availability`: what can be had of many items at once, by section 6's `sellable`."""

from typing import Any

from tests.http.booking import Books, variant
from tests.http.running import OTHER, SITE, Api, product, token


async def ask(api: Api, *keys: tuple[int, int | None], **more: Any) -> list[dict]:  # noqa: ANN401 - who asks, and where
    items = [{"product_id": product(one), "variant_id": two and variant(two)} for one, two in keys]
    answer = await api.ask("POST", "/availability", json={"items": items}, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_items_are_told_of_in_the_order_asked(api: Api, books: Books) -> None:
    await books.restock(1, 12)
    await books.restock(1, 7, variant_id=variant(1))
    await books.adjust("reserved", 1, 5)
    first, second, again = await ask(api, (1, 1), (1, None), (1, 1))
    assert second == {
        "product_id": product(1),
        "variant_id": None,
        "on_hand": 12,
        "reserved": 5,
        "available": 7,
        "sellable": 7,
        "track_inventory": True,
        "level": "low",
        "version": 2,
    }
    assert (first["variant_id"], first["available"], first["version"]) == (variant(1), 7, 1)
    assert again == first


async def test_a_variant_may_be_left_out(api: Api, books: Books) -> None:
    await books.restock(1, 1)
    answer = await api.ask("POST", "/availability", json={"items": [{"product_id": product(1)}]})
    assert [item["available"] for item in answer.json()["items"]] == [1]


async def test_sellable_is_available_with_the_limit_of_the_nearest_rule(api: Api, books: Books) -> None:
    """Of the variant, else the product, else the site, else 0; never below 0."""
    keys: list[tuple[int, int | None]] = [(1, 1), (1, 2), (1, None), (2, None), (2, 1), (3, None)]
    await books.restock(1, 10, variant_id=variant(1))
    await books.restock(2, 3)
    assert [item["sellable"] for item in await ask(api, *keys)] == [10, 0, 0, 3, 0, 0]
    await books.rule(backorder_limit=5)
    assert [item["sellable"] for item in await ask(api, *keys)] == [15, 5, 5, 8, 5, 5]
    await books.rule(product(1), backorder_limit=-20)
    assert [item["sellable"] for item in await ask(api, *keys)] == [0, 0, 0, 8, 5, 5]
    await books.rule(product(1), variant(1), backorder_limit=-4)
    await books.rule(product(2), low_stock_threshold=1)  # says nothing of the limit
    assert [item["sellable"] for item in await ask(api, *keys)] == [6, 0, 0, 8, 5, 5]


async def test_what_is_not_tracked_has_no_bound(api: Api, books: Books) -> None:
    await books.announce(1, track_inventory=False)
    await books.restock(2, 1)
    await books.announce(2, track_inventory=False)
    told = await ask(api, (1, None), (2, None))
    assert [(item["sellable"], item["track_inventory"], item["level"]) for item in told] == [(None, False, "ok")] * 2


async def test_an_item_that_was_never_seen_has_nothing(api: Api, books: Books) -> None:
    await books.announce(2)
    unseen, announced = await ask(api, (1, None), (2, None))
    nothing = {"on_hand": 0, "reserved": 0, "available": 0, "sellable": 0, "version": 0, "level": "out"}
    assert {name: unseen[name] for name in nothing} == {name: announced[name] for name in nothing} == nothing


async def test_a_thousand_at_once_and_no_more(api: Api, books: Books) -> None:
    await books.restock(999, 3)
    told = await ask(api, *((number, None) for number in range(1_000)))
    assert [item["product_id"] for item in told] == [product(number) for number in range(1_000)]
    assert [item["available"] for item in told] == [0] * 999 + [3]
    one = {"product_id": product(1)}
    bodies: list[Any] = [{"items": [one] * 1_001}, {"items": []}, {"items": [{}]}, {"items": [{"product_id": "x"}]}]
    for body in [*bodies, {}, [], "x", {"items": [one | {"variant_id": "\x00"}]}]:
        answer = await api.ask("POST", "/availability", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), body


async def test_a_body_that_is_no_json_or_no_text_is_malformed(api: Api) -> None:
    for body in (b"", b"{", b"[1", b'{"items":[{"product_id":"\\ud800"}]}', b'{"items":[{"product_id":"\\u0000"}]}'):
        answer = await api.ask("POST", "/availability", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), body


async def test_who_may_ask_and_what_is_of_another_site(api: Api, books: Books) -> None:
    await books.restock(1, 5, site=OTHER)
    assert (await ask(api, (1, None), bearer=token("viewer", (SITE, OTHER))))[0]["available"] == 0
    assert (await ask(api, (1, None), bearer=token("viewer", (OTHER,)), site=OTHER))[0]["available"] == 5
    for bearer, site, status in [(None, SITE, 401), (token("viewer"), OTHER, 403)]:
        body = {"items": [{"product_id": product(1)}]}
        answer = await api.ask("POST", "/availability", bearer=bearer, site=site, json=body)
        assert answer.status_code == status
