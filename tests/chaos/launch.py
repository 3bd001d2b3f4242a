"""The real program as a process, with one point armed. Law: the product knows nothing of points.

A point names a function of the product or of a library under it. The function is wrapped, and at a given pass through
it that meets the point's condition the process says where it is and ends itself with SIGKILL, or stops with SIGSTOP.

Processes are forks of one that has imported the program and has done nothing else (multiprocessing's forkserver): the
imports are most of a start's CPU (1.7 of 2.3 s), and the proof starts some six hundred. What runs then is
`stock-worker` with the arguments, environment and empty folder that a shell would give it.
"""

import asyncio
import ctypes
import functools
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, NamedTuple

BEFORE, AFTER, DURING = "before", "after", "during"
_TURNS: Final = 4
"""Turns of the loop after which a call has been written to its socket, and before which no answer can have come."""
_PARENT_DEATH: Final = 1  # prctl's PR_SET_PDEATHSIG
_IMPORTED: Final = ("stock_worker.cli.run", "stock_worker.service", "stock_worker.store.migrate", "alembic.command")


class Arguments(NamedTuple):
    """What a wrapped function was called with."""

    positional: tuple[Any, ...]
    named: Mapping[str, Any]
    result: Any = None


Condition = Callable[[Arguments], bool]


class Point(NamedTuple):
    """`module:name`, when it happens, and at which passes; after a pass through `sigterm_after` SIGTERM comes first."""

    function: str
    when: str
    condition: Condition = lambda _: True
    sigterm_after: str | None = None


def _has_commands(call: Arguments) -> bool:
    return len(call.positional[1]) > 0  # a sweep that finds nothing passes here too


def _has_decided(call: Arguments) -> bool:
    return len(call.positional[2]) > 0


def _has_expired(call: Arguments) -> bool:
    return any(getattr(entry, "kind", None) == "expire" for entry, _ in call.positional[2])


def _has_evaluated(call: Arguments) -> bool:
    return not call.positional[2] and bool(call.positional[1].changes.items)


def _expired_some(call: Arguments) -> bool:
    return bool(call.result.outcomes)


def _told_some(call: Arguments) -> bool:
    return bool(call.result)


def _has_offsets(call: Arguments) -> bool:
    intake = call.positional[0]
    return bool(intake._uncommitted and intake.owned)


def _has_partitions(call: Arguments) -> bool:
    return bool(call.positional[0].owned)  # a member that joins is revoked nothing


def _is_in_mid_batch(call: Arguments) -> bool:
    return bool(call.positional[0].intake._under_way)


def _has_read(call: Arguments) -> bool:
    return len(call.result[0]) > 0


def _produces(call: Arguments) -> bool:
    return type(call.positional[2]).__name__ == "ProduceRequest"


def _changes_the_schema(call: Arguments) -> bool:
    return str(call.positional[2]).lstrip().partition(" ")[0] in ("CREATE", "ALTER", "GRANT", "REVOKE", "INSERT")


POINTS: Final[Mapping[str, Point]] = {
    "after_poll": Point("stock_worker.intake:Intake.polled", BEFORE),
    "after_decode": Point("stock_worker.worker:Worker.apply", BEFORE),
    "after_lock": Point("stock_worker.handle:load", AFTER, _has_commands),
    "before_commit": Point("stock_worker.handle:_write", AFTER, _has_decided),
    "after_commit_before_wake": Point("stock_worker.worker:Worker.wake", BEFORE),
    "after_commit_before_offsets": Point("stock_worker.intake:Intake.flush", BEFORE, _has_offsets),
    "during_rebalance": Point("stock_worker.intake:Intake.revoked", BEFORE, _has_partitions),
    "on_sigterm_in_mid_batch": Point(
        "stock_worker.worker:Worker.stop", BEFORE, _is_in_mid_batch, sigterm_after="stock_worker.handle:load"
    ),
    "expiry_before_commit": Point("stock_worker.handle:_write", AFTER, _has_expired),
    "expiry_after_commit": Point("stock_worker.sweeper.expiries:expire", AFTER, _expired_some),
    "evaluation_before_commit": Point("stock_worker.handle:_write", AFTER, _has_evaluated),
    # The items of a changed rule are evaluated, and its job says still that they are not.
    "evaluation_after_commit": Point("stock_worker.sweeper.reevaluations:reevaluate", AFTER, _told_some),
    "relay_after_read": Point("stock_worker.relay.life:Life._read", AFTER, _has_read),
    # Records are in the relay's hands, a step before they are written to the socket.
    "relay_before_send": Point("aiokafka.client:AIOKafkaClient.send", BEFORE, _produces),
    # The request is written to the socket and Kafka has not answered.
    "relay_after_send": Point("aiokafka.client:AIOKafkaClient.send", DURING, _produces),
    # Kafka's answer has come and nobody has looked at it.
    "relay_before_acknowledgement": Point("aiokafka.producer.sender:SendProduceReqHandler.handle_response", BEFORE),
    "relay_after_acknowledgement": Point("stock_worker.relay.publisher:Publisher._send", AFTER),
    "relay_before_delete": Point("stock_worker.store.outbox:delete", BEFORE, _has_commands),
}
"""Where a worker dies."""

