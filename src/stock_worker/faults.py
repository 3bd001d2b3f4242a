"""Faults. Law: the type of a fault is the instruction, and every error of the libraries below has one.

    Fault
    ├── Retry        the world failed: wait and offer the same again, for ever; nothing was lost
    │   └── RetryNow the world moved: offer the same again at once (a race, a deadlock that PostgreSQL broke)
    ├── Quarantine   this record cannot be taken: set it aside, alone, and go on
    └── Stop         nobody but an operator can mend it: end, and say what to do

A refusal is a value and no fault. An exception that no row here names is a bug, and the record it hangs on is set aside
too; `is_bug` tells the two apart, since the breaker counts only bugs. Source: contract rule 13.
"""

import asyncio
import ssl
from typing import Final

import asyncpg
from aiokafka import errors as kafka


class Fault(Exception):  # noqa: N818 - the four names are instructions
    """The root; never raised itself."""


class Retry(Fault):
    """Wait and offer the same again; whatever became of a COMMIT, a repetition is answered by its references."""


class RetryNow(Retry):
    """Offer the same again without waiting: another transaction was faster, or a deadlock was broken."""


class Quarantine(Fault):
    """Set this record aside and go on with its neighbours."""


class Stop(Fault):
    """End the process; the text names what is wrong and what to do."""


Reaction = type[Retry] | type[Quarantine] | type[Stop]

SQLSTATE_CLASSES: Final[dict[str, Reaction]] = {
    # The connection, the transaction or the server: it passes.
    **dict.fromkeys(["08", "40", "53", "55", "57", "58", "72"], Retry),
    # The data: one record among many.
    **dict.fromkeys(["22", "23", "44", "54", "P0"], Quarantine),
    # Our statement in our schema, or rights and names that an operator gives.
    **dict.fromkeys(["0L", "0P", "28", "2B", "3D", "3F", "42", "F0", "HV", "0A"], Stop),
    # Statements that we do not write; if one comes, deciding or saving has a bug: the record is set aside.
    **dict.fromkeys(["01", "02", "03", "09", "0B", "0F", "0Z", "10", "20", "21", "24", "25", "26", "27"], Quarantine),
    **dict.fromkeys(["2D", "2F", "34", "38", "39", "3B", "XX"], Quarantine),
}
"""The first two signs of an SQLSTATE, and what to do."""

SQLSTATES: Final[dict[str, Reaction]] = {
    "40001": RetryNow,  # serialization
    "40P01": RetryNow,  # deadlock: ours was the one broken
    "25006": Retry,  # read only: a replica that is being promoted
    "25P03": Retry,  # the transaction stood idle too long: this process was stopped and woke up
    "25P04": Retry,  # the transaction took too long
    "26000": Retry,  # a prepared statement that a pooler forgot; the next connection prepares again
    "57P04": Stop,  # the database was dropped
    "XX001": Stop,  # corrupted data
    "XX002": Stop,  # corrupted index
}
"""SQLSTATEs that differ from their class."""

DATA_CLASSES: Final = frozenset({"22", "23", "44", "54", "P0"})
"""The classes that say: this record's data, and no bug of ours."""

BACKSTOPS: Final = frozenset({"references_pkey", "parked_commands_pkey", "dead_letters_pkey"})
"""Keys that another worker may have written between our look and our insert: roll back, decide again at once."""

CLIENT_ERRORS: Final[dict[type[BaseException], Reaction]] = {
    asyncpg.InvalidCachedStatementError: Retry,  # the schema moved under a prepared statement
    asyncpg.OutdatedSchemaCacheError: Retry,
    asyncpg.TargetServerAttributeNotMatched: Retry,  # in the middle of a failover
    asyncpg.ClientConfigurationError: Stop,  # the URL
    asyncpg.UnsupportedClientFeatureError: Stop,
    asyncpg.UnsupportedServerFeatureError: Stop,
    asyncpg.InternalClientError: Retry,  # the connection is thrown away with it
    asyncpg.InterfaceError: Retry,  # closed under us, or a call cut off in the middle
    asyncpg.InterfaceWarning: Retry,
    asyncpg.UnknownPostgresError: Quarantine,
    asyncpg.PostgresError: Quarantine,
    asyncpg.FatalPostgresError: Retry,
    ssl.SSLCertVerificationError: Stop,
    OSError: Retry,  # refused, reset, unreachable, timed out, a name that does not resolve
    asyncio.IncompleteReadError: Retry,
    MemoryError: Stop,
    kafka.ConsumerStoppedError: Retry,
    kafka.IllegalOperation: Stop,
}
"""Errors without an SQLSTATE; the nearest of an error's classes decides."""

