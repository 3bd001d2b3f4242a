"""The outbox to Kafka. Law: every row at least once, per key in order, and no relay after another has taken its place.

One session, one slot, one producer (`life`). The session holds the slot's lock; shards belong to slots (`shards`). Rows
of our shards are read by seq, sent (`publisher`), and deleted when Kafka has acknowledged them. `seq` is drawn under
the item's lock, so per key it is the order of commits; across keys it need not be: late rows are found (`progress`).

Who may fail, and what happens:

- *We die* anywhere: what was acknowledged and not deleted is published again, with the same ce_id. Our slot's lock ends
  with the session, and another relay, or our next life, inherits the shards.
- *We freeze* (SIGSTOP, a suspended machine): the server ends a session that says nothing for IDLE_MAX_S. When we wake,
  what we had in our buffers is refused by every partition where it could do harm (`producer`), and our next statement
  finds the session gone.
- *The database goes*: producer and session are thrown away, and all begins anew. Nothing is sent without a session.
- *Kafka goes, or refuses*: the producer is thrown away, the session stays. A record too large is cut (`records`).
- *A topic is missing*: everything waits, and the log says which.

A fault that waiting mends is waited out, for ever; any other ends `run` with its exception. Why: docs/decisions/0002.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from stock_worker.faults import Retry, reaction
from stock_worker.log import one_line, say
from stock_worker.relay import shards
from stock_worker.relay.life import Life, Terms
from stock_worker.relay.publisher import TOO_LARGE
from stock_worker.store import outbox
from stock_worker.store.engine import connect

__all__ = ["Relay"]

logger = logging.getLogger(__name__)

IDLE_MAX_S: Final = 10.0
STOP_MAX_S: Final = 10.0
"""How long we go on once we are to stop; what Kafka has not acknowledged then is published by another."""
STANDBY_EVERY_S: Final = 1.0
POLL_S: Final = 0.05
_PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_TELL_EVERY_S: Final = 30.0
_NOTHING: Final[Mapping[str, int]] = {}


def _not_counted(_: Mapping[str, int]) -> None:
    """Without metrics."""


class Relay:
    """The relay of a process. `alive`, `fault`, `last_progress` (monotonic) and `shards` are facts for readiness."""

    def __init__(
        self,
        *,
        database_url: str,
        kafka: Mapping[str, Any],
        group_id: str,
        event_source: str,
        wake: asyncio.Event,
        published: Callable[[Mapping[str, int]], None] = _not_counted,
        idle_max_s: float = IDLE_MAX_S,
    ) -> None:
        """`kafka` opens an aiokafka client; `published` is told how many records of each topic Kafka took."""
        self.alive = False
        self.fault: str | None = "the relay has not connected yet"
        self.last_progress = time.monotonic()
        self.shards: frozenset[int] = frozenset()
        self.faults = 0  # in a row
        self.stop_by = math.inf
        self.wake = wake
        self._stop = asyncio.Event()
        self._terms = Terms(kafka, group_id, event_source)
        self._database_url = database_url
        self._published = published
        self._idle_max_s = idle_max_s
        self._told_at = -math.inf

    def stop(self) -> None:
        """Publish what is there, for STOP_MAX_S at most; leave the shards to others; let `run` return."""
        self._stop.set()
        self.stop_by = time.monotonic() + STOP_MAX_S
        self.wake.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    async def run(self) -> None:
        """Publish until `stop`. Raises what no waiting mends, Stop faults and bugs, and is not alive from then on."""
        self.alive = True
        try:
            while not self.stopping:
                try:
                    await self._session()
                except Exception as error:  # noqa: BLE001 - `note` raises what does not pass
                    self.note(error, "the relay lost its session")
                    await self.pause()
        finally:
            self.alive = False

    async def _session(self) -> None:
        """One session, from connecting to its end."""
        connection = await connect(self._database_url, "stock_worker", application_name="stock-worker relay")
        try:
            await outbox.begin(connection, idle_max_s=self._idle_max_s)
            while (slot := await shards.take_free_slot(connection)) is None and not self.stopping:
                self.progressed()  # sixteen others are at work; standing by is well
                await self.sleep(STANDBY_EVERY_S)
            if slot is not None:
                await Life(self, connection, slot, self._terms).work()
        finally:
            self.shards = frozenset()
            connection.terminate()

    # ---------------------------------------------------------------- what a life tells, and how it waits

    def progressed(self, published: Mapping[str, int] = _NOTHING) -> None:
        """Kafka and the database were both reached."""
        if self.faults:
            say(logger, logging.INFO, "the relay goes on", after_faults=self.faults)
        self.faults, self.fault = 0, None
        self.last_progress = time.monotonic()
        self.count(published)

    def count(self, published: Mapping[str, int]) -> None:
        """Count what Kafka took."""
        if published:
            self._published(published)

    def note(self, error: Exception, words: str) -> None:
        """Tell of a fault that passes, once and then every half minute; raise any other."""
        if not isinstance(error, TOO_LARGE) and not issubclass(reaction(error), Retry):
            raise error
        self.faults += 1
        said, self.fault = self.fault, f"{words}: {one_line(error)}"
        now = time.monotonic()
        if said != self.fault or now - self._told_at > _TELL_EVERY_S:
            self._told_at = now
            say(logger, logging.WARNING, words, fault=one_line(error), in_a_row=self.faults)

    async def pause(self) -> None:
        """Wait longer after each fault in a row, up to two seconds."""
        await self.sleep(_PAUSES_S[min(self.faults, len(_PAUSES_S)) - 1])

    async def sleep(self, seconds: float) -> None:
        """Wait, but not once we are to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def poll(self) -> None:
        """Wait until somebody wakes us; rows that nobody of this process wrote are found by looking."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self.wake.wait()
