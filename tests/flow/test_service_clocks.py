"""Contract rule 6 and section 2: the clock that counts is PostgreSQL's, whatever a worker's own says."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from stock_worker.core.topics import ORDER_PLACED, PRODUCT_CHANGED
from stock_worker.store.engine import connect
from stock_worker.store.steering import settings
from tests.flow.commands import Terminal, names
from tests.flow.relaying import Outlet
from tests.flow.running import SITE, Shop, product, restock, until

SHIFTED: Final = """
import datetime, time

SHIFT_S = {shift_s}
real, read, read_ns = datetime.datetime, time.time, time.time_ns
time.time = lambda: read() + SHIFT_S
time.time_ns = lambda: read_ns() + SHIFT_S * 1_000_000_000


class Likewise(type(real)):
    def __instancecheck__(cls, value):
        return isinstance(value, real)

    def __subclasscheck__(cls, other):
        return issubclass(other, real)


class Shifted(real, metaclass=Likewise):
    __slots__ = ()
    __new__ = staticmethod(lambda cls, *values, **more: real(*values, **more))
    now = staticmethod(lambda tz=None: real.now(tz) + datetime.timedelta(seconds=SHIFT_S))
    utcnow = staticmethod(lambda: real.utcnow() + datetime.timedelta(seconds=SHIFT_S))
    fromtimestamp, fromisoformat, strptime = real.fromtimestamp, real.fromisoformat, real.strptime


datetime.datetime = Shifted
"""
"""A `sitecustomize`, which Python runs before a program: every wall clock is off, and the monotonic one goes on."""

SLACK: Final = timedelta(seconds=20)
"""A sweep a second, two sweeps to know what is applied, and a busy machine; far less than a clock is off."""
TTL: Final = timedelta(hours=1)
NOT_OURS: Final = ("expires_at", "due_at", "occurred_at")
"""What a sender said."""


def _reservation(order_id: str, expires_at: datetime | None) -> bytes:
    lines = [{"product_id": product(1), "quantity": 2}]
    told: dict[str, Any] = {"site_id": SITE, "order_id": order_id, "mode": "reserve", "lines": lines}
    return json.dumps(told | ({"expires_at": expires_at.isoformat()} if expires_at else {})).encode()


@pytest.mark.parametrize("shift_s", [300, -300], ids=["five minutes ahead", "five minutes behind"])
async def test_rule_6_reservations_expire_by_the_databases_clock_whatever_the_workers_says(
    shop: Shop, tmp_path: Path, shift_s: int
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SHIFTED.format(shift_s=shift_s))
    terminal = Terminal(tmp_path, {**names(shop.settings), "PYTHONPATH": str(tmp_path)})
    began: datetime = await shop.ask("SELECT clock_timestamp()")
    person = await connect(shop.settings.database_url, "stock_worker")
    await settings.change(person, SITE, {"reservation_ttl": int(TTL.total_seconds())})
    await person.close()
    await shop.send(restock("R", quantity=100))
    process = terminal.start("run", log=tmp_path / "run.log")
    try:
        await until(shop.movements)
        now: datetime = await shop.ask("SELECT clock_timestamp()")
        soon = {f"soon {n}": now + timedelta(seconds=2 + n / 4) for n in range(4)}
        later = {"by a fast clock past": now + timedelta(minutes=4)}
        past = {"by a slow clock to come": now - timedelta(minutes=4)}
        orders = [_reservation(*each) for each in [*soon.items(), *later.items(), *past.items(), ("ttl", None)]]
        await shop.send(*orders, b"no json", topic=ORDER_PLACED)
        entry = {"site_id": SITE, "product_id": product(1), "name": "Mug", "status": "active", "revision": 1}
        await shop.send(json.dumps(entry).encode(), topic=PRODUCT_CHANGED, key=f"{SITE}/{product(1)}/".encode())

        async def all_is_told() -> bool:
            expired = await shop.ask("SELECT count(*) FROM stock.references WHERE type = 'expiry'")
            letters = await shop.ask("SELECT count(*) FROM stock.dead_letters")
            named = await shop.ask("SELECT count(*) FROM stock.products")
            outbox = await shop.ask("SELECT count(*) FROM stock.outbox")
            return expired >= len(soon) and (letters, named, outbox) == (1, 1, 0)

        await until(all_is_told)
    finally:
        process.kill()
        process.wait()
    ended: datetime = await shop.ask("SELECT clock_timestamp()")

    rows = await shop.rows(
        "SELECT order_id, recorded_at FROM stock.movements WHERE reference_type = 'expiry' AND type = 'unreserved'"
    )
    late = {row["order_id"]: row["recorded_at"] - soon[row["order_id"]] for row in rows}
    assert set(late) == set(soon), "each at its time"
    assert min(late.values()) >= timedelta(0), "none before it"
    assert max(late.values()) < SLACK
    outcomes = dict(await shop.rows("SELECT id, outcome FROM stock.references WHERE type = 'order'"))
    assert outcomes.pop("by a slow clock to come") == "expired"
    assert set(outcomes.values()) == {"applied"}
    lasts = "SELECT o.expires_at - m.recorded_at FROM stock.orders o JOIN stock.movements m USING (order_id)"
    assert await shop.ask(lasts + " WHERE order_id = 'ttl'") == TTL
    assert await shop.ask("SELECT reserved FROM stock.items") == 4
    assert await shop.drifts() == []

    await _every_time_is_between(shop, began, ended)
    outlet = Outlet(shop.settings.kafka_bootstrap, shop.settings.database_url, shop.settings.topic_prefix)
    for record in await outlet.published("stock-changed"):
        told = dict(record.headers)["ce_time"].decode()
        assert began <= datetime.fromisoformat(told) <= ended
    lines = (tmp_path / "run.log").read_text().splitlines()
    said = [json.loads(line)["time"] for line in lines]
    its_own = [datetime.fromisoformat(time) - timedelta(seconds=shift_s) for time in said]
    assert began - SLACK < min(its_own) <= max(its_own) < ended + SLACK, "the worker's own clock was off"


async def _every_time_is_between(shop: Shop, began: datetime, ended: datetime) -> None:
    """Every time that the worker wrote, in whatever table, is one of the database's clock."""
    columns = await shop.rows(
        "SELECT DISTINCT c.table_name, c.column_name FROM information_schema.columns c"
        " JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE c.table_schema = 'stock' AND c.data_type = 'timestamp with time zone'"
        " AND t.table_type = 'BASE TABLE' AND c.column_name <> ALL($1)",
        NOT_OURS,
    )
    seen = set()
    for table, column in columns:
        first, last = (await shop.rows(f"SELECT min({column}), max({column}) FROM stock.{table}"))[0]
        if first is not None:
            seen.add((table, column))
            assert began <= first <= last <= ended, (table, column)
    for column in [("movements", "recorded_at"), ("references", "decided_at"), ("watermarks", "applied_to")]:
        assert column in seen
