"""Contract rule 13 and section 8: what passes is tried again, one bad record is set aside, too many bugs hold the line.

Faults of the database are the database's own: triggers that the test installs raise them, or cut the connection.
"""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from stock_worker import gauges as gauges_module
from stock_worker.audit.drift import Drift
from stock_worker.audit.verify import Rest, verify
from stock_worker.breaker import Breaker, Held
from stock_worker.core.model import Entry, Record
from stock_worker.core.topics import RESTOCK, dead_letter_topic
from stock_worker.faults import Stop
from stock_worker.gauges import Gauges, _first_slices, _next_slice, audit
from stock_worker.wire.decode import decode
from tests.flow.conftest import Before
from tests.flow.running import Shop, restock, running, until

RAISE = "RAISE EXCEPTION 'planted' USING ERRCODE = '{state}'"
RAISE_UNIQUE = "RAISE EXCEPTION 'planted' USING ERRCODE = '23505', CONSTRAINT = 'references_pkey'"
CUT = "PERFORM pg_terminate_backend(pg_backend_pid())"

TRIGGER = """
CREATE SEQUENCE stock.passes;
CREATE FUNCTION stock.planted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF {condition} THEN {action}; END IF;
    RETURN new;
END $$;
CREATE TRIGGER planted BEFORE INSERT ON stock.references FOR EACH ROW EXECUTE FUNCTION stock.planted();
"""
THREE_TIMES = "new.id = 'r3' AND nextval('stock.passes') <= 3"  # a sequence does not roll back
ALWAYS = "new.id = 'r3'"


@pytest.mark.parametrize(
    ("action", "sqlstate"),
    [
        (RAISE.format(state="40001"), "40001"),
        (RAISE.format(state="40P01"), "40P01"),
        (RAISE.format(state="53300"), "53300"),
        (RAISE.format(state="55P03"), "55P03"),
        (RAISE.format(state="57014"), "57014"),
        (RAISE.format(state="25006"), "25006"),
        (RAISE_UNIQUE, "23505"),
        (CUT, "08003"),
    ],
    ids=["serialization", "deadlock", "connections", "lock", "cancelled", "read-only", "race-on-a-reference", "cut"],
)
async def test_what_passes_is_tried_again_until_it_works(shop: Shop, action: str, sqlstate: str) -> None:
    await shop.tell(TRIGGER.format(condition=THREE_TIMES, action=action))
    await shop.send(*[restock(f"r{n}") for n in range(10)])

    async with running(shop.settings) as one:
        await one.decided(10)

        assert one.outcomes() == {"applied": 10}
        assert one.sample("db_retries_total", sqlstate=sqlstate) == 3
        assert one.worker.fault is None
    assert (await shop.on_hand(), await shop.committed()) == (10, 10)


async def test_while_the_database_is_away_nothing_is_committed_and_it_says_so(
    shop: Shop, before_handling: Callable[[Before], None]
) -> None:
    away = [ConnectionRefusedError("nobody listens")]

    def refuse(_values: list[bytes | None]) -> None:
        for error in away:
            raise error

    before_handling(refuse)
    await shop.send(*[restock(f"r{n}") for n in range(10)])

    async with running(shop.settings) as one:
        await until(lambda: one.sample("db_retries_total", sqlstate="connection") >= 4)
        assert one.worker.fault == "ConnectionRefusedError: nobody listens"
        assert await shop.committed() == 0
        away.clear()
        await one.decided(10)
        await until(lambda: one.worker.fault is None)
    assert await shop.committed() == 10


