"""Changes as they are published. Law: who comes back with where he was misses nothing and is told nothing twice.

One consumer a process reads the event topics from their ends while somebody listens, and hands each record to the
listeners of its site. The id of an event is the position in every partition, so another process can go on from it: what
lies between there and this process's own position is read from Kafka by a consumer of the listener's own. A listener
who is too slow is cut off, and comes back with where he was. Source: contract section 7 (`…/stream`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stock_worker.core.topics import ALERT_LEVEL_CHANGED, STOCK_CHANGED
from stock_worker.http.problems import Problem
from stock_worker.log import one_line, say
from stock_worker.settings import Settings, kafka_client_options

logger = logging.getLogger(__name__)

TOPICS: Final = (STOCK_CHANGED, ALERT_LEVEL_CHANGED)
_SITE_CHARACTERS: Final = 36
_WAITING_MAX: Final = 5_000
"""Events that wait for one listener; with more he is cut off."""
_POLL_MS: Final = 1_000
_QUIET_S: Final = 15.0
"""A listener is told where he is this often, also where nothing happens: proxies end what is silent."""

Vector = Mapping[TopicPartition, int]
"""The offset to be read next, of each partition."""


class Event(NamedTuple):
    """One record for one listener."""

    at: TopicPartition
    offset: int
    topic: str
    value: bytes


class Behind(NamedTuple):
    """Instead of events that Kafka no longer has: what was between is lost to the stream, and is to be read again."""

    lost: int


class Listener:
    """Somebody who listens to one site."""

    def __init__(self, site_id: str) -> None:
        self.site = site_id.encode()
        self.waiting: asyncio.Queue[Event] = asyncio.Queue(_WAITING_MAX)
        self.is_cut = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Put an event behind those that wait; one too many cuts the listener off."""
        try:
            self.waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.is_cut.set()


