"""Contract rule 6: a pile of reservations falls due while one worker takes another's place, in mid-sweep."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from stock_worker import handle
from stock_worker.core.topics import ORDER_PLACED
from stock_worker.sweeper import expiries
from tests.flow.running import (
    PARTITIONS,
    SITE,
    Running,
    Shop,
    busy,
    end,
    product,
    restock,
    running,
    sweeper_of,
    sweeping,
    until,
)

ORDERS: Final = 300
EACH: Final = 2
AT_ONCE: Final = 10
"""Orders of one transaction, so that the pile takes thirty; each has an item of its own, so that none waits."""


def _order(number: int, expires_at: datetime) -> bytes:
    lines = [{"product_id": product(number), "quantity": EACH}]
    told = {"site_id": SITE, "order_id": f"O{number}", "mode": "reserve", "lines": lines}
    return json.dumps({**told, "expires_at": expires_at.isoformat()}).encode()


def _expired(one: Running) -> int:
    return int(one.sample("movements_total", type="unreserved"))


class Turn:
    """Lets expiries pass up to the one of this number, which waits where all is written and nothing is committed."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.busy, self.go_on = asyncio.Event(), asyncio.Event()
        self._expire, self._write = handle.expire, handle._write
        self._expiring: set[asyncio.Task[Any] | None] = set()

    async def expire(self, *arguments: Any, **more: Any) -> handle.Expired:  # noqa: ANN401 - handed down as it came
        """Stands for `expire`; so that `write` knows whose it is."""
        task = asyncio.current_task()
        self._expiring.add(task)
        try:
            return await self._expire(*arguments, **more)
        finally:
            self._expiring.remove(task)

    async def write(self, *arguments: Any) -> None:  # noqa: ANN401 - handed down as it came
        """Stands for `_write`."""
        await self._write(*arguments)
        if asyncio.current_task() in self._expiring:
            self.left -= 1
            if self.left == 0:
                self.busy.set()
                await self.go_on.wait()


@pytest.mark.parametrize("is_cut_off", [False, True], ids=["finishes what it has begun", "is cut off in a transaction"])
async def test_rule_6_a_sweep_that_a_rebalance_meets_expires_each_order_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, is_cut_off: bool
) -> None:
    monkeypatch.setattr(expiries, "_AT_ONCE", AT_ONCE)
    turn = Turn(5)
    monkeypatch.setattr(expiries, "expire", turn.expire)
    monkeypatch.setattr(handle, "_write", turn.write)
    async with AsyncExitStack() as life_of_a:
        a = await life_of_a.enter_async_context(running(shop.settings))
        await shop.send(restock("R", number=0, quantity=EACH, lines=ORDERS))
        await a.decided(1)
        due: datetime = await shop.ask("SELECT clock_timestamp()") + timedelta(seconds=2 * busy())
        for partition in range(PARTITIONS):
            orders = [_order(number, due) for number in range(partition, ORDERS, PARTITIONS)]
            await shop.send(*orders, topic=ORDER_PLACED, partition=partition)
        await a.decided(1 + ORDERS)
        assert a.outcomes() == {"applied": 1 + ORDERS}, "none was past its time when it came"
        sweeps_of_a = asyncio.create_task(sweeper_of(a).run())
        life_of_a.push_async_callback(end, sweeps_of_a)
        await asyncio.wait_for(turn.busy.wait(), 30)
        before = _expired(a)

        async with running(shop.settings) as b, sweeping(b):
            await until(lambda: a.intake.owned and b.intake.owned and not a.intake.owned & b.intake.owned)
            await until(lambda: _expired(b))
            if not is_cut_off:
                turn.go_on.set()
                await until(lambda: _expired(a) > before)
            await life_of_a.aclose()
            await until(lambda: shop.ask("SELECT count(*) = 0 FROM stock.orders WHERE due_at IS NOT NULL"))
            expired = [_expired(a), _expired(b)]
    assert expired[0] == before if is_cut_off else expired[0] > before
    # A worker counts what it has committed. One whose end is cut off in its COMMIT has no word of it: then these miss.
    assert ORDERS - AT_ONCE <= sum(expired) <= ORDERS, expired
    rows = await shop.rows("SELECT order_id, outcome FROM stock.references WHERE type = 'expiry'")
    assert sorted(map(tuple, rows)) == sorted((f"O{number}", "applied") for number in range(ORDERS))
    given_back = await shop.rows(
        "SELECT order_id, sum(quantity)::int, min(recorded_at) >= $1 FROM stock.movements"
        " WHERE reference_type = 'expiry' GROUP BY order_id",
        due,
    )
    assert sorted(map(tuple, given_back)) == sorted((f"O{number}", EACH, True) for number in range(ORDERS))
    items = await shop.rows("SELECT on_hand, reserved FROM stock.items")
    assert [tuple(item) for item in items] == [(EACH, 0)] * ORDERS
    assert await shop.drifts() == []
