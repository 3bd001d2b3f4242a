"""An ordinary login removes its databases, with whoever is in them."""

import asyncio
from time import monotonic
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from stock_worker import devstack
from stock_worker.devstack.databases import drop_database

FILL = """
CREATE TABLE slow (n bigint) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
INSERT INTO slow SELECT generate_series(1, 200000);
DELETE FROM slow;
"""
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'autovacuum worker'"


async def test_a_database_goes_with_our_sessions_and_with_autovacuum_at_work_in_it() -> None:
    with devstack.stack(environment={}, postgres_settings={"autovacuum_naptime": "1s"}) as stack:
        assert stack.superuser_url is not None
        server = await asyncpg.connect(stack.database_url)
        watching = await asyncpg.connect(stack.superuser_url)  # nobody else is shown what belongs to the superuser
        await server.execute("CREATE DATABASE going")
        inside = await asyncpg.connect(urlunsplit(urlsplit(stack.database_url)._replace(path="/going")))
        await inside.execute(FILL)
        deadline = monotonic() + 60
        while not await watching.fetchval(AT_WORK, "going"):
            assert monotonic() < deadline, "autovacuum never came"
            await asyncio.sleep(0.1)
        await drop_database(stack.database_url, "going")
        assert not await server.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'going'")
        inside.terminate()
        await watching.close()
        await server.close()
