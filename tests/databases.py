"""Databases for as long as a block runs. Law: whoever makes one removes it, whatever happened in between."""

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from stock_worker.devstack.databases import drop_database


@contextmanager
def new_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Make a database on the server, a copy of `template`; gives its URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _elsewhere(_execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        _elsewhere(drop_database(server_url, name))


def name_of(database_url: str) -> str:
    """The name of a URL's database."""
    return urlsplit(database_url).path.removeprefix("/")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _elsewhere(work: Coroutine[None, None, None]) -> None:
    """Run to the end on a loop of its own, in a thread: a fixture may be set up while the session's loop runs."""
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        elsewhere.submit(asyncio.run, work).result()
