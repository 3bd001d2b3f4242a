"""Commands of requests, gathered. Law: they take the one write path, and each request is answered what the books say.

While one batch is under way the next one gathers, so a hundred requests at once cost a few transactions and one alone
waits for nobody. What is answered is read back from the reference, so a repeated key gets the very answer that the
first one got. A command that the database cannot take is found by halving and fails alone.
Source: contract rules 1, 2 and 13, section 7 (writes).
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from stock_worker.core.model import Command, Outcome, OutcomeKind
from stock_worker.faults import Quarantine, RetryNow, Stop, is_bug, reaction
from stock_worker.handle import Policy, handle_batch
from stock_worker.http.problems import Problem, of_fault
from stock_worker.log import one_line, say
from stock_worker.metrics import Metrics
from stock_worker.store.engine import connect
from stock_worker.store.reads.references import Answer, read_answers

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 200
"""Commands in one transaction: it holds their items, which Kafka's batches wait for."""
_WAITING_MAX: Final = 2_000
_PATIENCE_S: Final = 5.0
"""How long a command is offered again before its request is told to come back with the same key."""
_RACES_MAX: Final = 5
_PAUSE_S: Final = 0.05


class Told(NamedTuple):
    """What became of a command, whether it was known before, and what its reference says."""

    outcome: Outcome
    answer: Answer | None

    @property
    def repeated(self) -> bool:
        """Whether the same command was decided before."""
        return self.outcome.kind is OutcomeKind.DUPLICATE


class _Asked(NamedTuple):
    command: Command
    told: asyncio.Future[Told]


class Writer:
    """Gathers commands into batches, over one connection as the worker."""

    def __init__(self, database_url: str, policy: Policy, metrics: Metrics) -> None:
        self._database_url, self._policy, self._metrics = database_url, policy, metrics
        self._waiting: asyncio.Queue[_Asked] = asyncio.Queue(_WAITING_MAX)
        self._is_working = False
        self._connection: Connection | None = None

    async def write(self, command: Command) -> Told:
        """Have a command decided and booked. Raises Problem where it could not be, and then nothing is known of it."""
        assert self._is_working, "nobody would answer"
        asked = _Asked(command, asyncio.get_running_loop().create_future())
        try:
            self._waiting.put_nowait(asked)
        except asyncio.QueueFull:
            raise Problem("unavailable", "too many changes wait; try again with the same key") from None
        return await asked.told

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Work for as long as the block runs; what is asked until then is decided before it ends."""
        loop = asyncio.create_task(self._run(), name="http writer")
        self._is_working = True
        try:
            yield
            await self._waiting.join()
        finally:
            self._is_working = False
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            self._discard_connection()

    async def _run(self) -> NoReturn:
        while True:
            asked = [await self._waiting.get()]
            while len(asked) < _AT_ONCE and not self._waiting.empty():
                asked.append(self._waiting.get_nowait())
            try:
                await self._settle([each for each in asked if not each.told.done()])
            finally:
                for _ in asked:
                    self._waiting.task_done()

    async def _settle(self, asked: Sequence[_Asked]) -> None:
        """Decide these, in halves where they cannot be taken together, and answer each."""
        if not asked:
            return
        try:
            told = await self._offer([each.command for each in asked])
        except Quarantine as fault:
            if len(asked) == 1:
                _tell_set_aside(asked[0].command, fault.__cause__ or fault)
                _fail(asked, Problem("internal_error", "the command could not be booked; nothing was changed"))
                return
            middle = len(asked) // 2
            await self._settle(asked[:middle])
            await self._settle(asked[middle:])
        except Problem as problem:
            _fail(asked, problem)
        else:
            for each, answer in zip(asked, told, strict=True):
                if not each.told.done():
                    each.told.set_result(answer)

    async def _offer(self, commands: Sequence[Command]) -> list[Told]:
        """Offer commands until they are taken. Raises Quarantine, or Problem once patience is over."""
        began, tries = time.monotonic(), 0
        while True:
            tries += 1
            try:
                return await self._book(commands)
            except Exception as error:
                kind = reaction(error)
                self._discard_connection()
                if kind is Quarantine or (kind is RetryNow and tries > _RACES_MAX):
                    raise Quarantine(one_line(error)) from error
                if kind is Stop or time.monotonic() - began > _PATIENCE_S:
                    say(logger, logging.ERROR, "commands could not be booked", error=one_line(error), tries=tries)
                    raise of_fault(error) from error
                await asyncio.sleep(random.uniform(0, _PAUSE_S * tries))  # noqa: S311 - jitter

    async def _book(self, commands: Sequence[Command]) -> list[Told]:
        if self._connection is None:
            self._connection = await connect(
                self._database_url, "stock_worker", application_name="stock-worker api writer"
            )
        outcomes = await handle_batch(self._connection, commands, self._policy)
        self._metrics.count([("", outcome) for outcome in outcomes])
        answers = await read_answers(self._connection, [command.reference for command in commands])
        return [
            Told(outcome, answers.get(command.reference)) for command, outcome in zip(commands, outcomes, strict=True)
        ]

    def _discard_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def _fail(asked: Sequence[_Asked], problem: Problem) -> None:
    for each in asked:
        if not each.told.done():
            each.told.set_exception(problem)


def _tell_set_aside(command: Command, error: BaseException) -> None:
    say(logger, logging.ERROR, "command failed", reference="/".join(command.reference), error=one_line(error))
    if is_bug(error):
        logger.error("the bug", exc_info=error)
