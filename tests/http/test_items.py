"""Contract section 7, `…/items`: which items are listed, in which order, what is told of them, now and as it was."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tests.http.booking import NOON, Books, place, variant
from tests.http.running import OTHER, SITE, Api, product, token


async def names(api: Api, **query: Any) -> list[str]:  # noqa: ANN401 - parameters of any kind
    answer = await api.get("/items", **query)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


# ---------------------------------------------------------------- which items are listed


async def test_an_item_is_told_whole(api: Api, books: Books) -> None:
    await books.announce(
        1,
        variant_id=variant(1),
        name="Mug",
        variant_name="Blue",
        sku="MUG-B",
        options={"color": "blue"},
        category_id="c1",
        category_name="Kitchen",
        image_url="https://img.test/mug.png",
        cost_price="3.25",
    )
    await books.restock(1, 12, variant_id=variant(1), location_id=place(1), unit_cost="2.50")
    await books.adjust("reserved", 1, 4, NOON + timedelta(hours=1), variant_id=variant(1), location_id=place(1))
    lines = [{"product_id": product(1), "variant_id": variant(1), "location_id": place(1), "counted": 12}]
    await books.book("stock-count", {"lines": lines}, NOON + timedelta(hours=2))
    (item,) = (await api.get("/items")).json()["items"]
    assert item == {
        "product_id": product(1),
        "variant_id": variant(1),
        "name": "Mug",
        "variant_name": "Blue",
        "sku": "MUG-B",
        "options": {"color": "blue"},
        "category_id": "c1",
        "category_name": "Kitchen",
        "image_url": "https://img.test/mug.png",
        "quantity": 12,
        "reserved_quantity": 4,
        "available_quantity": 8,
        "unit_cost": "2.500000",
        "total_value": "30.000000",
        "uncosted_quantity": 0,
        "low_stock_threshold": 10,
        "alert_level": "low",
        "last_movement_at": "2026-03-01T13:00:00Z",
        "last_movement_type": "reserved",
        "track_inventory": True,
        "archived": False,
        "version": 2,
        "last_counted_at": "2026-03-01T14:00:00Z",
        "locations": [
            {
                "location_id": place(1),
                "code": place(1),
                "name": place(1),
                "on_hand": 12,
                "reserved": 4,
                "available": 8,
                "bin_location": None,
                "reorder_point": None,
                "last_counted_at": "2026-03-01T14:00:00Z",
            }
        ],
    }


async def test_every_item_that_moved_or_was_announced_is_listed(api: Api, books: Books) -> None:
    await books.announce(1, name="announced")
    await books.restock(2, 1)  # the catalog never told of it
    await books.announce(3, name="archived, empty", status="archived")
    await books.restock(4, 1)
    await books.announce(4, name="archived, not empty", status="archived")
    await books.announce(5, name="its variants count")
    await books.announce(5, name="a variant", variant_id=variant(1))
    await books.announce(6, name="moved before it had variants")
    await books.restock(6, 1)
    await books.announce(6, name="its first variant", variant_id=variant(2))
    await books.announce(7, name="its variants are gone")
    await books.announce(7, name="gone", variant_id=variant(3), status="archived")
    await books.announce(8, name="not tracked", track_inventory=False)
    await books.announce(9, name="another site's", site=OTHER)
    assert await names(api) == [
        *("a variant", "announced", "archived, not empty", "its first variant", "its variants are gone"),
        *("moved before it had variants", "not tracked", None),
    ]


async def test_what_is_only_locked_is_not_there(api: Api, books: Books) -> None:
    """A refused sale leaves a row at version 0, which no read may show."""
    take = {"type": "sale", "lines": [{"product_id": product(1), "quantity": 1}]}
    assert (await api.write("/adjustments", take)).status_code == 409
    assert await names(api) == []
    assert (await api.get(f"/items/{product(1)}")).status_code == 404


# ---------------------------------------------------------------- filters


LEVELS = {"ok": 11, "low": 10, "critical": 3, "out": 0, "negative": -2}


EVERYTHING = {*LEVELS, "never moved", "not tracked"}
STATUSES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, EVERYTHING),
    ({"status": "all"}, EVERYTHING),
    ({"status": "in_stock"}, {"ok", "not tracked"}),
    ({"status": "low_stock"}, {"low", "critical"}),
    ({"status": "critical"}, {"critical"}),
    ({"status": "out_of_stock"}, {"out", "negative", "never moved"}),
    ({"max_available": 3}, {"critical", "out", "negative", "never moved", "not tracked"}),
    ({"max_available": -1}, {"negative"}),
    ({"max_available": 3, "status": "low_stock"}, {"critical"}),
]


async def test_the_status_is_one_of_levels(api: Api, books: Books) -> None:
    await books.rule(backorder_limit=5)
    for number, (name, left) in enumerate(LEVELS.items(), start=1):
        await books.announce(number, name=name)
        await books.restock(number, 20)
        await books.adjust("sale", number, 20 - left)
    await books.announce(8, name="never moved")
    await books.announce(9, name="not tracked", track_inventory=False)
    for query, found in STATUSES:
        assert set(await names(api, **query)) == found, query


SEARCHES: list[tuple[str, set[str]]] = [
    ("blue", {"Blue mug"}),
    ("MUG", {"Blue mug", "Red MUG"}),
    ("abc", {"100% wool"}),
    ("0% ", {"100% wool"}),
    ("%%%", set()),
    ("___", {"under___score"}),
    ("a\\b", {"back a\\b slash"}),
    ("'; DROP TABLE stock.items; --", set()),
    ("ÜBER", {"überzug"}),
]


async def test_search_finds_a_part_of_name_or_sku_sign_for_sign(api: Api, books: Books) -> None:
    entries = [("Blue mug", "X-1"), ("Red MUG", None), ("100% wool", "abC-9"), ("under___score", "u")]
    for number, (name, sku) in enumerate([*entries, ("back a\\b slash", "b"), ("überzug", "z")], start=1):
        await books.announce(number, name=name, sku=sku)
    for text, found in SEARCHES:
        assert set(await names(api, search=text)) == found, text


async def test_by_category_and_by_location(api: Api, books: Books) -> None:
    await books.announce(1, name="mug", category_id="c1")
    await books.announce(2, name="pan", category_id="c2")
    await books.restock(1, 1, location_id=place(1))
    await books.restock(2, 1, location_id=place(2))
    assert await names(api, category_id="c1") == ["mug"]
    assert await names(api, category_id="c") == []
    assert await names(api, location_id=place(2)) == ["pan"]
    assert await names(api, location_id=place(3)) == []


# ---------------------------------------------------------------- order and pages


async def a_mixed_site(books: Books) -> None:
    """Thirty items with few names, so that every sort has ties and gaps."""
    draw = random.Random(7)
    for number in range(30):
        if number % 5:
            cost = draw.choice([None, "1.10", "2.20"])
            entry: dict[str, Any] = {"sku": draw.choice([None, "s1", "S2"]), "cost_price": cost}
            await books.announce(number, name=draw.choice(["mug", "Pan", "cup"]), **entry)
        if number % 3:
            at = NOON + timedelta(hours=draw.randint(0, 3))
            await books.restock(number, draw.randint(1, 4), at, unit_cost=draw.choice([None, "3.30"]))
            if number % 2:
                await books.adjust("reserved", number, 1, at)


KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "name": lambda item: item["name"] and item["name"].lower(),
    "sku": lambda item: item["sku"] and item["sku"].lower(),
    "quantity": lambda item: item["quantity"],
    "available": lambda item: item["available_quantity"],
    "value": lambda item: None if item["total_value"] is None else Decimal(item["total_value"]),
    "last_movement": lambda item: item["last_movement_at"],
}


async def test_pages_of_every_sort_are_in_order_and_never_overlap(api: Api, books: Books) -> None:
    await a_mixed_site(books)
    everything = (await api.get("/items", limit=200)).json()
    total = everything["pagination"]["total"]
    ids = {(item["product_id"], item["variant_id"]) for item in everything["items"]}
    assert total == len(ids) > 20
    for sort, key in KEYS.items():
        for order in ("asc", "desc"):
            items: list[dict[str, Any]] = []
            for page in range(1, -(-total // 4) + 1):
                answer = (await api.get("/items", sort=sort, order=order, page=page, limit=4)).json()
                assert answer["pagination"] == {"page": page, "limit": 4, "total": total, "total_pages": -(-total // 4)}
                items += answer["items"]
            assert len(items) == total
            assert {(item["product_id"], item["variant_id"]) for item in items} == ids, (sort, order)
            for one, other in pairwise(items):
                a, b = key(one), key(other)
                if a is None or b is None:
                    assert b is None, "what has no value comes last"
                if a == b:
                    assert one["product_id"] < other["product_id"], (sort, order)
                elif a is not None and b is not None:
                    assert (a < b) == (order == "asc"), (sort, order, a, b)


async def test_a_page_past_the_end_is_empty(api: Api, books: Books) -> None:
    await books.restock(1, 1)
    answer = (await api.get("/items", page=1_000_000, limit=200)).json()
    assert answer == {"items": [], "pagination": {"page": 1_000_000, "limit": 200, "total": 1, "total_pages": 1}}


# ---------------------------------------------------------------- one item, and as it was


async def test_one_item_by_product_and_by_variant(api: Api, books: Books) -> None:
    await books.restock(1, 1)
    await books.restock(1, 2, variant_id=variant(1))
    alone, other = await api.get(f"/items/{product(1)}"), await api.get(f"/items/{product(1)}/{variant(1)}")
    assert [(each.json()["variant_id"], each.json()["quantity"]) for each in (alone, other)] == [
        (None, 1),
        (variant(1), 2),
    ]
    assert (await api.get(f"/items/{product(1)}/{variant(2)}")).status_code == 404
    assert (await api.get(f"/items/{product(2)}")).json()["code"] == "not_found"


async def test_rule_12_what_lies_there_is_worth_what_it_cost_as_far_as_that_is_known(api: Api, books: Books) -> None:
    await books.rule(backorder_limit=5)
    await books.restock(1, 4)  # of unknown cost
    await books.restock(2, 4, unit_cost="1.5")
    await books.announce(3, cost_price="2")
    await books.restock(3, 4)
    await books.restock(4, 2)
    await books.restock(4, 6, unit_cost="1.5")
    await books.adjust("sale", 5, 2)
    told = {item["product_id"]: item for item in (await api.get("/items")).json()["items"]}
    found = {n: tuple(told[product(n)][name] for name in WORTH) for n in range(1, 6)}
    assert {n: (u and Decimal(u), v and Decimal(v), q) for n, (u, v, q) in found.items()} == {
        1: (None, None, 4),
        2: (Decimal("1.5"), Decimal(6), 0),
        3: (Decimal(2), Decimal(8), 0),
        4: (Decimal("1.5"), Decimal(9), 2),
        5: (None, Decimal(0), 0),
    }


WORTH = ("unit_cost", "total_value", "uncosted_quantity")


async def test_c32_as_of_gives_what_the_ledger_had(api: Api, books: Books) -> None:
    """At a hundred moments, against the last rows at or before each, item and places."""
    draw = random.Random(11)
    at = NOON
    await books.restock(1, 1_000, at, location_id=place(0), unit_cost="1.25")
    for _ in range(80):
        at += timedelta(seconds=draw.choice([0, 1, 60, 3_600]))
        where = place(draw.randint(0, 2))
        kind = draw.choice(["restock", "damage", "reserved", "adjustment", "restock"])
        if kind == "restock":
            await books.restock(1, draw.randint(1, 9), at, location_id=where, unit_cost=draw.choice([None, "2", "0.5"]))
        else:
            await books.adjust(kind, 1, 1, at, location_id=place(0))
    rows = await books.ledger()
    moments = [row["recorded_at"] + timedelta(microseconds=draw.choice([-1, 0, 1])) for row in draw.sample(rows, 60)]
    for moment in [*moments, NOON - timedelta(days=1), datetime(2100, 1, 1, tzinfo=UTC)]:
        told = (await api.get(f"/items/{product(1)}", as_of=moment.isoformat())).json()
        known = [row for row in rows if row["recorded_at"] <= moment]
        last = known[-1] if known else None
        figures = [told[name] for name in ("version", "quantity", "reserved_quantity", "available_quantity")]
        assert figures == ([last["version"], last["on_hand"], last["reserved"], last["new_stock"]] if last else [0] * 4)
        assert told["unit_cost"] == (str(last["average_cost"]) if last else None)
        assert told["last_movement_type"] == (last["type"] if last else None)
        lying = {str(row["location_id"]): (row["location_on_hand"], row["location_reserved"]) for row in known}
        assert {each["location_id"]: (each["on_hand"], each["reserved"]) for each in told["locations"]} == lying
        assert sum(each["available"] for each in told["locations"]) == told["available_quantity"]
        assert (told["alert_level"], told["last_counted_at"]) == (None, None)


# ---------------------------------------------------------------- what is unfit, and who may


UNFIT: list[dict[str, Any]] = [
    {"status": "plenty"},
    {"max_available": "9" * 40},
    {"max_available": 10**15 + 1},
    {"search": "ab"},
    {"search": "a\x00bc"},
    {"search": "x" * 501},
    {"category_id": "\x00"},
    {"location_id": "here"},
    {"sort": "colour"},
    {"order": "up"},
    {"page": 0},
    {"page": 10**9},
    {"limit": 0},
    {"limit": 201},
]


async def test_an_unfit_parameter_is_malformed(api: Api) -> None:
    for query in UNFIT:
        answer = await api.get("/items", **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), query
        assert next(iter(query)) in answer.json()["detail"], query


MOMENTS = ["yesterday", "2026-03-01T12:00:00", "0001-01-01T00:00:00+14:00", "\x00", "9" * 400]


async def test_an_unfit_id_or_moment_is_malformed(api: Api, books: Books) -> None:
    await books.restock(1, 1)
    for path in ("/items/x", f"/items/{product(1)}/x", "/items/%00"):
        assert (await api.get(path)).status_code == 422, path
    for moment in MOMENTS:
        assert (await api.get(f"/items/{product(1)}", as_of=moment)).status_code == 422, moment


async def test_who_may_read(api: Api, books: Books) -> None:
    await books.restock(1, 1)
    await books.restock(1, 1, variant_id=variant(1))
    asked = [(None, SITE), (token("viewer"), SITE), (token("viewer", (OTHER,)), SITE), (token(), OTHER)]
    for path in ("/items", f"/items/{product(1)}", f"/items/{product(1)}/{variant(1)}"):
        statuses = [(await api.get(path, bearer=bearer, site=site)).status_code for bearer, site in asked]
        assert statuses == [401, 200, 403, 403], path


async def test_an_item_of_another_site_is_not_found(api: Api, books: Books) -> None:
    await books.restock(1, 1, site=OTHER)
    both = token(sites=(SITE, OTHER))
    assert (await api.get(f"/items/{product(1)}", bearer=both)).status_code == 404
    assert (await api.get(f"/items/{product(1)}", bearer=both, site=OTHER)).status_code == 200
    assert (await api.get("/items", bearer=both)).json()["items"] == []
