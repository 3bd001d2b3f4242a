"""What a page tells to type, and a shell to type it into: the pages' own commands are run, so that they stay true."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from tests.flow.commands import environment
from tests.flow.running import PATIENCE_S

PATH: Final = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
"""Where a shell finds the program of this environment before any other."""
ROOT: Final = Path(__file__).parents[2]
_BLOCK: Final = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND: Final = re.compile(r"^\$ (.*?)(?=^\$ |\Z)", re.DOTALL | re.MULTILINE)
_COMMENT: Final = re.compile(r"\s+#[^#\"'|]*$")


class Typed(NamedTuple):
    """A command of a page, and the answer that the page shows to it; None where it shows none."""

    command: str
    answer: str | None
    language: str | None


def typed(page: str) -> list[Typed]:
    """Read a page's commands, each whole and without its comment.

    They are each `$ ` of its console blocks; another block after one is the answer to its last command.
    """
    found: list[Typed] = []
    for block in _BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")):
        language, text = block["language"], block["text"]
        if language == "console":
            found += [Typed(_COMMENT.sub("", command.strip()), None, None) for command in _COMMAND.findall(text)]
        elif found:
            found[-1] = Typed(found[-1].command, text, language)
    return found


class Session:
    """A bash that goes on from command to command, as a person's does."""

    def __init__(self, process: asyncio.subprocess.Process, words: Path) -> None:
        self._process = process
        self._words = words

    async def type(self, command: str) -> str:
        """Type a command and wait for its end; give its data. Raises TimeoutError, AssertionError if bash ended."""
        assert self._process.stdin
        assert self._process.stdout
        end = f"end of {uuid4()}"
        self._process.stdin.write(f"{{ {command}\n}} < /dev/null\nprintf '\\n{end}\\n'\n".encode())
        given = ""
        async with asyncio.timeout(PATIENCE_S):
            while not given.endswith(f"\n{end}\n"):
                line = await self._process.stdout.readline()
                assert line, f"{command}\nended the shell: {self.said()}"
                given += line.decode()
        return given.removesuffix(f"\n{end}\n")

    def said(self) -> str:
        """Its words so far."""
        return self._words.read_text(encoding="utf-8")


@asynccontextmanager
async def session(settings: Mapping[str, str], folder: Path) -> AsyncIterator[Session]:
    """Open a shell in a folder for as long as the block runs."""
    words = folder / "session.words"
    with words.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *("bash", "--noprofile", "--norc"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd=folder,
            env=environment(settings),
            limit=2**24,
        )
    try:
        yield Session(process, words)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


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

    def ended_by(self, number: int) -> int:
        """Ask it to end, and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(2 * PATIENCE_S)


@contextmanager
def shell(command: str, settings: Mapping[str, str], folder: Path) -> Iterator[Shell]:
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
