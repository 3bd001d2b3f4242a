"""Records that are no commands. Law: each is malformed by the contract, for one reason that its name says."""

import json
from collections.abc import Iterator
from itertools import cycle
from random import Random
from typing import Any, Final

from tests.oracle.records import Sent

SITE: Final = "00000000-0000-4000-8000-0000000000aa"
ITEM: Final = {"product_id": "00000000-0000-4000-8000-0000000000bb"}
LINE: Final = {**ITEM, "quantity": 1}


def poisons(random: Random, *, null_keys_and_values: bool) -> Iterator[Sent]:
    """Broken records without end, each kind in its turn, in a seeded order."""
    kinds = [*BROKEN.values(), *([("restock", None, None)] if null_keys_and_values else [])]
    random.shuffle(kinds)
    for number, (topic, key, value) in enumerate(cycle(kinds)):
        yield Sent(topic, key, value, (("sent-as", str(number).encode()),), poison=True)


def _restock(**fields: Any) -> tuple[str, bytes | None, bytes]:  # noqa: ANN401 - JSON values
    return "restock", b"k", json.dumps({"site_id": SITE, "reference_id": "poison", "lines": [LINE], **fields}).encode()


def _line(**fields: Any) -> tuple[str, bytes | None, bytes]:  # noqa: ANN401 - JSON values
    return _restock(lines=[{**LINE, **fields}])


def _order(**fields: Any) -> tuple[str, bytes | None, bytes]:  # noqa: ANN401 - JSON values
    value = {"site_id": SITE, "order_id": "poison", "lines": [LINE], **fields}
    return "order-placed", None, json.dumps(value).encode()


BROKEN: Final[dict[str, tuple[str, bytes | None, bytes | None]]] = {
    "no value": ("restock", b"a key", None),
    "no bytes": ("restock", b"k", b""),
    "not JSON": ("order-placed", b"k", b"{"),
    "not UTF-8": ("restock", b"\xff", b'{"site_id": "\xff"}'),
    "a byte order mark": ("restock", b"k", b"\xef\xbb\xbf" + (_restock()[2] or b"")),
    "an array": ("restock", b"k", b"[]"),
    "a number": ("stock-adjustment", b"k", b"5"),
    "NaN": ("restock", b"k", b'{"site_id": NaN}'),
    "nested deeply": ("restock", b"k", b"[" * 100_000),
    "one megabyte": ("restock", b"k", b"x" * 900_000),
    "no site": _restock(site_id=None),
    "no UUID": _restock(site_id="5"),
    "no reference": _restock(reference_id=None),
    "a long reference": _restock(reference_id="x" * 129),
    "a control character": _restock(reference_id="a\nb"),
    "a NUL": _restock(note="a\x00b"),
    "a lone surrogate": _restock(note="\ud800"),
    "no lines": _restock(lines=[]),
    "too many lines": _restock(lines=[LINE] * 1_001),
    "quantity as text": _line(quantity="5"),
    "quantity as a truth": _line(quantity=True),
    "quantity with a fraction": _line(quantity=1.5),
    "quantity 0": _line(quantity=0),
    "a quantity too great": _line(quantity=1_000_000_001),
    "negative money": _line(unit_cost="-1"),
    "no product": _line(product_id=None),
    "equal line ids": _order(lines=[{**LINE, "line_id": "1"}, {**LINE, "line_id": "1"}]),
    "an amendment without reference": _order(amend=True, lines=[{**LINE, "line_id": "1"}]),
    "an unknown mode": _order(mode="lend"),
    "an unknown type": ("stock-adjustment", b"k", (_restock(type="theft")[2])),
    "a sign that disagrees": (
        "stock-adjustment",
        b"k",
        json.dumps(
            {"site_id": SITE, "reference_id": "p", "type": "restock", "lines": [{**ITEM, "quantity": -1}]}
        ).encode(),
    ),
    "a named cancellation without reference": (
        "order-cancelled",
        b"k",
        json.dumps({"site_id": SITE, "order_id": "poison", "lines": [{"line_id": "1", "quantity": 1}]}).encode(),
    ),
    "a count": ("stock-count", b"k", b"{}"),
    "a transfer": ("stock-transfer", b"k", b"{}"),
}
