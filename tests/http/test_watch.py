"""What stands around every request: bounds, headers, metrics, one line in the log, and the trace on to the event."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from stock_worker.http.app import BASE
from stock_worker.http.watch import BODY_MAX_BYTES, BURST, RATE, Rates
from stock_worker.log import _FIELDS
from stock_worker.metrics import PREFIX
from tests.http.running import SITE, USER, Api, product, token

RESTOCK = {"lines": [{"product_id": product(1), "quantity": 1}]}
ROUTE = f"{BASE}/sites/{{site}}/restocks"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Lines(logging.Handler):
    """What is logged, as its message and fields."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.getMessage(), getattr(record, _FIELDS, {})))


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the watch logs."""
    handler, logger = Lines(), logging.getLogger("stock_worker.http.watch")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def counted(api: Api) -> dict[tuple[str, str, str], float]:
    """Requests so far by route, method and status, without zeros."""
    return {
        (sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value
        for family in api.metrics.http_requests_total.collect()
        for sample in family.samples
        if sample.value
    }


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_413_whatever_it_says_of_its_length(api: Api, declared: bool) -> None:
    large = json.dumps(RESTOCK | {"note": "x" * BODY_MAX_BYTES}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(large), 65_536):
            yield large[at : at + 65_536]

    content: Any = large if declared else chunks()
    answer = await api.ask("POST", "/restocks", headers={"Idempotency-Key": "k"}, content=content)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), answer.text
    assert ("content-length" in answer.request.headers) is declared


async def test_a_body_at_the_bound_is_read(api: Api) -> None:
    body = json.dumps(RESTOCK).encode()
    answer = await api.ask(
        "POST", "/restocks", headers={"Idempotency-Key": "k"}, content=body + b" " * (BODY_MAX_BYTES - len(body))
    )
    assert answer.status_code == 200, answer.text


def test_an_address_has_its_burst_and_then_its_rate_and_others_are_not_held_up() -> None:
    rates = Rates()
    assert sum(rates.allows("a", 0.0) for _ in range(int(BURST) + 10)) == BURST
    assert rates.allows("b", 0.0)
    assert sum(rates.allows("a", 0.5) for _ in range(int(RATE))) == RATE / 2
    assert sum(rates.allows("a", 1e6) for _ in range(int(BURST) + 10)) == BURST, "no more than that is saved up"


async def test_one_who_asks_too_often_is_429_and_told_when_to_come_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stock_worker.http.watch.BURST", 3.0)
    monkeypatch.setattr("stock_worker.http.watch.RATE", 0.001)
    answers = [await api.get("/nowhere") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
    assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("too_many_requests", "1")


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize("path", ["/restocks", "/nowhere"])
async def test_every_answer_is_safe_in_a_browser(api: Api, path: str) -> None:
    for answer in (await api.write(path, RESTOCK), await api.write(path, RESTOCK, bearer=None), await api.get(path)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


# ---------------------------------------------------------------- metrics


async def test_requests_are_counted_by_template_and_unknown_paths_under_one_label(api: Api) -> None:
    await api.write("/restocks", RESTOCK)
    await api.write("/restocks", RESTOCK, bearer=None)
    await api.ask("DELETE", "/restocks")
    await api.ask("BREW", "/restocks")
    for number in range(3):
        await api.get(f"/nowhere/{number}")
    await api.ask("BREW", "/nowhere")

    assert counted(api) == {
        (ROUTE, "POST", "200"): 1,
        (ROUTE, "POST", "401"): 1,
        (ROUTE, "DELETE", "405"): 1,
        (ROUTE, "-", "405"): 1,
        ("unknown", "-", "404"): 4,
    }
    assert SITE not in api.metrics.exposition().decode()
    timed = api.metrics.registry.get_sample_value(PREFIX + "http_request_seconds_count", {"route": ROUTE})
    assert timed == 4


# ---------------------------------------------------------------- the log


async def test_a_request_is_one_line_with_who_and_what_and_without_the_token(api: Api, lines: Lines) -> None:
    bearer = token()
    await api.write("/restocks", RESTOCK, bearer=bearer, headers={"traceparent": TRACE})
    ((message, fields),) = lines.seen
    assert message == "request"
    assert fields.pop("seconds") >= 0
    assert fields == {"method": "POST", "route": ROUTE, "status": 200, "subject": USER, "trace": TRACE}
    assert bearer not in repr(lines.seen)


async def test_one_whom_nobody_knows_is_a_line_without_a_subject(api: Api, lines: Lines) -> None:
    await api.write("/restocks", RESTOCK, bearer="nonsense")
    ((_, fields),) = lines.seen
    assert (fields["status"], fields["subject"]) == (401, None)


async def test_a_header_that_is_no_trace_does_not_fill_the_log(api: Api, lines: Lines) -> None:
    await api.write("/restocks", RESTOCK, headers={"traceparent": "x" * 10_000})
    assert len(lines.seen[0][1]["trace"]) == len(TRACE)


# ---------------------------------------------------------------- the trace


async def test_the_trace_of_a_write_is_on_its_events(api: Api) -> None:
    await api.write("/restocks", RESTOCK, headers={"traceparent": TRACE})
    async with api.backend._steerers.acquire() as connection:  # type: ignore[union-attr] # open in this test
        rows = await connection.fetch("SELECT topic, header_names, header_values FROM stock.outbox")
    traced = {row["topic"]: (row["header_names"], row["header_values"]) for row in rows}
    assert traced.pop("stock-level") == (None, None), "a state is of many commands"
    assert set(traced) >= {"stock-changed", "adjustment-applied"}
    assert all(headers == (["traceparent"], [TRACE.encode()]) for headers in traced.values()), traced


async def test_requests_at_once_are_told_apart(api: Api, lines: Lines) -> None:
    await asyncio.gather(*(api.write("/restocks", RESTOCK, bearer=token(sub=f"user {n}")) for n in range(20)))
    assert {fields["subject"] for _, fields in lines.seen} == {f"user {n}" for n in range(20)}
