"""Messages to start from, and the golden ones of contracts/examples."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from stock_worker.core import topics
from stock_worker.core.model import Command, Entry, Record
from stock_worker.wire.decode import decode

CONTRACTS = Path(__file__).parents[2] / "contracts"
EXAMPLES = CONTRACTS / "examples"

SITE = "5117e000-0000-4000-8000-000000000001"
SHIRT = "9a0d0c70-0000-4000-8000-00000000000a"
MUG = "9a0d0c70-0000-4000-8000-00000000000b"
RED = "7a51a000-0000-4000-8000-000000000001"
USER = "05e70000-0000-4000-8000-000000000007"
ELSEWHERE = "10ca7100-0000-4000-8000-000000000002"
DEFAULT = str(uuid5(UUID(SITE), "default"))

BASE: dict[str, dict[str, Any]] = {
    topics.ORDER_PLACED: {
        "site_id": SITE,
        "order_id": "SO-1",
        "lines": [{"product_id": SHIRT, "variant_id": RED, "quantity": 2}, {"product_id": MUG, "quantity": 1}],
    },
    topics.ORDER_CANCELLED: {
        "site_id": SITE,
        "reference_id": "cancel-1",
        "order_id": "SO-1",
        "lines": [{"line_id": "1", "quantity": 1}],
    },
    topics.ORDER_FULFILLED: {
        "site_id": SITE,
        "reference_id": "parcel-1",
        "order_id": "SO-1",
        "lines": [{"line_id": "1", "quantity": 2}],
    },
    topics.RETURN_RECEIVED: {
        "site_id": SITE,
        "reference_id": "rma-1",
        "order_id": "SO-1",
        "lines": [{"line_id": "1", "quantity": 1}],
    },
    topics.RESTOCK: {
        "site_id": SITE,
        "reference_id": "delivery-1",
        "lines": [{"product_id": MUG, "quantity": 40, "unit_cost": "12.50", "currency": "EUR"}],
    },
    topics.STOCK_ADJUSTMENT: {
        "site_id": SITE,
        "reference_id": "adj-1",
        "type": "adjustment",
        "lines": [{"product_id": MUG, "quantity": -3}],
    },
    topics.STOCK_COUNT: {
        "site_id": SITE,
        "reference_id": "count-1",
        "lines": [{"product_id": MUG, "counted": 12, "counted_at_version": 7}],
    },
    topics.STOCK_TRANSFER: {
        "site_id": SITE,
        "reference_id": "move-1",
        "from_location_id": DEFAULT,
        "to_location_id": ELSEWHERE,
        "lines": [{"product_id": MUG, "quantity": 5}],
    },
}
"""A small good message of each topic that brings commands."""

PRODUCT: dict[str, Any] = {
    "site_id": SITE,
    "product_id": SHIRT,
    "variant_id": RED,
    "name": "Shirt",
    "status": "active",
    "revision": 3,
}
"""A small good message of the catalog."""


def record(
    value: bytes | None, topic: str = topics.ORDER_PLACED, headers: tuple[tuple[str, bytes | None], ...] = ()
) -> Record:
    key = catalog_key(value) if topic == topics.PRODUCT_CHANGED else b"key"
    return Record(f"shop.{topic}", 3, 41, 1_769_860_800_000, key, value, headers)


def catalog_key(value: bytes | None) -> bytes:
    """The key under which the catalog sends this value; any where the value names no item."""
    try:
        message = json.loads(value or b"{}")
    except ValueError:
        message = None
    names = message if isinstance(message, dict) else {}
    parts = [names.get(name) for name in ("site_id", "product_id", "variant_id")]
    return "/".join(part if isinstance(part, str) else "" for part in parts).encode()


def decoded(message: object, topic: str = topics.ORDER_PLACED) -> Entry:
    return decode(record(json.dumps(message).encode(), topic), topic)


def command(message: object, topic: str = topics.ORDER_PLACED) -> Command:
    found = decoded(message, topic)
    assert isinstance(found, Command), found
    return found


def varied(topic: str, line: dict[str, Any] | None = None, **change: object) -> dict[str, Any]:
    """The topic's base message with fields changed; `line` changes the first line."""
    message = BASE[topic] | change
    if line is not None:
        message["lines"] = [BASE[topic]["lines"][0] | line, *BASE[topic]["lines"][1:]]
    return message


def goldens(kind: str, topic: str = "*") -> Iterator[tuple[str, str, str]]:
    """Topic, name and text of the golden messages of a kind: good or malformed."""
    for path in sorted(EXAMPLES.glob(f"{topic}/{kind}/*.json")):
        yield path.parent.parent.name, path.stem, path.read_text()


def golden_value(text: str) -> bytes:
    """The bytes that a malformed golden message stands for."""
    example = json.loads(text)
    raw: str = example["text"] if "text" in example else json.dumps(example["value"])
    return raw.encode()
