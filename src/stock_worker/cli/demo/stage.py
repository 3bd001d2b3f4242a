"""The demo from curtain to curtain. Law: whatever ends it, what it started ends and what it made is removed.

The worker is noted in a scratch folder with a watchdog, as the servers are: it ends even when the demo is killed. On
servers that the environment names, the topics and the database are the demo's own, and are removed in the end.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from stock_worker import devstack, topics
from stock_worker.cli import kafka, terminal
from stock_worker.cli.demo.figures import Figures, Reader
from stock_worker.cli.demo.picture import Drawn, Names, Picture, Plain, summary
from stock_worker.cli.demo.shop import Shops
from stock_worker.cli.faults import Misused, Unfit
from stock_worker.cli.verify import check
from stock_worker.core.topics import STOCK_CHANGED
from stock_worker.devstack import Stack
from stock_worker.devstack.scratch import Scratch, free_ports, open_scratch, tail
from stock_worker.settings import Settings, read
from stock_worker.store.engine import connect
from stock_worker.store.migrate import upgrade

COMMANDS_PER_S: Final = 300
UNWATCHED_S: Final = 30
_PARTITIONS: Final = 4
_TICK_S: Final = 0.05
_START_MAX_S: Final = 60.0
_SETTLE_MAX_S: Final = 60.0
_GOODBYE_MAX_S: Final = 30.0


class Run(NamedTuple):
    """What one run needs: its settings, where its worker lives, and when it was asked for."""

    settings: Settings
    room: Scratch
    env_file: Path
    began: float


def play(*, as_json: bool) -> int:
    """Run the demo. Returns the exit code."""
    began = time.monotonic()
    watched = sys.stdout.isatty() and not as_json
    seconds = _seconds(watched=watched)
    shops = Shops()
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as leaving:
        try:
            stack = leaving.enter_context(devstack.stack(say=terminal.say))
            room = leaving.enter_context(open_scratch())
            run = leaving.enter_context(_ground(stack, room, began))
            picture = _picture(shops.names(), watched=watched, as_json=as_json)
            return asyncio.run(_play(run, shops, picture, seconds, as_json=as_json))
        except (KeyboardInterrupt, asyncio.CancelledError):
            terminal.say("interrupted")
            return terminal.FINDING
        finally:
            for name in (signal.SIGINT, signal.SIGTERM):  # what is left is short and has to be done
                signal.signal(name, signal.SIG_IGN)


def _seconds(*, watched: bool) -> int | None:
    """How long to play; None is until Ctrl-C."""
    given = os.environ.get("STOCK_DEMO_SECONDS", "")
    if not given:
        return None if watched else UNWATCHED_S
    if not given.isdecimal() or int(given) < 1:
        raise Misused(f"STOCK_DEMO_SECONDS: {given!r} is no whole number of seconds above 0")
    return int(given)


def _picture(names: Names, *, watched: bool, as_json: bool) -> Picture:
    return Drawn(terminal.console(), names) if watched else Plain(terminal.console(words=as_json))


def _say(run: Run, words: str) -> None:
    terminal.say(f"{time.monotonic() - run.began:5.1f} s  {words}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


# ---------------------------------------------------------------- the ground to play on


@contextmanager
def _ground(stack: Stack, room: Scratch, began: float) -> Iterator[Run]:
    """Give the settings of a run, with a database and topics that are its own and are removed after it."""
    name = f"stock_worker_demo_{secrets.token_hex(4)}"
    (port,) = free_ports(1)
    said = {
        "STOCK_KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "STOCK_DATABASE_URL": stack.database_url,
        "STOCK_GROUP_ID": name,
        "STOCK_HTTP_HOST": "127.0.0.1",
        "STOCK_HTTP_PORT": str(port),
        "STOCK_LOG_FORMAT": "console",
    }
    if stack.kafka is None:
        said["STOCK_TOPIC_PREFIX"] = f"{name}-"
    if stack.postgres is None:
        said["STOCK_DATABASE_URL"] = urlunsplit(urlsplit(stack.database_url)._replace(path=f"/{name}"))
    if "STOCK_TOPIC_PARTITIONS" not in os.environ:
        said["STOCK_TOPIC_PARTITIONS"] = str(_PARTITIONS)
    env_file = room.root / "worker.env"
    env_file.touch(mode=0o600)
    env_file.write_text("".join(f"{key}='{value}'\n" for key, value in said.items()))
    for key in said:  # ours is said in the file, which the environment would overrule
        os.environ.pop(key, None)
    settings, warnings = read(env_file)
    for warning in warnings:
        terminal.say(f"warning: {warning}")
    with ExitStack() as leaving:
        if stack.postgres is None:
            leaving.enter_context(_own_database(stack.database_url, name))
        if stack.kafka is None:
            leaving.callback(lambda: asyncio.run(_delete_topics(settings)))
        yield Run(settings, room, env_file, began)


@contextmanager
def _own_database(url: str, name: str) -> Iterator[None]:
    """Make a database on a named server, and drop it in the end."""

    async def execute(statement: str) -> None:
        connection = await connect(url, None, application_name="stock-worker demo")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute(f'CREATE DATABASE "{name}"'))
    try:
        yield
    finally:
        asyncio.run(execute(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _delete_topics(settings: Settings) -> None:
    """Remove the topics that are there, on a named broker."""
    async with kafka.admin(settings) as admin:
        names = {spec.name for spec in topics.plan(settings)}
        there = names & set(await admin.list_topics())
        if there:
            await admin.delete_topics(sorted(there))


# ---------------------------------------------------------------- the play


async def _play(run: Run, shops: Shops, picture: Picture, seconds: int | None, *, as_json: bool) -> int:
    """Prepare, play until it is time, let everything settle, and judge."""
    ending = _ending_on_signals()
    settings = run.settings
    _say(run, "making tables and topics")
    await asyncio.gather(asyncio.to_thread(upgrade, settings.database_url), topics.create(settings))
    async with _worker(run) as worker, Reader(settings, run.began) as reader:
        stocked = asyncio.Event()
        sending = asyncio.create_task(_send(settings, shops, stocked, ending))
        with picture:
            try:
                async with asyncio.timeout(_START_MAX_S):
                    while not ((figures := await reader.read()).decided or ending.is_set()):
                        worker.check()
                        picture.show(figures, "starting")
                        await _pause(ending, picture.every_s / 2)
                stocked.set()
                until = None if seconds is None else time.monotonic() + seconds
                while not (ending.is_set() or sending.done() or (until and time.monotonic() > until)):
                    worker.check()
                    picture.show(await reader.read(), "running")
                    await _pause(ending, picture.every_s)
            except TimeoutError:
                raise Unfit(f"the worker applied nothing in {_START_MAX_S:.0f} s:\n{worker.said()}") from None
            finally:
                ending.set()
                await sending
            figures = await _settled(reader, worker, picture)
        drifts = await check(settings.database_url, progress=False)
    for drift in drifts:
        terminal.say(str(drift))
    first = None if reader.first_event_at is None else reader.first_event_at - run.began
    verdicts = _verdicts(figures, len(drifts), worker.exit_code)
    if as_json:
        terminal.give_json(_as_json(figures, verdicts, first))
    else:
        terminal.console().print(summary(figures, verdicts, first))
    return 0 if all(well for well, _ in verdicts) else terminal.FINDING


def _ending_on_signals() -> asyncio.Event:
    """The first Ctrl-C or SIGTERM ends the play in order, the second at once."""
    ending, loop, task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()
    assert task

    def end() -> None:
        if ending.is_set():
            task.cancel()
        else:
            terminal.say("ending: what is under way is finished first")
        ending.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, end)
    return ending


async def _send(settings: Settings, shops: Shops, stocked: asyncio.Event, ending: asyncio.Event) -> None:
    """Fill the shelves, wait until something is on them, then send a day's trade at an even rate until the end."""
    async with kafka.producer(settings) as producer:
        for message in shops.opening():
            await producer.send_and_wait(settings.topic_prefix + message.topic, message.value, message.key)
        waits = [asyncio.create_task(event.wait()) for event in (stocked, ending)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        began, sent = time.monotonic(), 0
        while not ending.is_set():
            due = int((time.monotonic() - began) * COMMANDS_PER_S) - sent
            for _ in range(min(due, COMMANDS_PER_S)):
                message = shops.next()
                await producer.send(settings.topic_prefix + message.topic, message.value, message.key)
            sent += due
            await asyncio.sleep(_TICK_S)
        await producer.flush()


async def _settled(reader: Reader, worker: "Worker", picture: Picture) -> Figures:
    """Wait until every command has its outcome and every event is out. Raises Unfit when that does not come."""
    deadline = time.monotonic() + _SETTLE_MAX_S
    while True:
        worker.check()
        figures = await reader.read()
        picture.show(figures, "settling")
        if figures.settled:
            return figures
        if time.monotonic() > deadline:
            raise Unfit(
                f"not settled after {_SETTLE_MAX_S:.0f} s: lag {figures.lag}, outbox {figures.outbox}, "
                f"{figures.movements} movements, {figures.events.get(STOCK_CHANGED, 0)} of them published"
            )
        await asyncio.sleep(picture.every_s / 2)


async def _pause(ending: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ending.wait()
    except TimeoutError:
        return


# ---------------------------------------------------------------- the worker


class Worker:
    """The worker's process."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process, self._log = process, log
        self.exit_code: int | None = None

    def check(self) -> None:
        """Raise Unfit with the last lines of its log if it has ended by itself."""
        if self._process.poll() is not None:
            raise Unfit(f"the worker ended with {self._process.returncode}:\n{self.said()}")

    def said(self) -> str:
        """Give the last lines of its log."""
        return tail(self._log)

    def end(self) -> None:
        """Ask it to end, and note how it did."""
        self._process.terminate()
        try:
            self.exit_code = self._process.wait(_GOODBYE_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()


@asynccontextmanager
async def _worker(run: Run) -> AsyncIterator[Worker]:
    """Run `stock-worker run` for as long as the block runs."""
    log = run.room.root / "worker.log"
    command = [sys.executable, "-m", "stock_worker", "--env-file", str(run.env_file), "run"]
    _say(run, "starting a worker: stock-worker run")
    worker = Worker(run.room.launch(command, log, end_with=signal.SIGTERM, environment=dict(os.environ)), log)
    try:
        yield worker
    finally:
        await asyncio.to_thread(worker.end)


# ---------------------------------------------------------------- what came of it


def _verdicts(figures: Figures, drifts: int, exit_code: int | None) -> list[tuple[bool, str]]:
    """What has to be so in the end, whether it is, and in words."""
    commands, told = sum(figures.commands.values()), figures.events.get(STOCK_CHANGED, 0)
    return [
        (commands == figures.decided, f"{commands:,} commands in, {figures.decided:,} outcomes"),
        (figures.movements == told, f"{figures.movements:,} movements in the ledger, {told:,} told by events"),
        (
            figures.dead == figures.dead_letters,
            f"{figures.dead:,} dead letters kept, {figures.dead_letters:,} published",
        ),
        (drifts == 0, f"verify: {drifts} drifts" if drifts else "verify: no drift"),
        (exit_code == 0, f"the worker ended with {exit_code}"),
    ]


def _as_json(figures: Figures, verdicts: list[tuple[bool, str]], first_event_s: float | None) -> dict[str, object]:
    return {
        "first_event_s": first_event_s,
        "commands": dict(figures.commands),
        "outcomes": dict(figures.outcomes),
        "refusals": dict(figures.refusals),
        "movements": dict(figures.rows),
        "events": dict(figures.events),
        "levels": dict(figures.levels),
        "parked": figures.parked,
        "verdicts": [{"ok": well, "words": words} for well, words in verdicts],
    }