_KAFKA_PASSES: Final = (
    kafka.KafkaError, kafka.BrokerResponseError,  # raised bare for what aiokafka did not expect
    kafka.NoBrokersAvailable, kafka.NodeNotReadyError, kafka.KafkaProtocolError, kafka.CorrelationIdError,
    kafka.Cancelled,
    kafka.TooManyInFlightRequests, kafka.StaleMetadata, kafka.MetadataEmptyBrokerList, kafka.CommitFailedError,
    kafka.KafkaUnavailableError, kafka.KafkaTimeoutError, kafka.KafkaConnectionError, kafka.QuotaViolationError,
    kafka.NoOffsetForPartitionError, kafka.ProducerClosed, kafka.ProducerFenced, kafka.UnknownError,
    kafka.OffsetOutOfRangeError, kafka.CorruptRecordException, kafka.UnknownTopicOrPartitionError,
    kafka.LeaderNotAvailableError, kafka.NotLeaderForPartitionError, kafka.RequestTimedOutError,
    kafka.BrokerNotAvailableError, kafka.ReplicaNotAvailableError, kafka.StaleControllerEpochError,
    kafka.StaleLeaderEpochCodeError, kafka.GroupLoadInProgressError, kafka.GroupCoordinatorNotAvailableError,
    kafka.NotCoordinatorForGroupError, kafka.NotEnoughReplicasError, kafka.NotEnoughReplicasAfterAppendError,
    kafka.IllegalGenerationError, kafka.UnknownMemberIdError, kafka.RebalanceInProgressError, kafka.NotControllerError,
    kafka.OutOfOrderSequenceNumber, kafka.DuplicateSequenceNumber, kafka.InvalidProducerEpoch, kafka.InvalidTxnState,
    kafka.InvalidProducerIdMapping, kafka.ConcurrentTransactions, kafka.TransactionCoordinatorFenced,
    kafka.KafkaStorageError, kafka.LogDirNotFound, kafka.UnknownProducerId, kafka.ReassignmentInProgress,
    kafka.NonEmptyGroup, kafka.GroupIdNotFound, kafka.FetchSessionIdNotFound, kafka.InvalidFetchSessionEpoch,
    kafka.ListenerNotFound, kafka.MemberIdRequired, kafka.IllegalStateError, kafka.OperationNotAttempted,
    kafka.NoError,
)  # fmt: skip
_KAFKA_RECORD: Final = (
    kafka.RecordTooLargeError, kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError,
    kafka.InvalidTimestampError,
)  # fmt: skip
_KAFKA_OPERATOR: Final = (
    kafka.IllegalArgumentError, kafka.UnrecognizedBrokerVersion, kafka.IncompatibleBrokerVersion,
    kafka.AuthenticationMethodNotSupported, kafka.AuthenticationFailedError, kafka.UnsupportedCodecError,
    kafka.KafkaConfigurationError, kafka.InvalidFetchRequestError, kafka.OffsetMetadataTooLargeError,
    kafka.InvalidTopicError, kafka.InvalidRequiredAcksError, kafka.InconsistentGroupProtocolError,
    kafka.InvalidGroupIdError, kafka.InvalidSessionTimeoutError, kafka.InvalidCommitOffsetSizeError,
    kafka.TopicAuthorizationFailedError, kafka.GroupAuthorizationFailedError, kafka.ClusterAuthorizationFailedError,
    kafka.UnsupportedSaslMechanismError, kafka.IllegalSaslStateError, kafka.UnsupportedVersionError,
    kafka.TopicAlreadyExistsError, kafka.InvalidPartitionsError, kafka.InvalidReplicationFactorError,
    kafka.InvalidReplicationAssignmentError, kafka.InvalidConfigurationError, kafka.InvalidRequestError,
    kafka.UnsupportedForMessageFormatError, kafka.PolicyViolationError, kafka.InvalidTransactionTimeout,
    kafka.TransactionalIdAuthorizationFailed, kafka.SecurityDisabled, kafka.SaslAuthenticationFailed,
    kafka.DelegationTokenAuthDisabled, kafka.DelegationTokenNotFound, kafka.DelegationTokenOwnerMismatch,
    kafka.DelegationTokenRequestNotAllowed, kafka.DelegationTokenAuthorizationFailed, kafka.DelegationTokenExpired,
    kafka.InvalidPrincipalType,
)  # fmt: skip
KAFKA_ERRORS: Final[dict[type[BaseException], Reaction]] = {
    **dict.fromkeys(_KAFKA_PASSES, Retry),
    **dict.fromkeys(_KAFKA_RECORD, Quarantine),
    **dict.fromkeys(_KAFKA_OPERATOR, Stop),
}
"""aiokafka's errors, each by name: none inherits its reaction, so that a new one is noticed."""


def reaction(error: BaseException) -> Reaction:
    """Say what to do about an error. One that no row names is a bug: Quarantine (Retry where it is Kafka's)."""
    return named_reaction(error) or (Retry if isinstance(error, kafka.KafkaError) else Quarantine)


def is_bug(error: BaseException) -> bool:
    """Whether an error to be quarantined is ours and not the data's; the breaker counts these."""
    if isinstance(error, Quarantine):
        return False
    return reaction(error) is Quarantine and sqlstate(error)[:2] not in DATA_CLASSES


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's five signs, or "" for an error that is not of the server.

    asyncpg says "the underlying connection is closed" while it handles the error that closed it: that one has them.
    """
    state: str | None = getattr(error, "sqlstate", None)
    if state is None and isinstance(error, asyncpg.InterfaceError) and error.__context__:
        return sqlstate(error.__context__)
    return state or ""


def named_reaction(error: BaseException) -> Reaction | None:
    """Return the reaction that a row of the tables names, None for a bug."""
    if isinstance(error, Retry | Quarantine | Stop):
        return type(error)
    if isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name in BACKSTOPS:
        return RetryNow
    if isinstance(error, kafka.KafkaError):
        return KAFKA_ERRORS.get(type(error))
    state = sqlstate(error)
    if state and type(error) not in CLIENT_ERRORS:
        return SQLSTATES.get(state) or SQLSTATE_CLASSES.get(state[:2])
    return next((CLIENT_ERRORS[cls] for cls in type(error).__mro__ if cls in CLIENT_ERRORS), None)
