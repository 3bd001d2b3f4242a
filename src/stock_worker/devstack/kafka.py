"""Law: one real broker (KRaft, its own controller), on 127.0.0.1 only, that creates no topic by itself.

Settings are Kafka's own except where one node, two cores or a test's patience ask for another; each says why.
"""

import hashlib
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from stock_worker.devstack import cache, maven
from stock_worker.devstack.node import ProcessNode
from stock_worker.devstack.scratch import Scratch, free_ports

HEAP = "-Xmx512m"
# Java compiles what runs often a second time, which pays after minutes: without it the topics, clients and groups of
# forty tests cost a broker 12 s of CPU instead of 17 to 23, and its start 1.5 instead of 2.3.
COMPILED_ONCE = "-XX:TieredStopAtLevel=1"
CLUSTER = "AAAAAAAAAAAAAAAAAAAAAA"  # every cluster is alone on its ports


def start_kafka(
    scratch: Scratch, jars: Path, settings: Mapping[str, str], *, measured: bool
) -> tuple[ProcessNode, str]:
    """Start a broker on a fresh log folder; return it with its bootstrap address."""
    java = maven.java()
    # An archive of classes serves the Java and the jars that it was made with, and no others.
    made_for = f"{jars} {java.resolve()} {maven.java_version(java)}"
    name = f"kafka-{hashlib.sha256(made_for.encode()).hexdigest()[:12]}"
    kept = cache.kept(name, lambda place: _prepare(scratch, jars, place))

    folder = scratch.folder("kafka")
    shutil.copytree(kept / "formatted", folder / "logs")
    options = [f"-XX:SharedArchiveFile={kept / 'classes.jsa'}", *([] if measured else [COMPILED_ONCE])]
    node, address = _broker(scratch, jars, folder, settings, options)
    node.start()
    return node, address


def _prepare(scratch: Scratch, jars: Path, place: Path) -> None:
    """Keep a formatted log folder, and an archive of the classes that a broker loads: 5 s to a start become 2."""
    folder = scratch.folder("first-kafka")
    node, _ = _broker(scratch, jars, folder, {}, [f"-XX:ArchiveClassesAtExit={place / 'classes.jsa'}"])
    java = [str(maven.java()), "-cp", f"{jars}/*", "kafka.tools.StorageTool"]
    config = str(folder / "server.properties")
    scratch.run([*java, "format", "--cluster-id", CLUSTER, "--config", config], scratch.root / "kafka-format.log")
    shutil.copytree(folder / "logs", place / "formatted")
    node.start()
    node.stop()


def _broker(
    scratch: Scratch, jars: Path, folder: Path, settings: Mapping[str, str], options: list[str]
) -> tuple[ProcessNode, str]:
    """Write a broker's settings and describe its process."""
    port, controller_port = free_ports(2)
    config = folder / "server.properties"
    merged = {**broker_settings(port, controller_port, str(folder / "logs")), **settings}
    config.write_text("".join(f"{name}={value}\n" for name, value in merged.items()))
    java = [str(maven.java()), HEAP, "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", *options]
    java += ["-XX:-UsePerfData"]  # it would leave a file in the system's temporary folder when killed
    node = ProcessNode(
        scratch,
        "Kafka",
        [*java, f"-Djava.io.tmpdir={folder}", "-cp", f"{jars}/*", "kafka.Kafka", str(config)],
        ready=lambda node: node.said(b"Kafka Server started"),
        stop_signal=signal.SIGTERM,
        kill_signal=signal.SIGKILL,
    )
    return node, f"127.0.0.1:{port}"


def broker_settings(port: int, controller_port: int, logs: str, listen_on: str = "127.0.0.1") -> dict[str, str]:
    """Return the broker's settings, by Kafka's names."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{listen_on}:{port},CONTROLLER://{listen_on}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": logs,
        # A topic that is missing must be seen as missing.
        "auto.create.topics.enable": "false",
        # One node.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Few partitions of its own, few threads, a small compaction buffer: it shares two cores with what it serves.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": "16777216",
        # A broker that was killed may register again only when its former session is over.
        "broker.heartbeat.interval.ms": "300",
        "broker.session.timeout.ms": "2000",
        # Tests of lost workers use short sessions, and no group waits for members that never come.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
    }
