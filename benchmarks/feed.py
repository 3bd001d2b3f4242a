"""Keeps a worker busy without burying it. Law: never more than a window of commands is unanswered, and never none.

What is sent over several topics is then read in about the order in which it was sent, and reservations can expire,
which they do not while older commands lie unread. An answer is an adjustment-applied or adjustment-rejected event; it
is known by the order id in its key.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.contenders import ContenderFailed, Running
from benchmarks.place import PARTITIONS, Place
from stock_worker.core.topics import ADJUSTMENT_APPLIED, ADJUSTMENT_REJECTED

WINDOW: Final = 3_000
"""Commands that may be unanswered: three batches, so that one is always waiting."""
_LOOK_EVERY_S: Final = 0.01
_STILL_MAX_S: Final = 60.0


class Sent(NamedTuple):
    """A command to send; `topic` is without prefix."""

    topic: str
    key: bytes
    value: bytes


class Feed:
    """Sends commands as fast as they are answered; `answered` counts answers, `apart` those whose keys have a tag."""

    def __init__(self, place: Place, commands: Iterator[Sent], process: Running, apart: bytes) -> None:
        self.sent = self.answered = self.apart = 0
        self._place, self._commands, self._process, self._tag = place, commands, process, apart
        topics = (ADJUSTMENT_APPLIED, ADJUSTMENT_REJECTED)
        self._partitions = [at for topic in topics for at in place.partitions(topic)]
        self._producer = AIOKafkaProducer(bootstrap_servers=place.bootstrap, linger_ms=2, max_batch_size=262_144)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=place.bootstrap)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen and send."""
        self._consumer.assign(self._partitions)
        await self._producer.start()
        await self._consumer.start()
        await self._consumer.seek_to_end(*self._partitions)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._send())]

    async def stop(self) -> None:
        """Send and hear no more."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._producer.stop()
        await self._consumer.stop()

    async def until(self, reached: Callable[[], bool]) -> float:
        """Wait until something is so; returns the moment. Raises ContenderFailed where nothing is answered any more."""
        most, moved_at = -1, time.monotonic()
        while not reached():
            self._process.check()
            for task in self._tasks:
                if task.done() and task.exception():
                    raise ContenderFailed("the feed ended") from task.exception()
            if self.answered + self.apart > most:
                most, moved_at = self.answered + self.apart, time.monotonic()
            if time.monotonic() - moved_at > _STILL_MAX_S:
                raise ContenderFailed(f"stands still at {most} answers:\n{self._process.last_words()}")
            await asyncio.sleep(_LOOK_EVERY_S)
        return time.monotonic()

    async def _send(self) -> None:
        while True:
            for _ in range(WINDOW - (self.sent - self.answered)):
                command = next(self._commands, None)
                if command is None:
                    await self._producer.flush()
                    return
                topic = self._place.prefix + command.topic
                await self._producer.send(topic, command.value, command.key, partition=self.sent % PARTITIONS)
                self.sent += 1
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _listen(self) -> None:
        while True:
            polled = await self._consumer.getmany(timeout_ms=1_000)
            for records in polled.values():
                for record in records:
                    if record.key.rpartition(b"/")[2].startswith(self._tag):
                        self.apart += 1
                    else:
                        self.answered += 1


@asynccontextmanager
async def feeding(
    place: Place, commands: Iterator[Sent], process: Running, *, apart: bytes = b"\0"
) -> AsyncIterator[Feed]:
    """Feed a worker for as long as the block runs, from its first answer on."""
    feed = Feed(place, commands, process, apart)
    try:
        await feed.start()
        await feed.until(lambda: feed.answered > 0)
        yield feed
    finally:
        await feed.stop()
