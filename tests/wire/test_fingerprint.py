"""Contract rule 1 and the decided cases on meaning (C35, C36): what makes two commands the same, and what does not."""

from typing import Any

import pytest

from stock_worker.core import topics
from stock_worker.core.model import CommandKind, Line, Reference
from stock_worker.wire.fingerprint import FINGERPRINT_BYTES, FINGERPRINT_VERSION, fingerprint
from tests.wire.samples import BASE, DEFAULT, ELSEWHERE, MUG, RED, SHIRT, SITE, USER, command, varied

ONE = {"product_id": MUG, "quantity": 1}
TWO = {"product_id": SHIRT, "variant_id": RED, "quantity": 2}
NOON, NOON_IN_PARIS = "2026-01-31T12:00:00Z", "2026-01-31T13:00:00.000+01:00"

Change = dict[str, Any]


def print_of(topic: str, change: Change) -> bytes:
    return command(varied(topic, **change), topic).fingerprint


@pytest.mark.parametrize("topic", BASE)
@pytest.mark.parametrize(
    "change",
    [
        {"occurred_at": NOON},
        {"actor": "Ann"},
        {"actor_id": USER},
        {"reason": "r"},
        {"note": "n"},
        {"line": {"reason": "r", "note": "n"}},
        {"line": {"variant_id": None, "location_id": None}, "extra": 1},
        {"site_id": SITE.upper()},
        {"actor": None, "occurred_at": None},
    ],
)
def test_when_who_why_and_spelling_are_no_part_of_the_meaning(topic: str, change: Change) -> None:
    if topic == topics.ORDER_PLACED and "line" in change:
        change = change | {"line": {**change["line"], "variant_id": RED}}
    assert print_of(topic, change) == print_of(topic, {})


@pytest.mark.parametrize(
    ("topic", "first", "second"),
    [
        (topics.ORDER_PLACED, {}, {"reference_id": "SO-1"}),
        (topics.ORDER_PLACED, {}, {"amend": False}),
        (topics.ORDER_PLACED, {}, {"line": {"line_id": "1"}}),
        (topics.ORDER_PLACED, {}, {"line": {"quantity": 2.0}}),
        (topics.ORDER_PLACED, {}, {"line": {"product_id": SHIRT.upper(), "variant_id": RED.upper()}}),
        (topics.ORDER_PLACED, {}, {"mode": None, "expires_at": None}),
        (topics.ORDER_PLACED, {"mode": "sale"}, {"mode": "sale", "expires_at": NOON}),
        (topics.ORDER_PLACED, {"expires_at": NOON}, {"expires_at": NOON_IN_PARIS}),
        (
            topics.ORDER_PLACED,
            {"line": {"location_ids": [DEFAULT]}},
            {"line": {"location_ids": [DEFAULT.upper(), DEFAULT]}},
        ),
        (topics.ORDER_CANCELLED, {"lines": None, "reference_id": None}, {"lines": None, "reference_id": "SO-1"}),
        (topics.ORDER_CANCELLED, {}, {"line": {"location_id": ELSEWHERE}}),
        (topics.RETURN_RECEIVED, {}, {"line": {"condition": "sellable"}}),
        (topics.RESTOCK, {}, {"line": {"unit_cost": "12.5"}}),
        (topics.RESTOCK, {}, {"line": {"unit_cost": "012.500000"}}),
        (topics.STOCK_ADJUSTMENT, {}, {"atomic": True}),
        (topics.STOCK_ADJUSTMENT, {}, {"type": "adjusted"}),
        (
            topics.STOCK_ADJUSTMENT,
            {"type": "sale", "line": {"quantity": 3}},
            {"type": "sold", "line": {"quantity": -3}},
        ),
    ],
)
def test_one_meaning_in_two_spellings_is_one_hash(topic: str, first: Change, second: Change) -> None:
    assert print_of(topic, first) == print_of(topic, second)


