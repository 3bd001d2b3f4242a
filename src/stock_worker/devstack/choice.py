"""Law: what the environment names is used; else containers where an engine answers; else processes of our own.

The two servers are chosen apart: one may be named and the other ours. A Docker client without an engine proves nothing,
so the engine is asked for a ping, and has PING_TIMEOUT_S for it.
"""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum

KAFKA_VARIABLE = "STOCK_KAFKA_BOOTSTRAP"
DATABASE_VARIABLE = "STOCK_DATABASE_URL"
PING_TIMEOUT_S = 2


class Way(Enum):
    """Where a server comes from."""

    NAMED = "as the environment names it"
    CONTAINER = "a container"
    PROCESS = "a process of our own"


@dataclass(frozen=True, slots=True)
class Choice:
    """A way for each server, and the reason in words."""

    kafka: Way
    postgres: Way
    why: str

    def without_engine(self, fault: str) -> "Choice":
        """The same choice where the engine turned out to be of no use."""
        kafka, postgres = (Way.PROCESS if way is Way.CONTAINER else way for way in (self.kafka, self.postgres))
        return Choice(kafka, postgres, f"the Docker engine could not: {fault}")


def choose(environment: Mapping[str, str], engine_fault: Callable[[], str | None]) -> Choice:
    """Choose a way for each server; engine_fault, asked only if needed, says why no engine can be used, or None."""
    kafka_named = bool(environment.get(KAFKA_VARIABLE))
    postgres_named = bool(environment.get(DATABASE_VARIABLE))
    if kafka_named and postgres_named:
        return Choice(Way.NAMED, Way.NAMED, f"{KAFKA_VARIABLE} and {DATABASE_VARIABLE} are set")
    fault = engine_fault()
    ours = Way.PROCESS if fault else Way.CONTAINER
    return Choice(
        kafka=Way.NAMED if kafka_named else ours,
        postgres=Way.NAMED if postgres_named else ours,
        why=fault or "a Docker engine answered",
    )


def docker_fault() -> str | None:
    """Ping the Docker engine; return why it cannot be used, None if it can."""
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if address.startswith("unix://") and not _listens(address.removeprefix("unix://")):
        return "no Docker engine runs here"
    try:
        import docker  # noqa: PLC0415 - optional, and slow to import
        import testcontainers.core  # noqa: F401, PLC0415 - the same
    except ImportError:
        return "testcontainers is not installed"
    try:
        with closing(docker.from_env(timeout=PING_TIMEOUT_S)) as client:
            client.ping()
    except Exception:  # noqa: BLE001 - whatever the client finds wrong, there is no engine for us
        return f"no Docker engine answered at {address}"
    return None


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(PING_TIMEOUT_S)
        try:
            trial.connect(path)
        except OSError:
            return False
    return True
