"""Contract section 8: one line an occasion, its figures as fields, and no secret in any of them."""

import io
import json
import logging

import pytest

from stock_worker import log

URL = "postgresql://stock:p%40ss-w0rd-long@db:5432/stock"


@pytest.fixture(autouse=True)
def _leave_logging_alone() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _said(log_format: log.Format) -> str:
    stream = io.StringIO()
    log.configure(log_format, "INFO", secrets=[URL, "sasl-secret"], stream=stream)
    logger = logging.getLogger("stock_worker.test")
    log.say(logger, logging.INFO, "batch", records=2, outcomes={"applied": 2})
    log.say(logger, logging.DEBUG, "never said")
    log.say(logger, logging.WARNING, f"cannot reach {URL} with p@ss-w0rd-long and sasl-secret")
    logger.error("it failed", exc_info=ValueError(f"bad: {URL}"))
    return stream.getvalue()


def test_json_is_one_object_a_line_with_the_figures_as_fields() -> None:
    lines = [json.loads(line) for line in _said("json").splitlines()]

    assert [line["message"] for line in lines][0::2] == ["batch", "it failed"]
    assert (lines[0]["records"], lines[0]["outcomes"], lines[0]["level"]) == (2, {"applied": 2}, "info")
    assert lines[0]["time"].endswith("Z")
    assert "ValueError" in lines[2]["traceback"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_leaves(log_format: log.Format) -> None:
    said = _said(log_format)

    assert not any(secret in said for secret in ("p%40ss-w0rd-long", "p@ss-w0rd-long", "sasl-secret"))
    assert "postgresql://stock:***@db:5432/stock" in said


def test_console_is_for_a_person() -> None:
    first = _said("console").splitlines()[0]

    assert "info" in first
    assert first.endswith("test: batch records=2 outcomes={'applied': 2}")
