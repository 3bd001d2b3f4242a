"""The schema's steps up and down. Law: one migration at a time in a database, each whole or not at all, and repeatable.

A session advisory lock lets the second of two wait and then find nothing to do. Alembic runs over asyncpg, so that one
URL means the same here as in `engine`. The roles are the cluster's and come first (`roles`). Source: contract, 8.
"""

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

import stock_worker
from stock_worker.store.engine import WORKER, connect
from stock_worker.store.revision import NEEDED, RevisionUnknown, read_revision, require_server
from stock_worker.store.roles import ensure_roles

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD: Final = NEEDED
"""The revision that this code is written for."""

_SCHEMA: Final = "stock"
_LOCK: Final = 0x73746F636B  # "stock" in ASCII: the key of the advisory lock
_ALEMBIC = threading.Lock()
"""Alembic keeps its context in globals: two threads of one process take turns (two processes take turns by _LOCK)."""

Direction = Literal["upgrade", "downgrade"]


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`; blocks, so call it from a thread where a loop runs.

    Raises roles.RolesNeeded with the SQL for a DBA, revision.ServerTooOld, revision.RevisionUnknown, and asyncpg and OS
    errors as they are.
    """
    _run(database_url, "upgrade", revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take the database down to `revision`; "base" leaves nothing in the schema, and the roles where they are."""
    _run(database_url, "downgrade", revision)


def current(database_url: str) -> str | None:
    """Return the revision that the database is at, None before the first; as the login or else as the worker."""
    return asyncio.run(_current(database_url))


def migrations_folder() -> Path:
    """Return where the migrations are: in the package when it was built, beside `src` in the repository."""
    package = Path(stock_worker.__file__).parent
    packed = package / "migrations"
    return packed if packed.is_dir() else package.parents[1] / "migrations"


def revisions() -> list[str]:
    """Name the revisions that this release can bring a database to, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def _run(database_url: str, direction: Direction, revision: str) -> None:
    try:
        with _ALEMBIC:
            asyncio.run(_migrate(database_url, direction, revision))
    except DBAPIError as wrapped:  # SQLAlchemy's; the driver's own says more and is what callers know
        raised = wrapped.orig and wrapped.orig.__cause__
        raise (raised or wrapped) from None


async def _migrate(database_url: str, direction: Direction, revision: str) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(database_url, None, application_name="stock-worker migrate"),
        poolclass=NullPool,
    )
    try:
        async with engine.connect() as shell:
            # SQLAlchemy opens a transaction with its own first statement: what the driver is told commits itself.
            driver = (await shell.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection)
            require_server(driver.get_server_version())
            await driver.execute("SELECT pg_advisory_lock($1)", _LOCK)  # ends with the session
            if direction == "upgrade":
                await ensure_roles(driver)
                await _make_schema(driver)
            at = await read_revision(driver)
            if at is not None and at not in revisions():
                raise RevisionUnknown(f"the database is at revision {at}, which this release does not know")
            if direction == "upgrade" or at is not None:
                await shell.run_sync(_alembic, direction, revision)
            if await read_revision(driver) is None:
                await _clear_schema(driver)
    finally:
        await engine.dispose()


def _alembic(connection: "Connection", direction: Direction, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    step = {"upgrade": command.upgrade, "downgrade": command.downgrade}[direction]
    step(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


async def _make_schema(driver: asyncpg.Connection) -> None:
    """Make the schema, which holds Alembic's table too; IF NOT EXISTS would ask for the right to create even then."""
    if not await driver.fetchval("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", _SCHEMA):
        await driver.execute(f"CREATE SCHEMA {_SCHEMA}")


async def _clear_schema(driver: asyncpg.Connection) -> None:
    """Remove Alembic's empty table, and the schema when it is ours, is empty, and could be made again."""
    await driver.execute(f"DROP TABLE IF EXISTS {_SCHEMA}.alembic_version")
    if await driver.fetchval(
        "SELECT pg_has_role(current_user, nspowner, 'USAGE') AND has_database_privilege(current_database(), 'CREATE') "
        "FROM pg_namespace WHERE nspname = $1",
        _SCHEMA,
    ):
        try:
            await driver.execute(f"DROP SCHEMA {_SCHEMA}")
        except asyncpg.DependentObjectsStillExistError:
            return  # somebody else's things are in it


async def _current(database_url: str) -> str | None:
    connection = await connect(database_url, None, application_name="stock-worker migrate")
    try:
        try:
            return await read_revision(connection)
        except asyncpg.InsufficientPrivilegeError:  # a login that is not the owner reads as the worker
            await connection.execute(f"SET ROLE {WORKER}")
            return await read_revision(connection)
    finally:
        await connection.close()
