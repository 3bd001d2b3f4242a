"""What a relay reads of the outbox: it must know who may still write below what it has published."""

import pytest

from stock_worker.store.engine import connect
from stock_worker.store.outbox import horizon

NUMBER = "SELECT pg_current_xact_id()::text::bigint"


@pytest.mark.parametrize("others", [0, 3], ids=["nobody has ended since", "others have ended since"])
async def test_who_is_under_way_comes_before_the_next_one_to_come(database: str, others: int) -> None:
    """A row of its may be below one that is published; if its number were not below, its row would be passed over."""
    under_way, other, relay = [await connect(database, "stock_worker") for _ in range(3)]
    transaction = under_way.transaction()
    await transaction.start()
    number = await under_way.fetchval(NUMBER)
    for _ in range(others):
        await other.fetchval(NUMBER)
    oldest, following = await horizon(relay)
    assert oldest <= number < following, (oldest, number, following)
    await transaction.rollback()
    oldest, _ = await horizon(relay)
    assert oldest > number, "it has ended"
    for connection in (under_way, other, relay):
        await connection.close()
