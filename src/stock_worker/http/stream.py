"""Changes as they are published. Law: who comes back with where he was misses nothing and is told nothing twice.

One consumer a process reads the event topics from their ends while somebody listens, and hands each record to the
listeners of its site. The id of an event is the position in every partition after it, so another process can go on from
there: what lies between is read from Kafka by a consumer of the listener's own. A listener who is too slow is cut off,
and so is everybody where Kafka does not answer: they come back with where they were. Source: contract section 7.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final, NoReturn

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, StaleMetadata

from stock_worker.core.topics import ALERT_LEVEL_CHANGED, STOCK_CHANGED
from stock_worker.http.problems import Problem
from stock_worker.http.stream_catch_up import (
    ANSWER_MAX_S,
    BEHIND,
    POLL_MS,
    catch_up,
    client_options,
    consumer_of,
    is_there,
)
from stock_worker.http.stream_ids import Position, read_id
from stock_worker.http.stream_listener import AT_ONCE, QUIET_S, Found, Listener, Write, events_of
from stock_worker.log import one_line, say
from stock_worker.settings import Settings

logger = logging.getLogger(__name__)

TOPICS: Final = (STOCK_CHANGED, ALERT_LEVEL_CHANGED)
"""What can be listened to. `stock-level` is compacted: who comes back to it could not be told all that he missed."""

_CATCHING_UP_MAX: Final = 8
"""Listeners who read for themselves at once, each over a connection of his own; the others wait for their turn."""
_LOOK_EVERY_S: Final = 2.0
"""How often Kafka is asked for a sign of life: aiokafka's poll says nothing of a broker that is gone."""
_ALONE_MAX_S: Final = 60.0
"""How long the topics are read on after the last listener left."""
_REFUSE_S: Final = 1.0
"""How long a Kafka that did not answer is not asked again, so that those who wait are not told one after the other."""


