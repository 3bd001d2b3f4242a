"""Histories of the whole domain for the database: seeded, small, and full of commands that cannot be met."""

import random
from datetime import UTC, datetime
from typing import Any, Final

from stock_worker.core.model import Entry
from tests.store.records import DEFAULT, line, message

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
A: Final = "a0000000-0000-4000-8000-00000000000a"
B: Final = "b0000000-0000-4000-8000-00000000000b"


def history(seed: int, *, expiries: bool = False) -> list[Entry]:
    """Commands of every kind about two items, three places and four orders; half of them cannot be met."""
    draw = random.Random(seed)
    entries: list[Entry] = []

    def units() -> int:
        return draw.choice((1, 2, 3, 5))

    def place() -> dict[str, str]:
        return draw.choice(({}, {}, {"location_id": DEFAULT}, {"location_id": A}, {"location_id": B}))

    def item(quantity: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        return line(draw.choice("ab"), quantity, **{**place(), **more})

    for number in range(160):
        name = {"reference_id": f"{seed}-{number}"}
        order = {**name, "order_id": f"O{draw.randrange(6)}"}
        told = {"line_id": draw.choice(("1", "2")), "quantity": units()}
        counted = {**item(1), "counted": units(), "location_id": A}
        moves = {"from_location_id": draw.choice((A, B, DEFAULT)), "to_location_id": draw.choice((A, B))}
        mode = {"mode": draw.choice(("sale", "reserve"))}
        if expiries:
            mode["expires_at"] = f"2026-03-01T1{draw.randrange(3, 9)}:00:00Z"
        topic, fields = draw.choice(
            (
                ("restock", {**name, "lines": [item(units() * 4, unit_cost=f"{units()}.50")]}),
                ("restock", {**name, "lines": [item(units() * 2)]}),
                ("order-placed", {**order, **mode, "lines": [item(units()), item(units())]}),
                ("order-placed", {**order, **mode, "lines": [item(units()), item(units())]}),
                ("order-cancelled", {**order, "lines": [told]}),
                ("order-cancelled", order if number % 4 == 0 else {**order, "lines": [told]}),
                ("order-fulfilled", {**order, "lines": [{**told, **place()}]}),
                ("return-received", {**order, "lines": [{**told, **place(), "condition": "damaged"}]}),
                ("return-received", {**order, "lines": [told]}),
                ("stock-adjustment", {**name, "type": "reserved", "lines": [item(units())]}),
                ("stock-adjustment", {**name, "type": "unreserved", "lines": [item(units())]}),
                ("stock-adjustment", {**name, "type": "damage", "lines": [item(units())]}),
                ("stock-count", {**name, "lines": [counted]}),
                ("stock-count", {**name, "lines": [{**counted, "counted_at_version": draw.randrange(12)}]}),
                ("stock-transfer", {**name, **moves, "lines": [item(units())]}),
            )
        )
        entries.append(message(topic, **fields))
    return entries
