"""The stack on real servers: both answer, data outlive stops and crashes, and nothing outlives the owner."""

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stock_worker import devstack
from stock_worker.devstack import Node, Stack, StartFailed
from stock_worker.devstack.scratch import open_scratch, sweep

DEADLINE_S = 30.0


async def test_the_everyday_login_is_ordinary_and_may_do_what_migrations_need(own_stack: Stack) -> None:
    connection = await asyncpg.connect(own_stack.database_url)
    row = await connection.fetchrow(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    await connection.close()
    assert row is not None
    assert tuple(row) == (False, True, True, True)


async def test_a_commit_is_as_durable_as_postgresql_makes_it_by_itself(own_stack: Stack) -> None:
    connection = await asyncpg.connect(own_stack.database_url)
    settings = {name: await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")}
    await connection.close()
    assert settings == {"fsync": "on", "synchronous_commit": "on"}


@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_rows_and_records_outlive_a_restart_at_the_same_address(own_stack: Stack, topics: str, way: str) -> None:
    topic, table = f"{topics}kept", f"kept_{topics.strip('-')}"
    await create_topic(own_stack, topic)
    await send(own_stack, topic, b"before")
    await execute(own_stack, f"CREATE TABLE {table} AS SELECT 1 AS kept")

    for node in (own_stack.kafka, own_stack.postgres):
        assert node is not None
        crash_and_restart(node, way)

    await send(own_stack, topic, b"after")
    assert await read(own_stack, topic, 2) == [b"before", b"after"]
    await execute(own_stack, f"DROP TABLE {table}")


def crash_and_restart(node: Node, way: str) -> None:
    former = node.pid
    assert former is not None
    getattr(node, way)()
    assert node.pid is None
    assert not psutil.pid_exists(former)
    node.start()
    assert node.pid not in (None, former)


async def test_a_missing_topic_stays_missing(own_stack: Stack, topics: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=own_stack.kafka_bootstrap)
    await admin.start()
    await admin.describe_topics([f"{topics}never-made"])
    assert f"{topics}never-made" not in await admin.list_topics()
    await admin.close()


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that only this test uses, and that a server's own user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.mark.parametrize(
    ("kafka_settings", "postgres_settings", "said"),
    [
        ({"log.retention.hours": "soon"}, {}, r"(?s)Kafka ended .*log\.retention\.hours"),
        ({}, {"shared_buffers": "some"}, r"(?s)PostgreSQL ended .*shared_buffers"),
    ],
    ids=["kafka", "postgresql"],
)
def test_a_server_that_fails_to_start_says_why_and_leaves_nothing(
    temporary: Path, kafka_settings: dict[str, str], postgres_settings: dict[str, str], said: str
) -> None:
    with (
        pytest.raises(StartFailed, match=said),
        devstack.stack(environment={}, kafka_settings=kafka_settings, postgres_settings=postgres_settings),
    ):
        pass
    assert list(temporary.iterdir()) == []
    assert servers_in(temporary) == []


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda way: way.name)
@pytest.mark.parametrize("when", ["running", "starting"])
def test_nothing_outlives_the_owner(temporary: Path, way: signal.Signals, when: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "stock_worker.devstack"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as owner:
        assert owner.stdout
        if when == "running":
            exports = [owner.stdout.readline().split(b"=")[0] for _ in range(2)]
            assert exports == [b"export STOCK_KAFKA_BOOTSTRAP", b"export STOCK_DATABASE_URL"]
        wait_for(lambda: servers_in(temporary) != [])
        owner.send_signal(way)
        try:
            assert owner.wait(DEADLINE_S) == (-signal.SIGKILL if way is signal.SIGKILL else 0)
        finally:
            owner.kill()  # leaving the block waits for it, however long
    wait_for(lambda: servers_in(temporary) == [] and list(temporary.iterdir()) == [])


def test_what_owner_and_watchdog_left_is_cleared_by_the_next_start(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "stock_worker.devstack"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as owner:
        assert owner.stdout
        owner.stdout.readline()
        watchdogs = [
            child for child in psutil.Process(owner.pid).children() if "watchdog.py" in " ".join(child.cmdline())
        ]
        assert len(watchdogs) == 1
        watchdogs[0].kill()
        owner.kill()
    wait_for(lambda: not any(process.is_running() for process in watchdogs))
    left = servers_in(temporary)
    assert left != []

    with open_scratch() as fresh:
        assert list(temporary.iterdir()) == [fresh.root]
        assert not set(left) & set(servers_in(temporary))
    assert list(temporary.iterdir()) == []


def test_a_stack_in_use_is_not_swept(temporary: Path) -> None:
    with open_scratch() as first:
        sweep()
        with open_scratch() as second:
            assert set(temporary.iterdir()) == {first.root, second.root}


# ---------------------------------------------------------------- helpers


def servers_in(folder: Path) -> list[psutil.Process]:
    """The processes whose command line names the folder, watchdogs included."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(folder) in " ".join(process.cmdline()):
                found.append(process)
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


async def execute(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute(statement)
    await connection.close()


async def create_topic(stack: Stack, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()


async def send(stack: Stack, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap, acks="all")
    await producer.start()
    await producer.send_and_wait(topic, value)
    await producer.stop()


async def read(stack: Stack, topic: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=stack.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), DEADLINE_S)).value for _ in range(count)]
    finally:
        await consumer.stop()
