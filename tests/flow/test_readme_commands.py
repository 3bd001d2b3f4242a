"""The README's own commands, typed into a shell in its order, on an empty database and a Kafka without topics."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from stock_worker.devstack import Stack
from tests.flow.commands import environment

README = Path(__file__).parents[2] / "README.md"
WITHIN_S = 60.0


def commands() -> list[str]:
    """What the README tells to type, each command whole and without its comment, but for what sets up or tests."""
    consoles = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    typed = re.findall(r"^\$ (.*?)(?=^\$ |\Z)", "".join(consoles), re.DOTALL | re.MULTILINE)
    whole = [re.sub(r"\s+#[^#\"']*$", "", command.strip()) for command in typed]
    return [command for command in whole if "stock-worker" in command]


def test_readme_commands_do_what_they_say(stack: Stack, empty_database: str, topics: str, tmp_path: Path) -> None:
    settings = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "STOCK_KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "STOCK_DATABASE_URL": empty_database,
        "STOCK_TOPIC_PREFIX": topics,
        "STOCK_TOPIC_PARTITIONS": "2",
        "STOCK_HTTP_PORT": "0",
    }
    *before, run, emit, tail = commands()
    assert run == "stock-worker run"
    for command in before:
        subprocess.run(["bash", "-c", command], env=environment(settings), cwd=tmp_path, check=True)
    with shell(run, settings, tmp_path) as worker, shell(tail, settings, tmp_path) as reader:
        subprocess.run(["bash", "-c", emit], env=environment(settings), cwd=tmp_path, check=True)
        deadline = monotonic() + WITHIN_S
        while any(topic not in (said := reader.log.read_text()) for topic in ("stock-changed", "stock-level")):
            assert monotonic() < deadline, f"{said}\nand the worker:\n{worker.log.read_text()}"
            sleep(0.1)
        assert reader.ended_by(signal.SIGINT) == 0
        assert worker.ended_by(signal.SIGTERM) == 0


class Shell:
    """A command that goes on until it is asked to end, and what it printed."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log

    def ended_by(self, number: signal.Signals) -> int:
        """Ask it to end, and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(WITHIN_S)


@contextmanager
def shell(command: str, settings: dict[str, str], folder: Path) -> Iterator[Shell]:
    """Type a command and let it go on for as long as the block runs."""
    log = folder / f"{command.split()[1]}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], env=environment(settings), cwd=folder, stdout=out, stderr=out
        )
    try:
        yield Shell(process, log)
    finally:
        process.kill()
        process.wait()
