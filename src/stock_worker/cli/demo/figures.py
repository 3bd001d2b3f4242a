"""The demo's figures. Law: each is read back: from the topics, from the worker's /metrics, or from the database.

Commands in are what lies in the command topics; events and dead letters are consumed and counted by their ids, and so
are the types of the movements; what became of each command is the worker's count; the ledger's length, levels and what
still waits are the database's.
"""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.error import URLError
from urllib.request import urlopen

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError
from prometheus_client.parser import text_string_to_metric_families

from stock_worker.cli import kafka
from stock_worker.core.topics import ALERT_LEVEL_CHANGED, COMMAND_TOPICS, EVENT_TOPICS, STOCK_CHANGED, dead_letter_topic
from stock_worker.metrics import PREFIX
from stock_worker.settings import Settings, kafka_client_options
from stock_worker.store.engine import WORKER, connect

if TYPE_CHECKING:
    import asyncpg

RATE_OVER_S: Final = 5.0
_ALERTS_SHOWN: Final = 8
_REMEMBERED_MAX: Final = 200_000
"""Ids of events to know repetitions by: some minutes, and a repetition comes within seconds of a fault."""
_ANSWER_S: Final = 2.0

_QUERIES: Final = {
    # Versions are counted without gaps, so their sum is the number of ledger rows; `verify` proves it at the end.
    "movements": "SELECT coalesce(sum(version), 0)::bigint FROM stock.items",
    "outbox": "SELECT count(*) FROM stock.outbox",
    "parked": "SELECT count(*) FROM stock.parked_commands",
    "dead": "SELECT count(*) FROM stock.dead_letters",
}


class Alert(NamedTuple):
    """One change of an item's level, as its event told it."""

    item: tuple[str, str | None]
    previous_level: str
    level: str
    available: int


class Figures(NamedTuple):
    """All that is shown, at one moment. Keys: topic without prefix, outcome, code, type, level."""

    elapsed_s: float
    commands: Mapping[str, int]
    lag: int
    outcomes: Mapping[str, int]
    refusals: Mapping[str, int]
    rows: Mapping[str, int]
    movements: int
    levels: Mapping[str, int]
    outbox: int
    parked: int
    dead: int
    events: Mapping[str, int]
    repeated: int
    alerts: tuple[Alert, ...]
    commands_per_s: float
    events_per_s: float

    @property
    def settled(self) -> bool:
        """Whether every command has been applied and every event published and read."""
        published = self.events.get(STOCK_CHANGED, 0) >= self.movements
        return self.lag == 0 and self.outbox == 0 and published and self.decided == sum(self.commands.values())

    @property
    def decided(self) -> int:
        """How many records have an outcome."""
        return sum(self.outcomes.values())

    @property
    def dead_letters(self) -> int:
        """How many dead letters came out of the topics."""
        return sum(count for topic, count in self.events.items() if topic not in EVENT_TOPICS)


