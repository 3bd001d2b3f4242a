"""Errors as problem details: what the surroundings do to a request, and that nothing of ours leaks."""

import asyncio
import logging
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
from fastapi import Body, FastAPI
from starlette.exceptions import HTTPException

from stock_worker.http import backend
from stock_worker.http.app import create_app
from stock_worker.http.problems import TITLES, Problem, of_fault
from stock_worker.http.watch import BODY_MAX_BYTES
from stock_worker.metrics import PREFIX
from tests.flow.running import until
from tests.flow.wires import wires
from tests.http.running import Api, product, serving

RESTOCK = {"lines": [{"product_id": product(1), "quantity": 1}]}


@pytest.fixture
async def odd(api: Api) -> Any:  # noqa: ANN401 - a client
    """The application with routes that fail in ways of their own."""
    app = create_app(api.backend, api.metrics)
    _add(app, api)
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://stock.test") as client:
        yield client


def _add(app: FastAPI, api: Api) -> None:
    @app.get("/slow")
    async def slow() -> None:
        async with api.backend.reading(()) as connection:
            await connection.execute("SET LOCAL statement_timeout = '50ms'")
            await connection.execute("SELECT pg_sleep(5)")

    @app.get("/bug")
    async def bug() -> None:
        raise KeyError("a secret inside")

    @app.get("/away")
    async def away() -> None:
        raise ConnectionRefusedError("at 10.0.0.1")

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "no coffee")

    @app.post("/form")
    async def form(said: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        return said


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/slow", 503, "timed_out"),
        ("/away", 503, "unavailable"),
        ("/bug", 500, "internal_error"),
        ("/teapot", 422, "malformed"),
        ("/nowhere", 404, "not_found"),
        ("/form", 405, "method_not_allowed"),
    ],
)
async def test_whatever_happens_is_a_problem_counted_and_under_the_same_headers(
    api: Api, odd: httpx.AsyncClient, path: str, status: int, code: str
) -> None:
    answer = await odd.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    told = answer.json()
    assert {name: told[name] for name in ("type", "status", "title", "code")} == {
        "type": f"urn:stock-worker:problem:{code}",
        "status": status,
        "title": TITLES[code][1],
        "code": code,
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("retry-after" in answer.headers) is (status == 503)
    assert not any(word in answer.text for word in ("secret", "10.0.0.1", "Traceback", "pg_sleep"))
    route = "unknown" if path == "/nowhere" else path
    method = "-" if path == "/nowhere" else "GET"
    labels = {"route": route, "method": method, "status": str(status)}
    assert api.metrics.registry.get_sample_value(PREFIX + "http_requests_total", labels) == 1


async def test_a_bug_has_its_traceback_in_the_log_and_a_database_that_is_away_one_line(
    odd: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await odd.get("/bug")
        await odd.get("/away")
    bug, away = (record for record in caplog.records if record.name == "stock_worker.http.problems")
    assert bug.exc_info
    assert not away.exc_info


async def test_a_body_that_the_framework_reads_is_bounded_too(odd: httpx.AsyncClient) -> None:
    answer = await odd.post("/form", content=b'{"x": "' + b"x" * BODY_MAX_BYTES + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_what_does_not_fit_its_fields_is_named(odd: httpx.AsyncClient) -> None:
    told = (await odd.post("/form", json=[1])).json()
    assert (told["code"], told["errors"][0]["field"]) == ("malformed", "body")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (asyncpg.QueryCanceledError("statement timeout"), "timed_out"),
        (asyncpg.LockNotAvailableError("lock timeout"), "unavailable"),
        (asyncpg.AdminShutdownError("going down"), "unavailable"),
        (asyncpg.TooManyConnectionsError("too many"), "unavailable"),
        (asyncpg.InterfaceError("pool is closed"), "unavailable"),
        (TimeoutError(), "unavailable"),
        (asyncpg.UndefinedTableError("no such table"), "internal_error"),
        (ValueError("a bug"), "internal_error"),
    ],
)
def test_a_fault_has_its_problem(error: Exception, code: str) -> None:
    assert of_fault(error).code == code


@pytest.mark.parametrize("code", TITLES)
def test_each_problem_has_the_status_of_its_table(code: str) -> None:
    answer = Problem(code, "words", more={"lines": []}).response()
    assert answer.status_code == TITLES[code][0]


# ---------------------------------------------------------------- a database that goes away


async def test_a_database_that_goes_away_is_503_and_comes_back(database: str) -> None:
    async with serving(database) as api:
        assert (await api.write("/restocks", RESTOCK, key="first")).status_code == 200
        name = database.rpartition("/")[2]
        owner = await asyncpg.connect(database.replace(name, "postgres"))
        try:
            await owner.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            answer = await api.write("/restocks", RESTOCK, key="second")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            with pytest.raises(asyncpg.PostgresError) as fault:
                await api.backend.answers()
            assert of_fault(fault.value).code == "unavailable"
        finally:
            await owner.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await owner.close()
        again = await api.write("/restocks", RESTOCK, key="second")
        assert (again.status_code, again.json()["repeated"]) == (200, False)
        await api.backend.answers()


async def test_connections_that_died_idle_are_replaced(api: Api, database: str) -> None:
    await api.backend.answers()
    await api.stock()
    owner = await asyncpg.connect(database)
    try:
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await owner.close()

    async def answers() -> bool:
        try:
            await api.backend.answers()
        except Exception as error:
            if of_fault(error).code != "unavailable":
                raise
            return False
        return True

    await until(answers)
    assert (await api.write("/restocks", RESTOCK)).status_code == 200


async def test_a_database_that_freezes_holds_nobody_for_ever(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "ANSWER_MAX_S", 1.0)
    async with wires(database) as between, serving(between.url) as api:
        assert (await api.get("/settings")).status_code == 200
        between.freeze("stock-worker api")
        asked = asyncio.create_task(api.get("/settings"))
        await asyncio.wait([asked], timeout=15)
        assert asked.done(), "it waits for ever"
        assert (asked.result().status_code, asked.result().json()["code"]) == (503, "unavailable")
        between.thaw()
        assert (await api.get("/settings")).status_code == 200
