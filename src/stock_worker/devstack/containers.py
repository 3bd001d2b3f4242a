"""Law: containers have the processes' settings, logins and ports; testcontainers removes them, whatever ends us."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import ExecWaitStrategy

from stock_worker.devstack import kafka, maven, node, postgres
from stock_worker.devstack.scratch import free_ports


class ContainerNode(NamedTuple):
    """A Node that is a container."""

    container: DockerContainer
    ready: ExecWaitStrategy

    @property
    def pid(self) -> int | None:
        self.container.reload()
        return self.container.get_wrapped_container().attrs["State"]["Pid"] or None

    def start(self) -> None:
        self.container.get_wrapped_container().start()  # does nothing to one that runs
        self.ready.wait_until_ready(self.container)

    def stop(self) -> None:
        self.container.get_wrapped_container().stop(timeout=int(node.STOP_TIMEOUT_S))

    def kill(self) -> None:
        self.container.get_wrapped_container().kill()
        self.container.wait()


def kafka_container(leaving: ExitStack, settings: Mapping[str, str]) -> tuple[ContainerNode, str]:
    port, controller = free_ports(2)
    config = {**kafka.broker_settings(port, controller, "/var/lib/kafka/data", listen_on=""), **settings}
    environment = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in config.items()}
    container = DockerContainer(f"apache/kafka:{maven.version_of('kafka')}", env=environment)
    ready = ExecWaitStrategy(["/opt/kafka/bin/kafka-broker-api-versions.sh", f"--bootstrap-server=127.0.0.1:{port}"])
    return _run(leaving, container.with_env("KAFKA_HEAP_OPTS", kafka.HEAP), [port, port], ready), f"127.0.0.1:{port}"


def postgres_container(leaving: ExitStack, settings: Mapping[str, str]) -> tuple[ContainerNode, postgres.Urls]:
    urls = postgres.Urls.drawn(*free_ports(1))
    container = DockerContainer("postgres:18", env={"POSTGRES_PASSWORD": urls.superuser_password})
    config = {"max_connections": postgres.MAX_CONNECTIONS, **settings}
    container.with_command(["postgres", *(f"--{name}={value}" for name, value in config.items())])
    started = _run(leaving, container, [5432, urls.port], ExecWaitStrategy(["pg_isready", "--host=127.0.0.1"]))
    for statement in postgres.first_statements(urls):
        assert container.exec(["psql", "--username", postgres.SUPERUSER, "--command", statement]).exit_code == 0
    return started, urls


def _run(leaving: ExitStack, container: DockerContainer, ports: list[int], ready: ExecWaitStrategy) -> ContainerNode:
    container.ports[str(ports[0])] = ("127.0.0.1", ports[1])  # type: ignore[assignment]  # docker's own client takes it
    return ContainerNode(leaving.enter_context(container.waiting_for(ready)), ready)
