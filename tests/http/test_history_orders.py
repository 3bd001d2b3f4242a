"""Contract section 7, orders, reservations, parked: what orders hold, where it is, and what waits for them."""

from typing import Any

import pytest

from tests.http.books import EAST, HOUR, NOON, VARIANT, WEST, announced, book, line, sent
from tests.http.running import OTHER, SITE, Api, product, token
from tests.store.records import message

UNITS = ("placed", "cancelled", "fulfilled", "returned", "reserved", "sold", "expired")


def units(told: dict[str, Any]) -> tuple[int, ...]:
    """What became of a line's units, in the order of UNITS."""
    return tuple(told[name] for name in UNITS)


def places(told: dict[str, Any]) -> dict[str, tuple[int, int, int, int]]:
    """Where a line's units are: sold, reserved, given back, returned."""
    return {
        part["location_id"]: (part["sold"], part["reserved"], part["given_back"], part["returned"])
        for part in told["allocations"]
    }


async def read(api: Api, order_id: str) -> dict[str, Any]:
    answer = await api.get(f"/orders/{order_id}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    for each in told["lines"]:
        assert each["placed"] == each["reserved"] + each["sold"] + each["cancelled"] + each["expired"]
    return told


# ---------------------------------------------------------------- orders


async def test_an_order_that_was_split_partly_cancelled_fulfilled_and_returned(api: Api) -> None:
    """10 of 6 in the east and 8 in the west; step by step, each line adds up and its places say where."""
    await book(
        api,
        announced(1, name="Mug", sku="M-1"),
        sent("restock", reference_id="R", lines=[line(1, 6, location_id=EAST), line(1, 8, location_id=WEST)]),
        sent("order-placed", order_id="O", mode="reserve", lines=[line(1, 10), line(1, 2)]),
    )
    told = await read(api, "O")
    assert (told["placed"], told["mode"], told["cancelled_whole"], told["parked"]) == (True, "reserve", False, [])
    first, second = told["lines"]
    assert (first["line_id"], first["name"], first["sku"], second["line_id"]) == ("1", "Mug", "M-1", "2")
    assert (units(first), units(second)) == ((10, 0, 0, 0, 10, 0, 0), (2, 0, 0, 0, 2, 0, 0))
    assert places(first) == {EAST: (0, 6, 0, 0), WEST: (0, 4, 0, 0)}
    assert {part["location_id"]: part["code"] for part in first["allocations"]} == {EAST: EAST, WEST: WEST}

    await book(api, sent("order-cancelled", reference_id="C", order_id="O", lines=[{"line_id": "1", "quantity": 3}]))
    left = {"line_id": "1", "quantity": 5}
    await book(api, sent("order-fulfilled", reference_id="F", order_id="O", lines=[left]))
    back = {"line_id": "1", "quantity": 2}
    await book(api, sent("return-received", reference_id="B", order_id="O", lines=[back]))
    first, second = (await read(api, "O"))["lines"]
    assert (units(first), units(second)) == ((10, 3, 5, 2, 2, 5, 0), (2, 0, 0, 0, 2, 0, 0))
    assert len(first["allocations"]) == len(places(first))
    assert tuple(map(sum, zip(*places(first).values(), strict=True))) == (5, 2, 3, 2)

    await book(api, sent("order-cancelled", order_id="O"))
    told = await read(api, "O")
    assert told["cancelled_whole"]
    assert [units(each) for each in told["lines"]] == [(10, 5, 5, 2, 0, 5, 0), (2, 2, 0, 0, 0, 0, 0)]
    rows = (await api.get("/movements", order_id="O")).json()
    assert sum(row["quantity"] for row in rows["movements"]) == -5 + 2
    assert {row["reference_type"] for row in rows["movements"]} == {"order", "cancellation", "fulfilment", "return"}


async def test_a_sale_is_sold_at_once_and_a_variant_is_told_apart(api: Api) -> None:
    await api.stock(1, 5)
    await api.stock(1, 5, variant_id=VARIANT)
    await book(api, sent("order-placed", order_id="O", lines=[line(1, 2), line(1, 3, variant_id=VARIANT)]))
    told = await read(api, "O")
    assert [(each["variant_id"], units(each)) for each in told["lines"]] == [
        (None, (2, 0, 0, 0, 0, 2, 0)),
        (VARIANT, (3, 0, 0, 0, 0, 3, 0)),
    ]


async def test_what_expired_is_told_as_expired(api: Api) -> None:
    """Past on arrival: nothing is held, and the placement counts."""
    await api.stock(1, 5)
    expires = (NOON - HOUR).isoformat()
    placed = sent("order-placed", order_id="O", mode="reserve", expires_at=expires, lines=[line(1, 2)])
    await book(api, placed)
    told = await read(api, "O")
    assert told["expires_at"] == "2026-03-01T11:00:00Z"
    assert [(units(each), each["allocations"]) for each in told["lines"]] == [((2, 0, 0, 0, 0, 0, 2), [])]


async def test_an_order_that_was_refused_says_why(api: Api) -> None:
    await book(api, sent("order-placed", order_id="O", lines=[line(1, 2)]))
    told = await read(api, "O")
    assert (told["placed"], told["mode"], told["lines"]) == (False, None, [])
    assert (told["refusal"]["code"], told["refusal"]["lines"][0]["detail"]) == ("insufficient_stock", "never_stocked")


async def test_an_order_that_was_cancelled_before_it_came_is_known(api: Api) -> None:
    await book(api, sent("order-cancelled", order_id="O"))
    told = await read(api, "O")
    assert (told["placed"], told["cancelled_whole"], told["refusal"]) == (False, True, None)


async def test_what_waits_for_an_order_is_told_with_it(api: Api) -> None:
    entries = [
        sent("order-fulfilled", reference_id=f"F{n}", order_id="O", lines=[{"line_id": "1", "quantity": 1}])
        for n in range(2)
    ]
    await book(api, *entries)
    told = await read(api, "O")
    assert [(each["reference_type"], each["reference_id"], each["ends_at"]) for each in told["parked"]] == [
        ("fulfilment", "F0", "2026-03-08T12:00:00Z"),
        ("fulfilment", "F1", "2026-03-08T12:00:00Z"),
    ]
    await api.stock(1, 5)
    await book(api, sent("order-placed", order_id="O", lines=[line(1, 2)]))
    told = await read(api, "O")
    assert (told["parked"], units(told["lines"][0])) == ([], (2, 0, 2, 0, 0, 2, 0))


async def test_another_sites_orders_are_its_own(api: Api) -> None:
    await book(api, message("order-placed", site_id=OTHER, order_id="O", lines=[line(1, 2)]))
    both = token(sites=(SITE, OTHER))
    assert (await api.get("/orders/O", bearer=both)).status_code == 404
    assert (await api.get("/orders/O", bearer=both, site=OTHER)).status_code == 200


@pytest.mark.parametrize(("order_id", "status"), [("nobody's", 404), ("", 422), ("%00", 422), ("x" * 129, 422)])
async def test_an_order_that_nobody_named_is_not_found(api: Api, order_id: str, status: int) -> None:
    assert (await api.get(f"/orders/{order_id}")).status_code == status


# ---------------------------------------------------------------- reservations


async def test_what_holds_an_item_is_told_by_order_and_by_hand(api: Api) -> None:
    """14 units in two places: 4 held in the west by hand, 7 and 2 by orders, one order fulfilled, one expired."""
    hold = sent("stock-adjustment", reference_id="H", type="reserved", lines=[line(1, 4, location_id=WEST)])
    later = (NOON + HOUR).isoformat()
    await book(
        api,
        announced(1, name="Mug"),
        sent("restock", reference_id="R", lines=[line(1, 6, location_id=EAST), line(1, 8, location_id=WEST)]),
        hold,
        sent("order-placed", order_id="O1", mode="reserve", expires_at=later, lines=[line(1, 7)]),
        sent("order-placed", order_id="O2", mode="reserve", lines=[line(1, 1), line(1, 2)]),
        sent("order-fulfilled", reference_id="F", order_id="O2", lines=[{"line_id": "1", "quantity": 1}]),
        message("restock", site_id=OTHER, reference_id="R", lines=[line(1, 6)]),
        message("order-placed", site_id=OTHER, order_id="O1", mode="reserve", lines=[line(1, 5)]),
    )
    told = (await api.get("/reservations", product_id=product(1))).json()
    assert (told["item"]["name"], told["reserved"], told["by_orders"], told["by_hand"]) == ("Mug", 13, 9, 4)
    assert [(each["location_id"], each["units"]) for each in told["holds"]] == [(WEST, 4)]
    assert [
        (each["order_id"], each["line_id"], each["units"], each["expires_at"]) for each in told["reservations"]
    ] == [
        ("O1", "1", 7, "2026-03-01T13:00:00Z"),
        ("O2", "2", 2, None),
    ]
    assert {each["location_id"]: each["units"] for each in told["reservations"][0]["locations"]} == {EAST: 6, WEST: 1}
    assert told["pagination"] == {"page": 1, "limit": 50, "total": 2, "total_pages": 1}

    pages = [(await api.get("/reservations", product_id=product(1), limit=1, page=page)).json() for page in (1, 2, 3)]
    assert [[each["order_id"] for each in page["reservations"]] for page in pages] == [["O1"], ["O2"], []]
    assert [page["pagination"]["total"] for page in pages] == [2, 2, 2]

    both = token(sites=(SITE, OTHER))
    told = (await api.get("/reservations", bearer=both, product_id=product(1))).json()
    assert told["reserved"] == 13


async def test_an_item_that_nothing_holds_is_told_so(api: Api) -> None:
    await api.stock(1, 5, variant_id=VARIANT)
    told = (await api.get("/reservations", product_id=product(1), variant_id=VARIANT)).json()
    assert (told["reserved"], told["reservations"], told["holds"]) == (0, [], [])
    assert told["pagination"] == {"page": 1, "limit": 50, "total": 0, "total_pages": 0}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"product_id": "mug"}, 422),
        ({"product_id": product(1), "variant_id": "none"}, 422),
        ({"product_id": product(1), "page": 0}, 422),
        ({"product_id": product(1), "limit": 201}, 422),
        ({"product_id": product(1)}, 404),
    ],
)
async def test_which_item_must_be_said_and_known(api: Api, query: dict[str, Any], status: int) -> None:
    assert (await api.get("/reservations", **query)).status_code == status


