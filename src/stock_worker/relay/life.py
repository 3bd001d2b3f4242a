"""A relay with a session and a slot. Law: only the holder of a slot sends, and only its session deletes.

Read, send, delete, one after the other: the next read begins when the last delete has ended, so no row is in two hands.
While Kafka is waited for, the session is kept: its end must not go unnoticed, and the server would end it for silence.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError

from stock_worker.log import say
from stock_worker.relay import shards
from stock_worker.relay.progress import Progress
from stock_worker.relay.publisher import TOO_LARGE, Publisher, TopicMissing
from stock_worker.relay.records import Fit
from stock_worker.store import outbox

if TYPE_CHECKING:
    from asyncpg import Connection

    from stock_worker.relay import Relay
    from stock_worker.store.outbox import Row

logger = logging.getLogger(__name__)

READ_MAX_ROWS: Final = 2_000
READ_MAX_LARGE_BYTES: Final = 8 * 1024 * 1024
LOOK_EVERY_S: Final = 1.0
PING_EVERY_S: Final = 2.0
SEND_MAX_S: Final = 30.0
"""A send without an answer for so long is a fault; aiokafka itself would try for ever."""
RENEW_EVERY_S: Final = 12 * 3600.0
"""Kafka forgets a transactional id that nobody asks for in 7 days (`transactional.id.expiration.ms`)."""

T = TypeVar("T")


class Terms(NamedTuple):
    """How Kafka is reached, whose relay this is, and the CloudEvents source of its events."""

    kafka: Mapping[str, Any]
    group_id: str
    event_source: str


class Life:
    """From the taking of the slot to the end of the session."""

    def __init__(self, relay: "Relay", connection: "Connection", slot: int, terms: Terms) -> None:
        self._relay = relay
        self._connection = connection
        self._slot = slot
        self._terms = terms
        self._fit = Fit()
        self._database = ""
        self._looked_at = self._opened_at = 0.0

    async def work(self) -> None:
        """Publish until the relay is to stop. A fault of Kafka's costs the producer; any other is raised."""
        relay = self._relay
        self._database = await outbox.identity(self._connection)
        progress = Progress(await outbox.newest(self._connection))
        while not relay.stopping:
            publisher: Publisher | None = None
            try:
                publisher = await self._open(self._slot)
                self._opened_at = time.monotonic()
                await self._publish_on(publisher, progress)
            except (KafkaError, TopicMissing) as error:
                relay.note(error, "the relay could not publish")
                if not (isinstance(error, TOO_LARGE) and self._fit.hopeful):
                    await self._meanwhile(relay.pause())
            finally:
                if publisher:
                    await publisher.close()
        if progress.settled:
            await shards.leave(self._connection, self._slot)

    async def _publish_on(self, publisher: Publisher, progress: Progress) -> None:
        """Read, send, delete, until the relay is to stop or the producer is due to be renewed. Raises KafkaError."""
        relay = self._relay
        while (now := time.monotonic()) < relay.stop_by and now - self._opened_at < RENEW_EVERY_S:
            relay.wake.clear()
            if now - self._looked_at > LOOK_EVERY_S and not relay.stopping:
                await self._look(progress)
            rows, whole = await self._read(relay.shards, after=progress.after)
            if rows:
                try:
                    await self._publish(publisher, rows)
                except TopicMissing as error:
                    relay.note(error, "the relay waits for a topic")
                    await self._meanwhile(relay.pause())
                    continue
                except KafkaError:
                    progress.failed(rows[-1][outbox.SEQ])
                    raise
            progress.passed(rows[-1][outbox.SEQ] if rows else None, whole=whole)
            if whole:
                relay.progressed()
                if relay.stopping:
                    return
                if not relay.wake.is_set():
                    await relay.poll()

    async def _look(self, progress: Progress) -> None:
        """Once a second: whose the shards are, and from where to read."""
        ours = await shards.look(self._connection, self._slot, self._drain, settled=progress.settled)
        if ours != self._relay.shards:
            say(logger, logging.INFO, "the relay's shards", slot=self._slot, shards=sorted(ours))
            if ours - self._relay.shards:
                progress.restart()
            self._relay.shards = ours
        progress.horizon(*await outbox.horizon(self._connection), time.monotonic())
        self._looked_at = time.monotonic()

    async def _drain(self, dead: int, theirs: frozenset[int]) -> None:
        """Publish, with the producer of a dead relay's slot, all that the outbox holds of its shards."""
        upto = await outbox.newest(self._connection)
        say(logger, logging.WARNING, "the relay takes over", dead_slot=dead, shards=sorted(theirs))
        publisher = await self._open(dead)
        try:
            while (read := await self._read(theirs, upto=upto))[0]:
                await self._publish(publisher, read[0])
        finally:
            await publisher.close()

    async def _open(self, slot: int) -> Publisher:
        """Open the producer of a slot, and so fence whoever had it."""
        transactional_id = f"{self._terms.group_id}-relay-{self._database}-{slot}"
        opening = Publisher.open(self._terms.kafka, transactional_id, source=self._terms.event_source, fit=self._fit)
        return await self._meanwhile(opening)

    async def _read(self, of: frozenset[int], *, after: int = 0, upto: int = outbox.LAST) -> tuple[list["Row"], bool]:
        if not of:
            return [], True
        return await outbox.read(
            self._connection,
            of,
            after=after,
            upto=upto,
            rows_max=READ_MAX_ROWS,
            large_max_bytes=READ_MAX_LARGE_BYTES,
        )

    async def _publish(self, publisher: Publisher, rows: list["Row"]) -> None:
        """Publish rows, and delete those that Kafka has. Raises the KafkaError of those that it has not."""
        done = await self._meanwhile(publisher.publish(rows))
        await outbox.delete(self._connection, done.seqs)
        if done.fault:
            self._relay.count(done.topics)
            raise done.fault
        self._relay.progressed(done.topics)

    async def _meanwhile(self, work: Awaitable[T]) -> T:
        """Wait for Kafka, and keep the session."""
        task = asyncio.ensure_future(work)
        deadline = time.monotonic() + SEND_MAX_S
        try:
            while True:
                await asyncio.wait([task], timeout=PING_EVERY_S)
                if task.done():
                    return task.result()
                await self._connection.execute("SELECT 1")
                if time.monotonic() > min(deadline, self._relay.stop_by):
                    raise KafkaTimeoutError(f"no answer for {SEND_MAX_S:.0f} s")
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
