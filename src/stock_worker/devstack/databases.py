"""Databases that come and go on a server of ours. Law: an ordinary login can remove what it made, whoever is in it.

`DROP DATABASE … WITH (FORCE)` cannot: it asks leave to end every process in the database, and an autovacuum worker is
the superuser's, so the drop is refused now and then (PostgreSQL 18, 42501). A plain DROP sends autovacuum away by
itself; only the login's own sessions have to be ended first.
"""

import asyncpg

_END_OUR_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = $1 AND usename = session_user AND pid <> pg_backend_pid()
"""


async def drop_database(server_url: str, name: str) -> None:
    """Drop a database with the login's sessions in it. Raises asyncpg.ObjectInUseError where another login's stay."""
    connection = await asyncpg.connect(server_url)
    try:
        await connection.fetch(_END_OUR_SESSIONS, name)
        await connection.execute(f'DROP DATABASE "{name}"')
    finally:
        await connection.close()
