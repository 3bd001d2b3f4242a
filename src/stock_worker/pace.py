"""How often Kafka is asked for records. Law: the first record after a silence comes at once, those after it together.

A fetch asks for every partition that is owned, and costs the worker and the broker the same for one record as for a
thousand. While records flow, the broker therefore keeps an answer back until it is worth its cost: for
STOCK_BATCH_MAX_WAIT_MS, or for about as long as a batch takes if that is longer, since what comes before the batch
under way has ended would only wait here. After a silence it answers with the first byte again, and is asked twice a
second. What this saves both of them stands in docs/performance.md.

aiokafka takes the two numbers once, when a consumer is made, and reads them anew for each fetch: they are set where it
keeps them. A test counts the fetches, so that a release that keeps them elsewhere is noticed.
"""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer

_WORTH_BYTES: Final = 100_000
"""Some two hundred orders: more of them together save nothing more."""
_SILENT_MS: Final = 500
_SILENCE_IN_WAITS: Final = 10
_OF_A_BATCH: Final = 1.25
"""An answer is read and decoded while the batch under way still runs, and batches differ."""
_BUSY_IN_WAITS_MAX: Final = 3
"""A batch that waits for a lock or a disk says nothing of the next one."""
_BUSY_OVER_BATCHES: Final = 8


class Pace:
    """Sets how long the broker gathers records before it answers the fetches of one consumer."""

    def __init__(self, wait_ms: int) -> None:
        self._wait_ms = wait_ms
        self._busy_ms = 0.0
        self._end: asyncio.TimerHandle | None = None

    def took(self, seconds: float) -> None:
        """Note how long a batch took; the last few of them count."""
        busy_ms = min(_OF_A_BATCH * 1000 * seconds, _BUSY_IN_WAITS_MAX * self._wait_ms)
        self._busy_ms += (busy_ms - self._busy_ms) / _BUSY_OVER_BATCHES

    def flows(self, consumer: AIOKafkaConsumer) -> None:
        """Note that records came: let those that follow gather, until none has come for ten waits."""
        if self._end is not None:
            self._end.cancel()
        _set(consumer, _WORTH_BYTES, max(self._wait_ms, int(self._busy_ms)))
        silence_s = _SILENCE_IN_WAITS * self._wait_ms / 1000
        self._end = asyncio.get_running_loop().call_later(silence_s, self._is_silent, consumer)

    def _is_silent(self, consumer: AIOKafkaConsumer) -> None:
        self._end = None
        _set(consumer, 1, _SILENT_MS)


def _set(consumer: AIOKafkaConsumer, least_bytes: int, wait_ms: int) -> None:
    fetcher = consumer._fetcher  # noqa: SLF001 - see above
    fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = least_bytes, wait_ms  # noqa: SLF001 - see above
