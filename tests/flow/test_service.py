"""Contract section 8, `run` as a process: exit codes, readiness, metrics, SIGTERM; each told in one clear line."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from stock_worker import service as service_module
from stock_worker.core.topics import ORDER_FULFILLED
from stock_worker.faults import Stop
from stock_worker.metrics import PREFIX, TABLE
from stock_worker.service import Service
from stock_worker.startup import ask_kafka
from tests.flow.conftest import Gate
from tests.flow.running import SITE, Shop, product, restock, settings_for, until
from tests.flow.wires import wires

START_S = 10.0
END_S = 25.0
SWEEPER_WAITS = (
    "SELECT count(*) > 0 FROM pg_stat_activity"
    " WHERE application_name = 'stock-worker sweeper' AND wait_event_type = 'Lock'"
    " AND datname = current_database()"
)


@dataclass
class Process:
    """`stock-worker run` as a process."""

    popen: subprocess.Popen[bytes]
    log: Path
    port: int

    def said(self) -> list[dict[str, object]]:
        """Its lines so far."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def ended(self, within_s: float) -> int:
        """Wait for its exit code, longer where the machine is busy. Raises subprocess.TimeoutExpired."""
        busy = os.getloadavg()[0] / (os.cpu_count() or 1)
        return self.popen.wait(within_s * max(1.0, busy))

    async def get(self, path: str) -> tuple[int, str]:
        """Ask over HTTP; (0, "") while nobody answers."""

        def ask() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError:
                return 0, ""

        return await asyncio.to_thread(ask)

    async def answers(self, path: str, status: int) -> str:
        """Wait until a path answers with a status; gives the body."""
        bodies: list[str] = []

        async def answered() -> bool:
            found, body = await self.get(path)
            bodies.append(body)
            return found == status

        await until(answered)
        return bodies[-1]


