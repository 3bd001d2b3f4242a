"""The contract's table of topics, row by row: each topic's own fields, what an absent one means, and its reference."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from stock_worker.core.model import (
    CatalogEntry,
    Command,
    CommandKind,
    Line,
    Malformed,
    Mode,
    MovementType,
    ProductChanged,
    Reference,
)
from tests.wire.samples import DEFAULT, ELSEWHERE, MUG, RED, SHIRT, SITE, USER, decoded

Fields = dict[str, Any]

NOON = "2026-01-31T12:00:00Z"
AT_NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
COMMON = {"site_id": SITE, "actor": "Ann", "actor_id": USER, "reason": "r", "note": "n", "a-field-of-tomorrow": {}}
SAID: Fields = {"actor": "Ann", "actor_id": USER, "reason": "r", "note": "n"}
OF_A_LINE = {"product_id": SHIRT, "variant_id": RED, "reason": "lr", "note": "ln", "line_id": "x"}
LINE = Line("x", SHIRT, RED, None, 2, "lr", "ln")

ROWS: dict[str, tuple[Fields, CommandKind, tuple[str, str], Line, Fields]] = {
    # topic: its own fields (the last one its lines), the kind, the reference, the line, what else the command has
    "order-placed": (
        {
            "order_id": "O",
            "reference_id": "P",
            "mode": "reserve",
            "expires_at": NOON,
            "amend": True,
            "lines": [OF_A_LINE | {"quantity": 2, "location_id": DEFAULT, "location_ids": [ELSEWHERE]}],
        },
        CommandKind.AMEND,
        ("order", "P"),
        LINE._replace(location_id=DEFAULT, location_ids=(ELSEWHERE,)),
        {"order_id": "O", "mode": Mode.RESERVE, "expires_at": AT_NOON},
    ),
    "order-cancelled": (
        {"order_id": "O", "reference_id": "C", "lines": [OF_A_LINE | {"quantity": 2}]},
        CommandKind.CANCEL,
        ("cancellation", "C"),
        LINE,
        {"order_id": "O"},
    ),
    "order-fulfilled": (
        {"order_id": "O", "reference_id": "F", "lines": [OF_A_LINE | {"quantity": 2, "location_id": DEFAULT}]},
        CommandKind.FULFIL,
        ("fulfilment", "F"),
        LINE._replace(location_id=DEFAULT),
        {"order_id": "O"},
    ),
    "return-received": (
        {
            "order_id": "O",
            "reference_id": "R",
            "lines": [OF_A_LINE | {"quantity": 2, "location_id": DEFAULT, "condition": "damaged"}],
        },
        CommandKind.RETURN,
        ("return", "R"),
        LINE._replace(location_id=DEFAULT, damaged=True),
        {"order_id": "O"},
    ),
    "restock": (
        {
            "reference_id": "D",
            "lines": [OF_A_LINE | {"quantity": 2, "location_id": DEFAULT, "unit_cost": "1.50", "currency": "EUR"}],
        },
        CommandKind.RESTOCK,
        ("restock", "D"),
        LINE._replace(location_id=DEFAULT, unit_cost=Decimal("1.50"), currency="EUR"),
        {},
    ),
    "stock-adjustment": (
        {
            "reference_id": "A",
            "type": "damage",
            "atomic": False,
            "lines": [OF_A_LINE | {"quantity": 2, "location_id": DEFAULT, "expected_version": 7}],
        },
        CommandKind.ADJUST,
        ("adjustment", "A"),
        LINE._replace(location_id=DEFAULT, expected_version=7),
        {"adjustment": MovementType.DAMAGE, "atomic": False},
    ),
    "stock-count": (
        {"reference_id": "K", "lines": [OF_A_LINE | {"counted": 0, "location_id": DEFAULT, "counted_at_version": 7}]},
        CommandKind.COUNT,
        ("count", "K"),
        LINE._replace(quantity=0, location_id=DEFAULT, counted_at_version=7),
        {},
    ),
    "stock-transfer": (
        {
            "reference_id": "T",
            "from_location_id": DEFAULT,
            "to_location_id": ELSEWHERE,
            "lines": [OF_A_LINE | {"quantity": 2}],
        },
        CommandKind.TRANSFER,
        ("transfer", "T"),
        LINE,
        {"from_location_id": DEFAULT, "to_location_id": ELSEWHERE},
    ),
}


@pytest.mark.parametrize("topic", ROWS)
def test_a_topic_is_read_with_all_its_fields_under_its_reference(topic: str) -> None:
    own, kind, reference, line, more = ROWS[topic]
    found = decoded({**COMMON, "occurred_at": NOON, **own}, topic)
    assert isinstance(found, Command), found
    expected = Command(
        kind, Reference(SITE, *reference), None, (line,), found.fingerprint, AT_NOON, found.source, record=found.record
    )
    assert found == replace(expected, **SAID, **more)


@pytest.mark.parametrize(
    ("topic", "absent", "reference"),
    [
        ("order-placed", ("reference_id", "mode", "expires_at", "amend"), ("order", "O")),
        ("order-cancelled", ("reference_id", "lines"), ("cancellation", "O")),
        ("return-received", ("order_id",), ("return", "R")),
        ("stock-adjustment", ("atomic",), ("adjustment", "A")),
    ],
    ids=["order-placed", "order-cancelled", "return-received", "stock-adjustment"],
)
def test_what_a_topic_may_leave_out(topic: str, absent: tuple[str, ...], reference: tuple[str, str]) -> None:
    own = {name: value for name, value in ROWS[topic][0].items() if name not in absent}
    found = decoded({"site_id": SITE, **own}, topic)
    assert isinstance(found, Command), found
    assert found.reference == Reference(SITE, *reference)
    assert found.mode is None
    assert found.expires_at is None
    assert found.atomic
    assert (found.kind is CommandKind.PLACE) is (topic == "order-placed")
    assert (found.lines is None) is (topic == "order-cancelled")


@pytest.mark.parametrize(
    ("topic", "needed"), [(topic, name) for topic, row in ROWS.items() for name in ("site_id", *row[0])]
)
def test_what_a_topic_needs(topic: str, needed: str) -> None:
    """`lines` too: only a cancellation may leave them out, and then it is of the whole order."""
    optional = {
        "order-placed": {"mode", "expires_at", "amend"},
        "order-cancelled": {"lines"},
        "return-received": {"order_id"},
        "stock-adjustment": {"atomic"},
    }
    message = {name: value for name, value in {**COMMON, **ROWS[topic][0]}.items() if name != needed}
    assert isinstance(decoded(message, topic), Malformed) is (needed not in optional.get(topic, ()))


@pytest.mark.parametrize("topic", ["product-changed"])
def test_the_catalog_is_read_with_all_its_fields(topic: str) -> None:
    message = {
        "site_id": SITE,
        "product_id": SHIRT,
        "variant_id": RED,
        "name": "Shirt",
        "variant_name": "red",
        "sku": "S-1",
        "options": {"size": "M"},
        "category_id": MUG,
        "category_name": "Clothes",
        "image_url": "https://shop.example/s.png",
        "unit_price": "29.00",
        "cost_price": "12.5",
        "track_inventory": False,
        "status": "archived",
        "revision": 3,
    }
    found = decoded(message, topic)
    assert isinstance(found, ProductChanged), found
    assert found.item == (SITE, SHIRT, RED)
    assert found.entry == CatalogEntry(
        "Shirt",
        "red",
        "S-1",
        json.dumps({"size": "M"}, separators=(",", ":")),
        MUG,
        "Clothes",
        "https://shop.example/s.png",
        Decimal("29.00"),
        Decimal("12.5"),
        track_inventory=False,
        archived=True,
        revision=3,
    )
    least = decoded(
        {name: message[name] for name in ("site_id", "product_id", "name", "revision")} | {"status": "active"}, topic
    )
    assert isinstance(least, ProductChanged), least
    assert least.entry == CatalogEntry("Shirt", *(None,) * 8, track_inventory=True, archived=False, revision=3)
