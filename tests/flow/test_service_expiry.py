"""Contract rule 6: reservations expire at their time, by PostgreSQL's clock, and never past what is applied."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from stock_worker.breaker import Breaker
from stock_worker.core.topics import ORDER_CANCELLED, ORDER_FULFILLED, ORDER_PLACED
from stock_worker.intake import Intake
from stock_worker.sweeper import Sweeper
from tests.flow.running import SITE, Running, Shop, product, restock, running, until

RESERVED = "SELECT coalesce(sum(reserved), 0)::int FROM stock.items"
EXPIRED = "SELECT count(*) FROM stock.references WHERE type = 'expiry'"
LATE = timedelta(days=3650)


def _reservation(order_id: str, expires_at: datetime, quantity: int = 2) -> bytes:
    lines = [{"product_id": product(1), "quantity": quantity}]
    told = {"site_id": SITE, "order_id": order_id, "mode": "reserve", "lines": lines}
    return json.dumps({**told, "expires_at": expires_at.isoformat()}).encode()


def _about(order_id: str, reference_id: str, quantity: int | None = None) -> bytes:
    line = {"line_id": "1"} if quantity is None else {"line_id": "1", "quantity": quantity}
    told = {"site_id": SITE, "order_id": order_id, "reference_id": reference_id, "lines": [line]}
    return json.dumps(told).encode()


def _sweeper(shop: Shop, intake: Intake, clock: Any = lambda: None) -> Sweeper:  # noqa: ANN401 - a clock or none
    running_one = Running(shop.settings)
    breaker = Breaker(faults=2, window_s=60.0)
    return Sweeper(
        shop.settings, running_one.metrics, intake=intake, wake=asyncio.Event(), breaker=breaker, clock=clock
    )


@asynccontextmanager
async def _reserving(shop: Shop, *expiries: timedelta) -> AsyncIterator[tuple[Running, list[datetime]]]:
    """A worker that has applied a restock of 100 and one reservation of 2 for each time from now."""
    now: datetime = await shop.ask("SELECT clock_timestamp()")
    times = [now + after for after in expiries]
    await shop.send(restock("R", quantity=100))
    async with running(shop.settings) as one:
        await one.decided(1)
        await shop.send(*(_reservation(f"O{n}", at) for n, at in enumerate(times)), topic=ORDER_PLACED)
        await one.decided(1 + len(times))
        yield one, times


async def test_rule_6_a_reservation_expires_at_its_time_and_not_before(shop: Shop) -> None:
    async with _reserving(shop, timedelta(seconds=4), timedelta(days=1)) as (one, times):
        sweeper = _sweeper(shop, one.intake)
        assert await shop.ask(RESERVED) == 4

        async def expired() -> bool:
            await sweeper.sweep()
            return bool(await shop.ask(EXPIRED))

        await until(expired)
        sweeper._discard_connection()
    assert await shop.ask(RESERVED) == 2, "the other one's time has not come"
    row = await shop.ask(
        "SELECT row_to_json(m) FROM stock.movements m WHERE reference_type = 'expiry' AND type = 'unreserved'"
    )
    told = json.loads(row)
    assert datetime.fromisoformat(told["recorded_at"]) >= times[0]
    assert (told["quantity"], told["source"], told["order_id"], told["last_of_command"]) == (2, "sweeper", "O0", True)
    assert told["reference_id"] == f"O0@{times[0].astimezone(UTC).isoformat().replace('+00:00', 'Z')}"
    assert await shop.ask("SELECT outcome FROM stock.references WHERE type = 'expiry'") == "applied"


async def test_rule_6_nothing_expires_while_an_older_command_waits_unread(shop: Shop) -> None:
    async with _reserving(shop, timedelta(seconds=3)) as (one, times):
        sweeper = _sweeper(shop, one.intake)
        for _ in range(3):
            await sweeper.sweep()  # every partition has its mark by now, from before the time
        assert one.loop is not None
        one.loop.cancel()  # the worker stands still: what comes now is polled and not applied
        await asyncio.gather(one.loop, return_exceptions=True)
        await shop.send(_about("O0", "F", 2), topic=ORDER_FULFILLED)
        await until(lambda: shop.ask("SELECT clock_timestamp() > $1", times[0] + timedelta(seconds=1)))
        for _ in range(5):
            await sweeper.sweep()
            await asyncio.sleep(0.05)
        assert await shop.ask(EXPIRED) == 0
        assert await shop.ask("SELECT count(*) FROM stock.orders WHERE due_at <= clock_timestamp()") == 1
        sweeper._discard_connection()
    async with running(shop.settings) as again:
        await again.decided(1)
        sweeper = _sweeper(shop, again.intake)
        for _ in range(4):
            await sweeper.sweep()
        sweeper._discard_connection()
    assert await shop.ask(EXPIRED) == 0, "it was fulfilled before its time by the order of the topics"
    assert await shop.ask(RESERVED) == 0
    assert await shop.on_hand() == 98


async def test_rule_6_a_partition_without_a_mark_holds_all_expiries_back(shop: Shop) -> None:
    async with _reserving(shop, timedelta(milliseconds=1500)) as (one, times):
        sweeper = _sweeper(shop, one.intake)
        await until(lambda: shop.ask("SELECT clock_timestamp() > $1", times[0]))
        await sweeper.sweep()  # notes the ends; no partition is marked before the next sweep
        assert await shop.ask(EXPIRED) == 0
        sweeper._discard_connection()
        later = _sweeper(shop, one.intake)

        async def expired() -> bool:
            await later.sweep()
            return bool(await shop.ask(EXPIRED))

        await until(expired)
        later._discard_connection()


async def test_rule_6_three_sweepers_expire_each_order_once(shop: Shop) -> None:
    async with _reserving(shop, *(timedelta(hours=1 + n) for n in range(9))) as (one, _):
        now: datetime = await shop.ask("SELECT clock_timestamp()")
        sweepers = [_sweeper(shop, one.intake, clock=lambda: now + timedelta(hours=5, minutes=30)) for _ in range(3)]
        swept = await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))
        for sweeper in sweepers:
            sweeper._discard_connection()
    assert sum(each.done for each in swept) == await shop.ask(EXPIRED) == 5
    assert await shop.ask(RESERVED) == 8


async def test_c31_an_expiry_that_is_not_due_under_the_lock_writes_no_reference(shop: Shop) -> None:
    """A cancellation that is applied between picking and deciding cannot be: both are under the order's lock."""
    async with _reserving(shop, timedelta(hours=1)) as (one, _):
        await shop.send(_about("O0", "C"), topic=ORDER_CANCELLED)
        await one.decided(3)
        sweeper = _sweeper(shop, one.intake, clock=lambda: datetime.now(UTC) + timedelta(hours=2))
        assert (await sweeper.sweep()).done == 0
        sweeper._discard_connection()
    assert await shop.ask(EXPIRED) == 0
    assert await shop.ask(RESERVED) == 0


async def test_rule_6_an_order_that_cannot_expire_keeps_no_other(shop: Shop) -> None:
    async with _reserving(shop, *(timedelta(hours=1 + n) for n in range(5))) as (one, _):
        await shop.tell(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NEW.order_id = 'O2' THEN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$; "
            "CREATE TRIGGER refuse BEFORE INSERT ON stock.movements "
            "FOR EACH ROW EXECUTE FUNCTION public.refuse();"
        )
        sweeper = _sweeper(shop, one.intake, clock=lambda: datetime.now(UTC) + LATE)
        for _ in range(20):
            await sweeper.sweep()
        sweeper._discard_connection()
    assert await shop.ask(
        "SELECT array_agg(order_id ORDER BY order_id) FROM stock.references WHERE type = 'expiry'"
    ) == [
        "O0",
        "O1",
        "O3",
        "O4",
    ]
    assert await shop.ask("SELECT count(*) FROM stock.orders WHERE due_at IS NOT NULL") == 1, "told by the gauge"
