"""`stock-worker migrate` killed on its way. Law: whatever was killed, migrating again gives the undisturbed catalogs.

A round is one empty database: a victim at each point of MIGRATION_POINTS, in the order of the way, then one migration
that is left alone. What the rounds draw is the statement at which the one in the middle dies.
"""

import asyncio
import signal
from random import Random
from typing import Final

from stock_worker.store import migrate
from stock_worker.store.engine import connect
from tests.chaos.harness import Shop, shop_of
from tests.chaos.launch import MIGRATION_POINTS
from tests.databases import new_database
from tests.store.catalogs import CATALOGS, rows_of

MIDDLE: Final = "migrate_at_a_statement"
STATEMENTS: Final = 60
"""The migration has more than these; a victim that finds fewer ends well, and fails the round."""


async def die_while_migrating(server_url: str, undisturbed: str, rounds: int, seed: int = 1) -> tuple[int, list[str]]:
    """Kill migrations and compare each database with one that nobody disturbed; how many died, and what was wrong."""
    random, deaths, failures = Random(seed), 0, list[str]()
    expected = await _catalogs(undisturbed)
    for number in range(rounds):
        with new_database(server_url) as url, shop_of("127.0.0.1:1", url, "") as shop:
            for point in MIGRATION_POINTS:
                passes = random.randint(2, STATEMENTS) if point == MIDDLE else 1
                failures += await _die(shop, point, passes)
                deaths += 1
            healthy = await shop.run("migrate")
            found = await _catalogs(url)
            if healthy.code != 0 or await asyncio.to_thread(migrate.current, url) != migrate.HEAD:
                failures.append(f"round {number}: migrating again ended with {healthy.code}: {healthy.said()}")
            failures += [
                f"round {number}: {catalog}: {sorted(found[catalog] - rows)} instead of {sorted(rows - found[catalog])}"
                for catalog, rows in expected.items()
                if found[catalog] != rows
            ]
    return deaths, failures


async def _die(shop: Shop, point: str, passes: int) -> list[str]:
    victim = await shop.run("migrate", point=point, passes=passes)
    if victim.died_at(point):
        return []
    return [f"{point}, pass {passes}: ended with {victim.code}, not {-signal.SIGKILL}: {victim.said()}"]


async def _catalogs(url: str) -> dict[str, set[str]]:
    connection = await connect(url, None)
    try:
        return {catalog: await rows_of(connection, catalog) for catalog in CATALOGS}
    finally:
        await connection.close()