@contextmanager
def run(shop: Shop, folder: Path, **settings: str) -> Iterator[Process]:
    """Start `stock-worker run`, and kill what is left of it."""
    port = _free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STOCK_")} | {
        "STOCK_KAFKA_BOOTSTRAP": shop.settings.kafka_bootstrap,
        "STOCK_DATABASE_URL": shop.settings.database_url,
        "STOCK_TOPIC_PREFIX": shop.settings.topic_prefix,
        "STOCK_GROUP_ID": shop.settings.group_id,
        "STOCK_KAFKA_SESSION_TIMEOUT_MS": "6000",
        "STOCK_HTTP_HOST": "127.0.0.1",
        "STOCK_HTTP_PORT": str(port),
        **settings,
    }
    log = folder / "run.log"
    with log.open("wb") as out:
        popen = subprocess.Popen(
            [sys.executable, "-m", "stock_worker", "run"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Process(popen, log, port)
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


# ---------------------------------------------------------------- the start


def test_bad_settings_end_with_2_and_every_fault_by_name(shop: Shop, tmp_path: Path) -> None:
    with run(shop, tmp_path, STOCK_BATCH_MAX_LINES="1", STOCK_KAFKA_BOOTSTRAP="nowhere") as process:
        assert process.ended(START_S) == 2

        said = process.log.read_text()
        assert "STOCK_BATCH_MAX_LINES" in said
        assert "STOCK_KAFKA_BOOTSTRAP" in said
        assert "Traceback" not in said


def test_a_wrong_password_ends_with_1_in_one_line_that_holds_no_password(shop: Shop, tmp_path: Path) -> None:
    url = urlsplit(shop.settings.database_url)
    wrong = url._replace(netloc=f"{url.username}:wr0ng-w0rd-entirely@{url.hostname}:{url.port}")
    with run(shop, tmp_path, STOCK_DATABASE_URL=urlunsplit(wrong)) as process:
        _ends_in_one_line(process, "correct the user and the password in STOCK_DATABASE_URL")

        assert "wr0ng-w0rd-entirely" not in process.log.read_text()


def test_a_missing_migration_ends_with_1(shop: Shop, empty_database: str, tmp_path: Path) -> None:
    with run(shop, tmp_path, STOCK_DATABASE_URL=empty_database) as process:
        _ends_in_one_line(process, "not migrated", "run: stock-worker migrate")


def test_a_missing_topic_ends_with_1(shop: Shop, tmp_path: Path) -> None:
    with run(shop, tmp_path, STOCK_TOPIC_PREFIX="nobody-made-these-") as process:
        _ends_in_one_line(process, "nobody-made-these-order-placed", "run: stock-worker topics create")


async def test_a_connection_that_is_being_opened_is_not_cut_off(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password ends the start while Kafka is asked: aiokafka would forget its connection, and say so later."""
    opened = asyncio.Event()

    async def open_slowly(consumer: AIOKafkaConsumer, start: Callable[..., Any] = AIOKafkaConsumer.start) -> None:
        await asyncio.sleep(0.2)
        await start(consumer)
        opened.set()

    monkeypatch.setattr(AIOKafkaConsumer, "start", open_slowly)
    asking = asyncio.create_task(ask_kafka(shop.settings))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert opened.is_set()


def test_a_missing_migration_is_told_while_the_broker_is_down(shop: Shop, empty_database: str, tmp_path: Path) -> None:
    bootstrap = f"127.0.0.1:{_free_port()}"
    with run(shop, tmp_path, STOCK_DATABASE_URL=empty_database, STOCK_KAFKA_BOOTSTRAP=bootstrap) as process:
        _ends_in_one_line(process, "run: stock-worker migrate")


def test_a_taken_port_ends_with_1(shop: Shop, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with run(shop, tmp_path, STOCK_HTTP_PORT=port) as process:
            _ends_in_one_line(process, "STOCK_HTTP_PORT", port)


def _ends_in_one_line(process: Process, *words: str) -> None:
    """Exit code 1 in time; of severity critical there is one line, it has these words, and there is no traceback."""
    assert process.ended(START_S) == 1
    critical = [line for line in process.said() if line["level"] == "critical"]
    assert len(critical) == 1
    for word in words:
        assert word in str(critical[0])
    assert "raceback" not in process.log.read_text()


@pytest.mark.parametrize("away", ["STOCK_KAFKA_BOOTSTRAP", "STOCK_DATABASE_URL"])
async def test_a_server_that_is_down_is_told_once_and_waited_for(shop: Shop, tmp_path: Path, away: str) -> None:
    address = f"127.0.0.1:{_free_port()}"
    value = address if away == "STOCK_KAFKA_BOOTSTRAP" else f"postgresql://stock:stock@{address}/stock"
    name = "Kafka" if away == "STOCK_KAFKA_BOOTSTRAP" else "PostgreSQL"
    with run(shop, tmp_path, **{away: value}) as process:
        await process.answers("/healthz", 200)
        body = await process.answers("/readyz", 503)
        assert json.loads(body)["ready"] is False
        await until(lambda: _has(process.get("/readyz"), f"waiting for {name}"))
        await process.answers("/metrics", 200)
        await asyncio.sleep(3.0)
        assert process.popen.poll() is None
        told = [line for line in process.said() if str(line["message"]).startswith(f"{name} is down")]
        assert len(told) == 1

        process.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.ended, 5.0) == 0


# ---------------------------------------------------------------- the life


async def test_a_worker_becomes_ready_applies_publishes_and_ends_in_order(shop: Shop, tmp_path: Path) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(100)])
    with run(shop, tmp_path) as process:
        ready = json.loads(await process.answers("/readyz", 200))
        assert (ready["ready"], ready["reasons"]) == (True, [])
        await until(lambda: _has(process.get("/metrics"), 'outcome="applied",topic="restock"} 100.0'))
        await until(lambda: _zero(shop))
        families = list(text_string_to_metric_families(await process.answers("/metrics", 200)))
        assert {family.name for family in families} == {(PREFIX + row.name).removesuffix("_total") for row in TABLE}
        await until(lambda: _has(process.get("/metrics"), 'consumer_lag{partition="0",topic="restock"} 0.0'))

        process.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.ended, END_S) == 0
        batches = [line for line in process.said() if line["message"] == "batch"]
        assert sum(int(str(line["records"])) for line in batches) == 100
        assert "raceback" not in process.log.read_text()
    assert (await shop.on_hand(), await shop.committed()) == (100, 100)
    assert await _members(shop) == 0


async def test_sigterm_in_mid_load_loses_nothing(shop: Shop, tmp_path: Path) -> None:
    await shop.send(*[restock(f"r{n}") for n in range(3_000)])
    with run(shop, tmp_path, STOCK_BATCH_MAX_RECORDS="50") as process:
        await until(shop.movements)
        process.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.ended, END_S) == 0

    moved = await shop.movements()
    assert 0 < moved < 3_000
    assert await shop.committed() == moved, "what is applied is committed, and nothing else"


async def test_a_part_that_dies_takes_the_process_down_with_its_reason(shop: Shop, tmp_path: Path) -> None:
    with run(shop, tmp_path) as process:
        await process.answers("/readyz", 200)
        await shop.tell("REVOKE INSERT ON stock.movements FROM stock_worker")
        await shop.send(restock("r1"))

        assert await asyncio.to_thread(process.ended, END_S) == 1
        critical = [line for line in process.said() if line["level"] == "critical"]
        assert [("permission denied" in str(line["message"])) for line in critical] == [True]


async def test_a_parked_command_ends_when_its_time_is_over(shop: Shop, tmp_path: Path) -> None:
    lines = [{"product_id": product(1), "quantity": 1}]
    orphan = {"site_id": SITE, "reference_id": "f1", "order_id": "never", "lines": lines}
    await shop.send(json.dumps(orphan).encode(), topic=ORDER_FULFILLED)
    with run(shop, tmp_path, STOCK_PARKED_TTL_HOURS="0.0003") as process:
        await until(lambda: shop.ask("SELECT count(*) FROM stock.dead_letters WHERE reason = 'order_never_placed'"))
        counted = 'dead_letters_total{reason="order_never_placed",topic="order-fulfilled"} 1.0'
        await until(lambda: _has(process.get("/metrics"), counted))


async def test_sigterm_ends_a_worker_whose_database_has_frozen_in_mid_transaction(shop: Shop, tmp_path: Path) -> None:
    orphan = {"site_id": SITE, "reference_id": "f1", "order_id": "never", "lines": [{"line_id": "1", "quantity": 1}]}
    async with wires(shop.settings.database_url) as between, _owner_holds(shop, "stock.dead_letters"):
        await shop.send(json.dumps(orphan).encode(), topic=ORDER_FULFILLED)
        given = {"STOCK_DATABASE_URL": between.url, "STOCK_PARKED_TTL_HOURS": "0.0003"}
        with run(shop, tmp_path, **given) as process:
            await until(lambda: shop.ask(SWEEPER_WAITS))
            between.freeze("stock-worker sweeper")

            process.popen.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.ended, END_S) == 0


async def _waits_in_its_rollback() -> None:
    """As a transaction that is cancelled on a connection that no longer answers."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()


async def _takes_it_for_a_fault() -> None:
    """As a sweep whose connection breaks at the moment of its cancellation: the driver's fault comes in its place."""
    while True:
        with contextlib.suppress(asyncpg.InterfaceError):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                if asyncio.current_task().cancelling() == 1:  # type: ignore[union-attr] # this runs in one
                    raise asyncpg.InterfaceError("connection is closed") from error
                raise


@pytest.mark.parametrize("part", [_waits_in_its_rollback, _takes_it_for_a_fault])
async def test_a_part_ends_that_one_cancellation_does_not_end(part: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = asyncio.create_task(part())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await service_module._cancel([task])
    assert task.cancelled()


# ---------------------------------------------------------------- the watchdog


@asynccontextmanager
async def _watched(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Service, asyncio.Task[None]]]:
    """A service whose loop and watchdog run, with a watchdog that looks ten times a second and waits for one."""
    monkeypatch.setattr(service_module, "_LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(service_module, "_STILL_MAX_S", 1.0)
    settings = settings_for(shop.settings.kafka_bootstrap, shop.settings.database_url, shop.settings.topic_prefix)
    service = Service(settings)
    loop = asyncio.create_task(service.worker.run())
    await service.intake.join()
    watchdog = asyncio.create_task(service._watch_progress())
    try:
        yield service, watchdog
    finally:
        await service.intake.leave()
        for task in (loop, watchdog):
            task.cancel()
        await asyncio.gather(loop, watchdog, return_exceptions=True)


async def test_lag_without_progress_ends_the_process(shop: Shop, monkeypatch: pytest.MonkeyPatch, gate: Gate) -> None:
    await shop.send(restock("r1"))
    async with _watched(shop, monkeypatch) as (_, watchdog):
        await gate.busy.wait()

        with pytest.raises(Stop, match="1 records wait and none was applied"):
            await asyncio.wait_for(watchdog, 15)


@pytest.mark.parametrize("excuse", ["outbox", "breaker", "fault"])
async def test_lag_with_a_known_reason_does_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, gate: Gate, excuse: str
) -> None:
    await shop.send(restock("r1"))
    async with _watched(shop, monkeypatch) as (service, watchdog):
        await gate.busy.wait()
        service.worker.breaker.is_open = excuse == "breaker"
        service.worker.fault = "the database is away" if excuse == "fault" else None
        if excuse == "outbox":
            service.worker.outbox_has_room.clear()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(watchdog), 2.5)
        assert service.paused() == [excuse]
        assert service.metrics.registry.get_sample_value(PREFIX + "consumption_paused", {"reason": excuse}) == 1


async def test_no_lag_is_no_standstill(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _watched(shop, monkeypatch) as (_, watchdog):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(watchdog), 2.5)


@asynccontextmanager
async def _owner_holds(shop: Shop, table: str) -> AsyncIterator[None]:
    """Let nobody write to a table for as long as the block runs."""
    connection = await asyncpg.connect(shop.settings.database_url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield
    finally:
        await connection.close()


async def _has(asked: Awaitable[tuple[int, str]], words: str) -> bool:
    return words in (await asked)[1]


async def _zero(shop: Shop) -> bool:
    return bool(await shop.ask("SELECT count(*) = 0 FROM stock.outbox"))


async def _members(shop: Shop) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=shop.settings.kafka_bootstrap)
    await admin.start()
    try:
        (response,) = await admin.describe_consumer_groups([shop.settings.group_id])
    finally:
        await admin.close()
    return len(response.groups[0][-1 if response.API_VERSION < 3 else -2])
