"""Take a batch, apply it, tell Kafka. Law: an offset is committed after the transaction that applied its record.

Every record ends applied, refused, parked or dead-lettered, exactly once by its reference, or stays where it is:

- `Retry`: the world failed. The batch stays in hand and is offered again, with jittered waits up to two seconds, for
  ever; unready meanwhile. It is not fetched again: what is in hand is what the offsets say, until a rebalance voids it.
- `Quarantine`, or a bug: the batch is halved, and halved again, until the culprit stands alone and goes to its dead
  letters as `internal_error`; its neighbours are applied in order. Bugs, and only bugs, are counted by the breaker: too
  many in a window and consumption holds before the next one is set aside, with its offsets where they are.
- `Stop`: only an operator can mend it; the process ends with the reason.

Source: contract rules 2 and 13, section 8.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

import asyncpg

from stock_worker.breaker import Breaker, Held
from stock_worker.core.model import Entry, Malformed, Outcome
from stock_worker.core.refusals import Code
from stock_worker.core.topics import command_topic_of
from stock_worker.faults import Quarantine, Retry, RetryNow, Stop, is_bug, reaction, sqlstate
from stock_worker.handle import Policy, handle_batch
from stock_worker.intake import Batch, Intake, next_offsets
from stock_worker.log import detail_of, one_line, say
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from stock_worker.store.engine import connect

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 1.0
"""How long the loop waits for records before it shows that it lives."""
_BACKOFF_FIRST_S: Final = 0.05
_BACKOFF_MAX_S: Final = 2.0
_RACES_MAX: Final = 5
"""Tries at once before a race is taken for something else: a batch that collides with itself is halved."""
_SAY_AGAIN_S: Final = 30.0


class Voided(Exception):  # noqa: N818 - no error: a rebalance took the batch
    """The batch under way is no longer ours."""


class Worker:
    """The loop between the intake and the write path, over one database connection."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        metrics: Metrics,
        *,
        wake: asyncio.Event,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.intake = intake
        self.metrics = metrics
        self.policy = Policy(topic_prefix=settings.topic_prefix, emit_applied=settings.emit_applied)
        self.breaker = Breaker(settings.breaker_faults, settings.breaker_window_s)
        self.outbox_has_room = asyncio.Event()
        self.outbox_has_room.set()
        self.fault: str | None = None
        self.heartbeat = time.monotonic()
        self.records = 0  # that have an outcome
        self._wake = wake
        self._clock = clock
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._connection: Connection | None = None

    # ------------------------------------------------------------ the loop

    async def run(self) -> NoReturn:
        """Apply batch after batch. Raises Stop; returns never, `stop` ends it by cancelling."""
        try:
            while not self._stopping.is_set():
                self.heartbeat = time.monotonic()
                if not await self._may_go_on():
                    continue
                batch = await self.intake.take(_PATIENCE_S)
                if batch is None:
                    continue
                try:
                    await self.apply(batch)
                except Voided:
                    self.fault = None  # the next batch will tell; whether the database answers, `gauges` tells
                    say(logger, logging.INFO, "batch dropped: its partitions moved", records=len(batch.entries))
                except Held as held:
                    self.intake.put_back(batch)
                    self._hold(held)
                finally:
                    self.intake.done()
        finally:
            self._stopped.set()
            self._discard_connection()
        await asyncio.Event().wait()  # stopped, and waiting to be cancelled with the others
        raise AssertionError("unreachable")

    async def stop(self) -> None:
        """Finish the batch under way, take no other, and commit its offsets."""
        self._stopping.set()
        await self._stopped.wait()
        await self.intake.flush()

    async def apply(self, batch: Batch) -> None:
        """Apply one batch whole, count it and say it in one line. Raises Voided, Held or Stop."""
        began = time.perf_counter()
        for entry in batch.entries:
            if isinstance(entry, Malformed) and entry.code is Code.INTERNAL_ERROR:
                self.breaker.count(time.monotonic())  # a bug in decoding, which was told there
        outcomes = await self.settle(batch, batch.entries)
        seconds = {"decode": batch.decode_seconds, "apply": time.perf_counter() - began}
        self.metrics.batch_size.observe(len(batch.entries))
        for step, took in {**seconds, "offsets": self.intake.committed_in_s}.items():
            self.metrics.batch_seconds.labels(step).observe(took)
        if logger.isEnabledFor(logging.INFO):
            say(
                logger,
                logging.INFO,
                "batch",
                records=len(batch.entries),
                outcomes=dict(Counter(outcome.kind.value for outcome in outcomes)),
                movements=sum(len(outcome.movements) for outcome in outcomes),
                seconds={step: round(took, 4) for step, took in seconds.items()},
                offsets={f"{at.topic}-{at.partition}": offset for at, offset in next_offsets(batch.entries).items()},
            )

    # ------------------------------------------------------------ a batch

    async def settle(self, batch: Batch, entries: Sequence[Entry]) -> list[Outcome]:
        """Apply these entries, the next of the batch, in halves where they cannot be taken together."""
        try:
            outcomes = await self.offer(batch, entries)
        except Quarantine as fault:
            if len(entries) == 1:
                return await self.set_aside(batch, entries[0], fault.__cause__ or fault)
            middle = len(entries) // 2
            return [*await self.settle(batch, entries[:middle]), *await self.settle(batch, entries[middle:])]
        self.wake()
        self.note(batch, entries, outcomes)
        return outcomes

    async def set_aside(self, batch: Batch, entry: Entry, error: BaseException) -> list[Outcome]:
        """Dead-letter the one record that cannot be taken. Raises Held where it is one bug too many."""
        assert entry.record is not None, "what comes from Kafka has its record"
        bug = is_bug(error)
        where = f"{entry.record.topic}-{entry.record.partition}@{entry.record.offset}"
        say(logger, logging.ERROR, "record set aside", record=where, bug=bug, error=one_line(error))
        if bug:
            logger.error("the bug", exc_info=error)
            self.breaker.count(time.monotonic())
        poison = Malformed(entry.record, detail_of(error), Code.INTERNAL_ERROR)
        try:
            outcomes = await self.offer(batch, [poison])
        except Quarantine as fault:
            raise Stop(f"{where} can neither be applied nor dead-lettered: {fault}") from fault
        self.wake()
        self.note(batch, [poison], outcomes)
        return outcomes

    async def offer(self, batch: Batch, entries: Sequence[Entry]) -> list[Outcome]:
        """Offer entries to the write path until they are taken. Raises Quarantine, Stop, or Voided by a rebalance."""
        tries, said_at = 0, float("-inf")
        while True:
            if self.intake.is_void(batch):
                raise Voided
            tries += 1
            try:
                outcomes = await self.handle(entries)
            except Retry as fault:
                cause = fault.__cause__ or fault
                self.metrics.db_retries_total.labels(sqlstate(cause) or "connection").inc()
                race = isinstance(fault, RetryNow)
                if race and tries > _RACES_MAX and isinstance(cause, asyncpg.IntegrityConstraintViolationError):
                    raise Quarantine(str(fault)) from cause
                self.fault = None if race else str(fault)
                if not race and time.monotonic() - said_at > _SAY_AGAIN_S:
                    said_at = time.monotonic()
                    say(
                        logger,
                        logging.WARNING,
                        "cannot apply, trying again until it works",
                        error=str(fault),
                        tries=tries,
                    )
                await self._wait_to_retry(tries, race=race)
            else:
                if self.fault:
                    say(logger, logging.INFO, "applying again", tries=tries)
                self.fault = None
                return outcomes

    async def handle(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Call the write path once; whatever it raises leaves here as Retry, Quarantine or Stop, with its cause."""
        try:
            if self._connection is None:
                self._connection = await self.connect()
            return await handle_batch(self._connection, entries, self.policy)
        except Exception as error:
            kind = reaction(error)
            if self._connection is None:
                kind = Stop if kind is Quarantine else kind  # nothing was offered yet: it is the URL, a role, a right
            elif kind is Retry or self._connection.is_closed() or self._connection.is_in_transaction():
                self._discard_connection()
            raise kind(one_line(error)) from error

    async def connect(self) -> "Connection":
        """Open the loop's connection."""
        return await connect(self.settings.database_url, "stock_worker", application_name="stock-worker loop")

    def wake(self) -> None:
        """Tell the relay that there is something to publish."""
        self._wake.set()

    def note(self, batch: Batch, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        """Let the offsets of what is applied be committed, and count it: each record once."""
        self.intake.applied(batch, entries)
        metrics, prefix, now = self.metrics, self.settings.topic_prefix, self._clock()
        records = [entry.record for entry in entries if entry.record]
        self.records += len(records)
        decided = [(record.topic.removeprefix(prefix), what) for record, what in zip(records, outcomes, strict=True)]
        for (topic, kind), times in Counter([(topic, outcome.kind) for topic, outcome in decided]).items():
            metrics.commands_total.labels(topic, kind).inc(times)
        released = [
            (command_topic_of(waited.source.topic), what) for done in outcomes for waited, what in done.released
        ]
        metrics.count([*decided, *released])
        metrics.command_lag_seconds.observe_many([max(0.0, now - record.timestamp_ms / 1000) for record in records])

    # ------------------------------------------------------------ standing still

    async def _may_go_on(self) -> bool:
        """Wait a moment while the breaker holds or the outbox is full; says whether neither is so."""
        if self.breaker.is_open:
            await self._moment(self._stopping, _PATIENCE_S)
            return False
        if not self.outbox_has_room.is_set():
            return await self._moment(self.outbox_has_room, _PATIENCE_S)
        return True

    async def _wait_to_retry(self, tries: int, *, race: bool) -> None:
        """Wait before the next try: up to two seconds, doubling, jittered. Raises Voided where there is to be none."""
        if self._stopping.is_set() and not race:
            raise Voided
        self.heartbeat = time.monotonic()
        most = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * (tries if race else 2 ** min(tries, 10)))
        least = 0.0 if race else most / 2
        if await self.intake.void_within(random.uniform(least, most)):  # noqa: S311 - jitter
            raise Voided

    def _hold(self, held: Held) -> None:
        say(logger, logging.CRITICAL, "consumption held; mend the bug and restart", reason=str(held))

    @staticmethod
    async def _moment(event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        return True

    def _discard_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
