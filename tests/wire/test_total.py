"""Rule 13: whatever bytes and headers arrive, decoding answers a command or a reason, and never meets a bug of ours."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from stock_worker.core import topics
from stock_worker.core.model import Command, Entry, Malformed, Record
from stock_worker.core.refusals import Code
from stock_worker.wire.cloudevents import Headers
from stock_worker.wire.decode import decode
from tests.wire.samples import BASE, MUG, SITE, record

PATIENT = settings(deadline=None, max_examples=200)  # a busy machine is no failure
TOPICS = st.sampled_from(topics.COMMAND_TOPICS)
TEXT = st.text(max_size=20) | st.sampled_from([SITE, MUG, "sale", "damage", "2026-01-31T12:00:00Z", "\x00", "1.5"])
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))
FIELDS = st.sampled_from(
    sorted({name for base in BASE.values() for name in base} | {"amend", "mode", "expires_at", "occurred_at", "atomic"})
)
LINE_FIELDS = st.sampled_from(
    (
        "line_id",
        "product_id",
        "variant_id",
        "location_id",
        "location_ids",
        "quantity",
        "condition",
        "unit_cost",
        "currency",
        "expected_version",
    )
)
HEADERS = st.lists(
    st.tuples(st.sampled_from(["ce_time", "traceparent", "ce_id"]) | st.text(), st.none() | st.binary()), max_size=4
).map(tuple)


def judged(source: Record, topic: str) -> Entry:
    found = decode(source, topic)
    if isinstance(found, Malformed):
        assert found.code is Code.MALFORMED, found.detail
        assert found.detail
        assert len(found.detail) <= 500
        assert len(found.detail.splitlines()) == 1
        found.detail.encode()
    elif isinstance(found, Command):
        assert len(found.fingerprint) == 16
        for text in (
            *found.reference,
            found.actor,
            found.reason,
            found.note,
            *(t for line in found.lines or () for t in line),
        ):
            assert not isinstance(text, str) or "\x00" not in text
    return found


@PATIENT
@given(st.binary(max_size=200), TOPICS)
def test_random_bytes(value: bytes, topic: str) -> None:
    judged(record(value, topic), topic)


@PATIENT
@given(JSON, TOPICS)
def test_random_json(document: object, topic: str) -> None:
    judged(record(json.dumps(document).encode(), topic), topic)


@PATIENT
@given(st.data(), st.sampled_from(sorted(BASE)), HEADERS)
def test_good_messages_with_fields_replaced_or_lost(data: st.DataObject, topic: str, headers: Headers) -> None:
    message = json.loads(json.dumps(BASE[topic]))
    for name in data.draw(st.lists(FIELDS, max_size=3)):
        message[name] = data.draw(JSON)
    if isinstance(message.get("lines"), list):
        for line in message["lines"]:
            if isinstance(line, dict):
                line.update(data.draw(st.dictionaries(LINE_FIELDS, JSON, max_size=2)))
    for name in data.draw(st.lists(FIELDS, max_size=1)):
        message.pop(name, None)
    judged(record(json.dumps(message).encode(), topic, headers), topic)


@PATIENT
@given(st.data(), st.sampled_from(sorted(BASE)))
def test_good_messages_with_bytes_broken(data: st.DataObject, topic: str) -> None:
    value = bytearray(json.dumps(BASE[topic]).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    judged(record(bytes(value), topic), topic)


@PATIENT
@given(HEADERS, st.integers(-(2**63), 2**63 - 1))
def test_no_header_and_no_timestamp_refuses_a_good_value(headers: Headers, timestamp_ms: int) -> None:
    source = record(json.dumps(BASE[topics.RESTOCK]).encode(), topics.RESTOCK, headers)
    assert isinstance(judged(source._replace(timestamp_ms=timestamp_ms), topics.RESTOCK), Command)
