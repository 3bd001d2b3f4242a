"""Contract section 7, movements, references, explain: what happened, each row once, and down to its message."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from stock_worker.core.ids import default_location_id
from stock_worker.core.model import Command
from stock_worker.http.cursors import cursor_of
from tests.http.books import EAST, HOUR, NOON, VARIANT, announced, book, line, sent
from tests.http.running import OTHER, SITE, Api, product, serving, token
from tests.store.records import message

DEFAULT: Final = default_location_id(SITE)


async def walk(api: Api, *, start: str | None = None, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - httpx
    """All rows, page by page, from a cursor on."""
    rows: list[dict[str, Any]] = []
    cursor = start
    while True:
        answer = await api.get("/movements", cursor=cursor, **query)
        assert answer.status_code == 200, answer.text
        rows += answer.json()["movements"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return rows
        assert len(rows) < 1_000, "the walk does not end"


def keys(rows: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["reference_id"], row["version"]) for row in rows]


@pytest.fixture(scope="module")
async def told(module_database: str) -> AsyncIterator[Api]:
    """Three hours of stock: two restocks in one batch, an order with a variant, damage, and another site's row."""
    async with serving(module_database) as api:
        await _book_three_hours(api)
        yield api


async def _book_three_hours(api: Api) -> None:
    await book(
        api,
        sent("restock", reference_id="R1", lines=[line(1, 10), line(2, 5, location_id=EAST)], actor="Ada"),
        sent("restock", reference_id="R2", reason="late", lines=[line(1, 2), line(1, 4, variant_id=VARIANT)]),
        announced(1, name="Mug", sku="M-1"),
        message("restock", site_id=OTHER, reference_id="X", lines=[line(1, 99)]),
    )
    lines = [line(1, 3), line(1, 1, variant_id=VARIANT)]
    await book(api, sent("order-placed", order_id="O/1", lines=lines), clock=NOON + HOUR)
    damage = sent("stock-adjustment", reference_id="D", type="damage", lines=[line(2, 1, location_id=EAST)])
    await book(api, damage, clock=NOON + 2 * HOUR)


# ---------------------------------------------------------------- movements

EVERY: Final = [("D", 2), ("O/1", 2), ("O/1", 3), ("R1", 1), ("R1", 1), ("R2", 1), ("R2", 2)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, EVERY),
        ({"product_id": product(1)}, [("O/1", 2), ("O/1", 3), ("R1", 1), ("R2", 1), ("R2", 2)]),
        ({"product_id": product(1), "variant_id": "none"}, [("O/1", 3), ("R1", 1), ("R2", 2)]),
        ({"product_id": product(1), "variant_id": VARIANT.upper()}, [("O/1", 2), ("R2", 1)]),
        ({"product_id": product(3)}, []),
        ({"type": "sale"}, [("O/1", 2), ("O/1", 3)]),
        ({"type": ["sale", "damage"]}, [("D", 2), ("O/1", 2), ("O/1", 3)]),
        ({"type": "sale", "product_id": product(2)}, []),
        ({"from": "2026-03-01T13:00:00Z"}, [("D", 2), ("O/1", 2), ("O/1", 3)]),
        ({"to": "2026-03-01T14:00:00+01:00"}, [("R1", 1), ("R1", 1), ("R2", 1), ("R2", 2)]),
        ({"from": "2026-03-01T13:00:00Z", "to": "2026-03-01T14:00:00Z"}, [("O/1", 2), ("O/1", 3)]),
        ({"from": "2026-03-01T13:00:00Z", "to": "2026-03-01T14:00:00Z", "product_id": product(2)}, []),
        ({"from": "2026-03-01T14:00:00Z", "product_id": product(2)}, [("D", 2)]),
        ({"to": "2026-03-01T12:00:00.000001Z", "product_id": product(2)}, [("R1", 1)]),
        ({"from": "2026-03-01T14:00:00Z", "to": "2026-03-01T12:00:00Z"}, []),
        ({"order_id": "O/1"}, [("O/1", 2), ("O/1", 3)]),
        ({"order_id": "O/1", "product_id": product(1), "variant_id": VARIANT}, [("O/1", 2)]),
        ({"order_id": "O/1", "to": "2026-03-01T13:00:00Z"}, []),
        ({"order_id": "nobody's"}, []),
        ({"reference_type": "restock", "reference_id": "R1"}, [("R1", 1), ("R1", 1)]),
        ({"reference_type": "restock", "reference_id": "R1", "product_id": product(2)}, [("R1", 1)]),
        ({"reference_type": "order", "reference_id": "O/1", "order_id": "O/1"}, [("O/1", 2), ("O/1", 3)]),
        ({"reference_type": "restock", "reference_id": "R1", "order_id": "O/1"}, []),
        ({"reference_type": "restock", "reference_id": "X"}, []),
        ({"location_id": EAST}, [("D", 2), ("R1", 1)]),
        ({"location_id": EAST, "product_id": product(2), "type": "damage"}, [("D", 2)]),
        ({"location_id": OTHER}, []),
        ({"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}, EVERY),
    ],
)
async def test_each_filter_finds_its_rows_and_each_once(
    told: Api, query: dict[str, Any], found: list[tuple[str, int]]
) -> None:
    for limit in (1, 2, 200):
        rows = await walk(told, limit=limit, **query)
        assert sorted(keys(rows)) == found
        assert len({row["movement_id"] for row in rows}) == len(rows)
        times = [row["recorded_at"] for row in rows]
        assert times == sorted(times, reverse=True)
        page = (await told.get("/movements", limit=limit, **query)).json()
        assert (page["total"], page["total_is_exact"]) == (len(found), True)


