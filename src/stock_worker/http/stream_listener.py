"""One who listens, and where he is. Law: he stands after what he was told, and what follows a gap never reaches him.

An event is told with the position after it. A position with nothing to tell is a block without data: it moves a
browser's Last-Event-ID and raises no event. Source: contract section 7 (`…/stream`).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from aiokafka import ConsumerRecord, TopicPartition

from stock_worker.http.stream_ids import Position, write_id
from stock_worker.log import say

logger = logging.getLogger(__name__)

WAITING_MAX: Final = 5_000
"""Events that wait for one listener; with one more he is cut off."""
AT_ONCE: Final = 500
"""Records handed on, and events written to one listener, before others have their turn."""
QUIET_S: Final = 15.0
"""A listener is told where he is this often where nothing else is told: proxies end what is silent."""
_SITE_CHARACTERS: Final = 36

Found: TypeAlias = "Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]]"
"""What a poll gives."""
Write = Callable[[bytes], Awaitable[None]]
"""Sends text to a listener, and returns once there is room for more."""


class Event(NamedTuple):
    """One record of an event topic; `topic` is without prefix, `key` is `site/product/variant`."""

    at: TopicPartition
    offset: int
    topic: str
    key: bytes
    value: bytes

    @property
    def site(self) -> bytes:
        """The first part of its key."""
        return self.key[:_SITE_CHARACTERS]


def events_of(found: Found, prefix: str) -> Iterator[Event]:
    """Take what was polled as events, each partition in its order. A record without a key is of no site."""
    for at, records in found.items():
        topic = at.topic.removeprefix(prefix)
        for record in records:
            yield Event(at, record.offset, topic, record.key or b"", record.value or b"null")


class Listener:
    """Somebody who listens to some topics of one site. He reads for himself until he `is_live`; then events wait."""

    def __init__(self, site_id: str, topics: Collection[str], position: Position) -> None:
        self.site, self.topics, self.position = site_id.encode(), frozenset(topics), position
        self.is_known = True
        """Whether his id was one; else he stands where the process is, and is told that he is behind."""
        self.is_live = False
        self.waiting: deque[Event] = deque()
        self.came, self.cut = asyncio.Event(), asyncio.Event()

    def wants(self, event: Event) -> bool:
        """Whether an event is for him."""
        return event.site == self.site and event.topic in self.topics

    def offer(self, event: Event) -> None:
        """Put an event that is for him behind those that wait. One too many cuts him off."""
        if not self.is_live or self.cut.is_set():
            return
        if len(self.waiting) == WAITING_MAX:
            say(logger, logging.WARNING, "a listener is too slow for the stream", site=self.site.decode())
            self.cut.set()
            return
        self.waiting.append(event)
        self.came.set()

    def take(self, event: Event) -> bytes:
        """Write an event and stand after it; nothing where he has it already.

        Whoever has taken some writes the `rest` behind them.
        """
        if event.offset < self.position[event.at]:
            return b""
        self.position[event.at] = event.offset + 1
        return self.write(event)

    def write(self, event: Event) -> bytes:
        """Write an event as this listener likes to have it."""
        return self.text(event.topic, event.value)

    def rest(self) -> bytes:
        """Write what was taken and is not written yet, which leaves nothing over."""
        return b""

    def pass_over(self, position: Mapping[TopicPartition, int]) -> None:
        """Stand no earlier than there: nothing before it is for him, or he has it."""
        for at, offset in position.items():
            self.position[at] = max(self.position[at], offset)

    def text(self, name: str, data: bytes) -> bytes:
        """Write an event that leaves him where he is. `data` is JSON on one line."""
        return b"event: %s\ndata: %s\n%s" % (name.encode(), data, self.where())

    def where(self) -> bytes:
        """Write where he is."""
        return f"id: {write_id(self.position)}\n\n".encode()
