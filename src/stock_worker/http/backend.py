"""What the routes stand on: readers, held sites, the writer, tokens. Law: a reader sees the sites it is told.

Each read is one transaction on one snapshot, as `stock_api`, with the sites of the token in `stock.sites`: a statement
that forgets its site finds nothing of another's. What takes seconds goes one after the other, so that the other
connections and cores are there for what takes milliseconds. What an operator or an admin changes goes by the worker's
role.
Source: contract section 7, last point.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar, cast

from stock_worker.handle import Policy
from stock_worker.http.problems import Problem
from stock_worker.http.stream import Hub
from stock_worker.http.tokens import Verifier
from stock_worker.http.writing import Writer
from stock_worker.metrics import Metrics
from stock_worker.projection.flows import Flows
from stock_worker.projection.refresh import RECORDED_BACK
from stock_worker.projection.sites import Sites
from stock_worker.settings import Settings
from stock_worker.store.engine import API, WORKER, open_pool
from stock_worker.store.steering.refused import Refused, Why

if TYPE_CHECKING:
    from asyncpg import Connection, Pool
    from asyncpg.pool import PoolConnectionProxy

T = TypeVar("T")

READERS: Final = 8
_FILES: Final = 2
"""Files under way at once: each keeps a connection, and its snapshot, for as long as somebody takes to read it."""
_STEERERS: Final = 2
_TURN_MAX_S: Final = 10.0
"""How long a request waits for one of the connections."""
ANSWER_MAX_S: Final = 20.0
"""How long a request may keep one. A statement ends by itself before; a server that is frozen ends nothing."""
_READ_MAX_S: Final = 15.0
_STEER_MAX_S: Final = 15.0

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT set_config('stock.sites', {sites}, true)"
"""As one message: a request has some eight round trips, each of which wakes two processes."""

_CODES: Final = {Why.MALFORMED: "malformed", Why.NOT_FOUND: "not_found", Why.BUSY: "unavailable"}


class Backend:
    """Everything that a request may use, for as long as the process answers."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        verifier: Verifier,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        recorded_back: timedelta = RECORDED_BACK,
    ) -> None:
        self.settings, self.metrics, self.verifier, self.clock = settings, metrics, verifier, clock
        self.policy = Policy(topic_prefix=settings.topic_prefix, emit_applied=settings.emit_applied)
        self.writer = Writer(settings.database_url, self.policy, metrics)
        self.stream = Hub(settings)
        self.flows = Flows()
        self.sites = Sites(self.reading, metrics, recorded_back=recorded_back)
        self._at_length = asyncio.Lock()
        self._files = asyncio.Semaphore(_FILES)
        self._readers: Pool | None = None
        self._steerers: Pool | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Backend"]:
        """Open the pools and let the writer work for as long as the block runs. No server is asked yet."""
        url = self.settings.database_url
        async with (
            open_pool(url, API, most=READERS, timeout_s=_READ_MAX_S, name="stock-worker api") as self._readers,
            open_pool(url, WORKER, most=_STEERERS, timeout_s=_STEER_MAX_S, name="stock-worker api") as self._steerers,
            self.writer.working(),
            self.stream.open(),
        ):
            try:
                yield self
            finally:
                await self.sites.close()

    @asynccontextmanager
    async def reading(self, sites: Iterable[str], at_most_s: float | None = None) -> AsyncIterator["Connection"]:
        """Read on one snapshot what these sites have, and nothing else; cut off after so long (ANSWER_MAX_S)."""
        assert self._readers is not None, "the backend is open"
        async with self._readers.acquire(timeout=_TURN_MAX_S) as connection:
            with _cut_after(at_most_s or ANSWER_MAX_S, connection):
                await connection.execute(_BEGIN.format(sites=_quoted(",".join(sites))))
                yield cast("Connection", connection)
                await connection.execute("COMMIT")  # what failed is rolled back when the connection goes back

    def at_length(self) -> AbstractAsyncContextManager[None]:
        """Do what keeps a connection and a core for seconds: one at a time. Who waits here keeps no connection yet."""
        return _turn(self._at_length)

    def filing(self) -> AbstractAsyncContextManager[None]:
        """Send a file, part by part; whoever reads it slowly holds up other files, and nothing else."""
        return _turn(self._files)

    async def steer(self, work: Callable[["Connection"], Awaitable[T | Refused]]) -> T:
        """Change what people steer, as the worker. Raises Problem where it is refused."""
        assert self._steerers is not None, "the backend is open"
        async with self._steerers.acquire(timeout=_TURN_MAX_S) as connection:
            with _cut_after(ANSWER_MAX_S, connection):
                done = await work(cast("Connection", connection))
        if isinstance(done, Refused):
            raise Problem(_CODES.get(done.why, "conflict"), done.message, more={"why": done.why.value})
        return done

    async def answers(self) -> None:
        """Ask the database for a sign of life, as a reader. Raises what asyncpg raises."""
        async with self.reading(()) as connection:
            await connection.fetchval("SELECT 1")


def _quoted(text: str) -> str:
    """Write a text down as SQL has it: a message of several statements takes no parameters."""
    return "'" + text.replace("'", "''") + "'"


@asynccontextmanager
async def _turn(turns: asyncio.Lock | asyncio.Semaphore) -> AsyncIterator[None]:
    """Wait for a turn, and keep it for as long as the block runs. Raises TimeoutError after _TURN_MAX_S."""
    async with asyncio.timeout(_TURN_MAX_S):
        await turns.acquire()
    try:
        yield
    finally:
        turns.release()


@contextmanager
def _cut_after(seconds: float, connection: "PoolConnectionProxy") -> Iterator[None]:
    """Cut a connection off that is kept longer: whoever waits on it is woken, which a cancellation alone is not."""
    timer = asyncio.get_running_loop().call_later(seconds, connection.terminate)
    try:
        yield
    finally:
        timer.cancel()
