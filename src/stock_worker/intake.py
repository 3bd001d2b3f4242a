"""What came in. Law: `take` gives each record of a partition that is owned, in the partition's order, decoded, once.

`poll` brings raw records; deciding, giving up and going on stand in `worker`. Polling and decoding go on while the
database works, up to one batch ahead.

A rebalance makes an epoch: aiokafka revokes everything and starts again at the committed offsets, so what was polled
before is dropped, and a batch under way is waited for, bounded; when it ends later than that, its offsets are not
committed and its references answer the redelivery. An offset commit that fails costs a redelivery, and no more.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from stock_worker.core.model import Command, Entry, Malformed, Record
from stock_worker.core.refusals import Code
from stock_worker.core.topics import COMMAND_TOPICS
from stock_worker.faults import Retry, Stop, reaction
from stock_worker.log import one_line, say
from stock_worker.pace import Pace
from stock_worker.poll import RawRecord, as_record, make_broker
from stock_worker.positions import Position, applied_positions, polled_positions
from stock_worker.settings import Settings

logger = logging.getLogger(__name__)

Decode = Callable[[Record, str], Entry]

_DECODED_AT_ONCE: Final = 100
"""Records decoded before the loop gets a turn: some 2 ms, so that the database's answers do not wait longer."""
_WAITING_MAX_BYTES: Final = 32 * 1024 * 1024
"""Of values decoded ahead: a thousand records of one megabyte would fill the memory."""
_LEAVE_TIMEOUT_S: Final = 8.0
_COMMIT_EVERY_S: Final = 0.1
"""Offsets of a loaded worker are told ten times a second, not with each of some fifty batches: a fifth of the broker's
work at 2,000 orders/s. What a crash makes it read again is known by its references."""
_COMMIT_PAUSE_S: Final = 1.0


class Batch(NamedTuple):
    """Decoded records in the order to apply them, of one epoch."""

    entries: Sequence[Entry]
    epoch: int
    decode_seconds: float