class Hub:
    """Reads the event topics once for all listeners of this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = [settings.topic_prefix + topic for topic in TOPICS]
        self._listeners: dict[bytes, set[Listener]] = {}
        self._position: Position = {}
        self._starting = asyncio.Lock()
        self._catching_up = asyncio.Semaphore(_CATCHING_UP_MAX)
        self._reading: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._left_at = 0.0
        self._refused_at = float("-inf")

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Hub"]:
        """Serve listeners for as long as the block runs; Kafka is asked once somebody listens."""
        try:
            yield self
        finally:
            self.cut_all()
            if self._reading:
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)

    def cut_all(self) -> None:
        """End every stream; each can be gone on with, here or elsewhere. A server that ends would wait for them."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.cut.set()

    async def join(
        self, site_id: str, topics: Collection[str], last_event_id: str | None, kind: type[Listener] = Listener
    ) -> Listener:
        """Begin to listen, now or after an event, and be told as this kind of listener is. Whoever joins must `leave`.

        Raises Problem: malformed, where the id is none of ours; unavailable, where Kafka does not answer.
        """
        await self._start()
        listener = kind(site_id, topics, dict(self._position))
        told = read_id(last_event_id, self._position) if last_event_id else listener.position
        self._listeners.setdefault(listener.site, set()).add(listener)
        try:
            if told is None or await self._is_beyond_the_end(told):
                listener.is_known = False
            else:
                listener.position = told
        except (KafkaError, OSError) as error:
            self.leave(listener)
            raise self._refused(error) from None
        return listener

    def leave(self, listener: Listener) -> None:
        """End to listen."""
        there = self._listeners[listener.site]
        there.discard(listener)
        if not there:
            del self._listeners[listener.site]
        self._left_at = asyncio.get_running_loop().time()

    async def tell(self, listener: Listener, write: Write) -> NoReturn:
        """Tell a listener what there is and what comes, until he is cut off and this is cancelled.

        Raises KafkaError or OSError where Kafka does not answer.
        """
        await write(listener.where() if listener.is_known else listener.text(BEHIND, b'{"reason":"unknown_id"}'))
        position = self._position
        self._pass_over_unwanted(listener)
        if is_there(listener, position):
            listener.is_live = True
        else:
            async with self._catching_up:
                await catch_up(self._settings, listener, position, write)
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    await listener.came.wait()
            except TimeoutError:
                self._pass_over_all(listener)
                await write(listener.where())
            listener.came.clear()
            while listener.waiting:
                if text := self._next(listener):
                    await write(text)

    def _next(self, listener: Listener) -> bytes:
        """Write events that wait; the last one's id passes over all that this process has read since."""
        texts: list[bytes] = []
        while listener.waiting and len(texts) < AT_ONCE:
            event = listener.waiting.popleft()
            self._pass_over_all(listener, but=event.at)
            texts.append(listener.take(event))
        return b"".join(texts) + listener.rest()

    def _pass_over_all(self, listener: Listener, but: TopicPartition | None = None) -> None:
        """Where nothing waits for a listener, whatever this process has read he was told, or it was not for him."""
        if not listener.waiting and not listener.cut.is_set():
            listener.pass_over({at: offset for at, offset in self._position.items() if at != but})

    def _pass_over_unwanted(self, listener: Listener) -> None:
        wanted = {self._settings.topic_prefix + topic for topic in listener.topics}
        listener.pass_over({at: offset for at, offset in self._position.items() if at.topic not in wanted})

    async def _is_beyond_the_end(self, told: Position) -> bool:
        """Whether an id is of a log that is no more; another process may only have read further than this one."""
        ahead = [at for at, offset in told.items() if offset > self._position[at]]
        if not ahead or self._consumer is None:
            return False
        async with asyncio.timeout(ANSWER_MAX_S):
            ends = await self._consumer.end_offsets(ahead)
        return any(told[at] > end for at, end in ends.items())

    # ---------------------------------------------------------------- reading for all

    async def _start(self) -> None:
        """Have the topics read. Raises Problem where Kafka does not answer, or has no such topics."""
        async with self._starting:
            if self._consumer is not None:
                return
            loop = asyncio.get_running_loop()
            if loop.time() - self._refused_at < _REFUSE_S:
                raise _unavailable()
            began: asyncio.Future[None] = loop.create_future()
            self._reading = asyncio.create_task(self._read(began), name="stream")
            try:
                await began
            except (KafkaError, OSError) as error:
                self._refused_at = loop.time()
                raise self._refused(error) from None

    async def _read(self, began: asyncio.Future[None]) -> None:
        """Hand on what is published from now on, as long as somebody listens and Kafka answers."""
        try:
            async with consumer_of(self._settings) as consumer:
                await self._stand_at_the_end(consumer)
                self._consumer = consumer
                began.set_result(None)
                try:
                    await self._hand_on(consumer)
                finally:  # before anything is waited for: whoever joins from here on starts anew
                    self._consumer = None
                    self.cut_all()
        except (KafkaError, OSError, Problem) as error:
            if not began.done():
                began.set_exception(error)
            else:
                say(logger, logging.WARNING, "the stream lost Kafka", error=one_line(error))
        finally:
            began.cancel()

    async def _stand_at_the_end(self, consumer: AIOKafkaConsumer) -> None:
        partitions = await self._partitions()
        async with asyncio.timeout(ANSWER_MAX_S):
            ends = await consumer.end_offsets(partitions)
        self._position = {at: ends[at] for at in partitions}
        self._left_at = asyncio.get_running_loop().time()
        consumer.assign(partitions)
        for at, offset in self._position.items():
            consumer.seek(at, offset)

    async def _partitions(self) -> list[TopicPartition]:
        """Find the partitions, in order. All topics are asked for: by name a broker might create what is missing."""
        admin = AIOKafkaAdminClient(**client_options(self._settings))
        try:
            await admin.start()
            there = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
        finally:
            await admin.close()
        if missing := [name for name in self._names if name not in there]:
            raise Problem("unavailable", f"Kafka has no topic {', '.join(missing)}; run: stock-worker topics create")
        return [
            TopicPartition(name, number)
            for name in self._names
            for number in sorted(part["partition"] for part in there[name])
        ]

    async def _hand_on(self, consumer: AIOKafkaConsumer) -> None:
        clock = asyncio.get_running_loop().time
        looked_at = clock()
        while self._listeners or clock() - self._left_at < _ALONE_MAX_S:
            self._offer(await self._poll(consumer))
            if clock() - looked_at > _LOOK_EVERY_S:
                await self._look(consumer)
                looked_at = clock()
            await asyncio.sleep(0)  # a poll that finds something waits for nobody

    async def _poll(self, consumer: AIOKafkaConsumer) -> Found:
        found: Found = await consumer.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE)
        return found

    def _offer(self, found: Found) -> None:
        """Hand on what was polled. Nothing is waited for here, so position and what waits agree for everybody else."""
        for event in events_of(found, self._settings.topic_prefix):
            self._position[event.at] = event.offset + 1
            for listener in self._listeners.get(event.site, ()):
                if listener.wants(event):
                    listener.offer(event)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Ask Kafka for a sign of life. Raises KafkaError or TimeoutError, also where the topics have grown."""
        async with asyncio.timeout(ANSWER_MAX_S):
            await consumer.end_offsets(list(self._position))
        there = {TopicPartition(name, n) for name in self._names for n in consumer.partitions_for_topic(name) or ()}
        if there > self._position.keys():
            raise StaleMetadata("the event topics have more partitions now")

    def _refused(self, error: BaseException) -> Problem:
        say(logger, logging.WARNING, "the stream has no Kafka", error=one_line(error))
        return _unavailable()


def _unavailable() -> Problem:
    return Problem("unavailable", "Kafka does not answer; try again", headers={"Retry-After": "1"})
