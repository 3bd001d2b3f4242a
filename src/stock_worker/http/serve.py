"""The API as processes on one port, or beside a worker. Law: it answers whole or not at all.

One process takes the port and starts the others, each with a socket of its own on it and the whole application. The
one that dies takes all down with its reason: half an API is seen by nobody, and whoever restarts us restarts all of it.
Health answers from the first moment. The database is waited for and told of once, by the first process; what only an
operator can mend ends the start in one line. SIGTERM ends what is under way within 25 s.
Source: contract section 8 (`api`, `run --with-api`, exit codes).
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NoReturn

import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from stock_worker import log
from stock_worker.faults import Stop
from stock_worker.garbage import collect_seldom
from stock_worker.health import Around, Health, Served
from stock_worker.http.app import create_app
from stock_worker.http.backend import Backend
from stock_worker.http.tokens import Verifier, tell_of_a_short_key
from stock_worker.log import one_line, say
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from stock_worker.startup import ask_database, until_it_works

logger = logging.getLogger(__name__)

PROCESSES: Final = 2
OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that need no token; they are health's."""

_END_S: Final = 20.0
"""For a process to end in, after which it is cut off; a request ends within 16 s of its own."""
_KILL_S: Final = 23.0
_LOOK_EVERY_S: Final = 1.0
_LOOK_MAX_S: Final = 5.0
_FIGURES: Final = "PROMETHEUS_MULTIPROC_DIR"


def around(settings: Settings) -> Around:
    """Give what `service.serve` takes to serve the API on a worker's port. Raises SettingsError."""
    verifier = Verifier.of(settings)
    tell_of_a_short_key(settings)
    return partial(_application, settings, verifier)


def serve(settings: Settings, processes: int = PROCESSES) -> int:
    """Serve until SIGTERM. Returns the exit code: 0 asked to end, 1 ended by a fault that is told in one line.

    Raises SettingsError.
    """
    Verifier.of(settings)
    log.configure(settings.log_format, settings.log_level, secrets=settings.secrets())
    tell_of_a_short_key(settings)
    with TemporaryDirectory(prefix="stock-worker-api-") as figures:
        os.environ[_FIGURES] = figures  # before the library is imported, which the other processes are yet to do
        return asyncio.run(_Processes(settings, processes, Path(figures)).run())


@asynccontextmanager
async def _application(
    settings: Settings, verifier: Verifier, metrics: Metrics, health: ASGIApp
) -> AsyncIterator[Served]:
    """Make the application that health stands beside, and hold open what it stands on."""
    async with Backend(settings, metrics, verifier).open() as backend:
        yield Served(beside(health, create_app(backend, metrics)), backend.stream.cut_all)


