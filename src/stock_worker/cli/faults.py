"""Words for a fault. Law: what an operator can mend is one line that names the thing and says what to do.

An error that no row names is a bug, and keeps its traceback. No line holds a password: a database is named by host,
port and name. Source: contract section 8.
"""

import os
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import asyncpg
from aiokafka import errors as kafka

from stock_worker.cli.terminal import FINDING, USAGE, Misused, Unfit
from stock_worker.devstack import StartFailed
from stock_worker.faults import Fault
from stock_worker.settings import SettingsError
from stock_worker.store.engine import WORKER
from stock_worker.store.revision import RevisionUnknown, ServerTooOld
from stock_worker.store.roles import RolesNeeded


class Words(NamedTuple):
    """What to say of a fault, and the exit code to end with."""

    text: str
    exit_code: int = FINDING


def explained(fault: BaseException) -> Words | None:
    """Say a fault in words; None for a bug."""
    if isinstance(fault, BaseExceptionGroup):
        told = [explained(part) for part in fault.exceptions]
        return told[0] if told and None not in told else None
    return next((say(fault) for cls in type(fault).__mro__ for known, say in _SAYINGS if cls is known), None)


def database_name(url: str | None = None) -> str:
    """Name the database of a URL without its password: host:port/name."""
    try:
        parts = urlsplit(url if url is not None else os.environ.get("STOCK_DATABASE_URL", ""))
        return f"{parts.hostname or 'localhost'}:{parts.port or 5432}/{parts.path.lstrip('/')}"
    except ValueError:
        return "STOCK_DATABASE_URL"


def _plain(fault: BaseException) -> Words:
    return Words(str(fault))


def _first_line(fault: BaseException) -> str:
    lines = str(fault).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(fault).__name__


def _with(advice: str) -> Callable[[BaseException], Words]:
    return lambda fault: Words(f"{_first_line(fault)}; {advice}")


def _lost_server(fault: BaseException) -> Words:
    reason = "no answer in time" if isinstance(fault, TimeoutError) else _first_line(fault)
    return Words(f"PostgreSQL does not answer: {reason}; start it, or correct STOCK_DATABASE_URL")


_LOGIN: Final = _with("correct the user and the password in STOCK_DATABASE_URL")
_MIGRATE: Final = _with("run: stock-worker migrate")
_BROKER: Final = _with("start Kafka, or correct STOCK_KAFKA_BOOTSTRAP")
_KAFKA_LOGIN: Final = _with("correct STOCK_KAFKA_SECURITY_PROTOCOL and STOCK_KAFKA_SASL_*")

_SAYINGS: Final[tuple[tuple[type[BaseException], Callable[[BaseException], Words]], ...]] = (
    (SettingsError, lambda fault: Words(str(fault), USAGE)),
    (Misused, lambda fault: Words(str(fault), USAGE)),
    (Unfit, _plain),
    (Fault, _plain),
    (StartFailed, _plain),
    (RolesNeeded, _plain),
    (ServerTooOld, _with("upgrade the server")),
    (RevisionUnknown, _with("use the newer release that made it, also to go down from there")),
    # PostgreSQL
    (asyncpg.InvalidPasswordError, _LOGIN),
    (asyncpg.InvalidAuthorizationSpecificationError, _LOGIN),
    (asyncpg.InvalidCatalogNameError, _with("create the database, or correct STOCK_DATABASE_URL")),
    (asyncpg.UndefinedTableError, _MIGRATE),
    (asyncpg.UndefinedColumnError, _MIGRATE),
    (asyncpg.InvalidSchemaNameError, _MIGRATE),
    (asyncpg.InvalidParameterValueError, _MIGRATE),  # SET ROLE to one that does not exist
    (
        asyncpg.InsufficientPrivilegeError,
        _with(f"this login must be able to act as {WORKER}: run stock-worker migrate as the owner of the database"),
    ),
    (asyncpg.ClientConfigurationError, _with("correct STOCK_DATABASE_URL")),
    (asyncpg.TooManyConnectionsError, _with("free connections, or raise max_connections")),
    (asyncpg.ReadOnlySQLTransactionError, _with("this is a replica: name the primary in STOCK_DATABASE_URL")),
    (asyncpg.PostgresConnectionError, _lost_server),
    (asyncpg.CannotConnectNowError, _lost_server),
    (asyncpg.AdminShutdownError, _lost_server),
    (asyncpg.CrashShutdownError, _lost_server),
    (asyncpg.InterfaceError, _lost_server),
    # Kafka
    (kafka.KafkaConnectionError, _BROKER),
    (kafka.NoBrokersAvailable, _BROKER),
    (kafka.KafkaTimeoutError, _BROKER),
    (kafka.RequestTimedOutError, _BROKER),
    (kafka.NodeNotReadyError, _BROKER),
    (kafka.AuthenticationFailedError, _KAFKA_LOGIN),
    (kafka.SaslAuthenticationFailed, _KAFKA_LOGIN),
    (kafka.UnsupportedSaslMechanismError, _KAFKA_LOGIN),
    (kafka.AuthenticationMethodNotSupported, _KAFKA_LOGIN),
    (kafka.TopicAuthorizationFailedError, _with("grant this login the topics, with their prefix")),
    (kafka.GroupAuthorizationFailedError, _with("grant this login the group of STOCK_GROUP_ID")),
    (kafka.ClusterAuthorizationFailedError, _with("grant this login idempotent writes, or create the topics yourself")),
    (kafka.UnsupportedVersionError, _with("upgrade Kafka; stock-worker doctor says what is needed")),
    (kafka.IncompatibleBrokerVersion, _with("upgrade Kafka; stock-worker doctor says what is needed")),
    (kafka.UnrecognizedBrokerVersion, _with("upgrade Kafka; stock-worker doctor says what is needed")),
    (kafka.UnknownTopicOrPartitionError, _with("run: stock-worker topics create")),
    (kafka.KafkaError, _with("see stock-worker doctor")),
    # The network; aiokafka wraps its own, so these are PostgreSQL's.
    (ssl.SSLCertVerificationError, _with("the server's certificate is not trusted: name its authority")),
    (OSError, _lost_server),
)
"""Error → its words; the nearest of an error's classes decides."""
