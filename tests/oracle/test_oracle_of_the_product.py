"""The oracle judges the product itself: a seeded workload through decode and handle_batch, no broker between.

What a broker and a relay would add are positions and CloudEvents headers; flow and chaos have the real ones. Afterwards
`verify` must agree with the oracle.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

import asyncpg

from stock_worker.audit.verify import verify
from stock_worker.core.model import Record
from stock_worker.handle import Policy, end_parked, handle_batch
from stock_worker.store.engine import connect
from stock_worker.store.load import overdue
from stock_worker.wire.decode import decode
from tests.oracle.generator import Mix, generate
from tests.oracle.oracle import judge
from tests.oracle.records import Headers, Seen, Sent

BATCH = 250
THEN = datetime(2026, 1, 1, tzinfo=UTC)


async def test_the_products_outbox_is_without_fault(database: str) -> None:
    sent = placed(generate(11, Mix(commands=3_000, large=0.001)))
    worker = await connect(database, "stock_worker")
    for start in range(0, len(sent), BATCH):
        batch = [decode(record_of(each), each.topic) for each in sent[start : start + BATCH]]
        await handle_batch(worker, batch, Policy(), clock=THEN + timedelta(seconds=start))
    waiting = await overdue(worker, THEN + timedelta(hours=23), 40)
    ended = await end_parked(worker, Policy(), waiting, clock=THEN + timedelta(days=1))
    seen = await outbox(worker)
    await worker.close()
    judgement = judge(sent, seen)
    assert judgement.faults == []
    assert judgement.moved_share > 0.5
    assert judgement.outcomes["parked"] >= len(ended) > 0
    auditor = await connect(database, "stock_worker", plans="free")
    assert await verify(auditor) == []
    await auditor.close()


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
