"""What the sweeper's duties share. Law: one thing that cannot be done is found by halving, and keeps no other."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from stock_worker.breaker import Breaker
from stock_worker.faults import Quarantine, is_bug, reaction
from stock_worker.log import one_line, say

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

Due = TypeVar("Due")
Done = TypeVar("Done")


class Swept(NamedTuple):
    """How many things were done, and whether more may be due at once."""

    done: int
    more: bool = False


async def in_halves(
    connection: "Connection",
    due: Sequence[Due],
    do: Callable[[Sequence[Due]], Awaitable[list[Done]]],
    set_aside: Callable[[Due, Exception], Awaitable[list[Done]]],
) -> list[Done]:
    """Do these together, in halves where they cannot be; `set_aside` is given the one that stands alone."""
    try:
        return await do(due)
    except Exception as error:
        if reaction(error) is not Quarantine or connection.is_closed():
            raise
        if len(due) == 1:
            return await set_aside(due[0], error)
        middle = len(due) // 2
        first = await in_halves(connection, due[:middle], do, set_aside)
        return [*first, *await in_halves(connection, due[middle:], do, set_aside)]


def tell_set_aside(what: str, name: str, error: Exception, breaker: Breaker) -> None:
    """Say what was set aside; a bug is logged whole and counts for the breaker. Raises Held."""
    say(logger, logging.ERROR, f"{what} set aside", name=name, error=one_line(error))
    if is_bug(error):
        logger.error("the bug", exc_info=error)
        breaker.count(time.monotonic())
