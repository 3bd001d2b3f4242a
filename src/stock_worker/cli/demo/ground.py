"""The ground that the demo plays on. Law: on servers that the environment names, everything is the demo's own and goes.

The settings stand in a file of the scratch folder, so that the worker gets them as any worker would, and no process
list shows the database's password.
"""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from stock_worker import topics
from stock_worker.cli import kafka, terminal
from stock_worker.devstack import Stack
from stock_worker.devstack.databases import drop_database
from stock_worker.devstack.scratch import Scratch, free_ports
from stock_worker.settings import Settings, read
from stock_worker.store.engine import connect

_PARTITIONS: Final = 4
_KEY_BYTES: Final = 32


class Run(NamedTuple):
    """What one run needs: its settings, where its processes live, and when it was asked for (monotonic).

    The port of the settings is the worker's; the API has one of its own.
    """

    settings: Settings
    room: Scratch
    env_file: Path
    api_port: int
    began: float


@contextmanager
def ground(stack: Stack, room: Scratch, began: float) -> Iterator[Run]:
    """Give the settings of a run, with a database and topics that are its own and are removed after it."""
    name = f"stock_worker_demo_{secrets.token_hex(4)}"
    port, api_port = free_ports(2)
    said = {
        "STOCK_KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "STOCK_DATABASE_URL": stack.database_url,
        "STOCK_GROUP_ID": name,
        "STOCK_HTTP_HOST": "127.0.0.1",
        "STOCK_HTTP_PORT": str(port),
        "STOCK_LOG_FORMAT": "console",
        "STOCK_JWT_KEY": secrets.token_hex(_KEY_BYTES),
    }
    if stack.kafka is None:
        said["STOCK_TOPIC_PREFIX"] = f"{name}-"
    if stack.postgres is None:
        said["STOCK_DATABASE_URL"] = urlunsplit(urlsplit(stack.database_url)._replace(path=f"/{name}"))
    if "STOCK_TOPIC_PARTITIONS" not in os.environ:
        said["STOCK_TOPIC_PARTITIONS"] = str(_PARTITIONS)
    env_file = room.root / "worker.env"
    env_file.touch(mode=0o600)
    env_file.write_text("".join(f"{key}='{value}'\n" for key, value in said.items()))
    # Ours is said in the file, which the environment would overrule; a key set excludes the key.
    for key in (*said, "STOCK_JWKS_URL"):
        os.environ.pop(key, None)
    settings, warnings = read(env_file)
    for warning in warnings:
        terminal.say(f"warning: {warning}")
    with ExitStack() as leaving:
        if stack.postgres is None:
            leaving.enter_context(_own_database(stack.database_url, name))
        if stack.kafka is None:
            leaving.callback(lambda: asyncio.run(_delete_topics(settings)))
        yield Run(settings, room, env_file, api_port, began)


@contextmanager
def _own_database(url: str, name: str) -> Iterator[None]:
    """Make a database on a named server, and drop it in the end."""

    async def execute(statement: str) -> None:
        connection = await connect(url, None, application_name="stock-worker demo")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute(f'CREATE DATABASE "{name}"'))
    try:
        yield
    finally:
        asyncio.run(drop_database(url, name))


async def _delete_topics(settings: Settings) -> None:
    """Remove the topics that are there, on a named broker."""
    async with kafka.admin(settings) as admin:
        names = {spec.name for spec in topics.plan(settings)}
        there = names & set(await admin.list_topics())
        if there:
            await admin.delete_topics(sorted(there))
