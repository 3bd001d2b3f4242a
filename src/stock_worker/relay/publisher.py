"""Send rows and say which of them Kafka has. Law: published is what Kafka acknowledged, and a fault ends the producer.

A publisher is one fenced producer. After its first fault it is of no more use: aiokafka has counted sequence numbers
that the broker has not seen. Whoever owns it discards it, opens another and reads the outbox again.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLargeError,
    UnknownTopicOrPartitionError,
)

from stock_worker.faults import Retry
from stock_worker.relay.producer import discard, open_fenced
from stock_worker.relay.records import Batch, Fit, batches
from stock_worker.store.outbox import SEQ, SIZE

if TYPE_CHECKING:
    from stock_worker.store.outbox import Row

TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)
_TOPIC_MAX_S: Final = 3.0


class TopicMissing(Retry):
    """A topic is not there. Nothing was sent, and the publisher is as good as before."""


class Published(NamedTuple):
    """What became of some rows: the seqs to delete, how many of each topic, and the fault if there was one."""

    seqs: list[int]
    topics: Mapping[str, int]
    fault: KafkaError | None


class Publisher:
    """One fenced producer, and what it knows of topics and of records too large."""

    def __init__(self, producer: AIOKafkaProducer, source: str, fit: Fit) -> None:
        self._producer = producer
        self._source = source.encode()
        self._fit = fit

    @classmethod
    async def open(cls, options: Mapping[str, Any], transactional_id: str, *, source: str, fit: Fit) -> "Publisher":
        """Open one; no earlier publisher of this id can then write anything after what this one writes."""
        return cls(await open_fenced(options, transactional_id), source, fit)

    async def close(self) -> None:
        """Let go of the connection; nothing is waited for."""
        await discard(self._producer)

    async def publish(self, rows: Sequence["Row"]) -> Published:
        """Send rows, in order, and wait for Kafka's word on each batch.

        A fault that is one batch's is told in the result, beside what went well. Raises TopicMissing.
        """
        partitions = {topic: await self._partitions(topic) for topic in {row[7] for row in rows}}
        laid_out = batches(
            rows, source=self._source, partitions=partitions, new=self._producer.create_batch, fit=self._fit
        )
        return self._judge(rows, laid_out, await self._send(laid_out))

    async def _partitions(self, topic: str) -> int:
        """Say how many partitions a topic has; it may have been created a moment ago, or not at all."""
        known = self._producer.client.cluster.partitions_for_topic(topic)
        if known is None:
            try:
                async with asyncio.timeout(_TOPIC_MAX_S):
                    known = await self._producer.partitions_for(topic)
            except (TimeoutError, UnknownTopicOrPartitionError):
                raise TopicMissing(f"topic {topic} is not there, and all waits; stock-worker topics create") from None
        return len(known)

    async def _send(self, laid_out: Sequence[Batch]) -> list[BaseException | None]:
        """Hand all batches over, and wait for all answers. A second batch of a partition waits until the first left."""
        waiting: list[asyncio.Future[Any]] = []
        refused: KafkaError | None = None
        for batch in laid_out:
            try:
                waiting.append(await self._producer.send_batch(batch.builder, batch.topic, partition=batch.partition))
            except KafkaError as error:  # the producer takes no more; those handed over still have their answer coming
                refused = error
                break
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        told = [answer if isinstance(answer, BaseException) else None for answer in answers]
        return told + [refused] * (len(laid_out) - len(told))

    def _judge(
        self, rows: Sequence["Row"], laid_out: Sequence[Batch], told: Sequence[BaseException | None]
    ) -> Published:
        """Sort out what Kafka has: of each shard what stands before the first row that it has not."""
        failed: dict[int, int] = {}
        fault: BaseException | None = None
        for batch, error in zip(laid_out, told, strict=True):
            if error is None:
                continue
            if isinstance(error, TOO_LARGE):
                self._fit.refused(batch, {row[SEQ]: row[SIZE] for row in rows})
            fault = fault if fault is not None and not isinstance(fault, TOO_LARGE) else error
            for seq, shard in batch.rows:
                failed[shard] = min(seq, failed.get(shard, seq))
        if fault is not None and not isinstance(fault, KafkaError):
            raise fault
        done = [row for row in rows if row[SEQ] < failed.get(row[1], row[SEQ] + 1)] if failed else rows
        seqs = [row[SEQ] for row in done]
        self._fit.forget(seqs)
        return Published(seqs, Counter([row[7] for row in done]), fault)