@pytest.mark.parametrize(("query", "total"), [({}, 7), ({"location_id": EAST}, 2), ({"product_id": product(1)}, 5)])
async def test_every_page_tells_the_total_of_all(told: Api, query: dict[str, str], total: int) -> None:
    for limit in (1, 2, 3, 200):
        cursor: str | None = None
        totals: list[int] = []
        while not totals or cursor is not None:
            page = (await told.get("/movements", limit=limit, cursor=cursor, **query)).json()
            totals.append(page["total"])
            cursor = page["next_cursor"]
        assert totals == [total] * -(-total // limit)


async def test_a_row_tells_who_what_when_and_why(told: Api) -> None:
    (row,) = await walk(told, reference_type="restock", reference_id="R2", variant_id="none", product_id=product(1))
    (first,) = await walk(told, reference_type="restock", reference_id="R1", product_id=product(1))
    assert (row["name"], row["sku"], row["reason"], row["actor"]) == ("Mug", "M-1", "late", None)
    assert (row["previous_stock"], row["quantity"], row["new_stock"]) == (10, 2, 12)
    assert (row["recorded_at"], first["actor"]) == ("2026-03-01T12:00:00Z", "Ada")
    assert (row["source"]["topic"], row["source"]["partition"]) == ("restock", 0)


@pytest.mark.parametrize("query", [{}, {"product_id": product(1)}, {"location_id": DEFAULT}])
async def test_a_walk_gives_each_row_once_while_rows_are_added(api: Api, query: dict[str, str]) -> None:
    """One batch of 60 rows at one time, and between the pages more rows: newer ones, and more of the same time."""
    lines = [line(1 + n % 2 * ("product_id" not in query), 1 + n) for n in range(60)]
    await book(api, sent("restock", reference_id="R", lines=lines))
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    for page in range(100):
        answer = (await api.get("/movements", limit=7, cursor=cursor, **query)).json()
        rows += answer["movements"]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        await book(api, sent("restock", reference_id=f"N{page}", lines=[line(1, 1)]), clock=NOON + page % 2 * HOUR)
    assert page > 7
    old = [row["quantity"] for row in rows if row["reference_id"] == "R"]
    assert sorted(old) == list(range(1, 61))
    assert len({row["movement_id"] for row in rows}) == len(rows)


async def test_rows_added_by_many_at_once_double_and_hide_nothing(api: Api) -> None:
    for number in range(30):
        await api.stock(1 + number % 3, 1)
    before = {row["movement_id"] for row in await walk(api)}
    rows, *_ = await asyncio.gather(walk(api, limit=2), *(api.stock(1 + number % 3, 1) for number in range(60)))
    seen = [row["movement_id"] for row in rows]
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


async def test_a_total_is_exact_to_ten_thousand(api: Api) -> None:
    for number in range(10):
        lines = [line(1, 1)] * 1000
        await book(api, sent("restock", reference_id=f"R{number}", lines=lines))
    for query in ({}, {"product_id": product(1)}, {"type": "restock"}):
        page = (await api.get("/movements", limit=1, **query)).json()
        assert (page["total"], page["total_is_exact"]) == (10_000, True)
    await api.stock()
    for query in ({}, {"product_id": product(1)}, {"type": "restock"}):
        page = (await api.get("/movements", limit=1, **query)).json()
        assert (page["total"], page["total_is_exact"]) == (10_000, False)


@pytest.mark.parametrize(
    "query",
    [
        {"variant_id": VARIANT},
        {"product_id": "mug"},
        {"product_id": product(1), "variant_id": "some"},
        {"type": "stolen"},
        {"from": "yesterday"},
        {"from": "2026-03-01T12:00:00"},
        {"to": "0001-01-01T00:00:00+14:00"},
        {"from": "1772366400"},
        {"order_id": ""},
        {"order_id": "a\x00b"},
        {"order_id": "a" * 129},
        {"reference_id": "R"},
        {"reference_type": "restock"},
        {"reference_type": "restock", "reference_id": "R\x00"},
        {"location_id": "east"},
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"cursor": ""},
        {"cursor": "AAAA"},
        {"cursor": "\u00e9"},
        {"cursor": cursor_of((1, 2))},
        {"cursor": cursor_of((1, 2, 3, 4))},
        {"cursor": cursor_of((-1, 2, 3))},
        {"cursor": cursor_of((2**62, 2, 3))},
        {"cursor": cursor_of((1, 2**63, 3))},
        {"cursor": cursor_of(("1", 2, 3))},
    ],
)
async def test_what_cannot_be_asked_is_malformed(api: Api, query: dict[str, Any]) -> None:
    answer = await api.get("/movements", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_a_cursor_at_the_ends_of_time_is_a_place_like_any(told: Api) -> None:
    latest = (datetime(9999, 12, 31, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for query in ({}, {"product_id": product(1)}, {"order_id": "O/1"}):
        all_rows = await walk(told, **query)
        assert await walk(told, **query, start=cursor_of((latest, 2**63 - 1, 2**63 - 1))) == all_rows
        assert await walk(told, **query, start=cursor_of((0, 0, 0))) == []


# ---------------------------------------------------------------- references


async def test_a_reference_tells_its_outcome_and_rows_down_to_the_message(told: Api) -> None:
    answer = (await told.get("/references/order/O/1")).json()
    assert (answer["outcome"], answer["order_id"], answer["code"]) == ("applied", "O/1", None)
    assert (answer["decided_at"], answer["parked_at"]) == ("2026-03-01T13:00:00Z", None)
    assert [(row["variant_id"], row["type"], row["quantity"]) for row in answer["rows"]] == [
        (None, "sale", -3),
        (VARIANT, "sale", -1),
    ]
    assert (answer["source"]["topic"], answer["source"]["partition"]) == ("order-placed", 0)
    assert answer["source"] == answer["rows"][0]["source"]


async def test_a_refused_reference_tells_why(told: Api) -> None:
    await book(told, sent("stock-adjustment", reference_id="big", type="sale", lines=[line(2, 99)]))
    answer = (await told.get("/references/adjustment/big")).json()
    assert (answer["outcome"], answer["code"], answer["rows"]) == ("rejected", "insufficient_stock", [])
    assert "not enough stock" in answer["message"]
    assert [(each["requested"], each["available"], each["shortfall"]) for each in answer["lines"]] == [(99, 4, 99)]


async def test_a_parked_reference_tells_where_it_is_and_when_it_ends(api: Api) -> None:
    entry = sent("order-fulfilled", reference_id="F", order_id="O", lines=[{"line_id": "1", "quantity": 1}])
    await book(api, entry)
    assert isinstance(entry, Command)
    answer = (await api.get("/references/fulfilment/F")).json()
    assert (answer["outcome"], answer["order_id"], answer["rows"]) == ("parked", "O", [])
    assert (answer["decided_at"], answer["parked_at"], answer["ends_at"]) == (
        None, "2026-03-01T12:00:00Z", "2026-03-08T12:00:00Z",
    )  # fmt: skip
    assert answer["source"] == {"topic": "order-fulfilled", "partition": 0, "offset": entry.source.offset}


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "/", "?#&=+ %", "ü ∑ 🏷", "..", "a//b/"])
async def test_a_reference_may_be_called_anything(api: Api, name: str) -> None:
    await book(api, sent("restock", reference_id=name, lines=[line(1, 1)]))
    await book(api, sent("order-placed", order_id=name, lines=[line(1, 1)]))
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    for path, named in ((f"/references/restock/{quoted}", "reference_id"), (f"/orders/{quoted}", "order_id")):
        answer = await api.get(path)
        assert (answer.status_code, answer.json()[named]) == (200, name)
    (row,) = await walk(api, reference_type="restock", reference_id=name)
    (sold,) = await walk(api, order_id=name)
    assert (row["reference_id"], sold["order_id"]) == (name, name)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/references/restock/nobody's", 404),
        ("/references/order/R1", 404),
        ("/references/restock/X", 404),
        ("/references/restock/", 422),
        ("/references/restock/%00", 422),
        ("/references/restock/%ED%A0%80", 404),
        (f"/references/restock/{'x' * 200}", 422),
    ],
)
async def test_what_was_never_sent_here_is_not_found(told: Api, path: str, status: int) -> None:
    assert (await told.get(path)).status_code == status


