"""Which schema and server this code needs, and which there are. Law: asking does not load the tools that migrate.

The worker asks at every start; Alembic and SQLAlchemy would be half of its start and a third of its memory.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.types import ServerVersion

NEEDED: Final = "0003"
"""The revision that this code is written for."""
SERVER_MIN: Final = 16
"""The first PostgreSQL that can grant a role WITH SET TRUE, INHERIT FALSE."""


class ServerTooOld(Exception):  # noqa: N818 - it names what is found
    """The server's version is below SERVER_MIN."""


class RevisionUnknown(Exception):  # noqa: N818 - the same
    """The database is at a revision that this release has no migration for: a newer one made it."""


async def read_revision(connection: "Connection") -> str | None:
    """Return the revision that the database of `connection` is at, None before the first."""
    if not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = 'stock' AND relname = 'alembic_version')"
    ):
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM stock.alembic_version")
    return revision


def require_server(version: "ServerVersion") -> None:
    """Raise ServerTooOld where the roles could not be granted as they must be."""
    if version.major < SERVER_MIN:
        raise ServerTooOld(f"PostgreSQL {version.major}.{version.minor} is older than {SERVER_MIN}")
