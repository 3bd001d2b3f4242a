"""Contract rule 5, parked commands past their time: the sweeper ends them through the one write path."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from stock_worker.core.topics import ORDER_FULFILLED, RETURN_RECEIVED
from stock_worker.faults import Stop
from stock_worker.metrics import PREFIX, Metrics
from stock_worker.sweeper import Sweeper
from tests.flow.running import SITE, Shop, product, running

TTL = timedelta(hours=168)


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
    sweeper = Sweeper(shop.settings, metrics, wake=wake, clock=lambda: now)

    assert await sweeper.sweep() == 0
    assert not wake.is_set()
    now = over + timedelta(minutes=1)
    assert await sweeper.sweep() == 2
    assert wake.is_set()
    assert await sweeper.sweep() == 0
    sweeper._discard_connection()

    assert await shop.on_hand() == 2, "the return is booked blind"
    assert await shop.ask("SELECT reason FROM stock.dead_letters") == "order_never_placed"
    counted = {"topic": ORDER_FULFILLED, "reason": "order_never_placed"}
    assert metrics.registry.get_sample_value(PREFIX + "dead_letters_total", counted) == 1
    assert metrics.registry.get_sample_value(PREFIX + "movements_total", {"type": "return"}) == 1


async def test_two_sweepers_end_each_command_once(shop: Shop) -> None:
    over = await _park(shop)
    sweepers = [Sweeper(shop.settings, Metrics(), wake=asyncio.Event(), clock=lambda: over + TTL) for _ in range(3)]

    ended = await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))

    for sweeper in sweepers:
        sweeper._discard_connection()
    assert sum(ended) == 2
    assert await shop.on_hand() == 2


async def test_a_sweep_that_fails_is_tried_again_and_one_that_cannot_work_stops(shop: Shop) -> None:
    passes: list[float] = []

    async def sleep(seconds: float) -> None:
        passes.append(seconds)
        if len(passes) == 3:
            await shop.tell("REVOKE SELECT ON stock.parked_commands FROM stock_worker")
        elif len(passes) < 3:
            await shop.tell("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'sweeper'")

    sweeper = Sweeper(shop.settings, Metrics(), wake=asyncio.Event(), sleep=sleep, clock=lambda: datetime.now(UTC))

    with pytest.raises(Stop, match="permission denied"):
        await sweeper.run()
    assert passes == [5.0, 5.0, 5.0]


async def test_a_database_that_is_away_is_told_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    away = shop.settings.model_copy(update={"database_url": "postgresql://a:b@127.0.0.1:1/c"})
    passes: list[float] = []

    async def sleep(seconds: float) -> None:
        passes.append(seconds)
        if len(passes) == 4:
            raise asyncio.CancelledError

    sweeper = Sweeper(away, Metrics(), wake=asyncio.Event(), sleep=sleep)
    with caplog.at_level("WARNING"), pytest.raises(asyncio.CancelledError):
        await sweeper.run()
    assert len([line for line in caplog.messages if "sweep failed" in line]) == 1
