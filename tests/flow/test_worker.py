"""Contract rule 2 and section 8: what comes in is applied once, in order, in bounded batches, and then committed."""

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import monotonic

import pytest

from stock_worker.core.topics import COMMAND_TOPICS, ORDER_FULFILLED, ORDER_PLACED, RESTOCK, RETURN_RECEIVED
from stock_worker.intake import Batch, Intake
from stock_worker.poll import RawRecord
from tests.flow.conftest import Before, Gate
from tests.flow.running import PARTITIONS, SITE, Shop, product, restock, running, until


async def test_commands_are_applied_then_committed_and_the_relay_is_woken(shop: Shop) -> None:
    await shop.send(*[restock(f"r{n}", quantity=n) for n in range(1, 6)])

    async with running(shop.settings) as one:
        await one.decided(5)
        await until(shop.committed)

        assert one.outcomes() == {"applied": 5}
        assert one.wake.is_set()
        assert one.sample("movements_total", type="restock") == 5
        assert one.sample("command_lag_seconds_count") == 5
    assert await shop.on_hand() == 15
    assert await shop.committed() == 5


async def test_what_was_parked_is_counted_once_as_a_record_and_its_rows_when_they_are_written(shop: Shop) -> None:
    lines = [{"product_id": product(1), "quantity": 2}]
    order = {"site_id": SITE, "order_id": "O", "lines": lines}
    async with running(shop.settings) as one:
        await shop.send(json.dumps(order | {"reference_id": "f"}).encode(), topic=ORDER_FULFILLED)
        await shop.send(json.dumps(order | {"reference_id": "r"}).encode(), topic=RETURN_RECEIVED)
        await shop.send(json.dumps(order | {"reference_id": "r2"}).encode(), topic=RETURN_RECEIVED)
        await one.decided(3)
        await shop.send(restock("stock", quantity=5))
        await one.decided(4)
        await shop.send(json.dumps(order).encode(), topic=ORDER_PLACED)
        await one.decided(5)

        assert one.outcomes() == {"parked": 3, "applied": 2}
        assert one.sample("movements_total", type="return") == 1
        assert one.sample("movements_total", type="sale") == 1
        assert one.sample("rejections_total", code="exceeds_returnable") == 1


async def test_every_command_topic_is_listened_to(shop: Shop) -> None:
    for topic in COMMAND_TOPICS:
        await shop.send(b"no json", topic=topic)

    async with running(shop.settings) as one:
        await one.decided(len(COMMAND_TOPICS))

        for topic in COMMAND_TOPICS:
            assert one.sample("commands_total", topic=topic, outcome="malformed") == 1


async def test_what_is_redelivered_is_a_duplicate_and_changes_nothing(shop: Shop) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(10)])
    async with running(shop.settings) as one:
        await one.decided(10)

    async with running(shop.settings, group_id=f"{shop.settings.group_id}-again") as again:
        await again.decided(10)

        assert again.outcomes() == {"duplicate": 10}
    assert await shop.movements() == 10


@pytest.mark.parametrize(
    ("limits", "commands", "lines_each", "sizes"),
    [
        ({"batch_max_records": 10}, 35, 1, [10, 10, 10, 5]),
        ({"batch_max_lines": 1_000}, 5, 400, [2, 2, 1]),
        ({"batch_max_lines": 1_000}, 3, 1_000, [1, 1, 1]),
    ],
    ids=["records", "lines", "the-largest-command-still-passes"],
)
async def test_a_batch_is_bounded_and_the_rest_waits(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, int],
    commands: int,
    lines_each: int,
    sizes: list[int],
) -> None:
    await shop.send(*[restock(f"r{n}", lines=lines_each) for n in range(commands)])
    seen: list[int] = []
    take = Intake.take

    async def patient(self: Intake, patience_s: float) -> Batch | None:
        await asyncio.sleep(0.3)  # so that everything that fits in one batch is there before the first is taken
        batch = await take(self, patience_s)
        seen.extend([len(batch.entries)] if batch else [])
        return batch

    monkeypatch.setattr(Intake, "take", patient)
    async with running(shop.settings.model_copy(update=limits)) as one:
        await one.decided(commands)

        assert seen == sizes
        assert one.sample("batch_size_count") == len(sizes)


async def test_polling_and_decoding_go_on_while_the_database_works(shop: Shop, gate: Gate) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(30)])
    async with running(shop.settings, batch_max_records=10) as one:
        await gate.busy.wait()
        await until(lambda: len(one.intake._waiting) == 10)
        gate.go_on.set()
        await one.decided(30)

        assert one.outcomes() == {"applied": 30}