async def test_one_record_that_the_database_cannot_take_is_set_aside_alone(shop: Shop) -> None:
    await shop.tell(TRIGGER.format(condition="new.id = 'r137'", action=RAISE.format(state="P0001")))
    await shop.send(*[restock(f"r{n}") for n in range(300)])

    async with running(shop.settings) as one:
        await one.decided(300)

        assert one.outcomes() == {"applied": 299, "failed": 1}
        assert one.sample("rejections_total", code="internal_error") == 1
        assert one.sample("dead_letters_total", topic=RESTOCK, reason="internal_error") == 1
        assert not one.worker.breaker._times, "the data's fault is no bug"
    assert (await shop.on_hand(), await shop.committed()) == (299, 300)
    assert await shop.ask('SELECT "offset" FROM stock.dead_letters') == 137
    letter = "SELECT count(*) FROM stock.outbox WHERE topic = $1"
    assert await shop.ask(letter, shop.settings.topic_prefix + dead_letter_topic(RESTOCK)) == 1
    assert await shop.ask("SELECT count(*) FROM stock.references WHERE id = 'r137'") == 0, "it may be sent again"


async def test_the_order_of_the_neighbours_survives_the_halving(shop: Shop) -> None:
    await shop.tell(TRIGGER.format(condition="new.id = 'r5'", action=RAISE.format(state="22003")))
    await shop.send(*[restock(f"r{n}", quantity=n + 1) for n in range(8)])

    async with running(shop.settings) as one:
        await one.decided(8)

    order = "SELECT array_agg(source_offset ORDER BY version) FROM stock.movements"
    assert await shop.ask(order) == [0, 1, 2, 3, 4, 6, 7]


async def test_a_race_that_never_ends_is_no_race(shop: Shop) -> None:
    await shop.tell(TRIGGER.format(condition=ALWAYS, action=RAISE_UNIQUE))
    await shop.send(*[restock(f"r{n}") for n in range(8)])

    async with running(shop.settings) as one:
        await one.decided(8)

        assert one.outcomes() == {"applied": 7, "failed": 1}


async def test_a_bug_is_set_aside_and_counted(shop: Shop, before_handling: Callable[[Before], None]) -> None:
    before_handling(_bug_on(b'"r3"'))
    await shop.send(*[restock(f"r{n}") for n in range(8)])

    async with running(shop.settings) as one:
        await one.decided(8)

        assert one.outcomes() == {"applied": 7, "failed": 1}
        assert len(one.worker.breaker._times) == 1
    assert "KeyError" in await shop.ask("SELECT detail FROM stock.dead_letters")


async def test_a_bug_in_decoding_is_set_aside_and_counted_too(shop: Shop) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(8)])

    async with running(shop.settings, decode=_bug_in_decoding) as one:
        await one.decided(8)

        assert one.outcomes() == {"applied": 7, "failed": 1}
        assert len(one.worker.breaker._times) == 1
    assert await shop.committed() == 8


async def test_too_many_bugs_hold_consumption_and_the_offsets_stay(
    shop: Shop, before_handling: Callable[[Before], None]
) -> None:
    before_handling(_bug_on(b'"bad'))
    good = [restock(f"good{n}") for n in range(5)]
    await shop.send(*good, *[restock(f"bad{n}") for n in range(10)], restock("after"))

    async with running(shop.settings, breaker_faults=3) as one:
        await until(lambda: one.worker.breaker.is_open)
        await until(lambda: _is(shop.committed(), 7))
        await asyncio.sleep(1.0)

        assert one.outcomes() == {"applied": 5, "failed": 2}
        assert one.loop
        assert not one.loop.done()
        assert sum((await one.intake.lag()).values()) == 9
    assert await shop.committed() == 7, "the third bug is where a mended release goes on"
    assert await shop.ask("SELECT count(*) FROM stock.dead_letters") == 2

    before_handling(lambda _values: None)
    async with running(shop.settings, breaker_faults=3) as mended:
        await mended.decided(9)

        assert mended.outcomes() == {"applied": 9}


