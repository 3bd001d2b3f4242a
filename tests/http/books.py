"""What was booked before a question: batches of commands as the worker books them, at times of the test's own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from stock_worker.core.model import Entry, Outcome
from stock_worker.core.topics import PRODUCT_CHANGED
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.engine import connect
from stock_worker.wire.decode import decode
from tests.http.running import SITE, Api, product
from tests.store.records import message, record

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
VARIANT: Final = "00000000-0000-4000-8000-00000000000c"
EAST: Final = "a0000000-0000-4000-8000-00000000000a"
WEST: Final = "b0000000-0000-4000-8000-00000000000b"


def sent(topic: str, **fields: object) -> Entry:
    """A command for the tests' site, as Kafka brings it."""
    return message(topic, **{"site_id": SITE, **fields})


def announced(number: int, **fields: object) -> Entry:
    """What the catalog says of a product."""
    value = {"site_id": SITE, "product_id": product(number), "status": "active", "revision": 1, **fields}
    return decode(record(PRODUCT_CHANGED, value)._replace(key=f"{SITE}/{product(number)}/".encode()), PRODUCT_CHANGED)


def line(number: int, quantity: int, **more: object) -> dict[str, object]:
    """A line about a product."""
    return {"product_id": product(number), "quantity": quantity, **more}


async def book(api: Api, *entries: Entry, clock: datetime = NOON) -> Sequence[Outcome]:
    """Have a batch booked as the worker does it, at a time."""
    worker = await connect(api.backend.settings.database_url, "stock_worker")
    try:
        return await handle_batch(worker, entries, Policy(), clock=clock)
    finally:
        await worker.close()
