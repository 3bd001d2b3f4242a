"""How often Kafka is asked for records. Law: the first record after a silence comes at once, those after it together.

A fetch asks for every partition that is owned, and a batch is one transaction: either costs nearly the same for one
record as for thirty. While records flow, the broker therefore keeps an answer back until it is worth its cost: until
some 25 have come, or for about as long as a batch takes if that is longer, since what comes before the batch under way
has ended would only wait here; for STOCK_BATCH_MAX_WAIT_MS at most, and for a third of it at least. After a silence it
answers with the first byte again, and is asked twice a second. What this saves stands in docs/performance.md.

aiokafka takes the two numbers once, when a consumer is made, and reads them anew for each fetch: they are set where it
keeps them. A test counts the fetches, so that a release that keeps them elsewhere is noticed.
"""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer

_WORTH_BYTES: Final = 100_000
"""Some two hundred orders: more of them together save nothing more."""
_WORTH_RECORDS: Final = 25
"""Twice as many cost each a fifth less, and wait twice as long."""
_SILENT_MS: Final = 500
_SILENCE_IN_WAITS: Final = 4
_SHORTEST: Final = 1 / 3
"""Of the longest wait: at a few thousand records a second, 25 come sooner than a fetch is answered."""
_OF_A_BATCH: Final = 1.25
"""An answer is read and decoded while the batch under way still runs, and batches differ."""
_OVER: Final = 8
"""So many of the last batches and polls count: one that waits for a lock or a disk says nothing of the next."""


class Pace:
    """Sets how long the broker gathers records before it answers the fetches of one consumer."""

    def __init__(self, longest_ms: int) -> None:
        self._longest_ms = longest_ms
        self._busy_ms = 0.0
        self._records, self._apart_ms = 0.0, 0.0  # of polls, while records flow
        self._came_at = 0.0
        self._end: asyncio.TimerHandle | None = None

    def took(self, seconds: float) -> None:
        """Note how long a batch took."""
        self._busy_ms += (min(_OF_A_BATCH * 1000 * seconds, self._longest_ms) - self._busy_ms) / _OVER

    def flows(self, consumer: AIOKafkaConsumer, records: int) -> None:
        """Note that so many records came: let those that follow gather, until none has come for a while."""
        loop = asyncio.get_running_loop()
        if self._end is not None:
            self._end.cancel()
            self._records += (records - self._records) / _OVER
            self._apart_ms += (1000 * (loop.time() - self._came_at) - self._apart_ms) / _OVER
        self._came_at = loop.time()
        _set(consumer, _WORTH_BYTES, int(self._gathering_ms()))
        self._end = loop.call_later(_SILENCE_IN_WAITS * self._longest_ms / 1000, self._is_silent, consumer)

    def _gathering_ms(self) -> float:
        worth_ms = _WORTH_RECORDS * self._apart_ms / self._records if self._records else self._longest_ms
        return min(max(worth_ms, self._busy_ms, _SHORTEST * self._longest_ms), self._longest_ms)

    def _is_silent(self, consumer: AIOKafkaConsumer) -> None:
        self._end = None
        _set(consumer, 1, _SILENT_MS)


def _set(consumer: AIOKafkaConsumer, least_bytes: int, wait_ms: int) -> None:
    fetcher = consumer._fetcher  # noqa: SLF001 - see above
    fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = least_bytes, wait_ms  # noqa: SLF001 - see above
