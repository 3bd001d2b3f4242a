"""Contract section 8, `api` and `run --with-api` as processes: exit codes, readiness, several processes, SIGTERM."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stock_worker.devstack import Stack
from stock_worker.http.app import BASE
from stock_worker.metrics import PREFIX, TABLE
from tests.flow.commands import Terminal, names
from tests.flow.running import busy, free_port, make_topics, settings_for, until
from tests.http.running import KEY, SITE
from tests.http.served import Served, serving_process

END_S = 25.0
START_S = 10.0
SLOW_LOCK = "LOCK TABLE stock.items IN ACCESS EXCLUSIVE MODE"


Start = Callable[..., AbstractContextManager[Served]]


@pytest.fixture
def start(stack: Stack, database: str, topics: str, tmp_path: Path) -> Start:
    """Start the program with these words and settings; what is left of it is killed."""

    def starting(*words: str, **settings: str) -> AbstractContextManager[Served]:
        least = settings_for(stack.kafka_bootstrap, database, topics)
        return serving_process(*words, folder=tmp_path, settings=least, more=settings)

    return starting


async def _one_critical_line(served: Served, *words: str) -> None:
    assert await served.ended(START_S) == 1, served.log.read_text()
    critical = [line for line in served.said() if line["level"] == "critical"]
    assert len(critical) == 1, critical
    for word in words:
        assert word in str(critical[0])
    assert "raceback" not in served.log.read_text()


# ---------------------------------------------------------------- the start


@pytest.mark.parametrize("words", [("api",), ("run", "--with-api")])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"STOCK_JWT_KEY": ""}, "STOCK_JWT_KEY or STOCK_JWKS_URL is not set"),
        ({"STOCK_JWKS_URL": "https://issuer.test/jwks"}, "exclude each other"),
    ],
)
async def test_settings_without_one_key_end_with_2_in_one_line(
    start: Start, words: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    with start(*words, **settings) as served:
        assert await served.ended(START_S) == 2
        (line,) = served.log.read_text().splitlines()
        assert said in line
        assert KEY not in line


async def test_a_missing_migration_ends_with_1(start: Start, empty_database: str) -> None:
    with start("api", STOCK_DATABASE_URL=empty_database) as served:
        await _one_critical_line(served, "not migrated", "run: stock-worker migrate")


async def test_a_wrong_password_ends_with_1_in_one_line_that_holds_no_password(start: Start, database: str) -> None:
    url = urlsplit(database)
    wrong = url._replace(netloc=f"{url.username}:wr0ng-w0rd-entirely@{url.hostname}:{url.port}")
    with start("api", STOCK_DATABASE_URL=urlunsplit(wrong)) as served:
        await _one_critical_line(served, "correct the user and the password in STOCK_DATABASE_URL")
        assert "wr0ng-w0rd-entirely" not in served.log.read_text()


@pytest.mark.parametrize("by_another_api", [False, True])
async def test_a_taken_port_ends_with_1(start: Start, by_another_api: bool) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=by_another_api) as taken:
        port = str(taken.getsockname()[1])
        with start("api", STOCK_HTTP_PORT=port) as served:
            await _one_critical_line(served, "STOCK_HTTP_PORT", port)


async def test_a_database_that_is_down_is_told_once_and_waited_for(start: Start) -> None:
    with start("api", STOCK_DATABASE_URL=f"postgresql://stock:stock@127.0.0.1:{free_port()}/stock") as served:
        await served.answers("/healthz", 200)
        await served.answers("/metrics", 200)
        assert (await served.answers("/readyz", 503)).json()["ready"] is False
        async with served.client() as client:
            answer = await served.restock(client, "k")  # which takes its five seconds of patience
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        told = [line for line in served.said() if "PostgreSQL" in str(line["message"])]
        assert [str(line["message"]) for line in told] == ["PostgreSQL is down; waiting"]

        served.popen.send_signal(signal.SIGTERM)
        assert await served.ended(END_S) == 0


async def test_a_short_key_is_told_of_once(start: Start) -> None:
    with start("api", STOCK_JWT_KEY="short") as served:
        await served.answers("/readyz", 200)
        async with served.client() as client:
            assert (await served.restock(client, "k")).status_code == 401
        assert served.log.read_text().count("STOCK_JWT_KEY is short") == 1
        assert "InsecureKeyLength" not in served.log.read_text()


# ---------------------------------------------------------------- several processes


async def test_several_processes_answer_as_one_and_end_in_order(start: Start) -> None:
    with start("api", "--processes", "3") as served:
        await served.answers("/readyz", 200)
        assert len(served.children()) == 3

        async def ask(number: int) -> int:
            async with served.client() as client:
                return (await served.restock(client, f"k{number}")).status_code

        assert set(await asyncio.gather(*(ask(number) for number in range(60)))) == {200}
        scrapes = [(await served.answers("/metrics", 200)).text for _ in range(6)]
        for text in scrapes:
            families = {family.name: family for family in text_string_to_metric_families(text)}
            of_workers = {PREFIX + "consumer_lag"}  # without a partition there is no series of it
            assert set(families) | of_workers == {(PREFIX + row.name).removesuffix("_total") for row in TABLE}
            requests = {
                (sample.labels["route"], sample.labels["status"]): sample.value
                for sample in families[PREFIX + "http_requests"].samples
            }
            assert requests[f"{BASE}/sites/{{site}}/restocks", "200"] == 60
            moved = {sample.labels["type"]: sample.value for sample in families[PREFIX + "movements"].samples}
            assert moved["restock"] == 60
            assert 'pid="' not in text

        served.popen.send_signal(signal.SIGTERM)
        assert await served.ended(END_S) == 0
        assert "raceback" not in served.log.read_text()


async def test_connections_are_dealt_out_among_the_processes(start: Start) -> None:
    with start("api") as served, ExitStack() as kept:
        await served.answers("/healthz", 200)
        for _ in range(40):  # one after the other: the process that is free first would take nearly all of them
            connection = kept.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=START_S))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
            assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        taken = [
            sum(
                each.status == psutil.CONN_ESTABLISHED and each.laddr.port == served.port
                for each in child.net_connections()
            )
            for child in served.children()
        ]
        assert sum(taken) == 40
        assert min(taken) >= 5, "by chance this fails once in a million runs"


async def test_a_process_that_dies_takes_all_down_with_its_reason(start: Start) -> None:
    with start("api") as served:
        await served.answers("/readyz", 200)
        children = served.children()
        children[0].kill()
        await _one_critical_line(served, "died", "-9")
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


async def test_without_the_first_process_none_stays_and_nothing_is_left(start: Start) -> None:
    with start("api") as served:
        await served.answers("/readyz", 200)
        children = served.children()
        folders = {Path(child.environ()["PROMETHEUS_MULTIPROC_DIR"]) for child in children}
        assert [folder.is_dir() for folder in folders] == [True]
        served.popen.kill()
        await until(lambda: not [child for child in children if child.is_running()])
        assert not any(folder.exists() for folder in folders), "nothing of it is left on the disk"


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize("words", [("api",), ("run", "--with-api")])
async def test_what_is_under_way_is_answered_before_the_end(
    start: Start, stack: Stack, topics: str, database: str, words: tuple[str, ...]
) -> None:
    if words[0] == "run":
        await make_topics(stack.kafka_bootstrap, topics)
    with start(*words) as served:
        await served.answers("/readyz", 200)
        async with served.client() as client:
            assert (await served.restock(client, "before")).status_code == 200
            holder = await asyncpg.connect(database)
            try:
                async with holder.transaction():
                    await holder.execute(SLOW_LOCK)
                    asking = asyncio.create_task(served.restock(client, "under way"))
                    await asyncio.sleep(0.5)
                    served.popen.send_signal(signal.SIGTERM)
                    await asyncio.sleep(1.0)
                    assert not asking.done()
                answer = await asking
            finally:
                await holder.close()
        assert (answer.status_code, answer.json()["outcome"]) == (200, "applied")
        assert await served.ended(END_S) == 0
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", served.port), timeout=2)


async def test_what_does_not_end_is_cut_off_in_time(start: Start, database: str) -> None:
    with start("api") as served:
        await served.answers("/readyz", 200)
        holder = await asyncpg.connect(database)
        try:
            async with served.client() as client, holder.transaction():
                await holder.execute(SLOW_LOCK)
                asking = asyncio.create_task(served.restock(client, "k"))
                await asyncio.sleep(0.5)
                began = asyncio.get_running_loop().time()
                served.popen.send_signal(signal.SIGTERM)
                assert await served.ended(END_S) == 0
                assert asyncio.get_running_loop().time() - began < END_S * busy()
                await asyncio.gather(asking, return_exceptions=True)
        finally:
            await holder.close()


# ---------------------------------------------------------------- beside a worker


async def test_a_worker_serves_the_api_on_its_port(start: Start, stack: Stack, topics: str) -> None:
    await make_topics(stack.kafka_bootstrap, topics)
    with start("run", "--with-api") as served:
        await served.answers("/readyz", 200)
        async with served.client() as client:
            assert (await served.restock(client, "k1")).json()["outcome"] == "applied"
            assert (await served.restock(client, "k1")).json()["repeated"] is True
            assert (await client.get(f"{BASE}/openapi.json")).status_code == 200
        text = (await served.answers("/metrics", 200)).text
        assert f'route="{BASE}/sites/{{site}}/restocks",status="200"}} 2.0' in text

        async def published() -> bool:
            found = (await served.answers("/metrics", 200)).text
            return f'{PREFIX}events_published_total{{topic="stock-changed"}} 1.0' in found

        await until(published)
        served.popen.send_signal(signal.SIGTERM)
        assert await served.ended(END_S) == 0


async def test_a_worker_without_it_serves_none(start: Start, stack: Stack, topics: str) -> None:
    await make_topics(stack.kafka_bootstrap, topics)
    with start("run", STOCK_JWT_KEY="") as served:
        await served.answers("/healthz", 200)
        await served.answers(f"{BASE}/openapi.json", 404)


# ---------------------------------------------------------------- the token


def test_a_token_for_development_is_taken(tmp_path: Path, database: str) -> None:
    import jwt  # noqa: PLC0415 - only here

    said = names(settings_for("127.0.0.1:1", database, "")) | {
        "STOCK_JWT_KEY": KEY,
        "STOCK_JWT_AUDIENCE": "stock",
        "STOCK_JWT_ISSUER": "here",
    }
    terminal = Terminal(tmp_path, said)
    ran = terminal.type("token", "--role", "org_admin", "--site", SITE, "--name", "Ada", "--sub", "ada", "--hours", "2")
    assert (ran.exit_code, ran.said) == (0, "")
    claims = jwt.decode(ran.given.strip(), KEY, ["HS256"], audience="stock", issuer="here")
    assert claims["exp"] - claims["iat"] == 7_200
    assert {name: claims[name] for name in ("sub", "name", "role", "sites")} == {
        "sub": "ada",
        "name": "Ada",
        "role": "org_admin",
        "sites": [SITE],
    }
    as_json = terminal.type("token", "--role", "platform_admin", "--json").json
    assert set(as_json) == {"token", "expires_at"}


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (("--role", "viewer", "--site", SITE), {"STOCK_JWT_KEY": ""}, "STOCK_JWT_KEY is not set"),
        (("--role", "boss", "--site", SITE), {}, "there is no role boss"),
        (("--role", "viewer"), {}, "--site"),
        (("--site", SITE), {}, "--role"),
        (("--role", "viewer", "--site", "shop"), {}, "--site"),
    ],
)
def test_a_token_that_cannot_be_made_is_a_usage_error(
    tmp_path: Path, words: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    least = names(settings_for("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", ""))
    ran = Terminal(tmp_path, least | {"STOCK_JWT_KEY": KEY} | settings).type("token", *words)
    assert (ran.exit_code, ran.given) == (2, "")
    assert said in ran.said


def test_the_environment_of_the_tests_is_no_processes_of_one() -> None:
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
