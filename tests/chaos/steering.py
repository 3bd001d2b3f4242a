"""What people set, told to the product as its commands tell it. Law: a step that is refused is a fault of the test."""

from collections.abc import Iterable

import asyncpg

from stock_worker.store.steering import locations, rules, settings
from stock_worker.store.steering.refused import Refused
from stock_worker.store.steering.rules import Scope
from tests.oracle.steering import Step


async def steer(connection: asyncpg.Connection, steps: Iterable[Step]) -> None:
    """Take these steps, each in a transaction of its own."""
    for step in steps:
        answer: object
        if step.what == "settings":
            answer = await settings.change(connection, step.site, step.fields)
        elif step.what == "rule":
            answer = await rules.change(connection, Scope(step.site, *step.scope[1:]), step.fields)
        else:
            (location_id,) = step.scope
            assert location_id is not None
            answer = await locations.change(connection, step.site, location_id, step.fields)
        assert not isinstance(answer, Refused), f"{step}: {answer}"
