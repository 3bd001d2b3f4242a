"""Contract section 5, row by row on a real PostgreSQL: what each refusal tells, sets aside and leaves behind."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from stock_worker.core.model import Entry, Malformed, Outcome
from stock_worker.core.refusals import Code
from stock_worker.handle import Policy, end_parked, handle_batch
from stock_worker.store.engine import connect
from stock_worker.store.load import overdue
from stock_worker.wire.decode import decode
from tests.store.records import line, message, product, record

A, CLOSED, NOWHERE = (f"10ca7100-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))

ORDER: Final = ("order-placed", {"order_id": "O", "lines": [line("a", 3)]})
OF_LINE_1: Final = {"line_id": "1", "quantity": 4}

REFUSED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    # code: the topic and the message that is refused with it, in the shop below
    "malformed": ("restock", {"reference_id": "X", "lines": [line("a", 0)]}),
    "reference_conflict": ("order-placed", {"order_id": "O", "lines": [line("a", 4)]}),
    "order_already_placed": ("order-placed", {"order_id": "O", "reference_id": "X", "lines": [line("a", 1)]}),
    "unknown_line": ("order-fulfilled", {"order_id": "O", "reference_id": "X", "lines": [line("b", 1)]}),
    "location_required": ("stock-count", {"reference_id": "X", "lines": [{"product_id": product("a"), "counted": 1}]}),
    "unknown_location": (
        "stock-adjustment",
        {"reference_id": "X", "type": "damage", "lines": [line("a", 1, location_id=NOWHERE)]},
    ),
    "inactive_location": (
        "stock-adjustment",
        {"reference_id": "X", "type": "damage", "lines": [line("a", 1, location_id=CLOSED)]},
    ),
    "same_location": (
        "stock-transfer",
        {"reference_id": "X", "from_location_id": A, "to_location_id": A, "lines": [line("a", 1)]},
    ),
    "version_conflict": (
        "stock-adjustment",
        {"reference_id": "X", "type": "adjustment", "lines": [line("a", 1, expected_version=0)]},
    ),
    "unknown_version": (
        "stock-count",
        {
            "reference_id": "X",
            "lines": [{"product_id": product("a"), "location_id": A, "counted": 1, "counted_at_version": 99}],
        },
    ),
    "exceeds_placed": ("order-fulfilled", {"order_id": "O", "reference_id": "X", "lines": [OF_LINE_1]}),
    "exceeds_cancellable": ("order-cancelled", {"order_id": "O", "reference_id": "X", "lines": [OF_LINE_1]}),
    "exceeds_returnable": ("return-received", {"order_id": "O", "reference_id": "X", "lines": [OF_LINE_1]}),
    "exceeds_reserved": ("stock-adjustment", {"reference_id": "X", "type": "unreserved", "lines": [line("a", 1)]}),
    "insufficient_stock": ("order-placed", {"order_id": "X", "lines": [line("a", 99)]}),
    "counter_overflow": ("restock", {"reference_id": "X", "lines": [line("f", 1)]}),
    "order_never_placed": ("order-fulfilled", {"order_id": "never", "reference_id": "X", "lines": [OF_LINE_1]}),
    "internal_error": ("restock", {"reference_id": "X", "lines": [line("a", 1)]}),
}
DEAD_LETTERED: Final = {"malformed", "reference_conflict", "order_never_placed", "internal_error"}
UNTOLD: Final = {"malformed", "internal_error"}
"""These emit no `adjustment-rejected` and leave no reference."""


@pytest_asyncio.fixture(scope="module")
async def worker(module_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(module_database, "stock_worker")
    yield connection
    await connection.close()


async def opened(worker: asyncpg.Connection, site_id: str) -> None:
    """A site with 10 of a and 1,000,000,000,000,000 of another, an order of 3 a, and a location not in use."""
    stock = [line("a", 10), line("f", 1), line("a", 1, location_id=A), line("a", 1, location_id=CLOSED)]
    back = {"from_location_id": CLOSED, "to_location_id": A, "lines": [line("a", 1)]}
    told = [
        message("restock", site_id=site_id, reference_id="opening", lines=stock),
        message("stock-transfer", site_id=site_id, reference_id="emptied", **back),
        message(ORDER[0], site_id=site_id, **ORDER[1]),
    ]
    assert [outcome.kind.value for outcome in await handle_batch(worker, told, Policy())] == ["applied"] * 3
    await worker.execute(
        "UPDATE stock.locations SET is_active = false WHERE site_id = $1 AND location_id = $2", site_id, CLOSED
    )
    for table in ("items", "location_stock"):
        await worker.execute(
            f"UPDATE stock.{table} SET on_hand = 1000000000000000 WHERE item_id = "
            "(SELECT item_id FROM stock.items WHERE site_id = $1 AND product_id = $2)",
            site_id,
            product("f"),
        )


async def refuse(worker: asyncpg.Connection, code: str, asked: Entry) -> Outcome:
    """Have it refused, the way that the code is met."""
    if code == "internal_error":  # as the halving of a batch that the database cannot take leaves it
        assert asked.record is not None
        asked = Malformed(asked.record, "the database would not take it", Code.INTERNAL_ERROR)
    (outcome,) = await handle_batch(worker, [asked], Policy())
    if code == "order_never_placed":
        assert outcome.kind.value == "parked"
        later = await worker.fetchval("SELECT clock_timestamp()") + timedelta(hours=1)
        ((_, outcome),) = await end_parked(worker, Policy(), await overdue(worker, later, 10))
    return outcome


@pytest.mark.parametrize("code", REFUSED)
async def test_section_5_a_refusal_is_told_set_aside_and_remembered_as_its_row_says(
    worker: asyncpg.Connection, code: str
) -> None:
    site_id, (topic, fields) = str(uuid4()), REFUSED[code]
    await opened(worker, site_id)
    mark = await worker.fetchval("SELECT coalesce(max(seq), 0) FROM stock.outbox")
    moved = await worker.fetchval("SELECT count(*) FROM stock.movements")
    asked = decode(record(topic, {"site_id": site_id, **fields}), topic)

    outcome = await refuse(worker, code, asked)

    assert outcome.code is Code[code.upper()]
    assert await worker.fetchval("SELECT count(*) FROM stock.movements") == moved
    rows = await worker.fetch("SELECT topic, payload FROM stock.outbox WHERE seq > $1 ORDER BY seq", mark)
    told = [json.loads(row["payload"]) for row in rows if row["topic"] == "adjustment-rejected"]
    assert [event["code"] for event in told] == ([] if code in UNTOLD else [code])
    assert all(event["message"] and event["site_id"] == site_id for event in told)
    letters = [row["payload"] for row in rows if row["topic"] == f"{topic}-dlt"]
    assert asked.record is not None
    assert letters == ([asked.record.value] if code in DEAD_LETTERED else [])
    assert len(rows) == len(told) + len(letters)

    again = decode(record(topic, {"site_id": site_id, **fields}), topic)
    (outcome,) = await handle_batch(worker, [again], Policy())
    what_then = {"malformed": "malformed", "reference_conflict": "conflict", "internal_error": "applied"}
    assert outcome.kind.value == what_then.get(code, "duplicate"), "a refusal sticks, but for those without a reference"


async def test_section_5_a_malformed_message_may_be_sent_again_corrected(worker: asyncpg.Connection) -> None:
    site_id = str(uuid4())
    wrong, right = (message("restock", site_id=site_id, reference_id="X", lines=[line("a", units)]) for units in (0, 1))
    outcomes = await handle_batch(worker, [wrong, right], Policy())
    assert [outcome.kind.value for outcome in outcomes] == ["malformed", "applied"]
