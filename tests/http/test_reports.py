"""Contract section 7, `…/reports`: each against a computation of the test's own, from rows of the ledger."""

import asyncio
import csv
import io
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, MutableMapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from stock_worker.http import backend
from stock_worker.http.app import BASE, create_app
from stock_worker.http.backend import READERS
from stock_worker.http.routes import reports
from stock_worker.http.spreadsheet import cell
from stock_worker.store.engine import connect
from stock_worker.store.reads.reports import by_value, value_at
from tests.flow.running import until
from tests.http.booking import NOON, Books, place, variant
from tests.http.running import OTHER, SITE, Api, product, token

HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
REPORTS = ("inventory", "valuation", "movements", "low-stock", "out-of-stock", "reorder")
NEEDED: Mapping[str, Mapping[str, Any]] = {"movements": {"from": "2026-03-01", "to": "2026-04-01"}}


async def report(api: Api, name: str, **query: Any) -> dict[str, Any]:  # noqa: ANN401 - parameters of any kind
    answer = await api.get(f"/reports/{name}", **{**NEEDED.get(name, {}), **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def table(api: Api, name: str, **query: Any) -> list[dict[str, str]]:  # noqa: ANN401 - parameters of any kind
    answer = await api.get(f"/reports/{name}", **{**NEEDED.get(name, {}), **query, "format": "csv"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


# ---------------------------------------------------------------- inventory


async def test_inventory_has_a_page_of_items_and_the_sums_of_all(api: Api, books: Books) -> None:
    levels = {1: 30, 2: 10, 3: 9, 4: 3, 5: 0}
    for number, left in levels.items():
        await books.announce(number, cost_price="2")
        await books.restock(number, 40, unit_cost="1.5" if number % 2 else None)
        if left < 40:
            await books.adjust("damage", number, 40 - left)
    await books.announce(6, variant_id=variant(1))
    await books.announce(6, variant_id=variant(2))
    await books.restock(7, 5)
    await books.announce(7, name="not tracked", track_inventory=False)
    told = await report(api, "inventory", status="low_stock", limit=2)
    assert [(item["name"], item["quantity"], item["alert_level"]) for item in told["items"]] == [
        ("Product 2", 10, "low"),
        ("Product 3", 9, "low"),
    ]
    assert told["pagination"] == {"page": 1, "limit": 2, "total": 3, "total_pages": 2}
    summary = told["summary"]
    assert Decimal(summary.pop("total_value")) == Decimal("1.5") * (30 + 9) + 2 * (10 + 3)
    assert summary == {
        "total_products": 6,
        "total_variants": 2,
        "total_quantity": 52,
        "in_stock_count": 1,
        "low_stock_count": 2,
        "critical_stock_count": 1,
        "out_of_stock_count": 3,
    }


# ---------------------------------------------------------------- valuation


async def a_valued_site(books: Books) -> list[datetime]:
    """Costed, uncosted and negative units in three categories; gives the moments at which something was booked."""
    draw = random.Random(3)
    await books.rule(backorder_limit=1_000)
    for number in range(12):
        entry: dict[str, Any] = {
            "cost_price": draw.choice([None, "1.10", "0"]),
            "unit_price": draw.choice([None, "9.99"]),
        }
        category = draw.choice([None, "c1", "c2"])
        if number:
            name = None if category is None else category.upper()
            await books.announce(number, category_id=category, category_name=name, **entry)
    await books.announce(11, track_inventory=False, cost_price="5", unit_price="7")
    at, moments = NOON, []
    for _ in range(120):
        at += timedelta(seconds=draw.choice([0, 1, 3_600]))
        number = draw.randint(0, 9)
        if draw.random() < 0.5:
            await books.restock(number, draw.randint(1, 9), at, unit_cost=draw.choice([None, "1.25", "3.333333"]))
        else:
            await books.adjust("sale", number, draw.randint(1, 9), at)
        moments.append(at)
    return moments


def valued(ledger: list[Mapping[str, Any]], entries: Mapping[str, Mapping], moment: datetime | None) -> dict[str, Any]:
    """Value the newest rows up to a moment, unit by unit in words: costed, else by catalog, else unknown."""
    newest = {row["product_id"]: row for row in ledger if moment is None or row["recorded_at"] <= moment}
    sums: Counter[str] = Counter()
    cost, price = Decimal(0), Decimal(0)
    categories: dict[str | None, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for product_id, row in newest.items():
        entry = entries.get(product_id, {})
        units = max(0, row["on_hand"])
        sums["negative_units"] += -row["on_hand"] if row["on_hand"] < 0 else 0
        bare = units - row["costed_quantity"]
        value = Decimal(row["costed_quantity"]) * row["average_cost"] if row["costed_quantity"] else Decimal(0)
        if entry.get("cost_price") is None:
            sums["uncosted_units"] += bare
        else:
            sums["catalog_costed_units"] += bare
            value += bare * entry["cost_price"]
        if entry.get("unit_price") is None:
            sums["unpriced_units"] += units
        else:
            price += units * entry["unit_price"]
        sums["total_units"] += units
        cost += value
        categories[entry.get("category_id")][0] += units
        categories[entry.get("category_id")][1] += value
    return {"cost": cost, "price": price, "categories": dict(categories), **sums}


async def test_rule_12_valuation_now_and_at_random_moments(api: Api, books: Books) -> None:
    moments = await a_valued_site(books)
    ledger = await books.ledger()
    found = await books.connection.fetch("SELECT *, product_id::text AS id FROM stock.products")
    entries = {row["id"]: dict(row) for row in found}
    at = random.Random(5).sample(moments, 25)
    shifted = [moment + timedelta(microseconds=step) for moment in at for step in (-1, 0)]
    seen = set()
    sums = ("total_units", "uncosted_units", "catalog_costed_units", "unpriced_units", "negative_units")
    for moment in [None, NOON - HOUR, datetime(2100, 1, 1, tzinfo=UTC), *shifted]:
        told = await report(api, "valuation", as_of=moment and moment.isoformat())
        wanted = valued(ledger, entries, moment)
        assert {name: told[name] for name in sums} == {name: wanted.get(name, 0) for name in sums}, moment
        assert Decimal(told["total_cost"]) == wanted["cost"], moment
        assert Decimal(told["total_value"]) == wanted["price"], moment
        assert Decimal(told["potential_profit"]) == wanted["price"] - wanted["cost"], moment
        rows = {row["category_id"]: [row["quantity"], Decimal(row["value"])] for row in told["by_category"]}
        assert rows == wanted["categories"], moment
        seen |= {name for name in sums if told[name]}
    assert seen == set(sums), "each kind of unit occurred"


@pytest.mark.parametrize("part", [1, 3, 1_000])
async def test_valuation_of_a_moment_is_the_same_in_parts(books: Books, part: int) -> None:
    moments = await a_valued_site(books)
    for moment in random.Random(part).sample(moments, 3):
        whole = await value_at(books.connection, SITE, moment)
        assert whole["by_category"]
        assert await value_at(books.connection, SITE, moment, part=part) == whole


async def test_valuation_of_a_moment_leaves_the_database_to_others_in_between(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        await books.restock(number, 5)
    rests = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr("stock_worker.store.reads.reports.asyncio", SimpleNamespace(sleep=rest))
    for at_most_s in (60.0, 0.0):
        await value_at(books.connection, SITE, NOON, part=1, at_most_s=at_most_s)
    long, short = rests[:4], rests[4:]
    assert (len(rests), min(long) > 0, short) == (8, True, [0.0] * 4)


def test_valuation_tells_the_most_valuable_category_first() -> None:
    told = [
        {"category_id": name, "value": Decimal(value)}
        for name, value in zip(("b", None, "a", "c"), (1, 1, 1, 2), strict=True)
    ]
    assert [row["category_id"] for row in by_value(told)] == ["c", "a", "b", None]


async def test_what_takes_seconds_waits_in_line_and_keeps_no_connection(api: Api, books: Books, database: str) -> None:
    await books.restock(1, 5)
    locking = await connect(database, None)

    async def stuck() -> int:
        return await locking.fetchval(
            "SELECT count(*) FROM pg_locks WHERE relation = 'stock.movements'::regclass AND NOT granted"
        )

    async with locking.transaction():
        await locking.execute("LOCK TABLE stock.movements")  # what takes seconds reads the ledger, and an item does not
        asked = [asyncio.create_task(report(api, "valuation", as_of=NOON.isoformat())) for _ in range(READERS)]
        asked.append(asyncio.create_task(report(api, "movements")))
        await until(stuck)
        async with asyncio.timeout(5):
            item = await api.get(f"/items/{product(1)}")
        assert (item.json()["quantity"], await stuck()) == (5, 1)
    await locking.close()
    *valuations, moved = await asyncio.gather(*asked)
    assert [told["total_units"] for told in valuations] == [5] * READERS
    assert moved["movements_by_type"]["restock"] == {"count": 1, "total_quantity": 5}


async def test_valuation_names_categories_and_the_currency(api: Api, books: Books) -> None:
    await books.set(currency="EUR")
    await books.announce(1, category_id="c1", category_name="Kitchen", cost_price="2")
    await books.announce(2, category_id="c2", cost_price="1")
    for number in (1, 2, 3):
        await books.restock(number, 5)
    told = await report(api, "valuation")
    assert told["currency"] == "EUR"
    assert [(row["category_id"], row["category_name"]) for row in told["by_category"]] == [
        ("c1", "Kitchen"),
        ("c2", "c2"),
        (None, "Uncategorized"),
    ]


async def test_what_is_not_tracked_has_no_value_in_a_report(api: Api, books: Books) -> None:
    await books.restock(1, 5, unit_cost="1")
    await books.announce(1, track_inventory=False, unit_price="2")
    told = await report(api, "valuation")
    assert (told["total_units"], told["total_cost"], told["by_category"]) == (0, "0", [])


# ---------------------------------------------------------------- movements


FLOWS = ("adjustment", "sale", "return", "restock", "damage", "expired")


def moved(ledger: list[Mapping[str, Any]], start: datetime, end: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """Sum up rows of the ledger one by one."""
    types: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    days: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    products: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in ledger:
        if not start <= row["recorded_at"] < end:
            continue
        types[row["type"]][0] += 1
        types[row["type"]][1] += abs(row["quantity"])
        if row["type"] in FLOWS:
            day = row["recorded_at"].astimezone(zone).date().isoformat()
            for sums in (days[day], products[row["product_id"]]):
                sums[row["quantity"] < 0] += abs(row["quantity"])
    top = sorted(products.items(), key=lambda each: (-sum(each[1]), each[0]))[:10]
    return {"types": dict(types), "days": dict(sorted(days.items())), "top": top}


def as_moved(told: Mapping[str, Any]) -> dict[str, Any]:
    """A report in the shape of `moved`."""
    for day in told["daily_movements"]:
        assert day["net_change"] == day["in_quantity"] - day["out_quantity"]
    types = {kind: [sums["count"], sums["total_quantity"]] for kind, sums in told["movements_by_type"].items()}
    return {
        "types": {kind: sums for kind, sums in types.items() if sums[0]},
        "days": {day["date"]: [day["in_quantity"], day["out_quantity"]] for day in told["daily_movements"]},
        "top": [(each["product_id"], [each["total_in"], each["total_out"]]) for each in told["top_movers"]],
    }


async def a_moving_site(books: Books, around: date) -> None:
    """Movements of every type for days around a change of the clocks, thickest about the midnights and the change."""
    draw = random.Random(around.toordinal())
    await books.set(timezone="Europe/Berlin")
    await books.announce(1, name="Mug")
    midnight = datetime.combine(around, datetime.min.time(), BERLIN).astimezone(UTC)
    at = midnight - 30 * HOUR
    for number in range(13):
        await books.restock(number, 500, at, location_id=place(0))
    await books.restock(0, 1, at, location_id=place(1))
    while at < midnight + 60 * HOUR:
        number, units = draw.randint(0, 12), draw.randint(1, 5)
        kind = draw.choice(["restock", "damage", "expired", "sale", "return", "reserved", "unreserved", "adjustment"])
        if draw.random() < 0.1:
            lines = [{"product_id": product(number), "quantity": units}]
            body = {"from_location_id": place(0), "to_location_id": place(1), "lines": lines}
            await books.book("stock-transfer", body, at)
        elif kind == "unreserved":
            await books.adjust("reserved", number, units, at, location_id=place(0))
            await books.adjust("unreserved", number, units, at)
        else:
            signed = draw.choice([-1, 1]) * units if kind == "adjustment" else units
            await books.adjust(kind, number, signed, at, location_id=place(0))
        near = min(abs(at - midnight - hours * HOUR) for hours in (-24, 0, 1, 2, 23, 24, 25, 48))
        at += timedelta(minutes=17) if near < HOUR else timedelta(minutes=50)
    for moment in (midnight - timedelta(microseconds=1), midnight):
        await books.restock(1, 1, max(moment, at), location_id=place(0))


@pytest.mark.parametrize(("around", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
async def test_movements_of_days_on_which_the_clocks_change(api: Api, books: Books, around: date, hours: int) -> None:
    await a_moving_site(books, around)
    ledger = await books.ledger()
    assert {row["type"] for row in ledger} == {*FLOWS, "transfer", "reserved", "unreserved"}

    def begins(day: date) -> datetime:
        return datetime.combine(day, datetime.min.time(), BERLIN).astimezone(UTC)

    next_day = around + timedelta(days=1)
    assert begins(next_day) - begins(around) == hours * HOUR
    for first, last in [(around, next_day), (around - timedelta(days=1), next_day + timedelta(days=1))]:
        start, end = begins(first), begins(last)
        wanted = moved(ledger, start, end, BERLIN)
        assert wanted["days"]
        by_day = await report(api, "movements", **{"from": first, "to": last})
        assert by_day["period"] == {
            "start": start.isoformat().replace("+00:00", "Z"),
            "end": end.isoformat().replace("+00:00", "Z"),
            "timezone": "Europe/Berlin",
        }
        assert as_moved(by_day) == wanted
        by_time = await report(api, "movements", **{"from": start.isoformat(), "to": end.isoformat()})
        assert by_time == by_day
    for row in random.Random(1).sample(ledger, 8):
        start, end = row["recorded_at"], row["recorded_at"] + 7 * HOUR
        told = await report(api, "movements", **{"from": start.isoformat(), "to": end.isoformat()})
        assert as_moved(told) == moved(ledger, start, end, BERLIN), "from the first moment, without the last"


async def test_whole_days_and_moments_are_the_same_movements(api: Api, books: Books) -> None:
    """Two sources: totals folded by day, and the ledger, which answers when the span is no whole days."""
    for hour in range(0, 72, 5):
        await books.restock(1, 1 + hour, NOON + hour * HOUR)
    days = await report(api, "movements", **{"from": "2026-03-01", "to": "2026-03-05"})
    moments = await report(api, "movements", **{"from": "2026-03-01T00:00:00.000001Z", "to": "2026-03-05T00:00:00Z"})
    assert as_moved(days) == as_moved(moments)
    assert len(days["daily_movements"]) == 4


async def test_what_is_not_tracked_or_of_another_site_did_not_move(api: Api, books: Books) -> None:
    await books.restock(1, 5)
    await books.announce(1, track_inventory=False)
    await books.restock(2, 5, site=OTHER)
    for query in ({"from": "2026-03-01", "to": "2026-03-02"}, {"from": "2026-03-01T01:00:00Z", "to": "2026-03-02"}):
        told = await report(api, "movements", bearer=token(sites=(SITE, OTHER)), **query)
        assert (as_moved(told)["types"], told["top_movers"]) == ({}, [])
        assert set(told["movements_by_type"]) == {*FLOWS, "transfer", "reserved", "unreserved"}


@pytest.mark.parametrize("source", ["2026-03-01", "2026-03-01T01:00:00Z"])
async def test_top_movers_are_ten_products_with_their_variants(api: Api, books: Books, source: str) -> None:
    await books.announce(1, name="Mug", variant_id=variant(1))
    await books.restock(1, 50, variant_id=variant(1))
    await books.restock(1, 50, variant_id=variant(2))
    for number in range(2, 14):
        await books.restock(number, number)
    await books.adjust("reserved", 2, 2)
    top = (await report(api, "movements", **{"from": source, "to": "2026-03-02"}))["top_movers"]
    assert [each["total_in"] for each in top] == [100, 13, 12, 11, 10, 9, 8, 7, 6, 5]
    assert top[0] == {"product_id": product(1), "product_name": "Mug", "total_out": 0, "total_in": 100}


# ---------------------------------------------------------------- low stock, out of stock


async def short(api: Api, name: str, threshold: int | None = None) -> dict[str, tuple[int, str, int]]:
    told = await report(api, name, limit=200, threshold=threshold)
    rows = [(item["current_stock"], item["alert_level"], item["threshold"]) for item in told["items"]]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows), "the least available first"
    return dict(zip([item["product_name"] for item in told["items"]], rows, strict=True))


async def test_low_stock_by_every_source_of_a_threshold(api: Api, books: Books) -> None:
    """Built in, settings, site, product, variant: at each source the greatest available that is low, and one more."""
    low = {"built-in": 10, "settings": 20, "site": 30, "product": 40, "variant": 50}
    for number, most in enumerate(low.values(), start=1):
        more: dict[str, Any] = {"variant_id": variant(9)} if number == 5 else {}
        await books.announce(number, name=f"at {most}", **more)
        await books.restock(number, most, **more)
        await books.announce(10 + number, name=f"above {most}", **more)
        await books.restock(10 + number, most + 1, **more)
    assert await short(api, "low-stock") == {"at 10": (10, "low", 10)}
    await books.set(low_stock_threshold=20)
    wanted = {"at 10": (10, "low", 20), "above 10": (11, "low", 20), "at 20": (20, "low", 20)}
    assert await short(api, "low-stock") == wanted
    await books.rule(low_stock_threshold=30)
    wanted = {f"{word} {most}": (most + (word == "above"), "low", 30) for most in (10, 20) for word in ("at", "above")}
    assert await short(api, "low-stock") == wanted | {"at 30": (30, "low", 30)}
    for number in (4, 14):
        await books.rule(product(number), low_stock_threshold=40)
    await books.rule(product(5), low_stock_threshold=1)
    for number in (5, 15):
        await books.rule(product(number), variant(9), low_stock_threshold=50)
    wanted |= {"at 30": (30, "low", 30), "at 40": (40, "low", 40), "at 50": (50, "low", 50)}
    assert await short(api, "low-stock") == wanted


async def a_short_site(books: Books) -> None:
    await books.rule(backorder_limit=9)
    for number, (name, left) in enumerate({"ok": 12, "low": 10, "critical": 3, "out": 0, "owed": -2}.items(), start=1):
        await books.announce(number, name=name)
        await books.restock(number, 20)
        await books.adjust("sale", number, 20 - left)
    await books.announce(6, name="never moved")
    await books.announce(7, name="not tracked", track_inventory=False)


async def test_low_stock_is_low_or_worse_but_not_out(api: Api, books: Books) -> None:
    await a_short_site(books)
    assert await short(api, "low-stock") == {"critical": (3, "critical", 3), "low": (10, "low", 10)}
    assert await short(api, "low-stock", threshold=3) == {"critical": (3, "critical", 3)}
    three = {"critical": (3, "critical", 12), "low": (10, "low", 12), "ok": (12, "ok", 12)}
    assert await short(api, "low-stock", threshold=12) == three


async def test_c52_out_of_stock_has_what_is_owed_and_what_never_moved(api: Api, books: Books) -> None:
    await a_short_site(books)
    wanted = {"owed": (-2, "out", 0), "out": (0, "out", 0), "never moved": (0, "out", 0)}
    assert await short(api, "out-of-stock") == wanted


async def test_days_until_stockout_by_the_sales_of_thirty_days(api: Api, books: Books) -> None:
    now = NOON + timedelta(days=90)
    api.backend.clock = lambda: now
    await books.restock(1, 200, NOON)
    await books.adjust("sale", 1, 100, now - timedelta(days=31))
    await books.adjust("sale", 1, 60, now - timedelta(days=29))
    await books.adjust("sale", 1, 35, now - timedelta(days=1))
    await books.adjust("return", 1, 5, now - timedelta(hours=1))
    await books.restock(2, 5, NOON)
    told = await report(api, "low-stock")
    found = {item["product_id"]: item["days_until_stockout"] for item in told["items"]}
    assert found == {product(1): 3.3, product(2): None}  # 10 left of 90 sold in 30 days


# ---------------------------------------------------------------- reorder


async def test_reorder_by_item_and_by_location(api: Api, books: Books) -> None:
    await books.rule(reorder_quantity=100)
    for number, name in enumerate(["at", "above", "variant", "place", "silent", "untracked", "archived"], start=1):
        more: dict[str, Any] = {"variant_id": variant(1)} if name == "variant" else {}
        await books.announce(number, name=name, **more)
        await books.restock(number, 20 + (name == "above"), location_id=place(1), **more)
        if name != "silent":
            await books.rule(product(number), reorder_point=20 if name != "place" else 0)
    await books.rule(product(3), reorder_point=1)
    await books.rule(product(3), variant(1), reorder_point=25, reorder_quantity=7)
    await books.announce(6, name="untracked", track_inventory=False)
    await books.announce(7, name="archived", status="archived")
    await books.restock(4, 4, location_id=place(2))
    notes = "UPDATE stock.location_stock SET reorder_point = $1, bin_location = 'A-1' WHERE location_id = $2"
    await books.connection.execute(notes, 4, place(2))
    told = await report(api, "reorder")
    keys = ("name", "variant_id", "location_id", "location_code", "bin_location", "available", "reorder_point")
    assert [tuple(line[key] for key in (*keys, "reorder_quantity")) for line in told["items"]] == [
        ("at", None, None, None, None, 20, 20, 100),
        ("place", None, place(2), place(2), "A-1", 4, 4, 100),
        ("variant", variant(1), None, None, None, 20, 25, 7),
    ]
    second = await report(api, "reorder", page=2, limit=2)
    assert second["items"] == told["items"][2:]
    assert second["pagination"] == {"page": 2, "limit": 2, "total": 3, "total_pages": 2}


# ---------------------------------------------------------------- CSV


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("a=1", "a=1"),
        ("", ""),
        (-1, -1),
        (Decimal("-1.50"), "-1.50"),
        (Decimal("0E-10"), "0.0000000000"),
        (True, "true"),
        (None, None),
        (datetime(2026, 3, 1, 13, tzinfo=ZoneInfo("Europe/Berlin")), "2026-03-01T12:00:00Z"),
        (date(2026, 3, 1), "2026-03-01"),
    ],
)
def test_no_cell_is_a_formula_and_numbers_stay_numbers(value: object, written: object) -> None:
    assert cell(value) == written


async def test_a_file_has_all_that_the_filters_find(api: Api, books: Books) -> None:
    for number in range(120):
        await books.announce(number, name=f'=HYPERLINK("x","{number}")', sku="-2,\n3", cost_price="1.5")
    await books.restock(5, 8, location_id=place(1))
    rows = await table(api, "inventory", sort="quantity", order="desc", limit=7)
    assert len(rows) == 120
    assert rows[0]["product_id"] == product(5)
    assert (rows[0]["name"], rows[0]["sku"]) == ('\'=HYPERLINK("x","5")', "'-2,\n3")
    assert (rows[0]["quantity"], rows[0]["total_value"], rows[0]["variant_id"]) == ("8", "12.0", "")
    pages = [await report(api, "inventory", sort="quantity", order="desc", limit=50, page=page) for page in (1, 2, 3)]
    assert [row["product_id"] for row in rows] == [item["product_id"] for page in pages for item in page["items"]]
    assert list(rows[0]) == list(pages[0]["items"][0])


async def test_each_report_is_the_same_as_a_file(api: Api, books: Books) -> None:
    await a_short_site(books)
    await books.rule(reorder_point=10)
    listed = {"valuation": "by_category", "movements": "daily_movements"}
    for name in REPORTS:
        rows = (await report(api, name))[listed.get(name, "items")]
        assert rows, name
        wanted = [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]
        assert await table(api, name) == wanted, name


async def test_the_header_accept_asks_for_a_file_and_the_parameter_decides(api: Api, books: Books) -> None:
    await books.restock(1, 1)
    for accept, format_, kind in [
        ("text/csv", None, "text/csv; charset=utf-8"),
        ("text/csv", "json", "application/json"),
        ("application/json", "csv", "text/csv; charset=utf-8"),
        ("*/*", None, "application/json"),
        ("application/json, text/csv;q=0.9", None, "application/json"),
        ("Text/CSV; q=0.9, application/json;q=0.8, */*", None, "text/csv; charset=utf-8"),
        ("text/csv;q=0", None, "application/json"),
        ("text/csv;q=x", None, "text/csv; charset=utf-8"),
    ]:
        params = {} if format_ is None else {"format": format_}
        answer = await api.ask("GET", "/reports/valuation", headers={"Accept": accept}, params=params)
        assert answer.headers["content-type"] == kind


async def test_an_empty_file_has_its_columns(api: Api) -> None:
    answer = await api.get("/reports/out-of-stock", format="csv")
    assert answer.text.startswith("product_id,variant_id,product_name,")
    assert answer.text.count("\r\n") == 1
    assert answer.headers["content-disposition"] == 'attachment; filename="out-of-stock.csv"'


async def test_who_leaves_in_the_middle_of_a_file_leaves_nothing_open(
    api: Api, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_AT_ONCE", 5)
    for number in range(60):
        await books.announce(number)
    app = create_app(api.backend, api.metrics)
    path = f"{BASE}/sites/{SITE}/reports/inventory"
    headers = [(b"authorization", f"Bearer {token()}".encode()), (b"accept", b"text/csv")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    for sent_before in [*range(READERS), *range(READERS)]:
        sent: list[MutableMapping[str, Any]] = []
        is_gone = asyncio.Event()

        async def receive() -> dict[str, object]:
            await is_gone.wait()  # noqa: B023 - used up within the round
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)  # noqa: B023 - used up within the round
            if len(sent) > sent_before:  # noqa: B023 - used up within the round
                is_gone.set()  # noqa: B023 - used up within the round
            await asyncio.sleep(0)

        asgi = {"version": "3.0", "spec_version": "2.3"}
        await app({**scope, "asgi": asgi, "http_version": "1.1", "scheme": "http"}, receive, send)
        assert sent[0]["status"] == 200, "those who left have given their turn back"
        assert len(sent) < 13, "it stopped early"
    open_still = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    assert await books.connection.fetchval(open_still) == 0
    answers = await asyncio.gather(*(report(api, "inventory") for _ in range(2 * READERS)))
    assert [answer["pagination"]["total"] for answer in answers] == [60] * 2 * READERS


async def test_files_that_are_read_slowly_hold_up_nothing_but_files(
    api: Api, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_AT_ONCE", 5)
    monkeypatch.setattr(backend, "_TURN_MAX_S", 0.5)
    for number in range(20):
        await books.announce(number)
    app = create_app(api.backend, api.metrics)
    headers = [(b"authorization", f"Bearer {token()}".encode()), (b"accept", b"text/csv")]
    scope = {"type": "http", "method": "GET", "query_string": b"", "headers": headers, "scheme": "http"}
    read_on = asyncio.Event()
    begun: list[int] = []

    async def stay() -> dict[str, object]:
        return await asyncio.get_running_loop().create_future()  # who reads does not leave

    async def read_slowly(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            begun.append(message["status"])
        else:
            await read_on.wait()

    async def all_begun() -> bool:
        return len(begun) == READERS

    path = f"{BASE}/sites/{SITE}/reports/inventory"
    asgi = {"asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1"}
    readers = [asyncio.create_task(app({**scope, **asgi, "path": path}, stay, read_slowly)) for _ in range(READERS)]
    async with asyncio.timeout(5):
        await until(all_begun)
        assert sorted(begun) == [200] * 2 + [503] * (READERS - 2), "the others are told to come again"
        assert (await api.get(f"/items/{product(1)}")).status_code == 200
        refused = await api.get("/reports/inventory", format="csv")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    read_on.set()
    await asyncio.gather(*readers)
    assert (await api.get("/reports/inventory", format="csv")).status_code == 200


# ---------------------------------------------------------------- what is unfit, and who may


UNFIT: list[tuple[str, dict[str, Any]]] = [
    ("inventory", {"format": "xml"}),
    ("inventory", {"search": "a\x00b"}),
    ("valuation", {"as_of": "yesterday"}),
    ("movements", {"from": None}),
    ("movements", {"to": "2026-03-01"}),
    ("movements", {"from": "2026-02-30"}),
    ("movements", {"from": "2026-03-01T00:00:00"}),
    ("movements", {"from": "\x00"}),
    ("low-stock", {"threshold": "few"}),
    ("low-stock", {"threshold": 10**16}),
    ("out-of-stock", {"page": 0}),
    ("reorder", {"limit": 201}),
]


async def test_an_unfit_parameter_is_malformed(api: Api, books: Books) -> None:
    for name, query in UNFIT:
        answer = await api.get(f"/reports/{name}", **{**NEEDED.get(name, {}), **query})
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), (name, query)
    await books.set(timezone="Asia/Tokyo")
    answer = await api.get("/reports/movements", **{"from": "0001-01-01", "to": "9999-12-31"})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_who_may_read(api: Api, books: Books) -> None:
    await a_short_site(books)
    await books.rule(reorder_point=10)
    for name in REPORTS:
        query = NEEDED.get(name, {})
        asked = [(None, SITE), (token("viewer"), SITE), (token("viewer", (OTHER,)), SITE), (token(), OTHER)]
        statuses = [
            (await api.get(f"/reports/{name}", bearer=bearer, site=site, **query)).status_code for bearer, site in asked
        ]
        assert statuses == [401, 200, 403, 403], name
        both = token(sites=(SITE, OTHER))
        told = (await api.get(f"/reports/{name}", bearer=both, site=OTHER, **query)).json()
        assert not [told[rows] for rows in ("items", "by_category", "daily_movements") if told.get(rows)], name
