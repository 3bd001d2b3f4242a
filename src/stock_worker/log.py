"""Logs. Law: one line an occasion, its figures as fields, and no secret in any of them.

An occasion is a batch, a fault, a change of state; never a record. Lines go to standard error through the standard
library, so that libraries' warnings come the same way. Secrets are cut out of the finished line, whatever brought them
there: an exception's text, a URL, a library. Source: contract section 8.
"""

import contextlib
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO
from urllib.parse import unquote, urlsplit

import orjson

Format = Literal["json", "console"]

_FIELDS: Final = "stock_worker_fields"
_REDACTED: Final = "***"
_URL_PASSWORD: Final = re.compile(r"(?P<login>\w+://[^\s:/@]*):[^\s@/]+@")
_SHORTEST_SECRET: Final = 8
"""A shorter one would cut pieces out of innocent words, and guards nothing."""

_AGAIN_S: Final = 60.0
_DETAIL_MAX: Final = 2_000

_QUIETER: Final[Mapping[str, int]] = {
    "aiokafka": logging.WARNING,  # tells every fetch, assignment and metadata update
    "asyncio": logging.WARNING,
    "uvicorn": logging.WARNING,
}


def configure(
    log_format: Format = "json", level: str = "INFO", *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send all logs of the process to `stream` (standard error) in one format; replaces what was configured before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_Repeats())
    handler.setFormatter({"json": _Json, "console": _Console}[log_format](_parts(secrets)))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _QUIETER.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))


def say(logger: logging.Logger, level: int, message: str, /, **fields: object) -> None:
    """Log one occasion: words that a search finds, and its figures as fields."""
    if logger.isEnabledFor(level):
        logger.log(level, message, extra={_FIELDS: fields})


def one_line(error: BaseException) -> str:
    """Say an error in one line: its kind and the first line of its text."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def detail_of(error: BaseException) -> str:
    """Say why a record was set aside, in text that PostgreSQL and Kafka can hold."""
    return one_line(error).encode("utf-8", "replace").decode().replace("\0", "")[:_DETAIL_MAX]


@contextlib.contextmanager
def quiet(name: str) -> Iterator[None]:
    """Let a library say nothing for a moment, where we tell of the same ourselves."""
    library = logging.getLogger(name)
    level = library.level
    library.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        library.setLevel(level)


class _Repeats(logging.Filter):
    """Passes a library's line once a minute: aiokafka tells some ten times a second that a broker is away."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("stock_worker"):
            return True
        line = record.name, str(record.msg)
        if record.created - self._said.get(line, 0.0) < _AGAIN_S:
            return False
        self._said[line] = record.created
        return True


class _Json(logging.Formatter):
    """`{"time", "level", "logger", "message", …fields, "traceback"?}`, one line each."""

    def __init__(self, secrets: "re.Pattern[str] | None") -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        return _redact(orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode(), self._secrets)


class _Console(logging.Formatter):
    """`12:00:01.123 warning worker: message field=value …`, for a person."""

    def __init__(self, secrets: "re.Pattern[str] | None") -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[11:-6]
        fields = "".join(f" {name}={value}" for name, value in getattr(record, _FIELDS, {}).items())
        where = record.name.removeprefix("stock_worker.")
        line = f"{time} {record.levelname.lower():7} {where}: {record.getMessage()}{fields}"
        if record.exc_info and record.exc_info[1]:
            line += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        return _redact(line, self._secrets)


def _redact(line: str, secrets: "re.Pattern[str] | None") -> str:
    if "://" in line:
        line = _URL_PASSWORD.sub(rf"\g<login>:{_REDACTED}@", line)
    return secrets.sub(_REDACTED, line) if secrets else line


def _parts(secrets: Iterable[str]) -> "re.Pattern[str] | None":
    """Make the pattern that finds every secret; of a URL the secret is its password, as written and as meant."""
    words = set()
    for secret in secrets:
        if "://" in secret:
            password = urlsplit(secret).password or ""
            words |= {password, unquote(password)}
        else:
            words.add(secret)
    long_enough = sorted((word for word in words if len(word) >= _SHORTEST_SECRET), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, long_enough))) if long_enough else None
