"""Sentences of the contract's rules that are about what is stored, on a real PostgreSQL: one test each, in order."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from stock_worker.breaker import Breaker
from stock_worker.core.model import Entry, Malformed
from stock_worker.core.refusals import Code
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.steering import rules
from stock_worker.store.steering import settings as site_settings
from stock_worker.store.steering.rules import Scope
from stock_worker.sweeper import reevaluations
from stock_worker.sweeper.reevaluations import Reevaluations
from stock_worker.wire.decode import decode
from stock_worker.wire.fingerprint import FINGERPRINT_VERSION
from tests.store.records import SITE, line, message, product, record


async def tell(worker: asyncpg.Connection, *batch: Entry) -> list[str]:
    """Apply a batch as a fresh process would; its outcomes."""
    return [outcome.kind.value for outcome in await handle_batch(worker, batch, Policy())]


async def told(worker: asyncpg.Connection, topic: str) -> list[dict[str, Any]]:
    """What waits to be published to a topic, in order."""
    rows = await worker.fetch("SELECT payload FROM stock.outbox WHERE topic = $1 ORDER BY seq", topic)
    return [json.loads(row["payload"]) for row in rows]


@pytest.mark.parametrize("code", [Code.MALFORMED, Code.INTERNAL_ERROR], ids=lambda code: code.text)
async def test_rule_1_malformed_and_internal_error_leave_no_reference(worker: asyncpg.Connection, code: Code) -> None:
    asked = record("restock", {"reference_id": "R", "lines": [line("a", 1)]})
    await tell(worker, Malformed(asked, "something is wrong with it", code))
    assert await worker.fetchval("SELECT count(*) FROM stock.references") == 0
    corrected = record("restock", {"reference_id": "R", "lines": [line("a", 2)]})
    assert await tell(worker, decode(corrected, "restock")) == ["applied"]


async def test_rule_1_the_meaning_is_stored_as_a_hash_with_its_version(worker: asyncpg.Connection) -> None:
    asked = message("restock", reference_id="R", lines=[line("a", 1)])
    await tell(worker, asked)
    row = await worker.fetchrow("SELECT fingerprint, fingerprint_version FROM stock.references")
    assert row is not None
    assert tuple(row) == (asked.fingerprint, FINGERPRINT_VERSION)  # type: ignore[union-attr] # it is a command


async def test_rule_3_what_each_line_was_refused_for_is_told_beside_what_was_applied(
    worker: asyncpg.Connection,
) -> None:
    each = message(
        "stock-adjustment", reference_id="A", type="damage", atomic=False, lines=[line("a", 9), line("a", 2)]
    )
    assert await tell(worker, message("restock", reference_id="R", lines=[line("a", 5)]), each) == [
        "applied",
        "partly_applied",
    ]
    applied, (rejected,) = (await told(worker, "adjustment-applied"))[-1], await told(worker, "adjustment-rejected")
    assert (applied["outcome"], [entry["quantity"] for entry in applied["lines"]]) == ("partly_applied", [-2])
    assert [(entry["requested"], entry["code"]) for entry in rejected["lines"]] == [(9, "insufficient_stock")]
    assert applied["reference_id"] == rejected["reference_id"] == "A"


# ---------------------------------------------------------------- rule 10: evaluated again


async def swept(worker: asyncpg.Connection) -> int:
    """Work off all that waits to be evaluated again; in how many steps."""
    duty, steps = Reevaluations(Policy(), Breaker(faults=2, window_s=60.0), lambda: None), 0
    for _ in range(500):  # a job waits until all that could have read the old rule has ended
        steps += (await duty.sweep(worker)).more
        if not await worker.fetchval("SELECT count(*) FROM stock.reevaluations"):
            return steps
        await asyncio.sleep(0.02)
    raise AssertionError


@pytest.mark.parametrize("change", ["rule", "setting"])
async def test_rule_10_a_change_has_every_item_evaluated_again_in_bounded_batches(
    worker: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(reevaluations, "_AT_ONCE", 2)
    await tell(worker, message("restock", reference_id="R", lines=[line(letter, 15) for letter in "abcde"]))
    given = {"low_stock_threshold": 20}
    if change == "rule":
        await rules.change(worker, Scope(SITE), given)
    else:
        await site_settings.change(worker, SITE, given)
    assert await told(worker, "alert-level-changed") == []

    assert await swept(worker) >= 3, "five items, two at once"

    alerts = await told(worker, "alert-level-changed")
    assert sorted(alert["product_id"] for alert in alerts) == [product(letter) for letter in "abcde"]
    assert {(alert["previous_level"], alert["level"], alert["cause"]) for alert in alerts} == {("ok", "low", "rule")}
    assert await swept(worker) == 0
    assert len(await told(worker, "alert-level-changed")) == 5
    assert len(await told(worker, "stock-level")) == 10


async def test_rule_10_a_change_of_track_inventory_has_the_item_evaluated_again(worker: asyncpg.Connection) -> None:
    key = f"{SITE}/{product('a')}/".encode()

    def announced(revision: int, *, tracked: bool) -> Entry:
        value = {"product_id": product("a"), "name": "Shirt", "status": "active", "revision": revision}
        entry = record("product-changed", {**value, "track_inventory": tracked})._replace(key=key)
        return decode(entry, "product-changed")

    await tell(worker, message("restock", reference_id="R", lines=[line("a", 5)]))
    await tell(worker, announced(1, tracked=False))
    await tell(worker, announced(2, tracked=True))
    alerts = await told(worker, "alert-level-changed")
    assert [(alert["level"], alert["cause"]) for alert in alerts] == [
        ("low", "movement"),
        ("ok", "rule"),
        ("low", "rule"),
    ]
