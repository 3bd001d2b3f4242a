"""Metrics. Law: every metric of the service is a row of TABLE, and every label value that can come is there from zero.

`rate()` over a series that appears with its first count misses that count; so all series exist at start. Names carry
the prefix `stock_worker_` and base units; nothing is labelled by item or site. `process` metrics are summed over the
workers; `database` metrics say the same whichever worker is asked: take the maximum. Source: contract section 8.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from itertools import accumulate, product
from pathlib import Path
from typing import Final, Literal, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from stock_worker.core.model import Level, MovementType, Outcome, OutcomeKind
from stock_worker.core.refusals import DEAD_LETTERED, Code
from stock_worker.core.topics import COMMAND_TOPICS, EVENT_TOPICS, dead_letter_topic

PREFIX: Final = "stock_worker_"

STEPS: Final = ("decode", "apply", "offsets")
"""batch_seconds{step}: bytes to commands; the transaction from lock to commit; telling Kafka how far it is."""
HELD_STEPS: Final = ("load", "refresh")
"""projection_seconds{step}: all items of a site; those that changed since the last request."""
PAUSES: Final = ("breaker", "outbox", "fault")
"""consumption_paused{reason}: held for bugs; waiting for the outbox to drain; retrying a fault of the world."""
SQLSTATES: Final = ("40P01", "40001", "23505", "25P03", "57P01", "57P03", "08003", "08006", "53300", "connection")
"""db_retries_total{sqlstate}: those to expect; others appear when they come. `connection` is a fault without one."""
ROUTES: Final = (("/healthz", "200"), ("/readyz", "200"), ("/readyz", "503"), ("/metrics", "200"))


class Metric(NamedTuple):
    """One row: what is exported, with which labels, what it means, and whose figure it is."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    scope: Literal["process", "database"]
    series: tuple[tuple[str, ...], ...] = ((),)  # label values that exist from the start
    buckets: tuple[float, ...] = ()


def _each(*values: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(product(*values))


_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 20000.0)
_PUBLISHED: Final = (*EVENT_TOPICS, *map(dead_letter_topic, COMMAND_TOPICS))
_REFUSED: Final = frozenset({OutcomeKind.REJECTED, OutcomeKind.CONFLICT, OutcomeKind.MALFORMED, OutcomeKind.FAILED})
_REASONS: Final = tuple(code.text for code in sorted(DEAD_LETTERED))

TABLE: Final[tuple[Metric, ...]] = (
    Metric(
        "commands_total", "counter", ("topic", "outcome"), "Records consumed, each once, by what became of them.",
        "process", _each(COMMAND_TOPICS, OutcomeKind),
    ),
    Metric(
        "rejections_total", "counter", ("code",), "Commands refused, by refusal code.",
        "process", _each(code.text for code in Code),
    ),
    Metric(
        "dead_letters_total", "counter", ("topic", "reason"), "Records dead-lettered, by command topic and reason.",
        "process", _each(COMMAND_TOPICS, _REASONS),
    ),
    Metric(
        "movements_total", "counter", ("type",), "Ledger rows written, by movement type.",
        "process", _each(MovementType),
    ),
    Metric(
        "batch_size", "histogram", (), "Records in one transaction.", "process", buckets=_SIZES,
    ),
    Metric(
        "batch_seconds", "histogram", ("step",), "Seconds that one batch spent in a step.",
        "process", _each(STEPS), _SECONDS,
    ),
    Metric(
        "command_lag_seconds", "histogram", (), "Seconds from a record's timestamp to the commit that decided it.",
        "process", buckets=_LAG_SECONDS,
    ),
    Metric("outbox_pending", "gauge", (), "Events and dead letters written and not yet published.", "database"),
    Metric("outbox_oldest_age_seconds", "gauge", (), "Age of the oldest unpublished event, 0 without one.", "database"),
    Metric(
        "events_published_total", "counter", ("topic",), "Records that Kafka acknowledged, by topic.",
        "process", _each(_PUBLISHED),
    ),
    Metric(
        "consumer_lag", "gauge", ("topic", "partition"), "Records not yet applied, of the partitions owned here.",
        "process", (),
    ),
    Metric(
        "alert_items", "gauge", ("level",), "Items at an alert level.",
        "database", _each(level for level in Level if level is not Level.OK),
    ),
    Metric("parked_commands", "gauge", (), "Commands that wait for their order.", "database"),
    Metric(
        "reservations_overdue", "gauge", (), "Orders whose reservations are past their time and have not expired.",
        "database",
    ),
    Metric("ledger_drift_items", "gauge", (), "Items whose sums do not agree, in the last slice verified.", "database"),
    Metric(
        "consumption_paused", "gauge", ("reason",), "1 while consumption stands still, by why.",
        "process", _each(PAUSES),
    ),
    Metric(
        "http_requests_total", "counter", ("route", "method", "status"), "HTTP requests answered.",
        "process", tuple((route, "GET", status) for route, status in ROUTES),
    ),
    Metric(
        "http_request_seconds", "histogram", ("route",), "Seconds to answer an HTTP request.",
        "process", _each(dict.fromkeys(route for route, _ in ROUTES)), _SECONDS,
    ),
    Metric("projection_items", "gauge", (), "Items held in memory, of which lists are made.", "process"),
    Metric(
        "projection_seconds", "histogram", ("step",), "Seconds to load a site's items, or to bring them up to date.",
        "process", _each(HELD_STEPS), _SECONDS,
    ),
    Metric(
        "db_retries_total", "counter", ("sqlstate",), "Transactions offered again after a fault, by SQLSTATE.",
        "process", _each(SQLSTATES),
    ),
)  # fmt: skip


