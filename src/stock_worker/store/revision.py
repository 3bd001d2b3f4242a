"""Which schema this code needs, and which one a database has. Law: asking does not load the tools that migrate.

The worker asks at every start; Alembic and SQLAlchemy would be half of its start and a third of its memory.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncpg import Connection

NEEDED: Final = "0001"
"""The revision that this code is written for."""


async def read_revision(connection: "Connection") -> str | None:
    """Return the revision that the database of `connection` is at, None before the first."""
    if not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = 'stock' AND relname = 'alembic_version')"
    ):
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM stock.alembic_version")
    return revision
