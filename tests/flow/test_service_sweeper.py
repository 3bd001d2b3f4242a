"""Contract rule 5, parked commands past their time: the sweeper ends them through the one write path."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from stock_worker.breaker import Breaker
from stock_worker.core.topics import ORDER_FULFILLED, RETURN_RECEIVED
from stock_worker.faults import Stop
from stock_worker.intake import Intake
from stock_worker.metrics import PREFIX, Metrics
from stock_worker.sweeper import Sweeper
from stock_worker.wire.decode import decode
from tests.flow.running import SITE, Shop, product, running, settings_for

TTL = timedelta(hours=168)
NOBODY = Intake(settings_for("127.0.0.1:1", "postgresql://a:b@127.0.0.1:1/c", "nobody."), decode)
"""An intake that owns no partitions: what is parked needs none."""
BREAKER = Breaker(faults=2, window_s=60.0)


def _for_an_unknown_order(reference_id: str) -> bytes:
    lines = [{"product_id": product(1), "quantity": 2}]
    command = {"site_id": SITE, "reference_id": reference_id, "order_id": f"never-{reference_id}", "lines": lines}
    return json.dumps(command).encode()


async def _park(shop: Shop) -> datetime:
    """Park a fulfilment and a return; gives the time before which neither is over."""
    await shop.send(_for_an_unknown_order("f1"), topic=ORDER_FULFILLED)
    await shop.send(_for_an_unknown_order("b1"), topic=RETURN_RECEIVED)
    async with running(shop.settings) as one:
        await one.decided(2)
        assert one.outcomes() == {"parked": 2}
    first: datetime = await shop.ask("SELECT min(parked_at) FROM stock.parked_commands")
    return first + TTL


async def test_what_is_over_its_time_ends_and_what_is_not_waits(shop: Shop) -> None:
    over = await _park(shop)
    metrics, wake, now = Metrics(), asyncio.Event(), over
    sweeper = Sweeper(shop.settings, metrics, intake=NOBODY, wake=wake, breaker=BREAKER, clock=lambda: now)

    assert (await sweeper.sweep()).done == 0
    assert not wake.is_set()
    now = over + timedelta(minutes=1)
    assert (await sweeper.sweep()).done == 2
    assert wake.is_set()
    assert (await sweeper.sweep()).done == 0
    sweeper._discard_connection()

    assert await shop.on_hand() == 2, "the return is booked blind"
    assert await shop.ask("SELECT reason FROM stock.dead_letters") == "order_never_placed"
    counted = {"topic": ORDER_FULFILLED, "reason": "order_never_placed"}
    assert metrics.registry.get_sample_value(PREFIX + "dead_letters_total", counted) == 1
    assert metrics.registry.get_sample_value(PREFIX + "movements_total", {"type": "return"}) == 1


async def test_two_sweepers_end_each_command_once(shop: Shop) -> None:
    over = await _park(shop)
    sweepers = [
        Sweeper(
            shop.settings, Metrics(), intake=NOBODY, wake=asyncio.Event(), breaker=BREAKER, clock=lambda: over + TTL
        )
        for _ in range(3)
    ]

    ended = await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))

    for sweeper in sweepers:
        sweeper._discard_connection()
    assert sum(swept.done for swept in ended) == 2
    assert await shop.on_hand() == 2


async def test_a_sweep_that_fails_is_tried_again_and_one_that_cannot_work_stops(shop: Shop) -> None:
    passes: list[float] = []

    async def sleep(seconds: float) -> None:
        passes.append(seconds)
        if len(passes) == 3:
            await shop.tell("REVOKE SELECT ON stock.parked_commands FROM stock_worker")
        elif len(passes) < 3:
            await shop.tell("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'sweeper'")

    sweeper = Sweeper(
        shop.settings,
        Metrics(),
        intake=NOBODY,
        wake=asyncio.Event(),
        breaker=BREAKER,
        sleep=sleep,
        clock=lambda: datetime.now(UTC),
    )

    with pytest.raises(Stop, match="permission denied"):
        await sweeper.run()
    assert passes == [1.0, 1.0, 1.0]


async def test_a_database_that_is_away_is_told_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    away = shop.settings.model_copy(update={"database_url": "postgresql://a:b@127.0.0.1:1/c"})
    passes: list[float] = []

    async def sleep(seconds: float) -> None:
        passes.append(seconds)
        if len(passes) == 4:
            raise asyncio.CancelledError

    sweeper = Sweeper(away, Metrics(), intake=NOBODY, wake=asyncio.Event(), breaker=BREAKER, sleep=sleep)
    with caplog.at_level("WARNING"), pytest.raises(asyncio.CancelledError):
        await sweeper.run()
    assert len([line for line in caplog.messages if "sweep failed" in line]) == 1


REFUSE = """
    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.reference_id LIKE 'b%' THEN RAISE EXCEPTION 'no' USING ERRCODE = '{}'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON stock.movements FOR EACH ROW EXECUTE FUNCTION public.refuse();
"""


async def test_rule_13_a_command_that_the_database_refuses_keeps_no_other_parked(shop: Shop) -> None:
    over = await _park(shop)
    await shop.tell(REFUSE.format("23514"))
    metrics, breaker = Metrics(), Breaker(faults=1, window_s=60.0)
    sweeper = Sweeper(
        shop.settings, metrics, intake=NOBODY, wake=asyncio.Event(), breaker=breaker, clock=lambda: over + TTL
    )

    assert (await sweeper.sweep()).done == 2
    assert (await sweeper.sweep()).done == 0
    sweeper._discard_connection()

    reasons = await shop.ask("SELECT array_agg(topic || ': ' || reason ORDER BY topic) FROM stock.dead_letters")
    prefix = shop.settings.topic_prefix
    assert reasons == [f"{prefix}order-fulfilled: order_never_placed", f"{prefix}return-received: internal_error"]
    assert await shop.ask("SELECT count(*) FROM stock.references") == 1, "what was set aside may be sent again"
    counted = {"topic": RETURN_RECEIVED, "reason": "internal_error"}
    assert metrics.registry.get_sample_value(PREFIX + "dead_letters_total", counted) == 1
    assert not breaker.is_open, "the data was refused; that is no bug"


async def test_rule_13_a_bug_holds_the_sweeper_before_it_sets_everything_aside(shop: Shop) -> None:
    over = await _park(shop)
    await shop.tell(REFUSE.format("XX000"))
    breaker, sleeps = Breaker(faults=1, window_s=60.0), []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 3:
            raise asyncio.CancelledError

    sweeper = Sweeper(
        shop.settings,
        Metrics(),
        intake=NOBODY,
        wake=asyncio.Event(),
        breaker=breaker,
        sleep=sleep,
        clock=lambda: over + TTL,
    )
    with pytest.raises(asyncio.CancelledError):
        await sweeper.run()

    assert breaker.is_open
    assert await shop.ask("SELECT count(*) FROM stock.parked_commands WHERE reference_id = 'b1'") == 1
    assert await shop.ask("SELECT count(*) FROM stock.dead_letters WHERE reason = 'internal_error'") == 0
