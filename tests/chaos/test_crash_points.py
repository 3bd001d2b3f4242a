"""A worker dies at each named point and another goes on: nothing is lost, doubled, told out of order or left out."""

import pytest

from stock_worker.devstack import Stack
from tests.chaos.dying import SHOP_SETTINGS, die_at
from tests.chaos.harness import open_shop
from tests.chaos.launch import MIGRATION_POINTS, POINTS
from tests.chaos.migrating import die_while_migrating

pytestmark = pytest.mark.chaos

TIMES = 3


@pytest.mark.parametrize("point", POINTS)
async def test_workers_that_die_at(point: str, stack: Stack, database: str, topics: str) -> None:
    async with open_shop(stack.kafka_bootstrap, database, topics, **SHOP_SETTINGS) as shop:
        verdict = await die_at(shop, point, TIMES)

    assert verdict.failures == []


async def test_migrations_that_die_and_the_one_that_goes_on(stack: Stack, module_database: str) -> None:
    deaths, failures = await die_while_migrating(stack.database_url, module_database, rounds=1)

    assert failures == []
    assert deaths == len(MIGRATION_POINTS) > TIMES
