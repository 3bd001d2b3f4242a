"""`run` as one process. Law: every part is watched; the part that dies takes the process down with its reason.

Health answers first. Then the database and the broker are waited for, each told once when it is down; what only an
operator can mend (a password, a missing migration, a missing topic) ends the start at once, in one line. Then all parts
run, and end together. SIGTERM finishes the batch, commits, finishes the sends, leaves the group, within 25 s.

A worker with lag that applies nothing for a minute ends itself, since aiokafka's tasks can die unseen; but not while it
retries a known fault, waits for the outbox or is held by the breaker: a restart mends none of these.
Source: contract section 8.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Collection, Coroutine, Mapping
from typing import Any, Final, NoReturn

import uvloop
from aiokafka import TopicPartition

from stock_worker import log
from stock_worker.faults import Retry, Stop
from stock_worker.garbage import collect_seldom
from stock_worker.gauges import Gauges, audit
from stock_worker.health import Around, Health, alone
from stock_worker.intake import Intake
from stock_worker.log import one_line, say
from stock_worker.metrics import Metrics
from stock_worker.relay import Relay
from stock_worker.settings import Settings, kafka_client_options
from stock_worker.startup import until_it_works, wait_for_the_world
from stock_worker.sweeper import Sweeper
from stock_worker.wire.decode import decode
from stock_worker.worker import Worker

logger = logging.getLogger(__name__)

_FINISH_BATCH_S: Final = 9.0
_FINISH_SENDS_S: Final = 11.0
"""With the group's goodbye beside the sends, and what is left cancelled, the end comes within 25 s."""
_CANCEL_AGAIN_S: Final = 0.2
_LOOK_EVERY_S: Final = 5.0
_RELAY_ENDED_EVERY_S: Final = 0.02
_STILL_MAX_S: Final = 60.0
_SILENT_MAX_S: Final = 90.0
"""A heartbeat older than this, and /healthz fails; the database alone may keep a batch for 30 s (a frozen peer)."""


def serve(settings: Settings, around: Around = alone) -> int:
    """Run until SIGTERM, with what is served `around` health.

    Returns the exit code: 0 asked to end, 1 ended by a fault that is told in one line.
    """
    log.configure(settings.log_format, settings.log_level, secrets=settings.secrets())
    collect_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Service(settings, around=around).run())