class Hub:
    """Reads the event topics once for all listeners of this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listeners: dict[bytes, set[Listener]] = {}
        self._position: dict[TopicPartition, int] = {}
        self._starting = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Hub"]:
        """Serve listeners for as long as the block runs; Kafka is asked once somebody listens."""
        try:
            yield self
        finally:
            if self._reading:
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)

    async def listen(self, site_id: str, last_event_id: str | None) -> AsyncIterator[bytes]:
        """Give the site's events as server-sent events, from after the last one where that is told.

        Raises Problem: malformed, where the id is none of ours; unavailable, where Kafka does not answer.
        """
        await self._start()
        listener = Listener(site_id)
        joined_at = dict(self._position)
        position = joined_at | (read_vector(last_event_id, joined_at) if last_event_id else {})
        there = self._listeners.setdefault(listener.site, set())
        there.add(listener)
        try:
            yield b": hello\n" + _told_position(position)
            async for text in self._catch_up(listener.site, position, joined_at):
                yield text
            async for text in _live(listener, position):
                yield text
        finally:
            there.discard(listener)

    async def _catch_up(self, site: bytes, position: dict[TopicPartition, int], to: Vector) -> AsyncIterator[bytes]:
        """Read what lies between, and move `position` on with it."""
        behind = {at: offset for at, offset in position.items() if offset < to[at]}
        if not behind:
            return
        consumer = AIOKafkaConsumer(**kafka_client_options(self._settings), auto_offset_reset="none")
        await consumer.start()
        try:
            consumer.assign(list(behind))
            first = await consumer.beginning_offsets(list(behind))
            lost = sum(max(0, first[at] - offset) for at, offset in behind.items())
            for at, offset in behind.items():
                position[at] = max(offset, first[at])
                consumer.seek(at, position[at])
            if lost:
                yield _text("behind", b'{"lost":%d}' % lost, position)
            left = {at for at in behind if position[at] < to[at]}
            while left:
                for at, records in (await consumer.getmany(*left, timeout_ms=_POLL_MS)).items():
                    for record in records:
                        if record.offset >= to[at]:
                            break
                        position[at] = record.offset + 1
                        if (event := self._event(at, record)) is not None and record.key.startswith(site):
                            yield _text(event.topic, event.value, position)
                for at in list(left):
                    if await consumer.position(at) >= to[at]:
                        position[at] = max(position[at], to[at])
                        left.discard(at)
        finally:
            await consumer.stop()

    async def _start(self) -> None:
        """Have the topics read, from their ends. Raises Problem where Kafka does not answer."""
        async with self._starting:
            if self._reading and not self._reading.done():
                return
            consumer = AIOKafkaConsumer(**kafka_client_options(self._settings), auto_offset_reset="latest")
            try:
                await consumer.start()
                await consumer._client.force_metadata_update()  # noqa: SLF001 - partitions of a topic nobody subscribed
                partitions = self._partitions(consumer)
                consumer.assign(partitions)
                self._position = dict(await consumer.end_offsets(partitions))
                for at, offset in self._position.items():
                    consumer.seek(at, offset)
            except (KafkaError, OSError) as error:
                await consumer.stop()
                say(logger, logging.WARNING, "the stream has no Kafka", error=one_line(error))
                raise Problem("unavailable", "Kafka does not answer; try again", headers={"Retry-After": "1"}) from None
            self._reading = asyncio.create_task(self._read(consumer), name="stream")

    def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        names = [self._settings.topic_prefix + topic for topic in TOPICS]
        told = {name: consumer.partitions_for_topic(name) or set() for name in names}
        if missing := [name for name, partitions in told.items() if not partitions]:
            raise Problem("unavailable", f"Kafka has no topic {', '.join(missing)}; run: stock-worker topics create")
        return [TopicPartition(name, number) for name, partitions in told.items() for number in sorted(partitions)]

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        """Hand on what is published until cancelled; a fault cuts every listener off, and the next one starts anew."""
        try:
            while True:
                for at, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
                    for record in records:
                        self._position[at] = record.offset + 1
                        if (event := self._event(at, record)) is not None:
                            for listener in self._listeners.get(record.key[:_SITE_CHARACTERS], ()):
                                listener.offer(event)
        except KafkaError as error:
            say(logger, logging.WARNING, "the stream lost Kafka", error=one_line(error))
        finally:
            for listeners in self._listeners.values():
                for listener in listeners:
                    listener.is_cut.set()
            await consumer.stop()

    def _event(self, at: TopicPartition, record: "ConsumerRecord[bytes, bytes]") -> Event | None:
        if record.key is None or record.value is None:
            return None
        return Event(at, record.offset, at.topic.removeprefix(self._settings.topic_prefix), record.value)


async def _live(listener: Listener, position: dict[TopicPartition, int]) -> AsyncIterator[bytes]:
    """Give what comes, until the listener is cut off; what he has seen elsewhere is passed over."""
    cut = asyncio.ensure_future(listener.is_cut.wait())
    try:
        while not listener.is_cut.is_set():
            coming = asyncio.ensure_future(listener.waiting.get())
            await asyncio.wait({coming, cut}, timeout=_QUIET_S, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                if not cut.done():
                    yield _told_position(position)
                continue
            event = coming.result()
            if event.offset >= position[event.at]:
                position[event.at] = event.offset + 1
                yield _text(event.topic, event.value, position)
    finally:
        cut.cancel()


def write_vector(position: Vector) -> str:
    """Spell where somebody is: offsets by partition, with a tilde between topics."""
    topics: dict[str, list[tuple[int, int]]] = {}
    for at, offset in position.items():
        topics.setdefault(at.topic, []).append((at.partition, offset))
    return "~".join(".".join(str(offset) for _, offset in sorted(each)) for each in topics.values())


def read_vector(text: str, partitions: Vector) -> dict[TopicPartition, int]:
    """Read where somebody was; partitions made since then are read from their beginning. Raises Problem: malformed."""
    names = list(dict.fromkeys(at.topic for at in partitions))
    parts = [part.split(".") for part in text.split("~")]
    if len(parts) != len(names) or not all(word.isascii() and word.isdecimal() for part in parts for word in part):
        raise Problem("malformed", "Last-Event-ID is none of this stream; connect without it")
    told = {
        TopicPartition(name, number): int(word)
        for name, part in zip(names, parts, strict=True)
        for number, word in enumerate(part)
    }
    return {at: told.get(at, 0) for at in partitions}


def _told_position(position: Vector) -> bytes:
    return f"id: {write_vector(position)}\n\n".encode()


def _text(name: str, data: bytes, position: Vector) -> bytes:
    return b"event: %s\ndata: %s\n" % (name.encode(), data) + _told_position(position)
