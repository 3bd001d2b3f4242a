"""The oracle judges the product itself: a seeded workload through decode and handle_batch, no broker between.

What a broker and a relay would add are positions and CloudEvents headers; flow and chaos have the real ones. Afterwards
`verify` must agree with the oracle.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice

import asyncpg

from stock_worker.audit.rebuild import rebuild
from stock_worker.audit.verify import verify
from stock_worker.breaker import Breaker
from stock_worker.core.model import Record
from stock_worker.handle import Policy, end_parked, expire, handle_batch
from stock_worker.store.engine import connect
from stock_worker.store.load import overdue
from stock_worker.sweeper.reevaluations import Reevaluations
from stock_worker.wire.decode import decode
from tests.chaos.steering import steer
from tests.oracle.generator import FIRST, generate
from tests.oracle.oracle import judge
from tests.oracle.records import Headers, Seen, Sent
from tests.oracle.shop import Mix, before_stock, steering_of

BATCH = 250
THEN = datetime(2026, 1, 1, tzinfo=UTC)


async def test_the_products_outbox_is_without_fault(database: str) -> None:
    mix = Mix(commands=4_000, large=0.001, begins=THEN, lasts_s=3_600.0)
    sent, steering = placed(generate(11, mix)), steering_of(11, mix)
    worker, policy = await connect(database, "stock_worker"), Policy()
    first = [each for each in sent if FIRST in (each.value or b"")]
    await steer(worker, before_stock(steering.first))
    await handle_batch(worker, [decode(record_of(each), each.topic) for each in first], policy, clock=THEN)
    await steer(worker, [step for step in steering.first if step.what == "location"])
    rest, changes = sent[len(first) :], iter(steering.meanwhile)
    made = []
    for number, start in enumerate(range(0, len(rest), BATCH)):
        now = THEN + timedelta(seconds=mix.lasts_s * start / len(rest))
        batch = [decode(record_of(each), each.topic) for each in rest[start : start + BATCH]]
        await handle_batch(worker, batch, policy, clock=now)
        await expire(worker, policy, now, 1_000, clock=now)
        made += (step := list(islice(changes, 3)))
        await steer(worker, step)
        if number % 2:
            await catch_up(worker, policy, now)
    steering.meanwhile = made
    end = THEN + timedelta(days=1)
    ended = await end_parked(worker, policy, await overdue(worker, end - timedelta(hours=1), 400), clock=end)
    await catch_up(worker, policy, end)
    await expire(worker, policy, end, 1_000, clock=end)
    seen = await outbox(worker)
    await worker.close()
    judgement = judge(sent, seen, steering)
    assert judgement.faults == []
    assert judgement.moved_share > 0.5
    assert judgement.expiries > 10
    assert judgement.outcomes["parked"] >= len(ended) > 0
    auditor = await connect(database, "stock_worker", plans="free")
    assert await verify(auditor) == []
    assert await rebuild(auditor, dry_run=True, say=lambda *_: None) == []
    await auditor.close()


async def catch_up(worker: asyncpg.Connection, policy: Policy, now: datetime) -> None:
    """Evaluate the items of changed rules again, as the sweeper does."""
    duty = Reevaluations(policy, Breaker(faults=2, window_s=60.0), lambda: now)
    while await worker.fetchval("SELECT count(*) FROM stock.reevaluations"):
        await duty.sweep(worker)


async def outbox(connection: asyncpg.Connection) -> list[Seen]:
    """The outbox as its relay would publish it."""
    offsets: Counter[str] = Counter()
    seen = []
    for row in await connection.fetch("SELECT * FROM stock.outbox ORDER BY seq"):
        headers: Headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", str(row["id"]).encode()),
            ("ce_type", row["type"].encode()),
            ("ce_source", b"stock-worker"),
            ("ce_time", row["created_at"].isoformat().encode()),
            ("content-type", b"application/json"),
        )
        if row["aggregatetype"] == "dead_letter":
            headers = tuple(zip(row["header_names"], row["header_values"], strict=True))
        seen.append(Seen(row["topic"], 0, offsets[row["topic"]], row["key"], row["payload"], headers))
        offsets[row["topic"]] += 1
    return seen


def placed(records: list[Sent]) -> list[Sent]:
    """The records at the positions that a broker with one partition a topic gives them."""
    offsets: Counter[str] = Counter()
    sent = []
    for record in records:
        sent.append(record._replace(partition=0, offset=offsets[record.topic]))
        offsets[record.topic] += 1
    return sent


def record_of(sent: Sent) -> Record:
    """What the consumer would read."""
    return Record(sent.topic, sent.partition, sent.offset, 1_767_225_600_000, sent.key, sent.value, sent.headers)
