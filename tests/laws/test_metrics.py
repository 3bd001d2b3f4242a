"""Contract section 8, metrics: one table in code, the same table in docs/contract.md, every series there from zero."""

import random

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from stock_worker.core.model import MovementType, Outcome, OutcomeKind
from stock_worker.core.refusals import Code
from stock_worker.core.topics import COMMAND_TOPICS
from stock_worker.metrics import PREFIX, TABLE, BulkHistogram, Metrics
from tests.laws.docs_tables import table


def _samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def test_docs_and_code_name_the_same_metrics_with_the_same_labels_kinds_and_scopes() -> None:
    said = {row[0]: (row[1].replace(" ", ""), row[2], row[3]) for row in table("metrics")}
    made = {PREFIX + row.name: (",".join(row.labels), row.kind, row.scope) for row in TABLE}

    assert said == made


def test_every_metric_of_the_table_is_scraped_under_its_name() -> None:
    families = {family.name for family in text_string_to_metric_families(Metrics().exposition().decode())}

    assert families == {(PREFIX + row.name).removesuffix("_total") for row in TABLE}


def test_every_series_whose_labels_are_a_closed_list_is_there_at_zero() -> None:
    samples = _samples(Metrics())

    for topic in COMMAND_TOPICS:
        for kind in OutcomeKind:
            assert samples[PREFIX + "commands_total", frozenset({("topic", topic), ("outcome", kind.value)})] == 0
    for code in Code:
        assert samples[PREFIX + "rejections_total", frozenset({("code", code.text)})] == 0
    for row in MovementType:
        assert samples[PREFIX + "movements_total", frozenset({("type", row.value)})] == 0
    assert samples[PREFIX + "events_published_total", frozenset({("topic", "order-placed-dlt")})] == 0
    assert not [name for name, _ in samples if name.endswith("_created")]


def test_nothing_is_labelled_by_item_or_site() -> None:
    assert not {label for row in TABLE for label in row.labels} & {"site", "site_id", "item", "product_id", "sku"}


def test_what_was_decided_is_counted_by_code_reason_and_type() -> None:
    metrics = Metrics()

    metrics.count(
        [
            ("order-placed", Outcome(OutcomeKind.APPLIED)),
            ("order-placed", Outcome(OutcomeKind.REJECTED, Code.INSUFFICIENT_STOCK)),
            ("order-placed", Outcome(OutcomeKind.PARTLY_APPLIED, Code.INSUFFICIENT_STOCK)),
            ("restock", Outcome(OutcomeKind.CONFLICT, Code.REFERENCE_CONFLICT)),
            ("restock", Outcome(OutcomeKind.MALFORMED, Code.MALFORMED)),
            ("restock", Outcome(OutcomeKind.FAILED, Code.INTERNAL_ERROR)),
            ("restock", Outcome(OutcomeKind.DUPLICATE)),
        ]
    )

    counted = {name: value for name, value in _samples(metrics).items() if value}
    assert counted == {
        (PREFIX + "rejections_total", frozenset({("code", "insufficient_stock")})): 1,
        (PREFIX + "rejections_total", frozenset({("code", "reference_conflict")})): 1,
        (PREFIX + "rejections_total", frozenset({("code", "malformed")})): 1,
        (PREFIX + "rejections_total", frozenset({("code", "internal_error")})): 1,
        (PREFIX + "dead_letters_total", frozenset({("topic", "restock"), ("reason", "reference_conflict")})): 1,
        (PREFIX + "dead_letters_total", frozenset({("topic", "restock"), ("reason", "malformed")})): 1,
        (PREFIX + "dead_letters_total", frozenset({("topic", "restock"), ("reason", "internal_error")})): 1,
    }


def test_the_bulk_histogram_agrees_with_the_librarys() -> None:
    chance, bounds = random.Random(7), (0.1, 1.0, 10.0)
    values = [chance.choice([0.0, 0.1, 0.10001, 0.9, 1.0, 5.0, 10.0, 11.0]) for _ in range(500)]
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    one_by_one = Histogram("h", "h", buckets=bounds, registry=theirs)
    for value in values:
        one_by_one.observe(value)
    bulk = BulkHistogram("h", "h", bounds)
    ours.register(bulk)

    bulk.observe_many(values[:200])
    bulk.observe_many(values[200:])

    for bound in ("0.1", "1.0", "10.0", "+Inf"):
        assert ours.get_sample_value("h_bucket", {"le": bound}) == theirs.get_sample_value("h_bucket", {"le": bound})
    assert ours.get_sample_value("h_count") == len(values)
    assert abs((ours.get_sample_value("h_sum") or 0) - sum(values)) < 1e-9