@pytest.mark.parametrize(
    ("topic", "first", "second"),
    [
        (topics.ORDER_PLACED, {}, {"order_id": "SO-2", "reference_id": "SO-1"}),
        (topics.ORDER_PLACED, {}, {"mode": "sale"}),
        (topics.ORDER_PLACED, {}, {"expires_at": NOON}),
        (topics.ORDER_PLACED, {"expires_at": NOON}, {"expires_at": "2026-01-31T12:00:00.000001Z"}),
        (topics.ORDER_PLACED, {}, {"line": {"quantity": 3}}),
        (topics.ORDER_PLACED, {}, {"line": {"variant_id": None}}),
        (topics.ORDER_PLACED, {}, {"line": {"product_id": MUG}}),
        (topics.ORDER_PLACED, {}, {"line": {"line_id": "a"}}),
        (topics.ORDER_PLACED, {}, {"line": {"location_id": DEFAULT}}),
        (topics.ORDER_PLACED, {}, {"line": {"location_ids": [DEFAULT]}}),
        (topics.ORDER_PLACED, {"lines": [ONE, TWO]}, {"lines": [TWO, ONE]}),
        (topics.ORDER_PLACED, {"lines": [ONE]}, {"lines": [ONE, ONE]}),
        (
            topics.ORDER_PLACED,
            {"reference_id": "r", "lines": [ONE | {"line_id": "1"}]},
            {"reference_id": "r", "lines": [ONE | {"line_id": "1"}], "amend": True},
        ),
        (topics.ORDER_CANCELLED, {}, {"lines": None}),
        (topics.ORDER_CANCELLED, {}, {"lines": [{"line_id": "1"}]}),
        (topics.ORDER_CANCELLED, {}, {"lines": [{"product_id": MUG, "quantity": 1}]}),
        (topics.ORDER_FULFILLED, {}, {"order_id": "SO-2"}),
        (topics.ORDER_FULFILLED, {}, {"line": {"location_id": ELSEWHERE}}),
        (topics.RETURN_RECEIVED, {}, {"line": {"condition": "damaged"}}),
        (topics.RETURN_RECEIVED, {"lines": [ONE]}, {"lines": [ONE], "order_id": None}),
        (topics.RESTOCK, {}, {"line": {"unit_cost": "12.51"}}),
        (topics.RESTOCK, {}, {"line": {"unit_cost": None}}),
        (topics.RESTOCK, {"line": {"unit_cost": "0"}}, {"line": {"unit_cost": None}}),
        (topics.RESTOCK, {}, {"line": {"currency": "USD"}}),
        (topics.STOCK_ADJUSTMENT, {}, {"line": {"quantity": 3}}),
        (topics.STOCK_ADJUSTMENT, {"line": {"quantity": 3}}, {"line": {"quantity": 3}, "type": "restock"}),
        (topics.STOCK_ADJUSTMENT, {}, {"atomic": False}),
        (topics.STOCK_ADJUSTMENT, {}, {"line": {"expected_version": 0}}),
    ],
)
def test_two_meanings_are_two_hashes(topic: str, first: Change, second: Change) -> None:
    assert print_of(topic, first) != print_of(topic, second)


def test_no_two_fields_can_be_taken_for_each_other() -> None:
    reference = Reference(SITE, "order", "r")
    as_product = Line("1", MUG, None, None, 1)
    as_variant = Line("1", None, MUG, None, 1)
    assert fingerprint(CommandKind.CANCEL, reference, "o", (as_product,)) != fingerprint(
        CommandKind.CANCEL, reference, "o", (as_variant,)
    )


def test_hashes_of_this_version_never_change() -> None:
    """They are stored for ever: a red row here means that FINGERPRINT_VERSION has to grow."""
    assert (FINGERPRINT_VERSION, FINGERPRINT_BYTES) == (1, 16)
    assert {topic: command(message, topic).fingerprint.hex() for topic, message in BASE.items()} == {
        topics.ORDER_PLACED: "c12ccc16ce06a53a91cbb8589cac57b8",
        topics.ORDER_CANCELLED: "f892aac9dc9424c7b305f80c3db18429",
        topics.ORDER_FULFILLED: "2c3357b47f543a99f6b841360fecee8f",
        topics.RETURN_RECEIVED: "b6434f49d11cd1a79eb67c00d9e70396",
        topics.RESTOCK: "09ef9f0e52f46517697df7d73c23da1e",
        topics.STOCK_ADJUSTMENT: "a55c2940564cc51a855442b9b7806cb3",
        topics.STOCK_COUNT: "4daa536d182694795e4652694c9dcc92",
        topics.STOCK_TRANSFER: "110d212e573bdf7c661dfc584a17b76f",
    }
    order_with_all = varied(
        topics.ORDER_PLACED,
        expires_at=NOON,
        amend=True,
        reference_id="r",
        lines=[TWO | {"line_id": "a", "location_id": DEFAULT, "location_ids": [DEFAULT]}],
    )
    assert command(order_with_all).fingerprint.hex() == "cc2fd36918f9abf63e1c50a3ce9b8400"
    damaged = varied(topics.RETURN_RECEIVED, line={"condition": "damaged"})
    assert command(damaged, topics.RETURN_RECEIVED).fingerprint.hex() == "6175367ff0e4c75acfbd2920142adaaf"
    each = varied(topics.STOCK_ADJUSTMENT, atomic=False, line={"expected_version": 7})
    assert command(each, topics.STOCK_ADJUSTMENT).fingerprint.hex() == "20e579af02ea9fa8cd5e0511766c6ba5"