# ---------------------------------------------------------------- explain


async def test_a_number_and_a_level_are_explained(told: Api) -> None:
    answer = (await told.get(f"/items/{product(1)}/explain", limit=2)).json()
    assert (answer["item"]["available"], answer["item"]["on_hand"], answer["item"]["name"]) == (9, 9, "Mug")
    assert answer["level"]["why"] == "9 available is at most the low threshold of 10"
    assert answer["level"]["thresholds"]["low"] == {"value": 10, "from": "built-in"}
    assert [(row["version"], row["outcome"]) for row in answer["movements"]] == [(3, "applied"), (2, "applied")]
    assert answer["movements"][0]["source"]["topic"] == "order-placed"
    assert [(place["code"], place["on_hand"]) for place in answer["places"]] == [("DEFAULT", 9)]


async def test_a_number_is_explained_up_to_a_version(told: Api) -> None:
    answer = (await told.get(f"/items/{product(1)}/{VARIANT}/explain", version=1)).json()
    assert (answer["item"]["variant_id"], answer["item"]["version"]) == (VARIANT, 2)
    assert [(row["version"], row["reference_id"]) for row in answer["movements"]] == [(1, "R2")]


@pytest.mark.parametrize(
    ("item", "query", "status"),
    [
        (product(9), {}, 404),
        (f"{product(2)}/{VARIANT}", {}, 404),
        ("mug", {}, 422),
        (product(1), {"version": 0}, 422),
        (product(1), {"limit": 201}, 422),
    ],
)
async def test_what_never_was_cannot_be_explained(told: Api, item: str, query: dict[str, Any], status: int) -> None:
    assert (await told.get(f"/items/{item}/explain", **query)).status_code == status


