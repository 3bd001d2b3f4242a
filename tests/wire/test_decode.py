"""Contract section 3: what each topic's message becomes; rule 13 and the decided cases: what is malformed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from stock_worker.core import topics
from stock_worker.core.model import (
    Command,
    CommandKind,
    Line,
    Malformed,
    MovementType,
    ProductChanged,
    Record,
    Reference,
    Source,
)
from stock_worker.core.refusals import Code
from stock_worker.wire import decode as decoding
from stock_worker.wire.decode import decode
from tests.wire.samples import (
    BASE,
    DEFAULT,
    ELSEWHERE,
    MUG,
    PRODUCT,
    RED,
    SHIRT,
    SITE,
    USER,
    command,
    decoded,
    golden_value,
    goldens,
    record,
    varied,
)

Message = dict[str, Any]


LINE = Line(line_id=None, product_id=None, variant_id=None, location_id=None, quantity=None)


# ---------------------------------------------------------------- section 3: the topics


@pytest.mark.parametrize(
    ("topic", "message", "kind", "reference", "order_id"),
    [
        (topics.ORDER_PLACED, {}, CommandKind.PLACE, ("order", "SO-1"), "SO-1"),
        (topics.ORDER_PLACED, {"reference_id": "r"}, CommandKind.PLACE, ("order", "r"), "SO-1"),
        (topics.ORDER_PLACED, {"amend": False}, CommandKind.PLACE, ("order", "SO-1"), "SO-1"),
        (
            topics.ORDER_PLACED,
            {"amend": True, "reference_id": "r", "lines": []},
            CommandKind.AMEND,
            ("order", "r"),
            "SO-1",
        ),
        (topics.ORDER_CANCELLED, {}, CommandKind.CANCEL, ("cancellation", "cancel-1"), "SO-1"),
        (
            topics.ORDER_CANCELLED,
            {"lines": None, "reference_id": None},
            CommandKind.CANCEL,
            ("cancellation", "SO-1"),
            "SO-1",
        ),
        (topics.ORDER_CANCELLED, {"lines": None}, CommandKind.CANCEL, ("cancellation", "cancel-1"), "SO-1"),
        (topics.ORDER_FULFILLED, {}, CommandKind.FULFIL, ("fulfilment", "parcel-1"), "SO-1"),
        (topics.RETURN_RECEIVED, {}, CommandKind.RETURN, ("return", "rma-1"), "SO-1"),
        (
            topics.RETURN_RECEIVED,
            {"order_id": None, "lines": [{"product_id": MUG, "quantity": 1}]},
            CommandKind.RETURN,
            ("return", "rma-1"),
            None,
        ),
        (topics.RESTOCK, {"order_id": "ignored"}, CommandKind.RESTOCK, ("restock", "delivery-1"), None),
        (topics.STOCK_ADJUSTMENT, {}, CommandKind.ADJUST, ("adjustment", "adj-1"), None),
    ],
)
def test_a_topic_gives_a_kind_and_a_reference(
    topic: str, message: Message, kind: CommandKind, reference: tuple[str, str], order_id: str | None
) -> None:
    found = command(varied(topic, **message), topic)
    assert (found.kind, found.reference, found.order_id) == (kind, Reference(SITE, *reference), order_id)


def test_every_part_of_a_command() -> None:
    message = varied(
        topics.STOCK_ADJUSTMENT,
        type="manual_adjustment",
        atomic=False,
        occurred_at="2026-01-31T13:00:00.25+01:00",
        actor="Ann",
        actor_id=USER.upper(),
        reason="shelf",
        note="n\nn",
        lines=[
            {"product_id": MUG, "quantity": -3, "line_id": "a", "reason": "r", "note": "n", "expected_version": 7},
            {"product_id": SHIRT.upper(), "variant_id": RED, "location_id": DEFAULT.upper(), "quantity": 1},
        ],
    )
    source = record(json.dumps(message).encode(), topics.STOCK_ADJUSTMENT, (("traceparent", b"00-1-2-01"),))
    found = decode(source, topics.STOCK_ADJUSTMENT)
    assert isinstance(found, Command)
    assert found == Command(
        CommandKind.ADJUST,
        Reference(SITE, "adjustment", "adj-1"),
        None,
        (
            LINE._replace(line_id="a", product_id=MUG, quantity=-3, reason="r", note="n", expected_version=7),
            LINE._replace(product_id=SHIRT, variant_id=RED, location_id=DEFAULT, quantity=1),
        ),
        found.fingerprint,
        datetime(2026, 1, 31, 12, 0, 0, 250_000, UTC),
        Source("shop.stock-adjustment", 3, 41),
        MovementType.ADJUSTMENT,
        atomic=False,
        actor="Ann",
        actor_id=USER,
        reason="shelf",
        note="n\nn",
        traceparent="00-1-2-01",
        record=source,
    )
    assert found.occurred_at.tzinfo is UTC


def test_what_is_absent_is_none() -> None:
    found = command(BASE[topics.RESTOCK], topics.RESTOCK)
    assert (found.actor, found.actor_id, found.reason, found.note, found.traceparent) == (None,) * 5
    assert found.lines == (LINE._replace(product_id=MUG, quantity=40, unit_cost=Decimal("12.50"), currency="EUR"),)


def test_a_whole_cancellation_has_no_lines_and_an_amendment_may_have_none() -> None:
    assert command(varied(topics.ORDER_CANCELLED, lines=None), topics.ORDER_CANCELLED).lines is None
    assert command(varied(topics.ORDER_PLACED, amend=True, reference_id="r", lines=[])).lines == ()


# ---------------------------------------------------------------- section 3: the lines


def test_a_missing_line_id_of_an_order_is_its_position_from_1() -> None:
    lines = [{"product_id": MUG, "quantity": 1, "line_id": name} for name in ("b", None, "a", None)]
    found = command(varied(topics.ORDER_PLACED, lines=lines))
    assert [entry.line_id for entry in found.lines or ()] == ["b", "2", "a", "4"]


@pytest.mark.parametrize("topic", [topics.RESTOCK, topics.STOCK_ADJUSTMENT, topics.RETURN_RECEIVED])
def test_elsewhere_a_missing_line_id_stays_missing_and_equal_ones_are_no_mistake(topic: str) -> None:
    both = [{"product_id": MUG, "quantity": 1, "line_id": name} for name in (None, None, "a", "a")]
    found = command(varied(topic, lines=both), topic)
    assert [entry.line_id for entry in found.lines or ()] == [None, None, "a", "a"]


def test_location_ids_are_a_set() -> None:
    found = command(varied(topics.ORDER_PLACED, line={"location_ids": [DEFAULT, DEFAULT.upper()]}))
    assert found.lines is not None
    assert found.lines[0].location_ids == (DEFAULT,)


@pytest.mark.parametrize("place", [DEFAULT, ELSEWHERE])
def test_c15_the_location_of_a_cancelled_line_is_ignored(place: str) -> None:
    found = command(varied(topics.ORDER_CANCELLED, line={"location_id": place}), topics.ORDER_CANCELLED)
    assert [entry.location_id for entry in found.lines or ()] == [None]


def test_c17_whether_the_location_of_a_fulfilled_line_counts_is_for_its_order_to_say() -> None:
    found = command(varied(topics.ORDER_FULFILLED, line={"location_id": ELSEWHERE}), topics.ORDER_FULFILLED)
    assert [entry.location_id for entry in found.lines or ()] == [ELSEWHERE]


def test_c15_not_even_a_senseless_location_of_a_cancelled_line_matters() -> None:
    message = varied(topics.ORDER_CANCELLED, line={"location_id": 5})
    assert command(message, topics.ORDER_CANCELLED).lines == (LINE._replace(line_id="1", quantity=1),)


def test_a_cancelled_line_without_quantity_means_all_that_is_left() -> None:
    found = command(varied(topics.ORDER_CANCELLED, lines=[{"line_id": "1"}]), topics.ORDER_CANCELLED)
    assert found.lines == (LINE._replace(line_id="1", quantity=None),)


@pytest.mark.parametrize(("condition", "damaged"), [("damaged", True), ("sellable", False), (None, False)])
def test_the_condition_of_a_returned_line(condition: str | None, *, damaged: bool) -> None:
    found = command(varied(topics.RETURN_RECEIVED, line={"condition": condition}), topics.RETURN_RECEIVED)
    assert [entry.damaged for entry in found.lines or ()] == [damaged]


@pytest.mark.parametrize(
    ("name", "sent", "kind", "quantity"),
    [
        ("adjustment", 3, MovementType.ADJUSTMENT, 3),
        ("adjustment", -3, MovementType.ADJUSTMENT, -3),
        ("adjusted", -3, MovementType.ADJUSTMENT, -3),
        ("manual_adjustment", 3, MovementType.ADJUSTMENT, 3),
        ("damage", 3, MovementType.DAMAGE, 3),
        ("damage", -3, MovementType.DAMAGE, 3),
        ("expired", -3, MovementType.EXPIRED, 3),
        ("sale", -3, MovementType.SALE, 3),
        ("sold", 3, MovementType.SALE, 3),
        ("restock", 3, MovementType.RESTOCK, 3),
        ("received", 3, MovementType.RESTOCK, 3),
        ("return", 3, MovementType.RETURN, 3),
        ("returned", 3, MovementType.RETURN, 3),
    ],
)
def test_the_type_and_sign_of_an_adjustment(name: str, sent: int, kind: MovementType, quantity: int) -> None:
    found = command(varied(topics.STOCK_ADJUSTMENT, line={"quantity": sent}, type=name), topics.STOCK_ADJUSTMENT)
    assert found.adjustment is kind
    assert [entry.quantity for entry in found.lines or ()] == [quantity]


def test_a_command_has_up_to_1000_lines() -> None:
    lines = [{"product_id": MUG, "quantity": 1}] * 1000
    assert len(command(varied(topics.ORDER_PLACED, lines=lines)).lines or ()) == 1000
    found = decoded(varied(topics.ORDER_PLACED, lines=[*lines, lines[0]]))
    assert isinstance(found, Malformed)
    assert found.detail == "lines must have at most 1000 entries"


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("quantity", [1, 5, 5.0, 1e9, 1_000_000_000])
def test_c39_a_whole_number_may_be_written_with_a_point(quantity: float) -> None:
    found = command(varied(topics.ORDER_PLACED, line={"quantity": quantity})).lines
    assert found is not None
    assert found[0].quantity == quantity
    assert type(found[0].quantity) is int


def test_c39_that_holds_for_every_integer_and_makes_no_integer_of_money() -> None:
    message = varied(topics.STOCK_ADJUSTMENT, line={"quantity": -3.0, "expected_version": 0.0})
    assert command(message, topics.STOCK_ADJUSTMENT).lines == (
        LINE._replace(product_id=MUG, quantity=-3, expected_version=0),
    )
    found = decoded(varied(topics.RESTOCK, line={"quantity": 5.0, "unit_cost": 5.0}), topics.RESTOCK)
    assert isinstance(found, Malformed)
    assert found.detail == "lines[0].unit_cost must be text"


@pytest.mark.parametrize("money", ["0", "0.00", "12.50", "007", "999999999999999.0123456789"])
def test_c42_money_is_decimal_text_of_0_or_more(money: str) -> None:
    found = command(varied(topics.RESTOCK, line={"unit_cost": money}), topics.RESTOCK).lines
    assert found is not None
    assert found[0].unit_cost == Decimal(money)


def test_c41_in_mode_sale_expires_at_is_not_even_looked_at() -> None:
    for senseless in ("tomorrow", 5, None, {"a": 1}):
        command(varied(topics.ORDER_PLACED, mode="sale", expires_at=senseless))
    command(varied(topics.ORDER_PLACED, expires_at="2026-01-31T12:00:00Z"))
    for wrong in ("tomorrow", 5):  # without a mode the site's setting decides, so it has to be a time
        assert isinstance(decoded(varied(topics.ORDER_PLACED, expires_at=wrong)), Malformed)


def test_text_has_up_to_2000_characters_and_names_up_to_128_whatever_their_bytes() -> None:
    found = command(varied(topics.ORDER_PLACED, order_id="ü" * 128, note="🧦" * 2000, reason=""))
    assert (found.order_id, found.note, found.reason) == ("ü" * 128, "🧦" * 2000, "")
    assert isinstance(decoded(varied(topics.ORDER_PLACED, order_id="ü" * 129)), Malformed)
    assert isinstance(decoded(varied(topics.ORDER_PLACED, note="🧦" * 2001)), Malformed)


def test_of_two_fields_with_one_name_the_last_counts() -> None:
    text = json.dumps(BASE[topics.ORDER_PLACED])[:-1] + ', "order_id": "SO-2"}'
    found = decode(record(text.encode()), topics.ORDER_PLACED)
    assert isinstance(found, Command)
    assert found.order_id == "SO-2"


def test_a_backslash_and_the_letters_of_a_nul_are_no_nul() -> None:
    assert command(varied(topics.ORDER_PLACED, note="\\u0000")).note == "\\u0000"


# ---------------------------------------------------------------- malformed: the golden ones, and what JSON cannot show


@pytest.mark.parametrize(
    ("topic", "text"), [pytest.param(topic, text, id=f"{topic}/{name}") for topic, name, text in goldens("malformed")]
)
def test_golden_malformed_messages_are_refused_with_words(topic: str, text: str) -> None:
    source = record(golden_value(text), topic)
    found = decode(source, topic)
    assert isinstance(found, Malformed)
    assert found.code is Code.MALFORMED
    assert found.record is source
    assert json.loads(text)["words"] in found.detail
    assert len(found.detail) <= 500
    assert len(found.detail.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "the record has no value"),
        (b"", "not JSON"),
        (b"\x00", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"site_id": "\xed\xa0\x80"}', "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"{} {}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"[" * 900 + b'"\\u0000"' + b"]" * 900 + b"}", "NUL"),
        (b"null", "the value must be an object"),
        (b"true", "the value must be an object"),
        (b"5", "the value must be an object"),
        (b'"order"', "the value must be an object"),
        (b'{"lines": 1e400}', "not JSON"),
    ],
)
@pytest.mark.parametrize("topic", BASE)
def test_bytes_that_are_no_message_are_malformed(value: bytes | None, words: str, topic: str) -> None:
    found = decode(record(value, topic), topic)
    assert isinstance(found, Malformed)
    assert words in found.detail
    assert found.code is Code.MALFORMED


def test_the_words_count_what_else_is_wrong_and_stay_short() -> None:
    lines = [{"product_id": "x", "quantity": 0}] * 1000
    found = decoded(varied(topics.ORDER_PLACED, lines=lines))
    assert isinstance(found, Malformed)
    assert found.detail == ("lines[0].product_id must be a UUID, 8-4-4-4-12 hexadecimal digits (and 1999 more)")


def test_a_bug_of_ours_sets_the_record_aside_as_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_record: Record, _message: object) -> Command:
        raise RecursionError

    monkeypatch.setitem(decoding._BUILDERS, topics.RESTOCK, broken)
    found = decoded(BASE[topics.RESTOCK], topics.RESTOCK)
    assert isinstance(found, Malformed)
    assert found.code is Code.INTERNAL_ERROR
    assert "RecursionError" in found.detail


# ---------------------------------------------------------------- the catalog

CATALOG = topics.PRODUCT_CHANGED


def test_the_catalog_tells_of_an_item() -> None:
    found = decoded(PRODUCT | {"track_inventory": False, "unit_price": "29.00", "options": {"size": "M"}}, CATALOG)
    assert isinstance(found, ProductChanged)
    assert found.item == (SITE, SHIRT, RED)
    assert found.entry is not None
    assert (found.entry.name, found.entry.revision, found.entry.archived) == ("Shirt", 3, False)
    assert (found.entry.track_inventory, found.entry.unit_price) == (False, Decimal("29.00"))
    assert found.entry.options == '{"size":"M"}'


@pytest.mark.parametrize("key", [f"{SITE}/{SHIRT}/{RED}", f"{SITE}/{SHIRT}/", f"{SITE.upper()}/{SHIRT.upper()}/"])
def test_a_null_value_archives_the_item_of_its_key(key: str) -> None:
    found = decode(record(None, CATALOG)._replace(key=key.encode()), CATALOG)
    assert isinstance(found, ProductChanged)
    assert found.entry is None
    assert found.item == (SITE, SHIRT, RED if RED in key else None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, PRODUCT),
        (None, None),
        (b"", None),
        (b"\xff", None),
        (f"{SITE}/{SHIRT}".encode(), None),
        (f"{SITE}/{SHIRT}/{RED}/".encode(), None),
        (f"{SITE}/{SHIRT}/".encode(), PRODUCT),
        (f"{SITE}/{MUG}/{RED}".encode(), PRODUCT),
    ],
)
def test_c43_a_catalog_key_that_disagrees_is_malformed(key: bytes | None, value: Message | None) -> None:
    text = None if value is None else json.dumps(value).encode()
    found = decode(record(text, CATALOG)._replace(key=key), CATALOG)
    assert isinstance(found, Malformed)
    assert "key" in found.detail


def test_a_transfer_ignores_the_location_of_a_line() -> None:
    found = command(varied(topics.STOCK_TRANSFER, line={"location_id": "nowhere"}), topics.STOCK_TRANSFER)
    assert (found.from_location_id, found.to_location_id) == (DEFAULT, ELSEWHERE)
    assert found.lines is not None
    assert found.lines[0].location_id is None


# ---------------------------------------------------------------- good, golden


@pytest.mark.parametrize(
    ("topic", "text"), [pytest.param(topic, text, id=f"{topic}/{name}") for topic, name, text in goldens("good")]
)
def test_golden_good_messages_become_commands(topic: str, text: str) -> None:
    found = decode(record(text.encode(), topic), topic)
    assert not isinstance(found, Malformed), found.detail
    assert (found.site_id if isinstance(found, Command) else found.item.site_id) == SITE


def test_golden_messages_are_there_for_every_topic_of_this_release() -> None:
    for topic in topics.COMMAND_TOPICS:
        assert len(list(goldens("good", topic))) >= 3
        assert len(list(goldens("malformed", topic))) >= 4


def test_nothing_that_is_absent_or_null_makes_a_difference() -> None:
    text = next(text for _, name, text in goldens("good", topics.ORDER_PLACED) if name == "nulls-count-as-absent")
    with_nulls = json.loads(text)
    without = {name: value for name, value in with_nulls.items() if value is not None}
    without["lines"] = [{name: value for name, value in with_nulls["lines"][0].items() if value is not None}]
    first, second = command(with_nulls), command(without)
    assert replace(first, record=None) == replace(second, record=None)


# ---------------------------------------------------------------- when: the message's, else ce_time's, else Kafka's

KAFKA_TIME = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("occurred_at", "ce_time", "expected"),
    [
        ("2026-01-30T12:00:00Z", b"2026-01-29T12:00:00Z", KAFKA_TIME - timedelta(days=1)),
        (None, b"2026-01-29T12:00:00Z", KAFKA_TIME - timedelta(days=2)),
        (None, None, KAFKA_TIME),
        (None, b"yesterday", KAFKA_TIME),
        (None, b"\xff", KAFKA_TIME),
        (None, b"", KAFKA_TIME),
    ],
)
def test_when_it_occurred(occurred_at: str | None, ce_time: bytes | None, expected: datetime) -> None:
    value = json.dumps(varied(topics.ORDER_PLACED, occurred_at=occurred_at)).encode()
    found = decode(record(value, headers=(("ce_time", ce_time),)), topics.ORDER_PLACED)
    assert isinstance(found, Command)
    assert found.occurred_at == expected


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 2**63 - 1, -(2**63)])
def test_no_timestamp_of_kafka_is_too_strange(timestamp_ms: int) -> None:
    source = record(json.dumps(BASE[topics.ORDER_PLACED]).encode())._replace(timestamp_ms=timestamp_ms)
    found = decode(source, topics.ORDER_PLACED)
    assert isinstance(found, Command)
    assert datetime(1970, 1, 1, tzinfo=UTC) <= found.occurred_at