@pytest.mark.parametrize(
    ("bugs_at_s", "opens"),
    [
        ([0, 1], False),
        ([0, 1, 2], True),
        ([0, 5, 10], True),
        ([0, 5, 10.1], False),
        ([0, 9, 18, 19], True),
        ([0, 9, 18, 27, 36], False),
    ],
    ids=["too few", "enough", "just within the window", "the first is forgotten", "the last three", "ever so many"],
)
def test_the_breaker_opens_at_the_third_bug_within_its_ten_seconds(bugs_at_s: list[float], *, opens: bool) -> None:
    breaker = Breaker(faults=3, window_s=10)
    for at in bugs_at_s[:-1]:
        breaker.count(at)
    if opens:
        with pytest.raises(Held):
            breaker.count(bugs_at_s[-1])
    else:
        breaker.count(bugs_at_s[-1])
    assert breaker.is_open is opens


async def test_bugs_far_apart_do_not_open_the_breaker(shop: Shop, before_handling: Callable[[Before], None]) -> None:
    before_handling(_bug_on(b'"bad'))
    await shop.send(*[restock(f"bad{n}") for n in range(3)])

    async with running(shop.settings, breaker_faults=3, breaker_window_s=0) as one:
        await one.decided(3)

        assert not one.worker.breaker.is_open


async def test_what_only_an_operator_can_mend_ends_the_loop_with_its_reason(shop: Shop) -> None:
    await shop.tell("REVOKE INSERT ON stock.movements FROM stock_worker")
    await shop.send(restock("r1"))

    async with running(shop.settings) as one:
        assert one.loop
        with pytest.raises(Stop, match="permission denied"):
            await asyncio.wait_for(one.loop, 20)
    assert await shop.committed() == 0


async def test_a_full_outbox_pauses_consumption_until_it_drains(shop: Shop) -> None:
    async with running(shop.settings, outbox_max_rows=1_000) as one:
        gauges = Gauges(one.settings, one.metrics, one.worker.outbox_has_room)
        await shop.tell(_FILL)
        await gauges.look()
        assert not one.worker.outbox_has_room.is_set()
        assert one.sample("outbox_pending") == 1_001
        await asyncio.sleep(1.2)  # the loop looks up once a second
        await shop.send(restock("r1"))
        await asyncio.sleep(2.0)
        assert one.outcomes() == {}

        await shop.tell("DELETE FROM stock.outbox WHERE seq > (SELECT min(seq) + 600 FROM stock.outbox)")
        await gauges.look()
        assert not one.worker.outbox_has_room.is_set(), "it has to drain to half"
        await shop.tell("DELETE FROM stock.outbox")
        await gauges.look()
        await one.decided(1)
        gauges._discard_connection()


async def test_an_old_outbox_pauses_consumption_too(shop: Shop) -> None:
    async with running(shop.settings, outbox_max_age_s=30) as one:
        gauges = Gauges(one.settings, one.metrics, one.worker.outbox_has_room)
        await shop.tell(_FILL.replace("now()", "now() - interval '31 seconds'").replace("1001", "1"))
        await gauges.look()

        assert not one.worker.outbox_has_room.is_set()
        assert one.sample("outbox_oldest_age_seconds") > 30
        gauges._discard_connection()


async def test_the_gauges_count_what_is_there(shop: Shop) -> None:
    await shop.send(restock("r1", number=1, quantity=2), restock("r2", number=2, quantity=50))
    async with running(shop.settings) as one:
        await one.decided(2)
        gauges = Gauges(one.settings, one.metrics, one.worker.outbox_has_room)
        await gauges.look()
        gauges._discard_connection()

        assert one.sample("alert_items", level="critical") == 1
        assert one.sample("alert_items", level="low") == 0
        assert one.sample("parked_commands") == 0
        assert one.sample("reservations_overdue") == 0
        assert one.sample("outbox_pending") == await shop.ask("SELECT count(*) FROM stock.outbox")


