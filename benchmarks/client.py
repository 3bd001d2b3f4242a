"""Asks the API over a few kept connections, in a process of its own. Law: a request's clock starts when it was due.

`asking` runs `python -m benchmarks.client`, which reads a line that says what to ask and writes one of what came of it.
Open loop: each request has a time at which it is due, and waits for a free connection where all are busy, which counts.
Closed loop: each connection asks again as soon as it is answered, for as long as was said.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any, Final, NamedTuple, cast

import httptools
import orjson
import uvloop

_OK: Final = range(200, 300)
_LINE_MAX: Final = 2**28
_GIVES_UP_S: Final = 30.0
"""More than the API takes for any answer. What waits for a connection as long is not asked any more, and has failed."""


class Asked(NamedTuple):
    """One request; `due_s` counts from the start of the client, and means nothing in a closed loop."""

    path: str
    due_s: float = 0.0
    body: dict[str, Any] | None = None
    key: str | None = None


class Answered(NamedTuple):
    """What came of the request of this number; `seconds` are from due to the last byte, `status` 0 where none came."""

    number: int
    seconds: float
    status: int

    @property
    def is_ok(self) -> bool:
        """Whether it was answered as it should."""
        return self.status in _OK


class Client:
    """A started client, which asks what it is told, once."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Whose CPU it takes."""
        return self._process.pid

    async def answers(self, plan: bytes) -> list[Answered]:
        """Let it ask, and wait for what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(plan + b"\n")
        told = await self._process.stdout.readline()
        return [Answered(*each) for each in orjson.loads(told)]


@asynccontextmanager
async def asking() -> AsyncIterator[Client]:
    """Run a client for as long as the block does, so that its CPU can be read at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.client"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_MAX,
    )
    try:
        yield Client(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()  # which is the client's end
        await process.wait()


def plan(port: int, token: str, requests: Sequence[Asked], *, connections: int, closed_s: float | None = None) -> bytes:
    """Write down what to ask: each request when it is due, or one after the other again and again for `closed_s`."""
    return orjson.dumps([port, token, connections, closed_s, requests], default=list)


class _Connection(asyncio.Protocol):
    """One kept connection, on which one request is under way at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # an answer that did not come is one, whatever the reason
        self._transport = None
        if self._answer and not self._answer.done():
            self._answer.set_result(0)

    def on_message_complete(self) -> None:
        """Take the status; the parser calls this at the end of an answer."""
        if self._answer and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())

    @property
    def is_open(self) -> bool:
        """Whether it can be asked on."""
        return self._transport is not None

    async def ask(self, request: bytes) -> int:
        """Ask, and wait for the whole answer. Returns its status, 0 where none came."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(_GIVES_UP_S):
                return await self._answer
        except TimeoutError:
            self._transport.abort()
            return 0


async def _ask_all(
    port: int, token: str, connections: int, closed_s: float | None, requests: Sequence[Asked]
) -> list[Answered]:
    written = [_bytes_of(each, token) for each in requests]
    answers: list[Answered] = []
    waiting: asyncio.Queue[tuple[int, float] | None] = asyncio.Queue()
    began = time.perf_counter()
    numbers = cycle(range(len(requests)))

    async def turn() -> tuple[int, float] | None:
        if closed_s is None:
            return await waiting.get()
        now = time.perf_counter()
        return (next(numbers), now) if now < began + closed_s else None

    async def keep_asking() -> None:
        connection = await _connect(port)
        while (asked := await turn()) is not None:
            number, due = asked
            if time.perf_counter() - due > _GIVES_UP_S:
                answers.append(Answered(number, time.perf_counter() - due, 0))
                continue
            if not connection.is_open:
                connection = await _connect(port)
            status = await connection.ask(written[number])
            answers.append(Answered(number, time.perf_counter() - due, status))

    async with asyncio.TaskGroup() as all_of_them:
        for _ in range(connections):
            all_of_them.create_task(keep_asking())
        if closed_s is None:
            await _offer(waiting, requests, began)
            for _ in range(connections):
                waiting.put_nowait(None)
    return answers


async def _offer(waiting: asyncio.Queue[tuple[int, float] | None], requests: Sequence[Asked], began: float) -> None:
    """Put each request where the connections take it from, when it is due."""
    for number, each in _by_time(requests):
        await asyncio.sleep(began + each.due_s - time.perf_counter())
        waiting.put_nowait((number, began + each.due_s))


async def _connect(port: int) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
    return connection


def _by_time(requests: Sequence[Asked]) -> Iterator[tuple[int, Asked]]:
    return iter(sorted(enumerate(requests), key=lambda each: each[1].due_s))


def _bytes_of(asked: Asked, token: str) -> bytes:
    body = b"" if asked.body is None else orjson.dumps(asked.body)
    head = [
        f"{'GET' if asked.body is None else 'POST'} {asked.path} HTTP/1.1",
        "Host: api",
        f"Authorization: Bearer {token}",
    ]
    if asked.body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if asked.key is not None:
        head.append(f"Idempotency-Key: {asked.key}")
    return "\r\n".join([*head, "", ""]).encode() + body


def main() -> None:
    """Ask what a line of stdin says, tell what came of it, and stay until stdin ends."""
    port, token, connections, closed_s, requests = orjson.loads(sys.stdin.buffer.readline())
    answers = uvloop.run(_ask_all(port, token, connections, closed_s, [Asked(*each) for each in requests]))
    sys.stdout.buffer.write(orjson.dumps([[*each] for each in answers]) + b"\n")
    sys.stdout.buffer.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
