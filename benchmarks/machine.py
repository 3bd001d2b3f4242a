"""On what it was measured: the machine, the versions, the servers' settings, all asked and none remembered."""

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from benchmarks.place import KAFKA_SETTINGS
from stock_worker.devstack import Stack

_ASKED: Final = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "wal_sync_method",
)
_LIBRARIES: Final = ("aiokafka", "asyncpg", "faststream", "orjson", "sqlalchemy", "uvloop")


async def describe(stack: Stack) -> list[str]:
    """Describe it, a line a thing."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        shown = [f"{name} {await connection.fetchval(f'SHOW {name}')}" for name in _ASKED]
        server = (await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close()
    memory = psutil.virtual_memory().total / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    machine = f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB of memory"
    return [
        f"Machine: {machine}, {platform.system()} {platform.release()}; broker, database, contender and load share it",
        f"Servers: {stack.how}",
        f"PostgreSQL {server}: {', '.join(shown)}",
        f"Kafka: {', '.join(f'{name} {value}' for name, value in KAFKA_SETTINGS.items())}, 12 partitions a topic",
        f"Python {platform.python_version()}, {libraries}",
        f"Code: {_commit()}",
    ]


def _processor() -> str:
    return _first(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )


def _commit() -> str:
    git = ("git", "describe", "--always", "--dirty")
    said = subprocess.run(git, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "no commit yet"


def _first(words: Iterable[str]) -> str:
    return next(iter(words), platform.machine())
