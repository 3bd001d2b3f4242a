"""Settings. Law: what runs was said in `STOCK_` variables or defaults here, is checked at start, and is told by name.

Each field is the variable's name in lower case without `STOCK_`. The environment wins over the file `.env`. A name that
nobody knows is an error in the file, which is ours, and a warning in the environment, where orchestrators inject their
own. Secrets appear in no repr and no log. Source: contract section 8.
"""

import os
import ssl
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "STOCK_"
ENV_FILE: Final = ".env"

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

MAX_LINES_OF_A_COMMAND: Final = 1_000
"""Contract section 3; a batch that could not take the largest command would never take it."""
HEARTBEATS_PER_SESSION: Final = 3
_PORT_MAX: Final = 65_535


class SettingsError(Exception):
    """Settings that cannot be: the text names every variable at fault and says what to do."""


class Settings(BaseSettings):
    """Every setting, its default and its limits; docs/contract.md section 8 says what each is for."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,  # compose files hand down empty variables; empty means not set
        extra="ignore",  # unknown names are judged by `read`, which knows where they stand
        frozen=True,
        hide_input_in_errors=True,
    )

    kafka_bootstrap: str
    database_url: Annotated[str, Field(repr=False)]  # holds a password

    topic_prefix: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    group_id: Annotated[str, Field(min_length=1, max_length=200)] = "stock-worker"
    group_instance_id: Annotated[str | None, Field(max_length=200)] = None
    kafka_session_timeout_ms: Annotated[int, Field(ge=6_000, le=1_800_000)] = 45_000
    topic_partitions: Annotated[int, Field(ge=1, le=10_000)] = 12
    topic_replication: Annotated[int, Field(ge=1, le=10)] = 1

    batch_max_records: Annotated[int, Field(ge=1, le=20_000)] = 1_000
    batch_max_lines: Annotated[int, Field(ge=MAX_LINES_OF_A_COMMAND, le=1_000_000)] = 10_000
    batch_max_wait_ms: Annotated[int, Field(ge=1, le=60_000)] = 60

    event_source: Annotated[str, Field(min_length=1, max_length=500)] = "stock-worker"
    emit_applied: bool = True
    parked_ttl_hours: Annotated[Decimal, Field(gt=0, le=24 * 3_650)] = Decimal(168)

    outbox_max_rows: Annotated[int, Field(ge=1_000, le=100_000_000)] = 200_000
    outbox_max_age_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    breaker_faults: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    breaker_window_s: Annotated[int, Field(ge=1, le=86_400)] = 60

    http_host: str = "0.0.0.0"  # noqa: S104 - a container is asked from outside; the port's openness is the operator's
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8_080

    jwt_key: SecretStr | None = None
    jwks_url: str | None = None
    jwt_audience: str | None = None
    jwt_issuer: str | None = None

    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    kafka_sasl_mechanism: SaslMechanism | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: Path | None = None
    kafka_ssl_certfile: Path | None = None
    kafka_ssl_keyfile: Path | None = None
    kafka_ssl_password: SecretStr | None = None

    log_format: Literal["json", "console"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    demo_seconds: Annotated[int | None, Field(ge=1)] = None

    @field_validator("log_level", "kafka_security_protocol", "kafka_sasl_mechanism", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("kafka_bootstrap")
    @classmethod
    def _hosts_and_ports(cls, value: str) -> str:
        hosts = [host.strip() for host in value.split(",")]
        for host in hosts:
            name, colon, port = host.rpartition(":")
            if not (name and colon and _is_port(port)):
                raise PydanticCustomError("bootstrap", "is not a list of host:port; write kafka1:9092,kafka2:9092")
        return ",".join(hosts)

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, value: str) -> str:
        if not _is_postgresql(value):
            raise PydanticCustomError(
                "database_url", "is no PostgreSQL URL; write postgresql://user:password@host/name"
            )
        return value

    @field_validator("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not os.access(value, os.R_OK):
            raise PydanticCustomError("file", "names a file that cannot be read; check the path and its rights")
        return value

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        """Check the limits against each other: each pair would otherwise fail in production and not at start."""
        said = [words for wrong, words in _disagreements(self) if wrong]
        if said:
            raise PydanticCustomError("limits", "{said}", {"said": "\n".join(said)})
        return self

    @property
    def heartbeat_interval_ms(self) -> int:
        """Three heartbeats fit in a session, and never fewer than one in three seconds."""
        return min(3_000, self.kafka_session_timeout_ms // HEARTBEATS_PER_SESSION)

    def secrets(self) -> list[str]:
        """Give what no log may show; a URL stands for the password in it."""
        secrets = (self.kafka_sasl_password, self.kafka_ssl_password, self.jwt_key)
        return [self.database_url, *(secret.get_secret_value() for secret in secrets if secret)]


def _disagreements(settings: Settings) -> Sequence[tuple[bool, str]]:
    """Give, row by row: do these disagree, and what to say then."""
    sasl = settings.kafka_security_protocol.startswith("SASL_")
    encrypted = settings.kafka_security_protocol.endswith("SSL")
    named = (settings.kafka_sasl_mechanism, settings.kafka_sasl_username, settings.kafka_sasl_password)
    files = (settings.kafka_ssl_cafile, settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return (
        (
            settings.batch_max_wait_ms * 10 > settings.kafka_session_timeout_ms,
            "STOCK_BATCH_MAX_WAIT_MS must be at most a tenth of STOCK_KAFKA_SESSION_TIMEOUT_MS; lower the first",
        ),
        (
            settings.outbox_max_rows < settings.batch_max_records,
            "STOCK_OUTBOX_MAX_ROWS must be at least STOCK_BATCH_MAX_RECORDS, else one batch fills it; raise the first",
        ),
        (
            sasl and None in named,
            "STOCK_KAFKA_SECURITY_PROTOCOL is SASL: set STOCK_KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD",
        ),
        (
            not sasl and any(value is not None for value in named),
            "STOCK_KAFKA_SASL_* are set, but STOCK_KAFKA_SECURITY_PROTOCOL does not use them: set it to SASL_SSL",
        ),
        (
            not encrypted and any(value is not None for value in files),
            "STOCK_KAFKA_SSL_* are set, but STOCK_KAFKA_SECURITY_PROTOCOL does not encrypt: set it to SSL or SASL_SSL",
        ),
        (
            settings.kafka_ssl_keyfile is not None and settings.kafka_ssl_certfile is None,
            "STOCK_KAFKA_SSL_KEYFILE needs STOCK_KAFKA_SSL_CERTFILE beside it",
        ),
        (
            settings.jwt_key is not None and settings.jwks_url is not None,
            "STOCK_JWT_KEY and STOCK_JWKS_URL exclude each other: set one",
        ),
    )


def read(env_file: str | Path = ENV_FILE, environment: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """Read and check the settings; also say what to warn of (unknown names in the environment).

    `environment` is where unknown names are looked for, the process's own by default. Raises SettingsError.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    strangers = sorted(name for name in _names_in(env_file) if _is_ours(name) and name.upper() not in known)
    faults = [
        f"{name} in {env_file}: is no setting of stock-worker; remove it or correct the name" for name in strangers
    ]
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        raise SettingsError("\n".join([*faults, *map(_fault, error.errors())])) from None
    if faults:
        raise SettingsError("\n".join(faults))
    around = os.environ if environment is None else environment
    warnings = [
        f"{name} in the environment is no setting of stock-worker and is ignored"
        for name in sorted(around)
        if _is_ours(name) and name.upper() not in known
    ]
    return settings, warnings