class Service:
    """The parts, and who watches them."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None, *, around: Around = alone) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.stopping = asyncio.Event()
        wake = asyncio.Event()
        self.intake = Intake(settings, decode)
        self.worker = Worker(settings, self.intake, self.metrics, wake=wake)
        self.relay = Relay(
            database_url=settings.database_url,
            kafka=kafka_client_options(settings),
            group_id=settings.group_id,
            event_source=settings.event_source,
            wake=wake,
            published=self._count_published,
        )
        self.sweeper = Sweeper(settings, self.metrics, intake=self.intake, wake=wake, breaker=self.worker.breaker)
        self.gauges = Gauges(settings, self.metrics, self.worker.outbox_has_room)
        self.health = Health(
            self.metrics, unhealthy=self.unhealthy, unready=self.unready, paused=self.paused, around=around
        )
        self.waits_for: dict[str, str] = {}

    async def run(self) -> int:
        """Live until asked to stop or until a part dies. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stopping.set)
        try:
            listening = self.health.bind(self.settings.http_host, self.settings.http_port)
        except OSError as error:
            where = f"STOCK_HTTP_HOST and STOCK_HTTP_PORT ({self.settings.http_host}:{self.settings.http_port})"
            say(
                logger, logging.CRITICAL, f"{where} cannot be used; free the port or set another", error=one_line(error)
            )
            return 1
        try:
            async with asyncio.TaskGroup() as group:
                answering = group.create_task(self._watched("health", self.health.serve(listening)))
                living = group.create_task(self._live())
                await living
                self.health.stop()
                await answering
        except ExceptionGroup as faults:
            self._tell(faults)
            return 1
        finally:
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(name)
        say(logger, logging.INFO, "stopped")
        return 0

    # ------------------------------------------------------------ life

    async def _live(self) -> None:
        """Wait for the world, run the parts, and end them in order once asked to."""
        asked = asyncio.create_task(self.stopping.wait())
        start = asyncio.create_task(wait_for_the_world(self.settings, self.waits_for))
        try:
            await asyncio.wait({asked, start}, return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                return
            start.result()
            say(logger, logging.INFO, "running", group=self.settings.group_id, prefix=self.settings.topic_prefix)
            tasks = [asyncio.create_task(self._watched(name, part), name=name) for name, part in self._parts().items()]
            try:
                await asyncio.wait({asked, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    say(logger, logging.INFO, "stopping: the batch and the sends under way are finished first")
                    await self._end()
            finally:
                await _cancel(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.result()
        finally:
            asked.cancel()
            start.cancel()
            await asyncio.gather(asked, start, return_exceptions=True)
            await self.intake.leave()  # whatever ended us: the others need not wait for the session to run out

    def _parts(self) -> dict[str, Coroutine[Any, Any, Any]]:
        return {
            "worker": self.worker.run(),
            "consumer": self._consume(),
            "offsets": self.intake.commit_offsets(),
            "relay": self.relay.run(),
            "sweeper": self.sweeper.run(),
            "gauges": self.gauges.run(),
            "audit": audit(self.settings, self.metrics),
            "watchdog": self._watch_progress(),
        }

    async def _watched(self, name: str, part: Coroutine[Any, Any, Any]) -> None:
        """Run a part; unless we are stopping, its end is the process's end, with its name and reason."""
        try:
            await part
        except Exception as error:
            if self.stopping.is_set():
                say(logger, logging.WARNING, f"{name} ended while stopping", error=one_line(error))
                return
            if isinstance(error, Stop):
                raise
            raise RuntimeError(f"{name} died: {one_line(error)}") from error
        if not self.stopping.is_set():
            raise RuntimeError(f"{name} ended by itself")

    async def _consume(self) -> None:
        """Join the group, again and again where the broker is away, and stay."""
        await until_it_works("the consumer group", self.intake.join, self.waits_for)
        await self.intake.watch()

    async def _end(self) -> None:
        """Finish what is under way, each step bounded; what does not end in time is redelivered."""
        if not self.health.is_alone:
            self.health.stop()  # its requests take their time beside the batch's, and no new ones come
        await _bounded("the batch", _FINISH_BATCH_S, self.worker.stop())
        sends = _bounded("the sends", _FINISH_SENDS_S, self._finish_sends())
        await asyncio.gather(sends, self.intake.leave())

    async def _finish_sends(self) -> None:
        """Let the relay publish what is committed and end."""
        self.relay.stop()
        while self.relay.alive:  # noqa: ASYNC110 - its end is a flag for readiness too, and this happens once
            await asyncio.sleep(_RELAY_ENDED_EVERY_S)

    def _count_published(self, published: Mapping[str, int]) -> None:
        for topic, records in published.items():
            self.metrics.events_published_total.labels(topic.removeprefix(self.settings.topic_prefix)).inc(records)

    async def _watch_progress(self) -> NoReturn:
        """Measure the lag, show what stands still, and end a process that is stuck without a known reason."""
        still_s, seen, away = 0.0, self.worker.records, False
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                lag = await self.intake.lag()
            except Retry as fault:
                lag = {}
                if not away:
                    say(logger, logging.WARNING, "Kafka does not answer; waiting", error=str(fault))
            if away and not self.intake.fault:
                say(logger, logging.INFO, "Kafka answers again")
            away = self.intake.fault is not None
            self._show(lag)
            excused = any(self._standing_still().values())
            moved, seen = self.worker.records != seen or not any(lag.values()), self.worker.records
            still_s = 0.0 if excused or moved else still_s + _LOOK_EVERY_S
            if still_s >= _STILL_MAX_S:
                raise Stop(f"{sum(lag.values())} records wait and none was applied for {_STILL_MAX_S:g} s; start anew")

    def _show(self, lag: dict[TopicPartition, int]) -> None:
        self.metrics.consumer_lag.clear()  # partitions that moved are another worker's to tell
        for at, records in lag.items():
            topic = at.topic.removeprefix(self.settings.topic_prefix)
            self.metrics.consumer_lag.labels(topic, str(at.partition)).set(records)
        for reason, is_so in self._standing_still().items():
            self.metrics.consumption_paused.labels(reason).set(is_so)

    # ------------------------------------------------------------ what others ask

    def unhealthy(self) -> list[str]:
        """Why a restart would help."""
        silent_s = time.monotonic() - self.worker.heartbeat
        return [f"the loop has been silent for {silent_s:.0f} s"] if self._is_silent(silent_s) else []

    def unready(self) -> list[str]:
        """Why this worker is of no use at this moment."""
        if self.waits_for:
            return sorted(self.waits_for.values())
        reasons = {
            "stopping": self.stopping.is_set(),
            self.intake.fault: self.intake.fault is not None,
            "no partitions assigned": not self.intake.owned,
            self.gauges.fault: self.gauges.fault is not None,
            "the relay is not alive": not self.relay.alive,
            f"relay: {self.relay.fault}": self.relay.fault is not None,
            f"trying again: {self.worker.fault}": self.worker.fault is not None,
            "held by the breaker": self.worker.breaker.is_open,
        }
        return [reason for reason, is_so in reasons.items() if is_so and reason]

    def paused(self) -> list[str]:
        """Why consumption stands still, as `consumption_paused` says it."""
        return [reason for reason, is_so in self._standing_still().items() if is_so]

    def _standing_still(self) -> dict[str, bool]:
        return {
            "breaker": self.worker.breaker.is_open,
            "outbox": not self.worker.outbox_has_room.is_set(),
            "fault": bool(self.worker.fault or self.intake.fault),
        }

    def _is_silent(self, silent_s: float) -> bool:
        return not self.waits_for and not self.stopping.is_set() and silent_s > _SILENT_MAX_S

    @staticmethod
    def _tell(faults: ExceptionGroup[Exception]) -> None:
        """Say in one line why the process ends; a bug keeps its traceback."""
        fault: Exception = faults
        while isinstance(fault, ExceptionGroup):
            fault = fault.exceptions[0]
        if isinstance(fault, Stop):
            say(logger, logging.CRITICAL, str(fault))
        else:
            logger.critical(str(fault), exc_info=fault)


async def _bounded(what: str, seconds: float, ending: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ending
    except TimeoutError:
        say(logger, logging.WARNING, f"{what} did not end in time and is left", waited_s=seconds)


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until each has ended.

    Once is not enough. A cancelled transaction rolls back, and waits for ever for a server that is frozen; and where a
    connection breaks at the moment of the cancellation, asyncpg raises its own fault instead, which a part mends and
    goes on. Each further cancellation ends one such wait.
    """
    living = set(tasks)
    while living:
        for task in living:
            task.cancel()
        _, living = await asyncio.wait(living, timeout=_CANCEL_AGAIN_S)
