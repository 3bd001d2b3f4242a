"""The play itself. Law: it sends and it reads; whatever is decided, the service decides.

Shelves are filled first, and trade begins when the service has put something on them; then the shop to look at is
opened beside it. In the end nothing is sent any
more, every command is awaited, every event is read, and the worker is asked to end before the ledger is judged.
"""

import asyncio
import signal
import time
from importlib import import_module
from typing import Final

from stock_worker import topics
from stock_worker.cli import kafka, terminal
from stock_worker.cli.demo.figures import Figures, Reader
from stock_worker.cli.demo.ground import Run
from stock_worker.cli.demo.picture import Drawn, Picture, Plain, summary
from stock_worker.cli.demo.processes import Process, serving, working
from stock_worker.cli.demo.scenes import play
from stock_worker.cli.demo.shop import Shops
from stock_worker.cli.demo.verdicts import as_json as summary_as_json
from stock_worker.cli.demo.verdicts import judge
from stock_worker.cli.terminal import Unfit
from stock_worker.cli.verify import check
from stock_worker.core.topics import STOCK_CHANGED
from stock_worker.settings import Settings
from stock_worker.store.migrate import upgrade

COMMANDS_PER_S: Final = 300
_TICK_S: Final = 0.05
_START_MAX_S: Final = 60.0
_SETTLE_MAX_S: Final = 60.0


async def act(run: Run, picture: Picture, seconds: int | None, *, as_json: bool) -> int:
    """Prepare, play until it is time, let everything settle, and judge."""
    ending = _ending_on_signals()
    settings, shops = run.settings, Shops()
    _say(run, "making tables and topics")
    await asyncio.gather(asyncio.to_thread(upgrade, settings.database_url), topics.create(settings))
    _say(run, "starting a worker: stock-worker run")
    async with working(run) as worker, Reader(settings, run.began) as reader:
        stocked = asyncio.Event()
        sending = asyncio.create_task(_send(settings, shops, stocked, ending))
        scenes: asyncio.Task[list[str]] | None = None
        shop: asyncio.Task[None] | None = None
        with picture:
            try:
                await _opened(reader, worker, picture, ending)
                stocked.set()
                scenes = asyncio.create_task(play(settings))
                shop = asyncio.create_task(_open_shop(run, picture, ending))
                until = None if seconds is None else time.monotonic() + seconds
                while not (ending.is_set() or sending.done() or shop.done() or (until and time.monotonic() > until)):
                    worker.check()
                    picture.show(await reader.read(), "running")
                    await _pause(ending, picture.every_s)
                story = await scenes
                ending.set()
                await shop
            finally:
                ending.set()
                await sending
                for task in (scenes, shop):
                    if task is not None:
                        task.cancel()
            figures = await _settled(reader, worker, picture)
    drifts = await check(settings.database_url, progress=False)
    for drift in drifts:
        terminal.say(str(drift))
    first = None if reader.first_event_at is None else reader.first_event_at - run.began
    verdicts = judge(figures, len(drifts), worker.exit_code)
    if as_json:
        terminal.give_json(summary_as_json(figures, verdicts, first) | {"story": story})
    else:
        terminal.console().print(summary(figures, verdicts, first))
        terminal.give("")
        for line in story:
            terminal.give(line)
    return 0 if all(verdict.ok for verdict in verdicts) else terminal.FINDING


def picture_for(*, watched: bool, as_json: bool) -> Picture:
    """Choose how the figures are shown; where JSON is asked for, they are words."""
    return Drawn(terminal.console(), Shops().names()) if watched else Plain(terminal.console(words=as_json))


def _say(run: Run, words: str) -> None:
    terminal.say(f"{time.monotonic() - run.began:5.1f} s  {words}")


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


async def _open_shop(run: Run, picture: Picture, ending: asyncio.Event) -> None:
    """Keep the shop to look at open until the end. What it needs is imported now, so that no figure waits for that."""
    async with serving(run) as api:
        module = await asyncio.to_thread(import_module, "stock_worker.cli.demo.open_shop")
        await module.keep_open(run, api, picture.tell, ending)


async def _opened(reader: Reader, worker: Process, picture: Picture, ending: asyncio.Event) -> None:
    """Wait until the service has applied something. Raises Unfit when that does not come."""
    deadline = time.monotonic() + _START_MAX_S
    while not ((figures := await reader.read()).decided or ending.is_set()):
        worker.check()
        picture.show(figures, "starting")
        if time.monotonic() > deadline:
            raise Unfit(f"the worker applied nothing in {_START_MAX_S:.0f} s:\n{worker.said()}")
        await _pause(ending, picture.every_s / 2)


async def _settled(reader: Reader, worker: Process, picture: Picture) -> Figures:
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
