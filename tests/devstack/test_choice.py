"""Which servers are used: what the environment names, else containers, else processes of our own."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest

from stock_worker import devstack
from stock_worker.devstack import StartFailed, choice, containers
from stock_worker.devstack.choice import Choice, Way, choose, docker_fault
from stock_worker.devstack.scratch import free_ports

KAFKA = {"STOCK_KAFKA_BOOTSTRAP": "kafka:9092"}
DATABASE = {"STOCK_DATABASE_URL": "postgresql://stock@db/stock"}
ENGINE_ANSWERS = None
NO_ENGINE = "no Docker engine runs here"


@pytest.mark.parametrize(
    ("environment", "engine_fault", "kafka", "postgres", "why"),
    [
        (KAFKA | DATABASE, NO_ENGINE, Way.NAMED, Way.NAMED, "STOCK_KAFKA_BOOTSTRAP and STOCK_DATABASE_URL are set"),
        (
            KAFKA | DATABASE,
            ENGINE_ANSWERS,
            Way.NAMED,
            Way.NAMED,
            "STOCK_KAFKA_BOOTSTRAP and STOCK_DATABASE_URL are set",
        ),
        (KAFKA, ENGINE_ANSWERS, Way.NAMED, Way.CONTAINER, "a Docker engine answered"),
        (DATABASE, ENGINE_ANSWERS, Way.CONTAINER, Way.NAMED, "a Docker engine answered"),
        (KAFKA, NO_ENGINE, Way.NAMED, Way.PROCESS, NO_ENGINE),
        (DATABASE, NO_ENGINE, Way.PROCESS, Way.NAMED, NO_ENGINE),
        ({}, ENGINE_ANSWERS, Way.CONTAINER, Way.CONTAINER, "a Docker engine answered"),
        ({}, NO_ENGINE, Way.PROCESS, Way.PROCESS, NO_ENGINE),
        ({"STOCK_KAFKA_BOOTSTRAP": ""}, NO_ENGINE, Way.PROCESS, Way.PROCESS, NO_ENGINE),
    ],
)
def test_the_way_of_each_server(
    environment: dict[str, str], engine_fault: str | None, kafka: Way, postgres: Way, why: str
) -> None:
    assert choose(environment, lambda: engine_fault) == Choice(kafka, postgres, why)


def test_the_engine_is_not_asked_when_both_are_named() -> None:
    def asked() -> str | None:
        raise AssertionError("two seconds for nothing")

    choose(KAFKA | DATABASE, asked)


def test_an_engine_that_proves_useless_leaves_what_is_named() -> None:
    chosen = choose(KAFKA, lambda: ENGINE_ANSWERS).without_engine("no such image")
    assert chosen == Choice(Way.NAMED, Way.PROCESS, "the Docker engine could not: no such image")


def test_a_docker_client_without_an_engine_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert docker_fault() == NO_ENGINE


def test_an_engine_that_accepts_and_says_nothing_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "PING_TIMEOUT_S", 0.3)
    with engine(b"") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert docker_fault() == f"no Docker engine answered at {address}"


def test_an_engine_that_answers_its_ping_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    version = b'{"ApiVersion": "1.50", "MinAPIVersion": "1.24", "Version": "28.0.0"}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with engine(answer % len(version) + version) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert docker_fault() is None


def test_an_engine_that_cannot_bring_images_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_image(*_: object) -> object:
        raise RuntimeError("no such image")

    monkeypatch.setattr(devstack, "docker_fault", lambda: ENGINE_ANSWERS)
    monkeypatch.setattr(containers, "kafka_container", no_image)
    monkeypatch.setattr(containers, "postgres_container", no_image)
    with devstack.stack(environment={}) as started:
        assert started.how.endswith("(the Docker engine could not: no such image)")
        assert started.kafka
        assert started.kafka.pid


@pytest.mark.parametrize("variable", ["STOCK_KAFKA_BOOTSTRAP", "STOCK_DATABASE_URL"])
def test_a_name_from_a_stack_long_gone_is_said_at_once(variable: str) -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as alive:
        here = f"127.0.0.1:{alive.getsockname()[1]}"
        environment = {"STOCK_KAFKA_BOOTSTRAP": here, "STOCK_DATABASE_URL": f"postgresql://stock@{here}/stock"}
        environment[variable] = environment[variable].replace(here, f"127.0.0.1:{port}")
        with pytest.raises(StartFailed, match=f"{variable} is set, but nothing answers"):
            devstack.stack(environment=environment).__enter__()


@contextmanager
def engine(answer: bytes) -> Iterator[str]:
    """A socket where an engine would listen, which gives every request one answer."""

    class Answering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            if answer:
                self.request.sendall(answer)
            else:
                closing.wait()

    closing = threading.Event()
    with TemporaryDirectory() as folder, socketserver.ThreadingUnixStreamServer(f"{folder}/s", Answering) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        yield f"unix://{folder}/s"
        closing.set()
        server.shutdown()
        serving.join()
