"""Connections. Law: a connection acts as one role, chosen when it is opened, and means the same on every server.

One URL logs in; `SET ROLE` gives up the login's own rights (contract section 8). What a server or a database may have
set otherwise, and would change a result, a plan or a promise, is set here: time zone, search path, JIT, durability.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal

import asyncpg

if TYPE_CHECKING:
    from asyncpg import Connection, Pool

WORKER: Final = "stock_worker"
"""Writes, for all sites (BYPASSRLS)."""
API: Final = "stock_api"
"""Reads, and only the sites named in the setting `stock.sites` (row level security)."""

Role = Literal["stock_worker", "stock_api"]
Plans = Literal["keyed", "free"]

_CONNECT_MAX_S: Final = 10.0
_SESSION: Final = {
    "TimeZone": "UTC",
    # Every statement names its schema; a table or an operator that somebody left in `public` is never found.
    "search_path": "pg_catalog",
    "jit": "off",  # the hot statements are short: compiling one costs more than running it
    "synchronous_commit": "on",  # offsets are committed after it, so a commit that may still be lost is none
    # A worker that was stopped in mid-transaction (SIGSTOP, a frozen machine) must not hold its items for ever.
    "idle_in_transaction_session_timeout": "30s",
}
# A statement of the hot path has keys and looks each up in an index. The planner would rather scan a table that is
# still small, for all lines of a batch at once, and a plan made then lives on in the session while the table grows,
# until autovacuum comes by. So the other ways are off, and one plan serves arrays of every length. A test EXPLAINs.
_PLANS: Final[dict[Plans, dict[str, str]]] = {
    "keyed": {
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_memoize": "off",  # the keys of a batch are distinct
    },
    "free": {},
}


async def connect(
    database_url: str,
    role: Role | None,
    *,
    application_name: str = "stock-worker",
    plans: Plans | None = None,
) -> asyncpg.Connection:
    """Open one connection that acts as `role`, or as the login itself for None (migrations).

    `plans` is "keyed" for lookups of many keys and "free" for reads of many rows (reports, audits); None means what
    the role is there for: keyed for the worker. `database_url` is postgresql://…; a unix socket is an absolute folder,
    `postgresql:///stock?host=/run/postgresql`. Raises asyncpg and OS errors as they are: 42501 where the login was not
    granted the role, 22023 where the role does not exist (both: migrate first).
    """
    settings = _SESSION | _PLANS[plans or ("keyed" if role == WORKER else "free")]
    connection = await asyncpg.connect(
        database_url, timeout=_CONNECT_MAX_S, server_settings={**settings, "application_name": application_name}
    )
    if role is not None:
        try:
            await connection.execute(f"SET ROLE {role}")
        except BaseException:
            connection.terminate()
            raise
    return connection


@asynccontextmanager
async def open_pool(database_url: str, role: Role, *, most: int, timeout_s: float, name: str) -> AsyncIterator["Pool"]:
    """Keep up to `most` connections that act as `role`, for short work whose statements end within `timeout_s`.

    None is opened before it is needed. What is set inside a transaction ends with it, so nothing is reset in between.
    """
    settings = _SESSION | _PLANS["keyed" if role == WORKER else "free"]

    async def take_role(connection: "Connection") -> None:
        await connection.execute(f"SET ROLE {role}")

    async with asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=most,
        timeout=_CONNECT_MAX_S,
        init=take_role,
        reset=_leave,
        server_settings={
            **settings,
            "application_name": name,
            "statement_timeout": str(round(timeout_s * 1000)),
            "lock_timeout": str(round(timeout_s * 1000)),
            # One long statement among many short ones would else take every core that there is.
            "max_parallel_workers_per_gather": "0",
        },
    ) as pool:
        yield pool


async def _leave(connection: "Connection") -> None:
    """End what somebody who was cancelled left under way; else nothing is asked when a connection goes back."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
