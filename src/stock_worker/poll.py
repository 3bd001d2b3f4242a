"""FastStream as the shell. Law: it holds the broker and the group, and has no say in what becomes of a record.

FastStream 0.7.8 swallows what a handler raises, restarts its own dead task, sleeps on a KafkaError and after a poll
that brought nothing, and loses a record, or a batch, with a header that is null or no UTF-8; its default policy
acknowledges before the handler runs. So: an own poll, an own parser that keeps everything raw, nothing acknowledged,
nothing created, a handler that only hands over, and a logger that listens, since the log is the only place where a
failed poll is told. Nothing else imports FastStream.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Protocol, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.message import StreamMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from stock_worker import readable
from stock_worker.core.model import Record
from stock_worker.pace import Pace
from stock_worker.settings import Settings, ssl_context

RawRecord: TypeAlias = "ConsumerRecord[bytes, bytes]"

_NEVER_IDLE_MS: Final = 2**31 - 1
"""aiokafka leaves the group when nobody polls; a worker that retries or is held must not, and has its own watchdog."""
_POLL_MAX_MS: Final = 500
"""A poll ends with the first record. That it ends without one is only for what the group's coordinator has to say."""
_FETCH_MAX_BYTES: Final = 16 * 1024 * 1024
_PARTITION_FETCH_MAX_BYTES: Final = 1024 * 1024

os.environ["FASTSTREAM_SUPERVISOR_DISABLED"] = "1"  # a poll task that dies ends the process: `Intake.watch`


class Receiver(Protocol):
    """Who is told what happens: `intake.Intake`, and tests."""

    async def polled(self, records: Sequence[RawRecord]) -> None:
        """Take records; the next poll waits until this returns."""

    def poll_failed(self, error: BaseException) -> None:
        """A poll raised this; FastStream polls again in five seconds."""

    async def revoked(self) -> None:
        """Every partition is taken away; the rebalance waits until this returns."""

    async def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """These partitions are ours from now, at their committed offsets."""


def make_broker(settings: Settings, receiver: Receiver, topics: list[str], pace: Pace) -> tuple[KafkaBroker, Any]:
    """Make the broker and its one subscriber, over all these topics; its `consumer` and `tasks` come with the start."""
    readable.install()
    broker = KafkaBroker(
        settings.kafka_bootstrap.split(","),
        client_id="stock-worker",
        security=_security(settings),
        consumer_only=True,
        allow_auto_create_topics=False,
        graceful_timeout=None,  # nothing is under way in a handler; what is decided ends in `worker`
        logger=_PollLog(receiver),
        apply_types=False,
    )
    subscriber = broker.subscriber(
        *topics,
        batch=True,
        ack_policy=AckPolicy.MANUAL,
        group_id=settings.group_id,
        group_instance_id=settings.group_instance_id,
        auto_offset_reset="earliest",
        isolation_level="read_committed",  # what an aborted transaction said was never said
        session_timeout_ms=settings.kafka_session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
        max_poll_interval_ms=_NEVER_IDLE_MS,
        fetch_max_bytes=_FETCH_MAX_BYTES,
        max_partition_fetch_bytes=_PARTITION_FETCH_MAX_BYTES,
        listener=_Rebalances(receiver),
        parser=_keep_raw,
        decoder=_keep_raw_body,
    )

    async def poll(consumer: AIOKafkaConsumer) -> tuple[RawRecord, ...]:
        """Stand for FastStream's own, which sleeps after a wait in vain: what comes meanwhile would wait as well."""
        found = await consumer.getmany(timeout_ms=_POLL_MAX_MS, max_records=settings.batch_max_records)
        return tuple(chain.from_iterable(found.values()))

    subscriber.get_msg = poll  # type: ignore[method-assign] # FastStream offers no other way

    @subscriber
    async def hand_over(records: tuple[RawRecord, ...]) -> None:
        pace.flows(subscriber.consumer, len(records))
        await receiver.polled(records)

    return broker, subscriber


async def _keep_raw(message: Any) -> StreamMessage[Any]:  # noqa: ANN401 - FastStream finds out by the parameters' names
    """Parse nothing: FastStream's own parser decodes headers, and loses the batch that has one it cannot decode."""
    return StreamMessage(raw_message=message, body=b"", correlation_id="-", message_id="-")


async def _keep_raw_body(message: StreamMessage[Any]) -> Any:  # noqa: ANN401 - the records as they are
    return message.raw_message


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        await self._receiver.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._receiver.assigned(frozenset(assigned))


class _PollLog:
    """What FastStream gives as a logger is the only place where it tells of a failed poll."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def log(
        self,
        _level: int,
        _message: Any,  # noqa: ANN401 - FastStream's protocol
        /,
        *,
        exc_info: Any = None,  # noqa: ANN401 - the same
        extra: Mapping[str, Any] | None = None,  # noqa: ARG002 - the same
    ) -> None:
        if isinstance(exc_info, BaseException):
            self._receiver.poll_failed(exc_info)


def _security(settings: Settings) -> BaseSecurity | None:
    """Say to FastStream what `settings.kafka_client_options` says to aiokafka."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    context = ssl_context(settings)
    if not (settings.kafka_sasl_mechanism and settings.kafka_sasl_username and settings.kafka_sasl_password):
        return BaseSecurity(ssl_context=context)
    kind = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    password = settings.kafka_sasl_password.get_secret_value()
    return kind[settings.kafka_sasl_mechanism](settings.kafka_sasl_username, password, ssl_context=context)


def as_record(raw: RawRecord, new: Callable[..., Record] = tuple.__new__) -> Record:
    """Turn aiokafka's record into ours. PostgreSQL's text cannot hold NUL, so a header's name shows it instead."""
    headers = raw.headers
    if headers and "\0" in "".join([name for name, _ in headers]):
        headers = tuple((name.replace("\0", "\\x00"), value) for name, value in headers)
    fields = (raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, headers)
    return new(Record, fields)  # past the named tuple's own constructor: half of the time, once a record
