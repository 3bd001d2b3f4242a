"""Which sites there are, for who may see them all. Law: it is asked as the worker; a reader sees those he is told.

Source: contract section 7 (the page, platform_admin).
"""

from typing import TYPE_CHECKING, Final

from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection

SQL: Final = statements("sites")


async def sites_with_items(connection: "Connection", limit: int) -> list[str]:
    """Give the first sites that have an item, by id."""
    return [str(row["site_id"]) for row in await connection.fetch(SQL["sites_with_items"], limit)]
