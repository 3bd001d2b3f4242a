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
        while any(topic not in reader.given() for topic in ("stock-changed", "stock-level", "adjustment-applied")):
            assert monotonic() < deadline, f"{reader.said()}\nand the worker:\n{worker.said()}"
            sleep(0.1)
        assert reader.ended_by(signal.SIGINT) == 0
        assert worker.ended_by(signal.SIGTERM) == 0


class Shell:
    """A command that goes on until it is asked to end, and the files that it writes its data and its words to."""

    def __init__(self, process: "subprocess.Popen[bytes]", data: Path, words: Path) -> None:
        self.process = process
        self.data = data
        self.words = words

    def given(self) -> str:
        """Its data so far."""
        return self.data.read_text()

    def said(self) -> str:
        """Its words so far."""
        return self.words.read_text()

    def ended_by(self, number: signal.Signals) -> int:
        """Ask it to end, and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(WITHIN_S)


@contextmanager
def shell(command: str, settings: dict[str, str], folder: Path) -> Iterator[Shell]:
    """Type a command and let it go on for as long as the block runs."""
    data, words = folder / f"{command.split()[1]}.data", folder / f"{command.split()[1]}.words"
    with data.open("wb") as out, words.open("wb") as err:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], env=environment(settings), cwd=folder, stdout=out, stderr=err
        )
    try:
        yield Shell(process, data, words)
    finally:
        process.kill()
        process.wait()
