"""Victims that each die at one point of one shop. Law: a death counts only as SIGKILL at that point, seen in the log.

A chain of lives, all of one static member, while the workload keeps coming; then one that is not armed goes on, drains,
and the shop is judged once. A victim that ends otherwise fails the chain.
"""

import signal
from random import Random
from typing import Final

from tests.chaos.feed import feeding, stock_up
from tests.chaos.harness import Shop
from tests.chaos.launch import POINTS
from tests.chaos.life import Life
from tests.chaos.verdict import Verdict, judge_shop
from tests.oracle.shop import Mix

PER_SECOND: Final = 60.0
PASSES: Final = 3
"""A victim dies at one of its first passes through the point, drawn: some of it has been done before."""
FIRST_PASS: Final = {"after_poll": 2}
"""Where every victim would die before it has applied anything, the backlog that is left moves little: whole
cancellations are read before their orders, which they then supersede."""
SELDOM: Final = {name for name in POINTS if name.startswith(("expiry", "evaluation"))}
"""Passed once a second at most: a victim dies at its first pass, since each one more takes a chain minutes."""
SHOP_SETTINGS: Final = {"STOCK_BATCH_MAX_RECORDS": "50"}
HELD_BY_KAFKA: Final = {"relay_before_acknowledgement", "relay_after_acknowledgement", "relay_before_delete"}
"""Points at which Kafka has records that the outbox still holds: they must come a second time."""


async def die_at(shop: Shop, point: str, times: int, seed: int = 1) -> Verdict:
    """Let `times` workers die at a point and another go on. Failures say also where a death was none."""
    random = Random(seed)
    records = await stock_up(shop, seed, Mix(commands=400 + 800 * times, items=20), PER_SECOND)
    async with feeding(shop, records, PER_SECOND):
        for _ in range(times):
            victim = await _DYING.get(point, _die)(shop, point, random)
            assert victim.died_at(point), f"{point}: the victim ended with {victim.code}:\n{victim.said()}"
        await _a_healthy_one(shop)
    await shop.drained()
    verdict = await judge_shop(shop)
    if point in HELD_BY_KAFKA and not verdict.told_again:
        verdict.failures.append(f"{point}: nothing was published twice, so Kafka had not had it before")
    return verdict


async def _die(shop: Shop, point: str, random: Random) -> Life:
    first = FIRST_PASS.get(point, 1)
    passes = first if point in SELDOM else random.randrange(first, first + PASSES)
    victim = shop.start("one", point, passes)
    await victim.ended()
    return victim


async def _die_during_a_rebalance(shop: Shop, point: str, _: Random) -> Life:
    """A helper comes, or the one that is there goes: either makes a rebalance."""
    victim = shop.start("one", point)
    await victim.applied()
    helpers = [life for life in shop.alive if life is not victim]
    if helpers:
        helpers[0].signal(signal.SIGTERM)
    else:
        shop.start(None)
    await victim.ended()
    return victim


async def _a_healthy_one(shop: Shop) -> None:
    life = shop.start("one")
    assert await life.applied(), f"the one that goes on applied nothing:\n{life.said()}"


_DYING: Final = {"during_rebalance": _die_during_a_rebalance}

assert set(_DYING) | HELD_BY_KAFKA <= set(POINTS)