def kafka_client_options(settings: Settings) -> dict[str, object]:
    """Give the arguments that every aiokafka client of this service is opened with."""
    options: dict[str, object] = {
        "bootstrap_servers": settings.kafka_bootstrap.split(","),
        "client_id": "stock-worker",
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.kafka_sasl_mechanism and settings.kafka_sasl_password:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return options


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Make the TLS context for the brokers, None where the protocol is not encrypted."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile:
        password = settings.kafka_ssl_password
        context.load_cert_chain(
            settings.kafka_ssl_certfile,
            settings.kafka_ssl_keyfile,
            password.get_secret_value() if password else None,
        )
    return context


def _is_postgresql(url: str) -> bool:
    """Whether this is a URL of one PostgreSQL server or of several, each with a port that can be one."""
    try:
        parts = urlsplit(url)
    except ValueError:  # half of an IPv6 address
        return False
    hosts = [host.rpartition("]")[2] for host in parts.netloc.rpartition("@")[2].split(",")]
    ports = [host.partition(":")[2] for host in hosts if ":" in host]
    return parts.scheme in {"postgresql", "postgres"} and all(map(_is_port, ports))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) <= _PORT_MAX


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _names_in(env_file: str | Path) -> list[str]:
    path = Path(env_file)
    try:
        return list(dotenv_values(path, encoding="utf-8")) if path.is_file() else []
    except OSError as error:
        raise SettingsError(f"{env_file} cannot be read: {error.strerror}; correct its rights") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} is not UTF-8; save it as UTF-8") from None


def _fault(detail: ErrorDetails) -> str:
    """Say one fault in one line: the variable, what is wrong, what to do."""
    field = str(detail["loc"][0]) if detail["loc"] else ""
    name = PREFIX + field.upper()
    if detail["type"] == "limits":
        return detail["msg"]
    if detail["type"] == "missing":
        return f"{name} is not set; {_MISSING.get(field, 'set it')}"
    words = f"{name}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
    return words + _INJECTED if os.environ.get(name, "").startswith("tcp://") else words


_INJECTED: Final = "; Kubernetes injects it for a Service of that name: set enableServiceLinks: false on the pod"
_MISSING: Final = {
    "kafka_bootstrap": "set it to the brokers, e.g. STOCK_KAFKA_BOOTSTRAP=kafka1:9092,kafka2:9092",
    "database_url": "set it to the database, e.g. STOCK_DATABASE_URL=postgresql://stock:secret@db/stock",
}