MIGRATION_POINTS: Final[Mapping[str, Point]] = {
    "migrate_before_roles": Point("stock_worker.store.migrate:ensure_roles", BEFORE),
    "migrate_before_schema": Point("stock_worker.store.migrate:_make_schema", BEFORE),
    "migrate_after_schema": Point("stock_worker.store.migrate:_make_schema", AFTER),
    "migrate_at_a_statement": Point("sqlalchemy.engine.default:DefaultDialect.do_execute", BEFORE, _changes_the_schema),
    "migrate_before_commit": Point("alembic.runtime.migration:MigrationContext.run_migrations", AFTER),
    "migrate_after_commit": Point("stock_worker.store.migrate:_alembic", AFTER),
}
"""Where `stock-worker migrate` dies."""

FREEZING_POINTS: Final[Mapping[str, Point]] = {
    "frozen_in_mid_transaction": POINTS["before_commit"],
    "frozen_before_offsets": POINTS["after_commit_before_offsets"],
    "frozen_before_send": POINTS["relay_before_send"],
}
"""Where a worker is stopped, to wake when another has taken its place."""


def start(
    environment: Mapping[str, str], folder: Path, log: Path, arguments: Sequence[str], armed: "Armed"
) -> BaseProcess:
    """Start `stock-worker` with these arguments; both its outputs go to the log."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    process = context.Process(target=_live, args=(dict(environment), folder, log, list(arguments), armed))
    process.start()
    return process


class Armed(NamedTuple):
    """A point by its name, and the pass at which it goes off; None arms nothing."""

    point: str | None = None
    passes: int = 1


def last_words(point: str) -> str:
    """What a process says when it comes to its point."""
    return f"the armed point: {point}"


# ---------------------------------------------------------------- in the new process


def _live(environment: Mapping[str, str], folder: Path, log: Path, arguments: Sequence[str], armed: Armed) -> None:
    os.setpgrp()  # Ctrl-C is the parent's to handle
    if sys.platform == "linux":  # and nothing outlives it, however it ends
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if armed.point:
        _arm(armed.point, armed.passes)
    sys.argv = ["stock-worker", *arguments]
    from stock_worker.cli import main  # noqa: PLC0415 - the tests that start this need not import it

    main()


def _arm(name: str, passes: int) -> None:
    """Wrap the function of a point so that the process ends or stops at that pass through it."""
    point = {**POINTS, **MIGRATION_POINTS, **FREEZING_POINTS}[name]

    def happen() -> None:
        os.write(2, f"{last_words(name)}\n".encode())
        os.kill(os.getpid(), signal.SIGSTOP if name in FREEZING_POINTS else signal.SIGKILL)

    if point.sigterm_after:
        _wrap(point.sigterm_after, AFTER, _has_commands, passes, lambda: os.kill(os.getpid(), signal.SIGTERM))
        passes = 1
    _wrap(point.function, point.when, point.condition, passes, happen)


def _wrap(function: str, when: str, condition: Condition, passes: int, happen: Callable[[], None]) -> None:
    """Let something happen at the given pass through a function that meets a condition."""
    module_name, _, path = function.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, attribute = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    left = passes

    def pass_by(call: Arguments) -> None:
        nonlocal left
        if left and condition(call):
            left -= 1
            if not left:
                happen()

    setattr(owner, attribute, _wrapped(getattr(owner, attribute), when, pass_by))


def _wrapped(function: Callable[..., Any], when: str, pass_by: Callable[[Arguments], None]) -> Callable[..., Any]:
    if asyncio.iscoroutinefunction(function):
        return _wrapped_async(function, when, pass_by)

    @functools.wraps(function)
    def passing(*args: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        if when == BEFORE:
            pass_by(Arguments(args, more))
        result = function(*args, **more)
        if when == AFTER:
            pass_by(Arguments(args, more, result))
        return result

    return passing


def _wrapped_async(function: Callable[..., Any], when: str, pass_by: Callable[[Arguments], None]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def passing(*args: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        if when == BEFORE:
            pass_by(Arguments(args, more))
        under_way = asyncio.ensure_future(function(*args, **more)) if when == DURING else function(*args, **more)
        if when == DURING:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if not under_way.done():
                pass_by(Arguments(args, more))
        result = await under_way
        if when == AFTER:
            pass_by(Arguments(args, more, result))
        return result

    return passing