# ---------------------------------------------------------------- parked


async def test_what_waits_is_walked_once_the_longest_first(api: Api) -> None:
    """Two batches of parked commands at two times, and another site's; more comes in between the pages."""
    name = {"line_id": "1", "quantity": 1}
    for hour in (1, 0):
        entries = [
            sent("order-fulfilled", reference_id=f"{hour}-{n}", order_id=f"O{n % 3}", lines=[name]) for n in range(5)
        ]
        await book(api, *entries, clock=NOON + hour * HOUR)
    await book(api, message("order-fulfilled", site_id=OTHER, reference_id="X", order_id="O", lines=[name]))
    both, cursor, seen = token(sites=(SITE, OTHER)), None, []
    for page in range(10):
        answer = (await api.get("/parked", bearer=both, limit=3, cursor=cursor)).json()
        seen += answer["parked"]
        assert (answer["total"], answer["total_is_exact"]) == (10 + page, True)
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        late = sent("order-fulfilled", reference_id=f"late {page}", order_id="O", lines=[name])
        await book(api, late, clock=NOON - HOUR)
    assert [each["reference_id"] for each in seen] == [f"{hour}-{n}" for hour in (0, 1) for n in range(5)]
    assert (seen[0]["order_id"], seen[0]["topic"], seen[0]["partition"]) == ("O0", "order-fulfilled", 0)
    assert (seen[0]["parked_at"], seen[0]["ends_at"]) == ("2026-03-01T12:00:00Z", "2026-03-08T12:00:00Z")
    told = (await api.get("/parked", bearer=both, site=OTHER)).json()
    assert [each["reference_id"] for each in told["parked"]] == ["X"]


@pytest.mark.parametrize("query", [{"cursor": "AAAA"}, {"limit": 0}, {"limit": 201}, {"cursor": "x" * 201}])
async def test_parked_is_asked_properly(api: Api, query: dict[str, Any]) -> None:
    answer = await api.get("/parked", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