async def test_the_audit_finds_a_drift_and_says_it(shop: Shop) -> None:
    await shop.send(*[restock(f"r{n}", number=n) for n in range(20)])
    async with running(shop.settings) as one:
        await one.decided(20)
    metrics, seen = one.metrics, list[float]()

    async def sleep(_seconds: float) -> None:
        seen.append(one.sample("ledger_drift_items"))
        if len(seen) == 10:
            await shop.tell("UPDATE stock.items SET on_hand = on_hand + 1")
        await asyncio.sleep(0)

    auditing = asyncio.create_task(audit(shop.settings, metrics, sleep=sleep))
    # In one slice or in several, as the machine has time; which comes next is the table below.
    await until(lambda: max(seen, default=0) > 0)
    auditing.cancel()
    await asyncio.gather(auditing, return_exceptions=True)
    assert not any(seen[:10])


async def test_the_audit_begins_with_a_slice_by_the_size_of_the_ledger(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.send(restock("r"))
    async with running(shop.settings) as one:
        await one.decided(1)
    verified: list[tuple[int, int]] = []

    async def noted(connection: "asyncpg.Connection", *, slice: tuple[int, int], rest: Rest) -> list[Drift]:  # noqa: A002 - its name
        verified.append(slice)
        return await verify(connection, slice=slice, rest=rest)

    monkeypatch.setattr(gauges_module, "verify", noted)
    monkeypatch.setattr(gauges_module, "_SLICE_FIRST_BYTES", 1_024)
    auditing = asyncio.create_task(audit(shop.settings, one.metrics, sleep=lambda _: asyncio.sleep(0)))
    await until(lambda: bool(verified))
    auditing.cancel()
    await asyncio.gather(auditing, return_exceptions=True)
    assert verified[0] == (0, await shop.ask("SELECT pg_relation_size('stock.movements') / 1024"))
    assert verified[0][1] >= 8


async def test_the_audit_rests_after_each_portion(shop: Shop) -> None:
    await shop.send(*[restock(f"r{n}", number=n) for n in range(60)])
    async with running(shop.settings) as one:
        await one.decided(60)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    auditing = asyncio.create_task(audit(shop.settings, one.metrics, sleep=sleep))
    await until(lambda: len(slept) >= 5)
    auditing.cancel()
    await asyncio.gather(auditing, return_exceptions=True)
    # A minute, sixty items in portions of 25, and a minute.
    assert [seconds == 60 for seconds in slept[:5]] == [True, False, False, False, True]
    assert all(0 < seconds < 60 for seconds in slept[1:4])


@pytest.mark.parametrize(
    ("ledger_bytes", "parts"), [(0, 1), (8_192, 1), (8 << 20, 8), (2 << 30, 2_048), (1 << 50, 1 << 20)]
)
def test_the_first_slice_after_a_start_is_small_however_large_the_ledger_is(ledger_bytes: int, parts: int) -> None:
    assert _first_slices(ledger_bytes) == parts


@pytest.mark.parametrize(
    ("part", "parts", "took_s", "following"),
    [
        (3, 64, 0.3, (4, 64)),
        (63, 64, 0.3, (0, 64)),
        (3, 64, 5.0, (4, 128)),
        (40, 64, 0.01, (9, 32)),
        (0, 1, 0.0, (0, 1)),
    ],
)
def test_slices_grow_and_shrink_until_they_cost_their_share(
    part: int, parts: int, took_s: float, following: tuple[int, int]
) -> None:
    assert _next_slice(part, parts, took_s) == following


_FILL = """
INSERT INTO stock.outbox (created_at, id, shard, aggregatetype, aggregateid, type, topic, key, payload)
SELECT now(), gen_random_uuid(), 0, 'item', 'k', 't', 'nowhere', 'k', 'v' FROM generate_series(1, 1001)
"""


def _bug_in_decoding(record: Record, topic: str) -> Entry:
    if b'"r3"' in (record.value or b""):
        raise KeyError("a bug of ours")
    return decode(record, topic)


def _bug_on(words: bytes) -> Before:
    def look(values: list[bytes | None]) -> None:
        if any(words in (value or b"") for value in values):
            raise KeyError("a bug of ours")

    return look


async def _is(asked: Awaitable[int], wanted: int) -> bool:
    return await asked == wanted
