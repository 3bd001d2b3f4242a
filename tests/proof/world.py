"""The world fails: a server, a connection, a worker that stands still. Law: whatever fails is waited out.

Each fault comes over two workers with the workload running, more than once and at drawn moments. A fault is over when
both workers apply again; then the shop drains and is judged.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from random import Random
from typing import Final

import asyncpg

from stock_worker.devstack import Node, Stack, StartFailed
from tests.chaos.feed import feeding, stock_up
from tests.chaos.harness import COMMANDS, PARTITIONS, Shop
from tests.chaos.life import Life
from tests.chaos.verdict import Verdict, judge_shop
from tests.oracle.shop import Mix
from tests.proof.ground import Ground, ground
from tests.proof.part import Report, Say, Table

PER_SECOND: Final = 100.0
WORKLOAD: Final = Mix(commands=40_000, items=60)
SHOP_SETTINGS: Final = {"STOCK_BATCH_MAX_RECORDS": "50"}
SHARDS: Final = 16
CUT: Final = """
SELECT application_name FROM (
    SELECT application_name, pg_terminate_backend(pid) AS cut FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'stock-worker%' AND ({which})
    ORDER BY random() LIMIT 1
) WHERE cut
"""
IN_MID_TRANSACTION: Final = "xact_start IS NOT NULL AND application_name = 'stock-worker loop'"
OF_THE_RELAY: Final = "application_name = 'stock-worker relay'"

Fault = Callable[[Stack, Shop, Random, int], Awaitable[str]]
"""Let a fault come so many times; returns what happened, in words."""


async def run(stack: Stack, say: Say, times: int = 4) -> Report:
    """Let each fault come over a shop of its own."""
    total, rows = Verdict(), list[tuple[str, ...]]()
    async with ground(stack) as on:
        for seed, (name, fault) in enumerate(FAULTS.items(), 1):
            happened, verdict = await _under(on, fault, Random(seed), times)
            total.add(verdict)
            rows.append((name, happened, f"{verdict.commands:,}", f"{verdict.told_again:,}", verdict.word))
            say(f"{name}: {happened}, {verdict.word}")
    table = Table("Faults of the world", ("fault", "what happened", "commands", "events told again", "judged"), rows)
    return Report([("faults", str(len(FAULTS))), *total.figures()], [table], total.failures)


async def _under(on: Ground, fault: Fault, random: Random, times: int) -> tuple[str, Verdict]:
    async with on.shop(**SHOP_SETTINGS) as shop:
        records = await stock_up(shop, random.randrange(1_000), WORKLOAD, PER_SECOND)
        try:
            async with feeding(shop, records, PER_SECOND):
                happened = await fault(on.stack, shop, random, times)
            await shop.drained()
            return happened, await judge_shop(shop)
        except (AssertionError, TimeoutError) as broken:
            return "it did not go on", Verdict(failures=[str(broken)])


# ---------------------------------------------------------------- the servers


async def _a_server_restarts(
    of: Callable[[Stack], Node | None], ways: tuple[str, ...], stack: Stack, shop: Shop, random: Random, times: int
) -> str:
    """End a server in each of the ways in turn, and start it a moment later."""
    lives = await _two(shop)
    node = of(stack)
    assert node, "the stack is not ours to crash"
    for number in range(times):
        await _a_moment(random, 1.0)
        await asyncio.to_thread(getattr(node, ways[number % len(ways)]))
        await _a_moment(random, 1.5)
        await _start(node)
        await _go_on(lives)
    return f"{times} restarts"


async def _start(node: Node) -> None:
    """Start a server; one that is too slow for the stack's patience, on a busy machine, is started once more."""
    try:
        await asyncio.to_thread(node.start)
    except StartFailed:
        await asyncio.to_thread(node.start)


# ---------------------------------------------------------------- the connections


async def _connections_are_cut(_: Stack, shop: Shop, random: Random, times: int) -> str:
    """Cut the loop's session in mid-transaction, and every third time a relay's, which another may then inherit."""
    lives = await _two(shop)
    cut: Counter[str] = Counter()
    login = await asyncpg.connect(shop.database_url)
    try:
        while cut.total() < 10 * times:
            await _a_moment(random, 0.1)
            which = OF_THE_RELAY if cut.total() % 3 == 2 else IN_MID_TRANSACTION
            name = await login.fetchval(CUT.format(which=which))
            if name:  # else there is none at this moment
                cut[name] += 1
    finally:
        await login.close()
    await _go_on(lives)
    return ", ".join(f"{many} of the {name.removeprefix('stock-worker ')}" for name, many in sorted(cut.items()))


# ---------------------------------------------------------------- frozen, and too late


async def _a_worker_freezes(point: str, _: Stack, shop: Shop, random: Random, times: int) -> str:
    """Stop a worker at a point, half as often as other faults come: each time takes a session's length and more."""
    freezes = max(1, times // 2)
    other = shop.start("two")
    refused = sum([await _freeze_and_wake(shop, point, random.randint(2, 6), other) for _ in range(freezes)])
    return f"{freezes} frozen and woken, its relay was refused {refused} times"


async def _freeze_and_wake(shop: Shop, point: str, passes: int, other: Life) -> int:
    """Wake it once the other has all its partitions and its relay's shards, and works on."""
    frozen = shop.start("one", point, passes)
    await frozen.until(lambda: frozen.is_frozen, "freezes")
    await other.until(lambda: _has_everything(other), "takes everything over")
    await _go_on([other])
    joined = len(frozen.lines("partitions assigned"))
    frozen.signal(signal.SIGCONT)
    await frozen.until(lambda: len(frozen.lines("partitions assigned")) > joined, "comes back")
    await frozen.until(lambda: _refusals(frozen) > 0, "is told that its relay is too late")
    await _go_on([frozen, other])
    frozen.signal(signal.SIGTERM)
    assert await frozen.ended() == 0, frozen.said()
    return _refusals(frozen)


def _refusals(life: Life) -> int:
    """How often its relay found that another has its place: a producer fenced, a session gone."""
    return len(life.lines("the relay could not publish")) + len(life.lines("the relay lost its session"))


def _has_everything(life: Life) -> bool:
    assigned, shards = life.lines("partitions assigned"), life.lines("the relay's shards")
    every = PARTITIONS * len(COMMANDS)
    return bool(assigned and shards) and (assigned[-1]["partitions"], len(shards[-1]["shards"])) == (every, SHARDS)


FAULTS: Final[Mapping[str, Fault]] = {
    "PostgreSQL: immediate shutdown and restart": partial(_a_server_restarts, lambda stack: stack.postgres, ("kill",)),
    "broker: restart, in order and by a crash": partial(
        _a_server_restarts, lambda stack: stack.kafka, ("stop", "kill")
    ),
    "connections cut in mid-transaction": _connections_are_cut,
    "a worker frozen in mid-transaction": partial(_a_worker_freezes, "frozen_in_mid_transaction"),
    "a worker frozen before its offsets": partial(_a_worker_freezes, "frozen_before_offsets"),
    "two relays on one shard: one frozen with records in its hands": partial(_a_worker_freezes, "frozen_before_send"),
}


# ---------------------------------------------------------------- what they share


async def _two(shop: Shop) -> list[Life]:
    lives = [shop.start("one"), shop.start("two")]
    await _go_on(lives)
    return lives


async def _go_on(lives: list[Life]) -> None:
    """Wait until each has applied another batch."""
    await asyncio.gather(*(life.goes_on() for life in lives))


async def _a_moment(random: Random, most_s: float) -> None:
    """The drawn moment at which it happens."""
    await asyncio.sleep(random.uniform(0, most_s))
