"""Items to evaluate again after a rule or a setting changed. Law: none is missed, whatever flows meanwhile.

A change leaves a job in its own transaction. A batch under way may still hold items to the old rule, so a job begins
only when every transaction that could have read it has ended (its fence); whatever begins later reads the new rule.
Then the items of its scope are evaluated in bounded batches, in the order of their keys. Source: contract rule 10.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from stock_worker.breaker import Breaker
from stock_worker.core.model import ItemKey
from stock_worker.handle import Policy, reevaluate
from stock_worker.store.load import item_key
from stock_worker.store.sql import statements
from stock_worker.sweeper.duty import Swept, in_halves, tell_set_aside

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

_AT_ONCE: Final = 200
"""Items evaluated in one transaction: it holds their locks, which orders wait for."""

_NEARER: Final = {"variant": (), "product": ("variant",), "site": ("variant", "product")}
"""The scopes of rules that come before a rule of this scope."""


class Reevaluations:
    """Works off the jobs that changes of rules and settings left."""

    def __init__(self, policy: Policy, breaker: Breaker, clock: Callable[[], datetime | None]) -> None:
        self._policy, self._breaker, self._clock = policy, breaker, clock
        self._sql = statements("sweeper")

    async def sweep(self, connection: "Connection") -> Swept:
        """Fence new jobs, and do one batch of the oldest one that may begin. Raises Held."""
        jobs = await connection.fetch(self._sql["reevaluation_jobs"])
        if not jobs:
            return Swept(0)
        if any(job["fence"] is None for job in jobs):
            await connection.execute(self._sql["fence_jobs"])
        for job in jobs:
            if job["is_ripe"]:
                return await self._work(connection, job)
        return Swept(0)

    async def _work(self, connection: "Connection", job: "Row") -> Swept:
        scope = job["site_id"], job["product_id"], job["variant_id"]
        after = job["after_product_id"], job["after_variant_id"]
        rows = await connection.fetch(self._sql["items_of_scope"], *scope, *after, _AT_ONCE)
        keys = [item_key(row) for row in rows]
        told: list[int] = []
        if keys:
            told = await in_halves(connection, keys, partial(self._evaluate, connection, job), self._pass_over)
        if len(keys) < _AT_ONCE:
            await connection.execute(self._sql["finish_job"], job["job_id"])
        else:
            await connection.execute(self._sql["advance_job"], job["job_id"], *rows[-1][1:])
        return Swept(sum(told), more=True)

    async def _evaluate(self, connection: "Connection", job: "Row", keys: Sequence[ItemKey]) -> list[int]:
        nearer = _NEARER[_scope_of(job)]

        def tells_limit(scope: str) -> bool:
            return bool(job["limit_changed"]) and scope not in nearer

        return [await reevaluate(connection, self._policy, keys, tells_limit=tells_limit, clock=self._clock())]

    async def _pass_over(self, key: ItemKey, error: Exception) -> list[int]:
        tell_set_aside("evaluation of an item", key.text, error, self._breaker)
        return []


def _scope_of(job: Any) -> str:  # noqa: ANN401 - a row of the driver's
    if job["product_id"] is None:
        return "site"
    return "product" if job["variant_id"] is None else "variant"