def beside(health: ASGIApp, api: ASGIApp) -> ASGIApp:
    """Serve health's routes beside the API, outside of its watch: they are asked each second and fill no log."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (health if scope.get("path") in OPEN else api)(scope, receive, send)

    return answer


# ---------------------------------------------------------------- the first process


class _Processes:
    """The first process, which starts the others and watches them."""

    def __init__(self, settings: Settings, processes: int, figures: Path) -> None:
        self._settings, self._count, self._figures = settings, processes, figures
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Serve until asked to stop or until one dies. Returns the exit code."""
        with _signals(self._stopping):
            where = f"{self._settings.http_host}:{self._settings.http_port}"
            try:
                sockets = Health.share(self._settings.http_host, self._settings.http_port, self._count)
            except OSError as error:
                words = f"STOCK_HTTP_HOST and STOCK_HTTP_PORT ({where}) cannot be used; free the port or set another"
                say(logger, logging.CRITICAL, words, error=one_line(error))
                return 1
            host, port = sockets[0].getsockname()[:2]
            started = self._start(sockets)
            say(logger, logging.INFO, "serving", host=host, port=port, processes=self._count)
            try:
                return await self._watch(started)
            finally:
                await _end(started)

    def _start(self, sockets: Sequence[socket.socket]) -> list[BaseProcess]:
        # Spawned and not forked: nothing of this process's threads, loop and connections is in them.
        spawn = multiprocessing.get_context("spawn")
        processes = list[BaseProcess]()
        for number, listening in enumerate(sockets, 1):
            with listening:  # from here on it is that process's alone
                arguments = (self._settings, listening, self._figures)
                processes.append(spawn.Process(target=_serve_in_child, args=arguments, name=f"api {number}"))
                processes[-1].start()
        return processes

    async def _watch(self, processes: Sequence[BaseProcess]) -> int:
        """Wait for the database, a signal or an end. Returns the exit code."""
        asked = asyncio.create_task(self._stopping.wait())
        start = asyncio.create_task(until_it_works("PostgreSQL", self._ask_database, {}))
        ended = asyncio.create_task(_first_to_end(processes))
        try:
            await asyncio.wait({asked, start, ended}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
                await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                say(logger, logging.INFO, "stopping: requests under way are answered first")
                return 0
            dead = ended.result()
            await asyncio.to_thread(dead.join)  # it has ended; this learns how
            say(logger, logging.CRITICAL, f"the process {dead.name} died; all end", exit_code=dead.exitcode)
        except Stop as fault:
            say(logger, logging.CRITICAL, str(fault))
        finally:
            for task in (asked, start, ended):
                task.cancel()
            await asyncio.gather(asked, start, ended, return_exceptions=True)
        return 1

    async def _ask_database(self) -> None:
        await ask_database(self._settings)


@contextlib.contextmanager
def _signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    try:
        yield
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


async def _first_to_end(processes: Sequence[BaseProcess]) -> BaseProcess:
    loop = asyncio.get_running_loop()
    first: asyncio.Future[BaseProcess] = loop.create_future()

    def ended(process: BaseProcess) -> None:
        loop.remove_reader(process.sentinel)
        if not first.done():
            first.set_result(process)

    for process in processes:
        loop.add_reader(process.sentinel, ended, process)
    try:
        return await first
    finally:
        for process in processes:
            loop.remove_reader(process.sentinel)


async def _end(processes: Sequence[BaseProcess]) -> None:
    """Ask each to end, and kill what does not."""
    for process in processes:
        process.terminate()
    deadline = asyncio.get_running_loop().time() + _KILL_S
    for process in processes:
        left_s = max(0.0, deadline - asyncio.get_running_loop().time())
        await asyncio.to_thread(process.join, left_s)
        if process.exitcode is None:
            say(logger, logging.WARNING, f"the process {process.name} did not end in time and is killed")
            process.kill()
            await asyncio.to_thread(process.join)
    say(logger, logging.INFO, "stopped")


# ---------------------------------------------------------------- the others


def _serve_in_child(settings: Settings, listening: socket.socket, figures: Path) -> None:
    """Serve from a socket of the first process's, until it says so or is no more."""
    log.configure(settings.log_format, settings.log_level, secrets=settings.secrets())
    collect_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_Child(settings, figures).run(listening))
        except Exception as error:
            logger.critical("serving failed: %s", one_line(error), exc_info=error)
            sys.exit(1)
        finally:
            first = multiprocessing.parent_process()
            if first is not None and not first.is_alive():  # it was killed, and its folder is left to us
                shutil.rmtree(figures, ignore_errors=True)


class _Child:
    """One process of the API."""

    def __init__(self, settings: Settings, figures: Path) -> None:
        self._settings, self._verifier = settings, Verifier.of(settings)
        self._stopping = asyncio.Event()
        self._fault: str | None = "PostgreSQL has not answered yet"
        self._health = Health(
            Metrics(folder=figures), unhealthy=list, unready=self._unready, paused=list, around=self._around
        )

    async def run(self, listening: socket.socket) -> None:
        """Answer until asked to stop."""
        first = multiprocessing.parent_process()
        assert first is not None
        loop = asyncio.get_running_loop()
        with _signals(self._stopping):
            loop.add_reader(first.sentinel, self._stopping.set)  # without the first process nobody would end this one
            serving = asyncio.create_task(self._health.serve(listening))
            asked = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
                self._health.stop()
                async with asyncio.timeout(_END_S):
                    await serving
            except TimeoutError:
                say(logger, logging.WARNING, "requests did not end in time and are cut off", waited_s=_END_S)
            finally:
                loop.remove_reader(first.sentinel)
                asked.cancel()

    def _unready(self) -> list[str]:
        reasons = {"stopping": self._stopping.is_set(), self._fault: self._fault is not None}
        return [reason for reason, is_so in reasons.items() if is_so and reason]

    @asynccontextmanager
    async def _around(self, metrics: Metrics, health: ASGIApp) -> AsyncIterator[Served]:
        async with Backend(self._settings, metrics, self._verifier).open() as backend:
            looking = asyncio.create_task(self._look(backend))
            try:
                yield Served(beside(health, create_app(backend, metrics)), backend.stream.cut_all)
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    async def _look(self, backend: Backend) -> NoReturn:
        """Ask the database again and again whether requests can be answered; a change is told once."""
        has_answered = False
        while True:
            try:
                async with asyncio.timeout(_LOOK_MAX_S):
                    await backend.answers()
            except Exception as error:  # noqa: BLE001 - whatever it is, requests meet it too
                fault = f"PostgreSQL does not answer: {one_line(error)}"
                if self._fault is None:
                    say(logger, logging.WARNING, "PostgreSQL does not answer; not ready", error=one_line(error))
                self._fault = fault
            else:
                if self._fault is not None and has_answered:
                    say(logger, logging.INFO, "PostgreSQL answers again")
                self._fault, has_answered = None, True
            await asyncio.sleep(_LOOK_EVERY_S)
