"""The contract's "Cases decided" about what a message means and which values there are: one test a sentence."""

import json
from typing import Any

import pytest

from stock_worker.core import topics
from stock_worker.core.model import Malformed
from stock_worker.wire.decode import decode
from tests.wire.samples import BASE, ELSEWHERE, MUG, SHIRT, command, decoded, record, varied

Change = dict[str, Any]
NAMED = {"product_id": MUG, "quantity": 1, "line_id": "x"}


@pytest.mark.parametrize(
    ("reference_id", "lines", "good"),
    [
        ("more-1", [NAMED], True),
        (None, [NAMED], False),
        ("more-1", [NAMED, NAMED | {"line_id": None}], False),
    ],
    ids=["both", "no reference_id", "a line without line_id"],
)
def test_c7_an_amendment_needs_its_own_reference_id_and_a_line_id_on_every_line(
    reference_id: str | None, lines: list[Change], *, good: bool
) -> None:
    found = decoded(varied(topics.ORDER_PLACED, amend=True, reference_id=reference_id, lines=lines))
    assert isinstance(found, Malformed) is not good
    command(varied(topics.ORDER_PLACED, reference_id=reference_id, lines=lines[-1:]))  # a placement need not


@pytest.mark.parametrize("topic", [topics.ORDER_CANCELLED, topics.STOCK_TRANSFER])
def test_c15_the_location_of_a_cancelled_or_transferred_line_is_ignored(topic: str) -> None:
    plain, located = command(varied(topic), topic), command(varied(topic, line={"location_id": ELSEWHERE}), topic)
    assert (located.lines, located.fingerprint) == (plain.lines, plain.fingerprint)


# ---------------------------------------------------------------- meaning


@pytest.mark.parametrize(
    ("topic", "written", "same"),
    [
        (topics.ORDER_PLACED, {"amend": False}, True),
        (topics.ORDER_PLACED, {"reference_id": "SO-1"}, True),
        (topics.ORDER_PLACED, {"line": {"line_id": "1"}}, True),
        (topics.RETURN_RECEIVED, {"line": {"condition": "sellable"}}, True),
        (topics.STOCK_ADJUSTMENT, {"atomic": True}, True),
        (topics.ORDER_PLACED, {"mode": "sale"}, False),
    ],
    ids=["amend", "reference_id", "line_id", "condition", "atomic", "mode, which is the site's to choose"],
)
def test_c35_the_contracts_defaults_are_part_of_the_meaning_and_the_sites_are_not(
    topic: str, written: Change, *, same: bool
) -> None:
    assert (command(varied(topic, **written), topic).fingerprint == command(varied(topic), topic).fingerprint) is same


FIRST, SECOND = BASE[topics.ORDER_PLACED]["lines"]
NOON = {"mode": "reserve", "expires_at": "2026-01-31T12:00:00Z"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"lines": [SECOND, FIRST]}, False),
        ({}, {"line": {"reason": "gift", "note": "wrap it"}}, True),
        (NOON, NOON | {"expires_at": "2026-01-31T13:00:00.000+01:00"}, True),
        (NOON, NOON | {"expires_at": "2026-01-31T12:00:01Z"}, False),
    ],
    ids=["line order counts", "line reason and note do not", "times are instants", "another instant"],
)
def test_c36_line_order_counts_reason_and_note_do_not_and_times_are_instants(
    one: Change, other: Change, *, same: bool
) -> None:
    first, second = (command(varied(topics.ORDER_PLACED, **change)).fingerprint for change in (one, other))
    assert (first == second) is same


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("quantity", ["5", True, 5.5, [5]])
def test_c39_text_and_truth_are_no_integers(quantity: object) -> None:
    assert isinstance(decoded(varied(topics.ORDER_PLACED, line={"quantity": quantity})), Malformed)
    assert command(varied(topics.ORDER_PLACED, line={"quantity": 5.0})).fingerprint == (
        command(varied(topics.ORDER_PLACED, line={"quantity": 5})).fingerprint
    )


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (SHIRT, True),
        (SHIRT.upper(), True),
        (SHIRT.replace("-", ""), False),
        (f"{{{SHIRT}}}", False),
        (f"urn:uuid:{SHIRT}", False),
        (f" {SHIRT}", False),
        (SHIRT[:-1] + "g", False),
        (SHIRT[:-1], False),
    ],
    ids=["as it is", "capitals", "no dashes", "braces", "urn", "a space", "no hexadecimal digit", "too short"],
)
def test_c40_a_uuid_is_8_4_4_4_12_in_any_case(text: str, *, good: bool) -> None:
    found = decoded(varied(topics.ORDER_PLACED, line={"product_id": text}))
    assert isinstance(found, Malformed) is not good
    if not isinstance(found, Malformed):
        assert found.lines[0].product_id == SHIRT  # type: ignore[union-attr,index] # a command with lines


@pytest.mark.parametrize("money", ["-0.01", "-1", "1e3", ""])
def test_c42_money_below_0_is_malformed(money: str) -> None:
    assert isinstance(decoded(varied(topics.RESTOCK, line={"unit_cost": money}), topics.RESTOCK), Malformed)


@pytest.mark.parametrize("topic", BASE)
def test_c43_a_byte_order_mark_is_malformed(topic: str) -> None:
    text = json.dumps(BASE[topic]).encode()
    assert not isinstance(decode(record(text, topic), topic), Malformed)
    assert isinstance(decode(record(b"\xef\xbb\xbf" + text, topic), topic), Malformed)


# ---------------------------------------------------------------- rules that a message alone can break


@pytest.mark.parametrize(
    ("second", "good"),
    [
        ({}, False),
        ({"product_id": MUG.upper()}, False),
        ({"location_id": ELSEWHERE}, True),
        ({"variant_id": SHIRT}, True),
        ({"product_id": SHIRT}, True),
    ],
    ids=["the same", "in other letters", "another location", "a variant", "another product"],
)
def test_rule_9_the_same_item_and_location_twice_is_malformed(second: Change, *, good: bool) -> None:
    line = {"product_id": MUG, "counted": 5}
    found = decoded(
        {**varied(topics.STOCK_COUNT), "lines": [line, {**line, "counted": 6, **second}]}, topics.STOCK_COUNT
    )
    assert isinstance(found, Malformed) is not good