class Reader:
    """Reads everything, for as long as its block runs."""

    def __init__(self, settings: Settings, began: float) -> None:
        self._settings = settings
        self._began = began
        self._events: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        self._repeated = 0
        self._seen: dict[str, None] = {}
        self._alerts: deque[Alert] = deque(maxlen=_ALERTS_SHOWN)
        self._history: deque[tuple[float, int, int]] = deque()
        self.first_event_at: float | None = None

    async def __aenter__(self) -> Self:
        """Open what is read from, and begin to consume."""
        settings, prefix = self._settings, self._settings.topic_prefix
        self._consuming = kafka.consumer(settings)
        self._consumer: AIOKafkaConsumer = await self._consuming.__aenter__()
        self._commands = await kafka.partitions(settings, [prefix + topic for topic in COMMAND_TOPICS])
        outgoing = [*EVENT_TOPICS, *map(dead_letter_topic, COMMAND_TOPICS)]
        self._consumer.assign(await kafka.partitions(settings, [prefix + topic for topic in outgoing]))
        self._admin = AIOKafkaAdminClient(**kafka_client_options(settings))
        await self._admin.start()
        self._database: asyncpg.Connection = await connect(
            settings.database_url, WORKER, application_name="stock-worker demo", plans="free"
        )
        self._task = asyncio.create_task(self._consume())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it all."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consuming.__aexit__(None, None, None)
        await self._admin.close()
        await self._database.close()

    async def read(self) -> Figures:
        """Read once. Raises what broke the consuming task, if it died."""
        if self._task.done():
            self._task.result()
        ends = await self._consumer.end_offsets(self._commands)
        commands: Counter[str] = Counter()
        for part, end in ends.items():
            commands[part.topic.removeprefix(self._settings.topic_prefix)] += end
        applied = await self._applied()
        counted = await asyncio.to_thread(self._scrape)
        asked = {name: int(await self._database.fetchval(query)) for name, query in _QUERIES.items()}
        levels = await self._database.fetch("SELECT level, count(*) FROM stock.items WHERE version > 0 GROUP BY level")
        outcomes = counted.get("commands_total", Counter())
        rates = self._rates(sum(outcomes.values()))
        return Figures(
            elapsed_s=time.monotonic() - self._began,
            commands=commands,
            lag=sum(end - applied.get(part, 0) for part, end in ends.items()),
            outcomes=outcomes,
            refusals=counted.get("rejections_total", Counter()),
            rows=Counter(self._rows),
            movements=asked["movements"],
            levels={row["level"]: row["count"] for row in levels},
            outbox=asked["outbox"],
            parked=asked["parked"],
            dead=asked["dead"],
            events=Counter(self._events),
            repeated=self._repeated,
            alerts=tuple(self._alerts),
            commands_per_s=rates[0],
            events_per_s=rates[1],
        )

    async def _applied(self) -> dict[TopicPartition, int]:
        """Give the offsets that the worker's group has committed; none before it has met."""
        try:
            committed = await self._admin.list_consumer_group_offsets(self._settings.group_id)
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
            return {}
        return {part: max(at.offset, 0) for part, at in committed.items()}

    async def _consume(self) -> None:
        """Count the records of the event and dead-letter topics by their ids; a repetition is told apart."""
        prefix = self._settings.topic_prefix
        async for record in self._consumer:
            if self.first_event_at is None:
                self.first_event_at = time.monotonic()
            topic = record.topic.removeprefix(prefix)
            headers = dict(record.headers)
            name = headers.get("ce_id") if topic in EVENT_TOPICS else None
            name = name or b"%s/%s/%s" % tuple(headers.get(f"dlt-original-{part}", b"") for part in _POSITION)
            if (unique := f"{topic} {name!r}") in self._seen:
                self._repeated += 1
                continue
            self._seen[unique] = None
            if len(self._seen) > _REMEMBERED_MAX:
                del self._seen[next(iter(self._seen))]
            self._events[topic] += 1
            if topic == STOCK_CHANGED:
                self._rows[json.loads(record.value)["type"]] += 1
            elif topic == ALERT_LEVEL_CHANGED:
                self._alerts.appendleft(_alert(json.loads(record.value)))

    def _scrape(self) -> dict[str, Counter[str]]:
        """Read the worker's counters, summed over all labels but the last; nothing while it does not answer yet."""
        found: dict[str, Counter[str]] = {}
        with suppress(URLError, OSError):
            url = f"http://{self._settings.http_host}:{self._settings.http_port}/metrics"
            with urlopen(url, timeout=_ANSWER_S) as answer:
                text = answer.read().decode()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    name = sample.name.removeprefix(PREFIX)
                    if name in _COUNTED and sample.value:
                        found.setdefault(name, Counter())[sample.labels[_COUNTED[name]]] += int(sample.value)
        return found

    def _rates(self, decided: int) -> tuple[float, float]:
        """Commands and events a second, over the last RATE_OVER_S."""
        now, told = time.monotonic(), sum(self._events.values())
        self._history.append((now, decided, told))
        while now - self._history[0][0] > RATE_OVER_S and len(self._history) > 1:
            self._history.popleft()
        then, decided_then, told_then = self._history[0]
        seconds = max(now - then, 0.001)
        return (decided - decided_then) / seconds, (told - told_then) / seconds


_POSITION: Final = ("topic", "partition", "offset")
_COUNTED: Final = {"commands_total": "outcome", "rejections_total": "code"}
"""The worker's counters that are shown, and by which label."""


def _alert(value: Mapping[str, Any]) -> Alert:
    return Alert(
        (f"{value['site_id']}/{value['product_id']}", value["variant_id"]),
        value["previous_level"],
        value["level"],
        value["available"],
    )