class Metrics:
    """The metrics of one process, on a registry of their own.

    `folder` is where several processes keep their figures, and then each exposes the sums over all of them. The library
    decides on its import whether it keeps them there: PROMETHEUS_MULTIPROC_DIR names the folder before that.
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, folder: Path | None = None) -> None:
        self._folder = folder
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series a counter, which nobody reads
        self.registry = registry or CollectorRegistry()
        self._rows = {row.name: row for row in TABLE}
        self.commands_total = self._counter("commands_total")
        self.rejections_total = self._counter("rejections_total")
        self.dead_letters_total = self._counter("dead_letters_total")
        self.movements_total = self._counter("movements_total")
        self.batch_size = self._histogram("batch_size")
        self.batch_seconds = self._histogram("batch_seconds")
        self.command_lag_seconds = self._bulk_histogram("command_lag_seconds")
        self.outbox_pending = self._gauge("outbox_pending")
        self.outbox_oldest_age_seconds = self._gauge("outbox_oldest_age_seconds")
        self.events_published_total = self._counter("events_published_total")
        self.consumer_lag = self._gauge("consumer_lag")
        self.alert_items = self._gauge("alert_items")
        self.parked_commands = self._gauge("parked_commands")
        self.reservations_overdue = self._gauge("reservations_overdue")
        self.ledger_drift_items = self._gauge("ledger_drift_items")
        self.consumption_paused = self._gauge("consumption_paused")
        self.http_requests_total = self._counter("http_requests_total")
        self.http_request_seconds = self._histogram("http_request_seconds")
        self.projection_items = self._gauge("projection_items")
        self.projection_seconds = self._histogram("projection_seconds")
        self.db_retries_total = self._counter("db_retries_total")

    def exposition(self) -> bytes:
        """Give the text that Prometheus scrapes."""
        if self._folder is None:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together, str(self._folder))  # type: ignore[no-untyped-call]
        together.register(self.command_lag_seconds)  # ours, and a worker's alone
        return generate_latest(together)

    def count(self, decided: Iterable[tuple[str, Outcome]]) -> None:
        """Count what was decided of commands, each with the topic (without prefix) that its record came from."""
        movements: Tally[str] = Tally()
        refusals: Tally[Code] = Tally()
        letters: Tally[tuple[str, Code]] = Tally()
        for topic, outcome in decided:
            if outcome.movements:
                movements.update([movement.type for movement in outcome.movements])
            if outcome.code and outcome.kind in _REFUSED:
                refusals[outcome.code] += 1
                if outcome.code in DEAD_LETTERED:
                    letters[topic, outcome.code] += 1
        for kind, times in movements.items():
            self.movements_total.labels(kind).inc(times)
        for code, times in refusals.items():
            self.rejections_total.labels(code.text).inc(times)
        for (topic, code), times in letters.items():
            self.dead_letters_total.labels(topic, code.text).inc(times)

    def _counter(self, name: str) -> Counter:
        row = self._row(name, "counter")
        metric = Counter(PREFIX + name, row.meaning, row.labels, registry=self.registry)
        _begin(metric, row)
        return metric

    def _gauge(self, name: str) -> Gauge:
        row = self._row(name, "gauge")
        metric = Gauge(PREFIX + name, row.meaning, row.labels, registry=self.registry, multiprocess_mode="max")
        _begin(metric, row)
        return metric

    def _histogram(self, name: str) -> Histogram:
        row = self._row(name, "histogram")
        metric = Histogram(PREFIX + name, row.meaning, row.labels, buckets=row.buckets, registry=self.registry)
        _begin(metric, row)
        return metric

    def _bulk_histogram(self, name: str) -> "BulkHistogram":
        row = self._row(name, "histogram")
        metric = BulkHistogram(PREFIX + name, row.meaning, row.buckets)
        self.registry.register(metric)
        return metric

    def _row(self, name: str, kind: str) -> Metric:
        row = self._rows[name]
        assert row.kind == kind, f"{name} is a {row.kind} in the table"
        return row


class BulkHistogram(Collector):
    """A histogram that takes a batch of values at once: a thousand single observations cost 2 % of a batch."""

    def __init__(self, name: str, meaning: str, buckets: Sequence[float]) -> None:
        self._name, self._meaning, self._bounds = name, meaning, list(buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0

    def observe_many(self, values: Sequence[float]) -> None:
        """Count each value in the first bucket that holds it."""
        bounds, counts = self._bounds, self._counts
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self._sum += sum(values)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Give the sums over the buckets, as Prometheus wants them."""
        bounds = [*(str(bound) for bound in self._bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        return [HistogramMetricFamily(self._name, self._meaning, buckets=buckets, sum_value=self._sum)]


def _begin(metric: Counter | Gauge | Histogram, row: Metric) -> None:
    if row.labels:
        for values in row.series:
            metric.labels(*values)