async def test_what_arrives_while_the_database_works_is_polled_together(
    shop: Shop, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls: list[int] = []
    polled = Intake.polled

    async def counted(self: Intake, records: Sequence[RawRecord]) -> None:
        polls.append(len(records))
        await polled(self, records)

    monkeypatch.setattr(Intake, "polled", counted)
    async with running(shop.settings, batch_max_wait_ms=2_000) as one:
        await shop.send(restock("first"))
        await gate.busy.wait()
        for n in range(6):
            await shop.send(restock(f"r{n}"))
        gate.go_on.set()
        await one.decided(7)
    assert len(polls) <= 4  # the first, one that came before the pause, and the rest; a poll each would be seven
    assert sum(polls) == 7


async def test_no_record_waits_longer_than_a_fetch_is_kept_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastStream's own poll sleeps as long again after one in vain: then each second wait would bring nothing."""
    wait_ms, drips = 300, 60
    polls: list[float] = []
    polled = Intake.polled

    async def timed(self: Intake, records: Sequence[RawRecord]) -> None:
        polls.append(monotonic())
        await polled(self, records)

    monkeypatch.setattr(Intake, "polled", timed)
    async with running(shop.settings, batch_max_wait_ms=wait_ms) as one:
        for n in range(drips):
            await shop.send(restock(f"r{n}"))
            await asyncio.sleep(0.05)
        await one.decided(drips)
    gaps = sorted(later - earlier for earlier, later in pairwise(polls))
    assert len(gaps) >= 5, "records came while it polled"
    assert gaps[len(gaps) // 2] < 1.5 * wait_ms / 1_000, gaps


async def test_a_second_worker_takes_its_share_and_nothing_is_applied_twice(shop: Shop) -> None:
    async with running(shop.settings, batch_max_records=7) as first:
        await until(lambda: len(first.intake.owned) == PARTITIONS * len(COMMAND_TOPICS))
        for part in range(PARTITIONS):
            await shop.send(*[restock(f"a{part}-{n}") for n in range(100)], partition=part)
        async with running(shop.settings, batch_max_records=7) as second:
            await until(lambda: first.intake.owned and second.intake.owned)
            for part in range(PARTITIONS):
                await shop.send(*[restock(f"b{part}-{n}") for n in range(100)], partition=part)
            await until(lambda: sum(first.outcomes().values()) + sum(second.outcomes().values()) >= 400)

            assert not first.intake.owned & second.intake.owned
            assert len(first.intake.owned | second.intake.owned) == PARTITIONS * len(COMMAND_TOPICS)
            assert sum(second.outcomes().values()) >= 100
            assert first.outcomes()["applied"] + second.outcomes()["applied"] == 400
            assert "duplicate" not in first.outcomes() | second.outcomes()
        await until(lambda: len(first.intake.owned) == PARTITIONS * len(COMMAND_TOPICS))
    assert await shop.on_hand() == 400
    assert [await shop.committed(RESTOCK, part) for part in range(PARTITIONS)] == [200, 200]


async def test_a_rebalance_waits_for_the_batch_under_way_and_its_offsets(shop: Shop, gate: Gate) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(5)])
    async with running(shop.settings) as first:
        await gate.busy.wait()
        joining = asyncio.create_task(_decided_by_a_second(shop))
        await until(lambda: first.intake._revoking)
        gate.go_on.set()
        second = await joining

        assert first.outcomes() == {"applied": 5}
        assert second == {}


async def _decided_by_a_second(shop: Shop) -> dict[str, int]:
    async with running(shop.settings) as second:
        await until(lambda: second.intake.owned)
        await asyncio.sleep(1.0)
        return second.outcomes()


async def test_a_rebalance_voids_a_batch_that_is_waiting_to_be_tried_again(
    shop: Shop, before_handling: Callable[[Before], None]
) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(5)])
    broken = [ConnectionResetError("the database is away")]

    def fail(_values: list[bytes | None]) -> None:
        for error in broken:
            raise error

    before_handling(fail)
    async with running(shop.settings) as first:
        await until(lambda: first.worker.fault)
        async with running(shop.settings) as second:
            broken.clear()
            await until(lambda: sum(first.outcomes().values()) + sum(second.outcomes().values()) == 5)

            assert first.worker.fault is None
    assert await shop.on_hand() == 5
    assert await shop.committed() == 5


async def test_stopping_finishes_the_batch_and_commits_it(shop: Shop, gate: Gate) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(50)])
    async with running(shop.settings, batch_max_records=10) as one:
        await gate.busy.wait()
        stopping = asyncio.create_task(one.worker.stop())
        await asyncio.sleep(0.2)
        assert not stopping.done()
        gate.go_on.set()
        await stopping
    assert await shop.on_hand() == await shop.committed() == 10


async def test_the_lag_counts_what_is_not_applied(shop: Shop, gate: Gate) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(30)])
    async with running(shop.settings, batch_max_records=10) as one:
        await gate.busy.wait()
        assert sum((await one.intake.lag()).values()) == 30
        gate.go_on.set()
        await one.decided(30)
        assert sum((await one.intake.lag()).values()) == 0