class Intake:
    """One member of the consumer group, and what it has polled and not yet handed over."""

    def __init__(self, settings: Settings, decode: Decode) -> None:
        self.settings = settings
        self.decode = decode
        self.owned: frozenset[TopicPartition] = frozenset()
        self.epoch = 0
        self._revoking = False
        self._decoding = False
        self.fault: str | None = "not connected to Kafka yet"
        self.committed_in_s = 0.0
        self._topics = {settings.topic_prefix + topic: topic for topic in COMMAND_TOPICS}
        self._pace = Pace(settings.batch_max_wait_ms)
        self._taken_at = 0.0
        self._revoke_wait_s = settings.kafka_session_timeout_ms / 1000 / 3  # the group waits one session for us
        self._waiting: deque[Entry] = deque()
        self._in_hand: Sequence[RawRecord] = ()
        self._under_way: Sequence[Entry] = ()
        self._waiting_bytes = 0
        self._decode_seconds = 0.0
        self._arrived, self._room, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._voided, self._to_commit = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._applied: dict[TopicPartition, int] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._commit: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] | None = None
        self._broker: Any = None
        self._subscriber: Any = None

    # ------------------------------------------------------------ the group

    async def join(self) -> None:
        """Connect, subscribe and wait for an assignment. Raises what aiokafka raises when no broker answers."""
        self._broken = asyncio.get_running_loop().create_future()
        self._broker, self._subscriber = make_broker(self.settings, self, list(self._topics), self._pace)
        try:
            await self._broker.start()
        except BaseException:
            await self.leave()
            raise
        self.fault = None

    async def watch(self) -> None:
        """Return after `leave`; before it, raise why consuming is broken: the poll died, or only people can help."""
        assert self._broken is not None
        assert self._subscriber is not None
        polls = list(self._subscriber.tasks)
        await asyncio.wait([*polls, self._broken], return_when=asyncio.FIRST_COMPLETED)
        if self._broken.done():
            self._broken.result()
        if self._broker is None:
            return  # we left
        for poll in polls:
            if poll.done() and not poll.cancelled() and poll.exception():
                raise RuntimeError(f"polling died of {one_line(poll.exception())}") from poll.exception()
        raise RuntimeError("polling ended by itself")

    async def leave(self) -> None:
        """Leave the group (a static member stays on the broker's list until its session ends) and close; bounded."""
        broker, self._broker = self._broker, None
        if self._commit:
            self._commit.cancel()
        if broker is None:
            return
        self._revoking = True
        self._drop()
        try:
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await broker.stop()
        except (TimeoutError, KafkaError, ExceptionGroup) as error:
            say(logger, logging.WARNING, "left without a goodbye", error=one_line(error))

    async def revoked(self) -> None:
        """Drop what was polled, let the batch under way end and be committed, then give the partitions up."""
        self._revoking = True
        self._drop()
        try:
            async with asyncio.timeout(self._revoke_wait_s):
                await self._idle.wait()
                await self.flush()
        except TimeoutError:
            say(logger, logging.WARNING, "partitions taken in mid-batch", waited_s=self._revoke_wait_s)
        if self._commit:
            self._commit.cancel()  # it would write an offset that the next owner has passed
        self._uncommitted.clear()
        self.owned = frozenset()
        self.epoch += 1

    async def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Begin an epoch with these partitions."""
        self.epoch += 1
        self._drop()
        self._revoking = False
        self._applied.clear()
        self.owned = partitions
        say(logger, logging.INFO, "partitions assigned", partitions=len(partitions), epoch=self.epoch)

    def _drop(self) -> None:
        """Forget what was polled and not taken; whoever waits for room or to try again looks up."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self._in_hand = ()
        self._room.set()
        self._voided.set()

    # ------------------------------------------------------------ records in

    async def polled(self, records: Sequence[RawRecord]) -> None:
        """Decode what was polled and put it behind what waits; returns when there is room for the next poll."""
        epoch = self.epoch
        self._decoding = True
        try:
            for begin in range(0, len(records), _DECODED_AT_ONCE):
                self._in_hand = records[begin:]
                await self._room_for_more(epoch)
                if not self._is_current(epoch):
                    return
                self._decode(records[begin : begin + _DECODED_AT_ONCE])
                await asyncio.sleep(0)
        finally:
            self._decoding = False
            self._arrived.set()
        if self._is_current(epoch):
            self._in_hand = ()
            self.fault = None

    async def _room_for_more(self, epoch: int) -> None:
        while self._is_current(epoch) and self._is_full():
            self._arrived.set()
            self._room.clear()
            await self._room.wait()

    def _is_current(self, epoch: int) -> bool:
        return epoch == self.epoch and not self._revoking

    def _decode(self, records: Sequence[RawRecord]) -> None:
        began = perf_counter()
        decode, topics = self.decode, self._topics
        try:
            self._waiting += [decode(as_record(raw), topics[raw.topic]) for raw in records]
        except Exception:
            logger.exception("decoding has a bug; its records are set aside")
            self._waiting += [self._decode_one(as_record(raw), topics[raw.topic]) for raw in records]
        self._waiting_bytes += sum([max(0, raw.serialized_value_size) for raw in records])
        self._decode_seconds += perf_counter() - began

    def _decode_one(self, record: Record, topic: str) -> Entry:
        try:
            return self.decode(record, topic)
        except Exception as error:  # noqa: BLE001 - rule 13: not even our bug stops a record's neighbours
            return Malformed(record, one_line(error), Code.INTERNAL_ERROR)

    def poll_failed(self, error: BaseException) -> None:
        """Take what FastStream would only log: a passing fault makes us unready, any other breaks the intake."""
        if isinstance(error, asyncio.CancelledError):
            return
        # A bare KafkaError says that one of aiokafka's own tasks died: it polls nothing any more.
        if issubclass(reaction(error), Retry) and type(error) is not KafkaError:
            self.fault = f"Kafka: {one_line(error)}"
            say(logger, logging.WARNING, "polling failed, and is tried again", error=one_line(error))
        elif self._broken and not self._broken.done():
            self._broken.set_exception(Stop(f"Kafka: {one_line(error)}"))

    # ------------------------------------------------------------ batches out

    async def take(self, patience_s: float) -> Batch | None:
        """Give the next batch, bounded in records and in lines; None when nothing came for that long.

        Until `done` is called the batch is under way, and a rebalance waits for it.
        """
        try:
            async with asyncio.timeout(patience_s):
                while not self._is_worth_taking():
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return None
        entries = self._next_entries()
        if not entries:
            return None
        self._room.set()
        self._voided.clear()
        self._idle.clear()
        self._under_way = entries
        self._taken_at = perf_counter()
        seconds, self._decode_seconds = self._decode_seconds, 0.0
        return Batch(entries, self.epoch, seconds)

    def _is_worth_taking(self) -> bool:
        """A poll that is being decoded is waited for: two small transactions cost more than one."""
        waiting = len(self._waiting)
        return waiting > 0 and (not self._decoding or self._is_full())

    def _is_full(self) -> bool:
        return len(self._waiting) >= self.settings.batch_max_records or self._waiting_bytes >= _WAITING_MAX_BYTES

    def _next_entries(self) -> list[Entry]:
        waiting, entries, lines = self._waiting, list[Entry](), 0
        while waiting and len(entries) < self.settings.batch_max_records:
            lines += lines_of(waiting[0])
            if entries and lines > self.settings.batch_max_lines:
                break
            entries.append(waiting.popleft())
        self._waiting_bytes = sum([len(entry.record.value or b"") for entry in waiting if entry.record])
        return entries

    def applied(self, batch: Batch, entries: Sequence[Entry]) -> Mapping[TopicPartition, int]:
        """Note that these are applied, the first of the batch; returns the offsets to be committed for them."""
        if batch.epoch != self.epoch:
            return {}  # the next owner reads them again, and finds their references
        offsets = next_offsets(entries)
        self._applied.update(offsets)
        self._uncommitted.update(offsets)
        self._to_commit.set()
        return offsets

    def put_back(self, batch: Batch) -> None:
        """Let what is left of a batch wait again, first in line."""
        if batch.epoch == self.epoch:
            left = [entry for entry in batch.entries if not self._is_applied(entry)]
            self._waiting.extendleft(reversed(left))

    def _is_applied(self, entry: Entry) -> bool:
        record = entry.record
        return record is not None and record.offset < self._applied.get(
            TopicPartition(record.topic, record.partition), 0
        )

    def done(self) -> None:
        """The batch under way has ended, applied or not."""
        self._under_way = ()
        self._pace.took(perf_counter() - self._taken_at)
        self._idle.set()

    async def void_within(self, seconds: float) -> bool:
        """Wait that long, less when the batch under way is voided; says whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._voided.wait()
        except TimeoutError:
            return False
        return True

    def is_void(self, batch: Batch) -> bool:
        """Whether a rebalance came between taking the batch and now."""
        return batch.epoch != self.epoch

    # ------------------------------------------------------------ offsets

    async def commit_offsets(self) -> None:
        """Tell Kafka, for ever, how far each partition is applied; in the background, the newest position each.

        A stop and a rebalance do not wait for this: they `flush`.
        """
        while True:
            await self._to_commit.wait()
            self._commit = asyncio.create_task(self.flush())
            await asyncio.wait([self._commit])
            if not self._commit.cancelled() and (error := self._commit.exception()):
                if not issubclass(reaction(error), Retry):
                    raise error
                say(logger, logging.WARNING, "offsets not committed, tried again", error=one_line(error))
                await asyncio.sleep(_COMMIT_PAUSE_S)
                self._to_commit.set()
            await asyncio.sleep(_COMMIT_EVERY_S)

    async def flush(self) -> None:
        """Commit what is applied and not yet committed. A rebalance in between makes it harmless to fail."""
        self._to_commit.clear()
        consumer = self._consumer
        offsets = {tp: offset for tp, offset in self._uncommitted.items() if tp in self.owned}
        if not offsets or consumer is None:
            return
        began = perf_counter()
        try:
            await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            say(logger, logging.INFO, "offsets not committed: the group moved on", error=one_line(error))
        self.committed_in_s = perf_counter() - began
        for tp, offset in offsets.items():
            if self._uncommitted.get(tp) == offset:
                del self._uncommitted[tp]

    async def lag(self) -> dict[TopicPartition, int]:
        """Count the records not yet applied of each owned partition. Raises Retry when Kafka does not answer."""
        positions = await self.positions(self.owned)
        return {at: max(0, position.end - position.applied) for at, position in positions.items()}

    def is_of(self, topic: str, names: Collection[str]) -> bool:
        """Whether a topic of the deployment is one of these."""
        return self._topics.get(topic) in names

    def partitions_of(self, names: Collection[str]) -> list[TopicPartition]:
        """All partitions of these topics, whoever owns them; none while the broker has not told."""
        if self._consumer is None:
            return []
        topics = [topic for topic in self._topics if self.is_of(topic, names)]
        told = {topic: self._consumer.partitions_for_topic(topic) for topic in topics}
        if not all(told.values()):
            return []
        return [TopicPartition(topic, partition) for topic, partitions in told.items() for partition in partitions]

    async def positions(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Position]:
        """How far these partitions, which must be owned, are applied and where they end at this moment.

        Raises Retry when Kafka does not answer. Nothing after a rebalance meanwhile.
        """
        consumer, epoch = self._consumer, self.epoch
        if consumer is None or not partitions:
            return {}
        try:
            polled = await polled_positions(consumer, partitions)
        except (KafkaError, IllegalStateError, OSError) as error:
            if epoch != self.epoch:
                return {}
            self.fault = f"Kafka: {one_line(error)}"
            raise Retry(self.fault) from error
        self.fault = None
        if epoch != self.epoch:
            return {}
        outstanding = [entry.record for entry in (*self._under_way, *self._waiting) if entry.record]
        return applied_positions(polled, [*outstanding, *self._in_hand])

    @property
    def _consumer(self) -> AIOKafkaConsumer | None:
        return self._subscriber.consumer if self._subscriber else None


def lines_of(entry: Entry) -> int:
    """How much work an entry is: its lines, at least one."""
    return len(entry.lines) if isinstance(entry, Command) and entry.lines else 1


def next_offsets(entries: Sequence[Entry]) -> dict[TopicPartition, int]:
    """Give the position after the last of these records in each partition."""
    last = {entry.record[:2]: entry.record.offset for entry in entries if entry.record}
    return {TopicPartition(topic, partition): offset + 1 for (topic, partition), offset in last.items()}
