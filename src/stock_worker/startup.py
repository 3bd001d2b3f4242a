"""The start. Law: what passes is waited for and told once; what only an operator can mend ends the start in one line.

Before any part runs, the database answers as the role that the worker takes, at the schema's revision, and the broker
answers with every topic. Until then the process is alive, not ready, and says what it waits for. Contract section 8.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.conn import create_conn

from stock_worker.core.topics import COMMAND_TOPICS, EVENT_TOPICS, dead_letter_topic
from stock_worker.faults import Quarantine, Stop, reaction, sqlstate
from stock_worker.log import one_line, quiet, say
from stock_worker.settings import Settings, kafka_client_options
from stock_worker.store.engine import connect
from stock_worker.store.revision import NEEDED, read_revision

logger = logging.getLogger(__name__)

_ASK_AGAIN_S: Final = 1.0
_ANSWER_TIMEOUT_MS: Final = 5_000
_GIVE_UP_S: Final = 2.0
_NAMED_AT_MOST: Final = 3

Waits = dict[str, str]
"""What the start waits for, by name; readiness tells it."""


async def wait_for_the_world(settings: Settings, waits: Waits) -> None:
    """Wait until the database and the broker can be used. Raises Stop."""
    waits |= {"PostgreSQL": "PostgreSQL has not answered yet", "Kafka": "Kafka has not answered yet"}
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(until_it_works("PostgreSQL", lambda: ask_database(settings), waits))
            both.create_task(until_it_works("Kafka", lambda: ask_kafka(settings), waits))
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None


async def until_it_works(what: str, attempt: Callable[[], Awaitable[None]], waits: Waits) -> None:
    """Try until it works; the first failure is told in one line. Raises Stop with what to do."""
    told = False
    while True:
        try:
            await attempt()
        except Stop:
            raise
        except Exception as error:
            kind = reaction(error)
            if kind is Stop or kind is Quarantine:
                raise Stop(f"{what}: {one_line(error)}; {advice(error)}") from error
            waits[what] = f"waiting for {what}: {one_line(error)}"
            if not told:
                say(logger, logging.WARNING, f"{what} is down; waiting", error=one_line(error))
            told = True
            await asyncio.sleep(_ASK_AGAIN_S)
        else:
            waits.pop(what, None)
            if told:
                say(logger, logging.INFO, f"{what} is up")
            return


def advice(error: BaseException) -> str:
    """Say what to do about an error that only an operator can mend."""
    state = sqlstate(error)
    return next((words for start, words in _ADVICE if state.startswith(start)), "see: stock-worker doctor")


_ADVICE: Final = (
    ("28", "correct the user and the password in STOCK_DATABASE_URL"),
    ("3D", "create the database, or correct STOCK_DATABASE_URL"),
    ("42501", "run stock-worker migrate as the owner of the database, which lets this login act as stock_worker"),
    ("42", "run: stock-worker migrate"),
    ("3F", "run: stock-worker migrate"),
    ("22023", "run: stock-worker migrate"),  # SET ROLE to a role that does not exist
)


async def ask_database(settings: Settings) -> None:
    """Connect as the worker will, and compare the schema's revision with ours. Raises Stop, and asyncpg's errors."""
    connection = await connect(settings.database_url, "stock_worker", application_name="stock-worker start")
    try:
        revision = await read_revision(connection)
    finally:
        connection.terminate()
    if revision is None or revision < NEEDED:
        found = f"at revision {revision}" if revision else "not migrated"
        raise Stop(f"the database is {found}, and this release needs {NEEDED}; run: stock-worker migrate")
    if revision > NEEDED:
        say(logger, logging.WARNING, "the schema is newer than this release", revision=revision, ours=NEEDED)


async def ask_kafka(settings: Settings) -> None:
    """Connect, and look whether every topic is there."""
    options = kafka_client_options(settings)
    consumer = AIOKafkaConsumer(**options, request_timeout_ms=_ANSWER_TIMEOUT_MS)
    with quiet("aiokafka"):
        starting = asyncio.ensure_future(consumer.start())
        try:
            await asyncio.shield(starting)
            there = await consumer.topics()
        except Exception as error:
            await _raise_if_operators(options, error)
            raise
        finally:
            # Cancelled while it opens a connection, aiokafka forgets it, and Python complains of that in a second line.
            if not starting.done():
                await asyncio.wait([starting], timeout=_GIVE_UP_S)
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
            await consumer.stop()
    wanted = [*COMMAND_TOPICS, *map(dead_letter_topic, COMMAND_TOPICS), *EVENT_TOPICS]
    missing = [name for topic in wanted if (name := settings.topic_prefix + topic) not in there]
    if missing:
        more = len(missing) - _NAMED_AT_MOST
        some = ", ".join(missing[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
        raise Stop(f"Kafka has no topic {some}; run: stock-worker topics create")


async def _raise_if_operators(options: dict[str, Any], error: Exception) -> None:
    """Ask the first broker again for the reason that aiokafka's bootstrap only logs. Raises Stop."""
    if options["security_protocol"] == "PLAINTEXT":
        return
    host, _, port = options["bootstrap_servers"][0].rpartition(":")
    more = {name: value for name, value in options.items() if name not in {"bootstrap_servers", "client_id"}}
    try:
        connection = await create_conn(host, int(port), request_timeout_ms=_ANSWER_TIMEOUT_MS, **more)
    except Exception as reason:  # noqa: BLE001 - only its reaction counts
        if reaction(reason) is Stop:
            advised = "correct STOCK_KAFKA_SECURITY_PROTOCOL, STOCK_KAFKA_SASL_* and STOCK_KAFKA_SSL_*"
            raise Stop(f"Kafka: {one_line(reason)}; {advised}") from error
        return
    connection.close()