# ---------------------------------------------------------------- who may

PATHS: Final = (
    "/movements",
    "/orders/O/1",
    "/reservations",
    "/references/restock/R1",
    "/parked",
    f"/items/{product(1)}/explain",
    f"/items/{product(1)}/{VARIANT}/explain",
)


@pytest.mark.parametrize(
    ("bearer", "site", "status"),
    [
        (None, SITE, 401),
        (token("viewer"), OTHER, 403),
        (token(), OTHER, 403),
        (token("viewer"), SITE, 200),
        (token("platform_admin", ()), SITE, 200),
    ],
)
async def test_who_may_read(told: Api, bearer: str | None, site: str, status: int) -> None:
    for path in PATHS:
        answer = await told.get(path, bearer=bearer, site=site, product_id=product(1))
        assert answer.status_code == status, path


async def test_another_sites_history_is_its_own(told: Api) -> None:
    """One token for both sites: row level security lets both through, so it is the statements that tell them apart."""
    both = token(sites=(SITE, OTHER))
    assert [row["reference_id"] for row in await walk(told, bearer=both, site=OTHER)] == ["X"]
    assert "X" not in {row["reference_id"] for row in await walk(told, bearer=both)}
    assert len(await walk(told, bearer=both, product_id=product(1))) == 5
    for path in ("/orders/O/1", "/references/restock/R1", f"/items/{product(2)}/explain"):
        assert (await told.get(path, bearer=both, site=OTHER)).status_code == 404, path
