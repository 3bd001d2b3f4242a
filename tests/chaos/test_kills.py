"""Workers are killed at any moment while the workload keeps coming."""

import pytest

from stock_worker.devstack import Stack
from tests.chaos.harness import open_shop
from tests.chaos.killing import SHOP_SETTINGS, kill_at_random
from tests.oracle.shop import Mix

pytestmark = pytest.mark.chaos

KILLS = 10


async def test_workers_that_are_killed_at_any_moment(stack: Stack, database: str, topics: str) -> None:
    async with open_shop(stack.kafka_bootstrap, database, topics, **SHOP_SETTINGS) as shop:
        kills, verdict = await kill_at_random(shop, KILLS, Mix(commands=5_000), per_second=100)

    assert verdict.failures == []
    assert len(kills.applied) == KILLS
