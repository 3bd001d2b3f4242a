"""Contract rule 6: an expiry meets what happens to its order in the same moment, and partitions that nobody reads."""

import asyncio
from collections.abc import Collection
from datetime import timedelta
from typing import cast

import asyncpg
import pytest
from aiokafka import TopicPartition

from stock_worker.handle import Expired, Policy, expire, handle_batch
from stock_worker.intake import Intake
from stock_worker.sweeper.watermarks import Watermarks
from tests.flow.running import until
from tests.store.histories import NOON
from tests.store.records import line, message
from tests.store.waiting import are_waiting

THE_REFERENCES = "LOCK TABLE stock.references IN SHARE MODE"
"""Nobody can write them; whoever has decided a batch waits here."""
DUE, LATE = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
TOMORROW = (NOON + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("topic", "fields", "left"),
    [
        ("order-placed", {"amend": True, "mode": "reserve", "expires_at": TOMORROW, "lines": []}, (10, 4)),
        ("order-fulfilled", {"lines": [{"line_id": "1", "quantity": 4}]}, (6, 0)),
        ("order-fulfilled", {"lines": [{"line_id": "1", "quantity": 3}]}, (7, 1)),
        ("order-cancelled", {"lines": [{"line_id": "1"}]}, (10, 0)),
    ],
    ids=["amended", "fulfilled", "fulfilled in part", "cancelled"],
)
async def test_rule_6_what_happens_to_an_order_while_it_is_due_is_not_undone(
    sessions: list[asyncpg.Connection], topic: str, fields: dict[str, object], left: tuple[int, int]
) -> None:
    """A batch has decided, and has the order's lock, when the order is due and a sweeper looks for such orders."""
    worker, sweeper, owner = sessions
    reserved = {"order_id": "O", "mode": "reserve", "expires_at": DUE.isoformat(), "lines": [line("a", 4)]}
    before = [message("restock", reference_id="R", lines=[line("a", 10)]), message("order-placed", **reserved)]
    await handle_batch(worker, before, Policy(), clock=NOON)
    entry = message(topic, order_id="O", reference_id="X", **fields)

    transaction = owner.transaction()
    await transaction.start()
    await owner.execute(THE_REFERENCES)
    batch = asyncio.create_task(handle_batch(worker, [entry], Policy(), clock=LATE))
    await until(lambda: are_waiting(owner, 1))
    expiry = asyncio.create_task(expire(sweeper, Policy(), LATE, 10, clock=LATE))

    async def passed_over_or_waits() -> bool:
        return expiry.done() or await are_waiting(owner, 2)

    await until(passed_over_or_waits)
    await transaction.rollback()
    (outcome,) = await batch
    expired: Expired = await expiry
    assert (outcome.kind.value, expired.outcomes) == ("applied", [])
    row = await worker.fetchrow("SELECT on_hand, reserved FROM stock.items")
    assert tuple(row or ()) == left


class _Partitions:
    """An intake, as far as the reach asks it: which partitions there are."""

    def __init__(self, *partitions: TopicPartition) -> None:
        self._partitions = list(partitions)

    def partitions_of(self, _names: Collection[str]) -> list[TopicPartition]:
        """All of them."""
        return self._partitions


async def test_rule_6_expiries_reach_as_far_as_the_partition_that_is_furthest_behind(
    worker: asyncpg.Connection,
) -> None:
    at = [TopicPartition("order-placed", partition) for partition in range(3)]
    reach = Watermarks(cast("Intake", _Partitions(*at))).reach
    write = (
        "INSERT INTO stock.watermarks (topic, partition, applied_to, reported_at) VALUES ('order-placed', $1, $2, $2)"
    )
    await worker.execute(write, 0, LATE)
    await worker.execute(write, 1, DUE)
    assert await reach(worker) is None, "nobody knows what waits in the third"
    await worker.execute(write, 2, LATE)
    await worker.execute(write, 3, NOON)
    assert await reach(worker) == DUE, "a partition that there is no more holds nothing back"
