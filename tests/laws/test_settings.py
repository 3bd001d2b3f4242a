"""Contract section 8, configuration: names, defaults, what is checked at start, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest

from stock_worker.settings import PREFIX, Settings, SettingsError, kafka_client_options, read
from tests.laws.docs_tables import table

LEAST = {"STOCK_KAFKA_BOOTSTRAP": "kafka:9092", "STOCK_DATABASE_URL": "postgresql://stock:hush-hush@db/stock"}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415 - only here

    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def _read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **more: str) -> tuple[Settings, list[str]]:
    for name, value in {**LEAST, **more}.items():
        monkeypatch.setenv(name, value)
    return read(tmp_path / ".env")


def test_docs_and_code_name_the_same_settings_with_the_same_defaults() -> None:
    said = {row[0]: row[1] for row in table("settings")}
    made = {PREFIX + name.upper(): _default(field) for name, field in Settings.model_fields.items()}

    assert said == made


def _default(field: Any) -> str:  # noqa: ANN401 - pydantic's FieldInfo
    if field.is_required():
        return "required"
    if field.default is None:
        return "unset"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default) or "empty"


def test_the_defaults_hold_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings, warnings = _read(monkeypatch, tmp_path)

    assert (settings.batch_max_records, settings.heartbeat_interval_ms, warnings) == (1000, 3000, [])


def test_a_file_that_is_no_text_is_a_bad_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"STOCK_TOPIC_PREFIX=caf\xe9\n")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        _read(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:p%40ss@db/stock",
        "postgres://db:5432/stock",
        "postgresql:///stock?host=/run/postgresql",
        "postgresql://me@db1:5432,db2:5433/stock?target_session_attrs=primary",
        "postgresql://me@[::1]:5432/stock",
    ],
)
def test_a_database_may_be_named_as_postgresql_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    assert _read(monkeypatch, tmp_path, STOCK_DATABASE_URL=url)[0].database_url == url


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"STOCK_KAFKA_BOOTSTRAP": ""}, ["STOCK_KAFKA_BOOTSTRAP is not set", "kafka1:9092"]),
        ({"STOCK_KAFKA_BOOTSTRAP": "kafka"}, ["STOCK_KAFKA_BOOTSTRAP: is not a list of host:port"]),
        ({"STOCK_KAFKA_BOOTSTRAP": "kafka:99999"}, ["STOCK_KAFKA_BOOTSTRAP: is not a list of host:port"]),
        ({"STOCK_KAFKA_BOOTSTRAP": "kafka1:9092,kafka2:0"}, ["STOCK_KAFKA_BOOTSTRAP: is not a list of host:port"]),
        ({"STOCK_DATABASE_URL": ""}, ["STOCK_DATABASE_URL is not set", "postgresql://"]),
        ({"STOCK_DATABASE_URL": "mysql://db/stock"}, ["STOCK_DATABASE_URL: is no PostgreSQL URL"]),
        ({"STOCK_DATABASE_URL": "postgresql://me@db:port/stock"}, ["STOCK_DATABASE_URL: is no PostgreSQL URL"]),
        ({"STOCK_DATABASE_URL": "postgresql://me@db:99999/stock"}, ["STOCK_DATABASE_URL: is no PostgreSQL URL"]),
        ({"STOCK_DATABASE_URL": "postgresql://me@[db/stock"}, ["STOCK_DATABASE_URL: is no PostgreSQL URL"]),
        ({"STOCK_TOPIC_PREFIX": "shop/"}, ["STOCK_TOPIC_PREFIX"]),
        ({"STOCK_BATCH_MAX_LINES": "999"}, ["STOCK_BATCH_MAX_LINES", "1000"]),
        ({"STOCK_PARKED_TTL_HOURS": "0"}, ["STOCK_PARKED_TTL_HOURS"]),
        ({"STOCK_HTTP_PORT": "tcp://10.0.0.1:80"}, ["STOCK_HTTP_PORT", "enableServiceLinks"]),
        ({"STOCK_LOG_FORMAT": "xml"}, ["STOCK_LOG_FORMAT", "json"]),
        (
            {"STOCK_BATCH_MAX_WAIT_MS": "9000", "STOCK_OUTBOX_MAX_ROWS": "1000", "STOCK_BATCH_MAX_RECORDS": "5000"},
            ["STOCK_BATCH_MAX_WAIT_MS must be at most a tenth", "STOCK_OUTBOX_MAX_ROWS must be at least"],
        ),
        ({"STOCK_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, ["set STOCK_KAFKA_SASL_MECHANISM"]),
        ({"STOCK_KAFKA_SASL_USERNAME": "me"}, ["STOCK_KAFKA_SASL_* are set"]),
        ({"STOCK_KAFKA_SSL_CAFILE": "/nowhere/ca.pem"}, ["STOCK_KAFKA_SSL_CAFILE: names a file that cannot be read"]),
        ({"STOCK_JWT_KEY": "k" * 40, "STOCK_JWKS_URL": "https://issuer/jwks"}, ["exclude each other"]),
    ],
    ids=lambda value: "-".join(value)[:60] if isinstance(value, dict) else None,
)
def test_what_cannot_be_is_said_by_name_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: dict[str, str], said: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        _read(monkeypatch, tmp_path, **more)

    for words in said:
        assert words in str(caught.value)


def test_an_unknown_name_is_an_error_in_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STOCK_GROUP_ID=from-file\nSTOCK_TOPIK_PREFIX=x\nOTHERS=fine\n")

    with pytest.raises(SettingsError, match=r"STOCK_TOPIK_PREFIX in .*: is no setting"):
        _read(monkeypatch, tmp_path)


def test_an_unknown_name_is_a_warning_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings, warnings = _read(monkeypatch, tmp_path, STOCK_WORKER_PORT="tcp://10.0.0.1:8080")

    assert warnings == ["STOCK_WORKER_PORT in the environment is no setting of stock-worker and is ignored"]
    assert settings.http_port == 8080


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STOCK_GROUP_ID=from-file\nSTOCK_TOPIC_PREFIX=file-\n")

    settings, _ = _read(monkeypatch, tmp_path, STOCK_GROUP_ID="from-environment")

    assert (settings.group_id, settings.topic_prefix) == ("from-environment", "file-")


def test_no_secret_is_in_a_repr_or_in_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sasl = {"STOCK_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "STOCK_KAFKA_SASL_MECHANISM": "PLAIN"}
    login = {"STOCK_KAFKA_SASL_USERNAME": "me", "STOCK_KAFKA_SASL_PASSWORD": "s3cret-word", "STOCK_JWT_KEY": "k3y" * 9}
    settings, _ = _read(monkeypatch, tmp_path, **sasl, **login)

    assert not any(secret in repr(settings) for secret in ("hush-hush", "s3cret-word", "k3yk3y"))
    assert kafka_client_options(settings)["sasl_plain_password"] == "s3cret-word"
    with pytest.raises(SettingsError) as caught:
        _read(monkeypatch, tmp_path, **sasl, **login, STOCK_DATABASE_URL="mysql://me:hush-hush@db/x")
    assert "hush-hush" not in str(caught.value)
