"""Contract rule 13 and section 8: every error of the libraries below has a reaction, none by accident."""

import asyncio
import inspect
import ssl
from collections.abc import Iterator
from types import ModuleType

import asyncpg
import pytest
from aiokafka import errors as kafka

from stock_worker.faults import Quarantine, Retry, RetryNow, Stop, is_bug, named_reaction, reaction


def _below(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for child in root.__subclasses__():
        yield from _below(child)


def _classes_of(module: ModuleType) -> list[type[BaseException]]:
    return sorted(
        {error for error in vars(module).values() if inspect.isclass(error) and issubclass(error, BaseException)},
        key=lambda error: error.__name__,
    )


@pytest.mark.parametrize("error", _classes_of(asyncpg.exceptions), ids=lambda error: error.__name__)
def test_every_error_of_asyncpg_has_a_reaction(error: type[BaseException]) -> None:
    assert named_reaction(error("x")) in {Retry, RetryNow, Quarantine, Stop}


@pytest.mark.parametrize("error", sorted({*_below(kafka.KafkaError)}, key=str), ids=lambda error: error.__name__)
def test_every_error_of_aiokafka_has_a_reaction(error: type[BaseException]) -> None:
    assert named_reaction(error()) in {Retry, Quarantine, Stop}


def _unique(constraint: str) -> asyncpg.UniqueViolationError:
    error = asyncpg.UniqueViolationError("duplicate key")
    error.constraint_name = constraint
    return error


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        # the world
        (asyncpg.ConnectionDoesNotExistError("x"), Retry),
        (asyncpg.InterfaceError("connection is closed"), Retry),
        (asyncpg.AdminShutdownError("x"), Retry),
        (asyncpg.TooManyConnectionsError("x"), Retry),
        (asyncpg.LockNotAvailableError("x"), Retry),
        (asyncpg.IdleInTransactionSessionTimeoutError("x"), Retry),
        (asyncpg.ReadOnlySQLTransactionError("x"), Retry),
        (asyncpg.InvalidCachedStatementError("x"), Retry),
        (asyncpg.DiskFullError("x"), Retry),
        (ConnectionRefusedError(), Retry),
        (TimeoutError(), Retry),
        (asyncio.IncompleteReadError(b"", 1), Retry),
        (kafka.KafkaConnectionError(), Retry),
        (kafka.CommitFailedError(), Retry),
        # races
        (asyncpg.SerializationError("x"), RetryNow),
        (asyncpg.DeadlockDetectedError("x"), RetryNow),
        (_unique("references_pkey"), RetryNow),
        (_unique("parked_commands_pkey"), RetryNow),
        # one record
        (_unique("movements_pkey"), Quarantine),
        (asyncpg.CheckViolationError("x"), Quarantine),
        (asyncpg.UntranslatableCharacterError("x"), Quarantine),
        (asyncpg.CharacterNotInRepertoireError("x"), Quarantine),
        (asyncpg.NumericValueOutOfRangeError("x"), Quarantine),
        (asyncpg.RaiseError("x"), Quarantine),
        (asyncpg.DataError("invalid input for query argument"), Quarantine),
        (kafka.RecordTooLargeError(), Quarantine),
        (KeyError("a bug"), Quarantine),
        (AssertionError("a bug"), Quarantine),
        # an operator
        (asyncpg.InvalidPasswordError("x"), Stop),
        (asyncpg.UndefinedTableError("x"), Stop),
        (asyncpg.InvalidSchemaNameError("x"), Stop),
        (asyncpg.InsufficientPrivilegeError("x"), Stop),
        (asyncpg.InvalidCatalogNameError("x"), Stop),
        (kafka.TopicAuthorizationFailedError(), Stop),
        (kafka.SaslAuthenticationFailed(), Stop),
        (ssl.SSLCertVerificationError(), Stop),
        (MemoryError(), Stop),
        (Retry("already said"), Retry),
        (Stop("already said"), Stop),
    ],
    ids=lambda value: value.__name__ if inspect.isclass(value) else type(value).__name__,
)
def test_the_type_of_a_fault_is_the_instruction(error: BaseException, wanted: type[BaseException]) -> None:
    assert reaction(error) is wanted


@pytest.mark.parametrize(
    ("error", "bug"),
    [
        (KeyError("x"), True),
        (AssertionError(), True),
        (asyncpg.CardinalityViolationError("x"), True),
        (asyncpg.CheckViolationError("x"), False),
        (asyncpg.RaiseError("x"), False),
        (asyncpg.UntranslatableCharacterError("x"), False),
        (Quarantine("x"), False),
        (ConnectionResetError(), False),
    ],
    ids=lambda value: value if isinstance(value, bool) else type(value).__name__,
)
def test_the_breaker_counts_bugs_and_not_data(error: BaseException, bug: bool) -> None:
    assert is_bug(error) is bug


def test_a_new_error_of_kafka_is_noticed_here_and_waited_for_there() -> None:
    class TomorrowsError(kafka.BrokerResponseError):  # type: ignore[misc] # aiokafka has no types
        errno = 9_999

    assert named_reaction(TomorrowsError()) is None
    assert reaction(TomorrowsError()) is Retry
