"""What a test of the worker starts from."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from stock_worker import handle, worker
from stock_worker.core.model import Command, Entry
from stock_worker.devstack import Stack
from tests.flow.running import Shop, make_topics, settings_for


@pytest.fixture
async def shop(stack: Stack, database: str, topics: str) -> Shop:
    """Fresh topics and a fresh database."""
    await make_topics(stack.kafka_bootstrap, topics)
    return Shop(settings_for(stack.kafka_bootstrap, database, topics))


@dataclass
class Gate:
    """Stands before the write path: `busy` says that a batch waits there, `go_on` lets it and all others pass."""

    busy: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate that is closed."""
    closed, handle_batch = Gate(), handle.handle_batch

    async def waiting(*arguments: object, **more: object) -> object:
        closed.busy.set()
        await closed.go_on.wait()
        return await handle_batch(*arguments, **more)  # type: ignore[arg-type] # handed down as it came

    monkeypatch.setattr(worker, "handle_batch", waiting)
    return closed


Before = Callable[[list[bytes | None]], None]


@pytest.fixture
def before_handling(monkeypatch: pytest.MonkeyPatch) -> Callable[[Before], None]:
    """Have a function look at the values of what is offered, before it is handled; it may raise."""
    handle_batch = handle.handle_batch

    def install(look: Before) -> None:
        def handling(connection: object, entries: list[Entry], *more: object) -> Awaitable[object]:
            look([entry.record.value for entry in entries if entry.record and isinstance(entry, Command)])
            return handle_batch(connection, entries, *more)  # type: ignore[arg-type] # handed down as it came

        monkeypatch.setattr(worker, "handle_batch", handling)

    return install
