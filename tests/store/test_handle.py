"""One batch, one transaction, on a real PostgreSQL: what is written, what is told, and what a crash leaves."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from stock_worker.core.model import Command, Entry, Malformed, OutcomeKind
from stock_worker.core.refusals import Code
from stock_worker.handle import Policy, end_parked, handle_batch
from stock_worker.store.engine import connect
from stock_worker.store.load import overdue
from stock_worker.wire.decode import decode
from tests.store.records import DEFAULT, SITE, line, message, product, record


async def apply(connection: asyncpg.Connection, *batch: Entry) -> list[str]:
    """Apply a batch as a fresh process would. Returns the outcomes as text."""
    return [outcome.kind.value for outcome in await handle_batch(connection, batch, Policy())]


async def published(connection: asyncpg.Connection, topic: str) -> list[dict]:
    """What waits in the outbox for a topic, decoded, in order."""
    rows = await connection.fetch("SELECT payload FROM stock.outbox WHERE topic = $1 ORDER BY seq", topic)
    return [json.loads(row["payload"]) for row in rows]


async def one(connection: asyncpg.Connection, query: str, *arguments: object) -> asyncpg.Record:
    row = await connection.fetchrow(query, *arguments)
    assert row is not None
    return row


async def count(connection: asyncpg.Connection, table: str) -> int:
    return await connection.fetchval(f"SELECT count(*) FROM stock.{table}")


async def test_a_batch_writes_the_ledger_the_counters_and_every_event(worker: asyncpg.Connection) -> None:
    outcomes = await apply(
        worker,
        message("restock", reference_id="R", lines=[line("a", 10, unit_cost="2.50")]),
        message("order-placed", order_id="O", lines=[line("a", 2), line("a", 7)]),
        message("order-placed", order_id="P", lines=[line("a", 2)]),
    )
    assert outcomes == ["applied", "applied", "rejected"]
    item = await one(worker, "SELECT on_hand, reserved, version, revision, level FROM stock.items")
    assert tuple(item) == (1, 0, 3, 1, "critical")
    place = await one(worker, "SELECT location_id::text, on_hand, reserved FROM stock.location_stock")
    assert tuple(place) == (DEFAULT, 1, 0)
    assert await worker.fetchval("SELECT code FROM stock.locations WHERE is_default") == "DEFAULT"
    changed = await published(worker, "stock-changed")
    assert [(e["version"], e["type"], e["quantity"], e["available"]) for e in changed] == [
        (1, "restock", 10, 10),
        (2, "sale", -2, 8),
        (3, "sale", -7, 1),
    ]
    assert changed[0]["unit_cost"] == "2.50"
    assert changed[0]["source"]["topic"] == "restock"
    (level,) = await published(worker, "stock-level")
    assert (level["available"], level["sellable"], level["version"], level["level"]) == (1, 1, 3, "critical")
    assert [(e["previous_level"], e["level"]) for e in await published(worker, "alert-level-changed")] == [
        ("ok", "low"),
        ("low", "critical"),
    ]
    assert [e["reference_id"] for e in await published(worker, "adjustment-applied")] == ["R", "O"]
    (rejected,) = await published(worker, "adjustment-rejected")
    assert (rejected["code"], rejected["lines"][0]["shortfall"]) == ("insufficient_stock", 1)


DAY_1, DAY_2, DAY_3, DAY_4 = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]


async def test_rule_10_the_item_keeps_its_stay_at_a_level_and_when_it_was_last_not_ok(
    worker: asyncpg.Connection,
) -> None:
    steps = [  # the day, the adjustments of one batch, then: the level, since when, and when it was last not ok
        (DAY_1, [5], "low", DAY_1, DAY_1),
        (DAY_2, [100], "ok", DAY_2, DAY_1),
        (DAY_3, [-100, 100], "ok", DAY_3, DAY_3),
        (DAY_4, [1], "ok", DAY_3, DAY_3),
        (DAY_3, [-100], "low", DAY_4, DAY_4),  # a clock that went back: an item's time does not
    ]
    for number, (day, quantities, *expected) in enumerate(steps):
        batch = [
            message("stock-adjustment", reference_id=f"{number}-{at}", type="adjustment", lines=[line("a", quantity)])
            for at, quantity in enumerate(quantities)
        ]
        await handle_batch(worker, batch, Policy(), clock=day)
        stay = await one(worker, "SELECT level, level_since, last_alerted_at, alert_id::text FROM stock.items")
        assert list(stay)[:3] == expected
        assert stay["alert_id"] == (await published(worker, "alert-level-changed"))[-1]["alert_id"]
    times = await one(worker, "SELECT first_movement_at, last_movement_at, last_movement_type FROM stock.items")
    assert tuple(times) == (DAY_1, DAY_4, "adjustment")


async def test_rule_1_a_redelivery_in_another_batch_writes_and_tells_nothing(worker: asyncpg.Connection) -> None:
    order = message("order-placed", order_id="O", lines=[line("a", 1)])
    await apply(worker, message("restock", reference_id="R", lines=[line("a", 10)]), order)
    before = [await count(worker, table) for table in ("movements", "outbox", "references", "order_lines")]
    assert await apply(worker, order, order) == ["duplicate", "duplicate"]
    assert [await count(worker, table) for table in ("movements", "outbox", "references", "order_lines")] == before


async def test_rule_1_a_conflict_is_told_once_per_position(worker: asyncpg.Connection) -> None:
    first = message("restock", reference_id="R", lines=[line("a", 10)])
    other = message("restock", reference_id="R", lines=[line("a", 11)])
    assert await apply(worker, first, other) == ["applied", "conflict"]
    assert await apply(worker, other) == ["conflict"]
    assert [e["code"] for e in await published(worker, "adjustment-rejected")] == ["reference_conflict"]
    assert await worker.fetchval("SELECT count(*) FROM stock.outbox WHERE topic = 'restock-dlt'") == 1
    again = message("restock", reference_id="R", lines=[line("a", 11)])
    assert await apply(worker, again) == ["conflict"]
    assert len(await published(worker, "adjustment-rejected")) == 2


async def test_rule_5_a_command_waits_in_the_database_until_its_order_is_placed(worker: asyncpg.Connection) -> None:
    await apply(worker, message("restock", reference_id="R", lines=[line("a", 10)]))
    early = message("order-fulfilled", reference_id="F", order_id="O", lines=[{"line_id": "1", "quantity": 2}])
    assert await apply(worker, early) == ["parked"]
    assert await apply(worker, early) == ["duplicate"]
    assert (await count(worker, "parked_commands"), await count(worker, "references")) == (1, 1)
    assert await apply(worker, message("order-placed", order_id="O", lines=[line("a", 3)])) == ["applied"]
    assert await count(worker, "parked_commands") == 0
    assert await worker.fetchval("SELECT fulfilled FROM stock.order_lines") == 2
    told = [e["reference_id"] for e in await published(worker, "adjustment-applied")]
    assert told == ["R", "O", "F"]


async def test_rule_5_what_waits_in_the_database_is_decided_in_arrival_order(worker: asyncpg.Connection) -> None:
    await apply(worker, message("restock", reference_id="R", lines=[line("a", 10)]))
    for topic, name in (("return-received", "Z"), ("order-fulfilled", "Y"), ("order-cancelled", "X")):
        early = message(topic, reference_id=name, order_id="O", lines=[{"line_id": "1", "quantity": 1}])
        assert await apply(worker, early) == ["parked"]
    await apply(worker, message("order-placed", order_id="O", lines=[line("a", 3)]))
    told = [e["reference_id"] for e in await published(worker, "adjustment-applied")]
    assert told == ["R", "O", "Z", "Y", "X"]


async def test_rule_5_what_is_parked_is_decided_under_another_prefix_too(worker: asyncpg.Connection) -> None:
    def under(prefix: str, topic: str, **fields: object) -> Entry:
        found = record(topic, fields)
        return decode(found._replace(topic=prefix + topic), topic)

    left = [{"line_id": "1", "quantity": 1}]
    early = [under("a.", "order-fulfilled", reference_id=order, order_id=order, lines=left) for order in ("O", "P")]
    await handle_batch(worker, early, Policy("a."))
    order = under("b.", "order-placed", order_id="O", lines=[line("a", 2)])
    stock = under("b.", "restock", reference_id="R", lines=[line("a", 9)])
    *_, placed = await handle_batch(worker, [stock, order], Policy("b."))
    assert [(waited.reference.id, outcome.kind.value) for waited, outcome in placed.released] == [("O", "applied")]
    (waiting,) = await overdue(worker, datetime(9999, 1, 1, tzinfo=UTC), 10)
    assert len(await end_parked(worker, Policy("b."), [waiting])) == 1


async def test_section_6_a_level_is_not_older_than_the_row_that_made_it(worker: asyncpg.Connection) -> None:
    await handle_batch(worker, [message("restock", reference_id="R", lines=[line("a", 1)])], Policy(), clock=DAY_2)
    await handle_batch(worker, [message("restock", reference_id="S", lines=[line("a", 1)])], Policy(), clock=DAY_1)
    assert [e["recorded_at"] for e in await published(worker, "stock-changed")] == ["2026-01-02T00:00:00Z"] * 2
    assert [e["updated_at"] for e in await published(worker, "stock-level")] == ["2026-01-02T00:00:00Z"] * 2


async def test_rule_5_the_sweep_ends_what_waited_too_long(worker: asyncpg.Connection) -> None:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    batch = [
        message("return-received", reference_id="R", order_id="O", lines=[line("a", 2)]),
        message("order-fulfilled", reference_id="F", order_id="O", lines=[{"line_id": "1", "quantity": 2}]),
        message("order-fulfilled", reference_id="G", order_id="P", lines=[{"line_id": "1", "quantity": 1}]),
    ]
    await handle_batch(worker, batch, Policy(), clock=then)
    week = timedelta(days=7)
    assert await overdue(worker, then, 10) == []
    waiting = await overdue(worker, then + timedelta(seconds=1), 10)
    assert len(await end_parked(worker, Policy(), waiting, clock=then + week)) == 3
    assert await end_parked(worker, Policy(), waiting, clock=then + week) == []
    assert await count(worker, "parked_commands") == 0
    assert await worker.fetchval("SELECT on_hand FROM stock.items") == 2
    assert [e["code"] for e in await published(worker, "adjustment-rejected")] == ["order_never_placed"] * 2
    assert await worker.fetchval("SELECT count(*) FROM stock.dead_letters WHERE reason = 'order_never_placed'") == 2
    assert await apply(worker, *batch) == ["duplicate"] * 3


async def test_rule_5_a_whole_cancellation_outlives_its_batch(worker: asyncpg.Connection) -> None:
    await apply(worker, message("restock", reference_id="R", lines=[line("a", 10)]))
    assert await apply(worker, message("order-cancelled", order_id="O")) == ["no_effect"]
    assert await apply(worker, message("order-placed", order_id="O", lines=[line("a", 1)])) == ["superseded"]
    assert await worker.fetchval("SELECT on_hand FROM stock.items") == 10


async def test_rule_13_poison_is_kept_whole_beside_its_neighbours(worker: asyncpg.Connection) -> None:
    poison = decode(record("restock", b"{not json", [("trace", b"\xff")]), "restock")
    good = message("restock", reference_id="R", lines=[line("a", 1)])
    assert await apply(worker, poison, good) == ["malformed", "applied"]
    assert await apply(worker, poison) == ["malformed"]
    row = await one(
        worker, "SELECT key, payload, header_names, header_values FROM stock.outbox WHERE topic = $1", "restock-dlt"
    )
    assert (row["key"], row["payload"]) == (b"key", b"{not json")
    headers = dict(zip(row["header_names"], row["header_values"], strict=True))
    assert headers["trace"] == b"\xff"
    assert headers["dlt-reason"] == b"malformed"
    assert await count(worker, "dead_letters") == 1


async def test_rule_13_a_record_without_key_and_value_gets_an_empty_key(worker: asyncpg.Connection) -> None:
    nothing = record("restock", None)._replace(key=None)
    assert await apply(worker, decode(nothing, "restock")) == ["malformed"]
    row = await one(worker, "SELECT key, payload, header_names FROM stock.outbox")
    assert (row["key"], row["payload"]) == (b"", None)
    assert "dlt-null-key" in row["header_names"]


async def test_internal_error_leaves_no_reference(worker: asyncpg.Connection) -> None:
    bad = record("restock", {"reference_id": "R", "lines": [line("a", 1)]})
    failed = Malformed(bad, "the database would not take it", Code.INTERNAL_ERROR)
    (outcome,) = await handle_batch(worker, [failed], Policy())
    assert outcome.kind is OutcomeKind.FAILED
    assert await count(worker, "references") == 0
    assert await apply(worker, decode(bad, "restock")) == ["applied"]


async def test_rule_2_a_batch_that_fails_leaves_nothing(worker: asyncpg.Connection) -> None:
    policy = Policy()
    good = message("restock", reference_id="R", lines=[line("a", 1)])
    bad = message("restock", reference_id="S", lines=[line("b", 1)])
    assert isinstance(bad, Command)
    broken = Command(**{f: getattr(bad, f) for f in Command.__slots__} | {"actor": "nul \x00 in text"})
    poison = decode(record("restock", b"{not json"), "restock")
    with pytest.raises(asyncpg.PostgresError):
        await handle_batch(worker, [poison, good, broken], policy)
    for table in ("dead_letters", "outbox", "movements", "references", "locations", "items"):
        assert await count(worker, table) == 0
    assert [outcome.kind.value for outcome in await handle_batch(worker, [good], policy)] == ["applied"]


async def test_two_workers_on_the_same_items_and_orders_lose_and_double_nothing(database: str) -> None:
    letters = "abcdefgh"
    connections = [await connect(database, "stock_worker") for _ in range(4)]
    stocked = message("restock", reference_id="R", lines=[line(letter, 1000) for letter in letters])
    await apply(connections[0], stocked)
    orders = [
        message("order-placed", order_id=f"O{n}", lines=[line(letters[n % 8], 1), line(letters[(n * 5 + 3) % 8], 1)])
        for n in range(200)
    ]

    async def work(index: int) -> None:
        known = Policy()
        mine = orders[index:] + orders[:index] if index % 2 else list(reversed(orders))
        for start in range(0, len(mine), 20):
            while True:
                try:
                    await handle_batch(connections[index], mine[start : start + 20], known)
                    break
                except (asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError):
                    await asyncio.sleep(0.01)

    await asyncio.gather(*(work(index) for index in range(4)))
    assert await connections[0].fetchval("SELECT sum(on_hand) FROM stock.items") == 8 * 1000 - 400
    assert await count(connections[0], "movements") == 8 + 400
    rows = "SELECT count(*) FROM stock.movements m WHERE m.item_id = i.item_id"
    assert await connections[0].fetchval(f"SELECT count(*) FROM stock.items i WHERE version <> ({rows})") == 0
    for connection in connections:
        await connection.close()


async def test_recorded_at_never_goes_back_for_an_item(worker: asyncpg.Connection) -> None:
    late, early = datetime(2026, 2, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    await handle_batch(worker, [message("restock", reference_id="R", lines=[line("a", 1)])], Policy(), clock=late)
    await handle_batch(worker, [message("restock", reference_id="S", lines=[line("a", 1)])], Policy(), clock=early)
    assert await worker.fetchval("SELECT min(recorded_at) FROM stock.movements WHERE version = 2") == late


async def test_rule_10_the_last_alert_is_the_last_change_to_a_level_that_is_not_ok(worker: asyncpg.Connection) -> None:
    noon, hour = datetime(2026, 2, 2, 12, tzinfo=UTC), timedelta(hours=1)
    for at, (reference_id, quantity) in enumerate([("R", 5), ("S", 1), ("T", 50), ("U", 50)]):
        restock = message("restock", reference_id=reference_id, lines=[line("a", quantity)])
        await handle_batch(worker, [restock], Policy(), clock=noon + at * hour)
    row = await one(worker, "SELECT level, last_alerted_at, level_since FROM stock.items")
    assert tuple(row) == ("ok", noon, noon + 2 * hour)
    changes = [(e["previous_level"], e["level"], e["version"]) for e in await published(worker, "alert-level-changed")]
    assert changes == [("ok", "low", 1), ("low", "ok", 3)]


async def test_section_2_who_what_when_and_why_are_on_the_row_and_in_its_event(worker: asyncpg.Connection) -> None:
    said = {"occurred_at": "2026-01-31T12:00:00+01:00", "actor": "Ada", "actor_id": SITE.replace("1", "A")}
    lines = [line("a", 1, reason="broken"), line("b", 1, note="wet")]
    await apply(worker, message("restock", reference_id="R", lines=lines, reason="monthly", note="as ever", **said))
    rows = await worker.fetch(
        "SELECT actor, actor_id::text, occurred_at, reason, note FROM stock.movements ORDER BY item_id"
    )
    who = ("Ada", SITE.replace("1", "a"), datetime(2026, 1, 31, 11, tzinfo=UTC))
    assert [tuple(row) for row in rows] == [(*who, "broken", "as ever"), (*who, "monthly", "wet")]
    (first, second) = await published(worker, "stock-changed")
    assert (first["actor"], first["actor_id"], first["occurred_at"]) == (*who[:2], "2026-01-31T11:00:00Z")
    assert [(e["reason"], e["note"], e["sku"]) for e in (first, second)] == [
        ("broken", "as ever", None),
        ("monthly", "wet", None),
    ]


async def test_section_6_applied_is_told_unless_the_deployment_wants_it_not(worker: asyncpg.Connection) -> None:
    batch = [
        message("restock", reference_id="R", lines=[line("a", 1)]),
        message("stock-adjustment", reference_id="A", type="damage", atomic=False, lines=[line("a", 1), line("b", 1)]),
        message("order-cancelled", order_id="O"),
        message("order-placed", order_id="O", lines=[line("a", 1)]),
    ]
    outcomes = await handle_batch(worker, batch, Policy(emit_applied=False))
    assert [outcome.kind.value for outcome in outcomes] == ["applied", "partly_applied", "no_effect", "superseded"]
    assert await published(worker, "adjustment-applied") == []
    assert [e["reference_id"] for e in await published(worker, "adjustment-rejected")] == ["A"]
    assert len(await published(worker, "stock-changed")) == 2


async def test_cases_decided_a_return_that_is_booked_blind_keeps_its_own_source(worker: asyncpg.Connection) -> None:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    back = message("return-received", reference_id="B", order_id="never", lines=[line("a", 2, condition="damaged")])
    assert isinstance(back, Command)
    await handle_batch(worker, [back], Policy(), clock=then)
    await end_parked(worker, Policy(), await overdue(worker, DAY_2, 10), clock=DAY_2)
    told = await published(worker, "stock-changed")
    assert [(e["type"], e["quantity"], e["last_of_command"]) for e in told] == [
        ("return", 2, False),
        ("damage", -2, True),
    ]
    assert {(e["source"]["topic"], e["source"]["offset"], e["order_id"]) for e in told} == {
        ("return-received", back.source.offset, None)
    }


async def test_variants_are_items_of_their_own_and_null_equals_null(worker: asyncpg.Connection) -> None:
    red, blue = product("r"), product("s")
    lines = [line("a", 1), line("a", 2, variant_id=red), line("a", 4, variant_id=blue), line("a", 8)]
    await apply(worker, message("restock", reference_id="R", lines=lines))
    rows = await worker.fetch("SELECT variant_id::text, on_hand FROM stock.items ORDER BY on_hand")
    assert [tuple(row) for row in rows] == [(red, 2), (blue, 4), (None, 9)]


async def test_the_site_of_every_row_is_the_message_s(worker: asyncpg.Connection) -> None:
    await apply(worker, message("restock", reference_id="R", lines=[line("a", 1)]))
    for table in ("items", "location_stock", "movements", "references", "locations"):
        assert {str(row[0]) for row in await worker.fetch(f"SELECT site_id FROM stock.{table}")} == {SITE}
