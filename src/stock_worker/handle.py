"""Apply one batch in one transaction. Law: afterwards every command has exactly one outcome, or nothing was written.

Lock, load, decide in memory, write sets, commit: the only code that changes stock. Records that are no commands go to
the dead letters in the same transaction as their neighbours. Source: contract rules 1, 2 and 13.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from stock_worker.core import decide, events
from stock_worker.core.catalog import change_product
from stock_worker.core.levels import evaluate, tell_level
from stock_worker.core.model import (
    Command,
    CommandKind,
    Entry,
    ItemKey,
    Malformed,
    OrderKey,
    Outcome,
    OutcomeKind,
    ProductChanged,
    Record,
    Source,
)
from stock_worker.core.refusals import DEAD_LETTERED, Code
from stock_worker.core.state import World
from stock_worker.core.topics import command_topic_of
from stock_worker.store.known import Known
from stock_worker.store.load import (
    Waiting,
    dead_positions,
    load,
    load_items,
    load_sold_before,
    pick_due_orders,
)
from stock_worker.store.save import save, save_dead_letters, save_outbox, unpark
from stock_worker.wire.decode import decode
from stock_worker.wire.encode import OutboxRow, dead_letter_row, event_row
from stock_worker.wire.fingerprint import FINGERPRINT_VERSION, fingerprint

if TYPE_CHECKING:
    from asyncpg import Connection

_ROWS_AT_ONCE: Final = 100
"""Event rows made before the loop gets a turn: some 0.5 ms, so that the database's next statement does not wait."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the deployment says of a batch, and what this process remembers between batches."""

    topic_prefix: str = ""
    emit_applied: bool = True
    known: Known = field(default_factory=Known, repr=False)


@dataclass(frozen=True, slots=True)
class _Letter:
    record: Record
    site_id: str | None
    reason: str
    detail: str


async def handle_batch(
    connection: "Connection",
    batch: Sequence[Entry],
    policy: Policy,
    *,
    clock: datetime | None = None,
) -> list[Outcome]:
    """Decide a batch in its order, write it and commit. Returns one outcome each, in the same order.

    `connection` acts as `stock_worker` and is in no transaction. `clock` replaces PostgreSQL's (tests and demo). Raises
    what asyncpg and the system raise; then nothing was written, or, where the COMMIT's answer was lost, a repetition
    finds every reference known.
    """
    async with _transaction(connection, policy):
        commands = [entry for entry in batch if isinstance(entry, Command)]
        announced = [entry.item for entry in batch if isinstance(entry, ProductChanged)]
        world = await load(connection, commands, _parked_command, policy.known, clock, announced=announced)
        outcomes = [_decide(world, entry) for entry in batch]
        await _write(connection, world, list(zip(batch, outcomes, strict=True)), policy)
    return outcomes


async def end_parked(
    connection: "Connection", policy: Policy, waiting: Sequence[Waiting], *, clock: datetime | None = None
) -> list[tuple[Command, Outcome]]:
    """End commands that have waited too long for their order. Returns what became of each.

    Decided again under the locks: a command whose order was placed meanwhile is left alone (contract rule 5).
    """
    async with _transaction(connection, policy):
        parked = [_parked_command(each.record) for each in waiting]
        world = await load(connection, parked, _parked_command, policy.known, clock, blind=True)
        ended = [(command, decide.end_parked(world, command)) for command in parked]
        done = [(command, outcome) for command, outcome in ended if outcome.kind is not OutcomeKind.PARKED]
        await _write(connection, world, done, policy)
    return done


class Expired(NamedTuple):
    """How many orders were picked because they were due, and what became of those that still were."""

    picked: int
    outcomes: list[Outcome]


async def expire(
    connection: "Connection",
    policy: Policy,
    reach: datetime,
    limit: int,
    *,
    except_for: Sequence[int] = (),
    clock: datetime | None = None,
) -> Expired:
    """Let the reservations of up to `limit` orders expire that are due up to `reach`, the longest overdue first.

    They are decided again under the locks; orders that another sweeper has picked are left to it, and those of
    `except_for`, by order_pk, are passed over (contract rule 6).
    """
    async with _transaction(connection, policy):
        due = [_expiry(*picked) for picked in await pick_due_orders(connection, reach, limit, except_for)]
        if not due:
            return Expired(0, [])
        world = await load(connection, due, _parked_command, policy.known, clock)
        expired = [(command, decide.expire(world, command)) for command in due]
        done = [(command, outcome) for command, outcome in expired if outcome is not None]
        await _write(connection, world, done, policy)
    return Expired(len(due), [outcome for _, outcome in done])


async def reevaluate(
    connection: "Connection",
    policy: Policy,
    keys: Sequence[ItemKey],
    *,
    tells_limit: Callable[[str], bool],
    clock: datetime | None = None,
) -> int:
    """Evaluate the levels of items again after a rule or a setting changed. Returns how many are told of.

    `tells_limit` says of the scope that an item's backorder limit comes from whether it may have changed: then its
    state is published although its level stayed.
    """
    async with _transaction(connection, policy):
        world = await load_items(connection, keys, policy.known, clock)
        for item in world.items.values():
            if item.version and tells_limit(item.policy.backorder_scope):
                tell_level(world, item)
            evaluate(world, item, None)
        await _write(connection, world, [], policy)
    return len(world.changes.items)


async def set_aside_parked(
    connection: "Connection", policy: Policy, waiting: Waiting, detail: str, *, clock: datetime | None = None
) -> Outcome | None:
    """Dead-letter a parked command that cannot be ended, as internal_error; it leaves no reference (rule 13).

    Returns None where another has ended it meanwhile.
    """
    entry = Malformed(waiting.record, detail, Code.INTERNAL_ERROR)
    async with _transaction(connection, policy):
        if not await unpark(connection, [waiting.reference]):
            return None
        world = await load(connection, [], _parked_command, policy.known, clock)
        outcome = _refuse(entry)
        await _write(connection, world, [(entry, outcome)], policy)
    return outcome


@asynccontextmanager
async def _transaction(connection: "Connection", policy: Policy) -> AsyncIterator[None]:
    """The one transaction of a batch; what was learnt in one that failed may not exist, and is forgotten."""
    assert not connection.is_in_transaction(), "a batch is a transaction of its own"
    try:
        async with connection.transaction(isolation="read_committed"):
            yield
    except BaseException:
        policy.known.forget()
        raise


async def _write(
    connection: "Connection",
    world: World,
    decided: Sequence[tuple[Entry, Outcome]],
    policy: Policy,
) -> None:
    """Write the world's changes, the dead letters not told before, and the events of both."""
    letters = [_letter(entry, outcome) for entry, outcome in decided if outcome.code in DEAD_LETTERED]
    told_before = await dead_positions(connection, [letter.record for letter in letters if letter])
    fresh = [letter for letter in letters if letter and _position(letter.record) not in told_before]
    conflicts = [
        (entry, outcome)
        for entry, outcome in decided
        if outcome.kind is OutcomeKind.CONFLICT
        and isinstance(entry, Command)
        and (entry.record is None or _position(entry.record) not in told_before)
    ]
    await load_sold_before(connection, world)
    saving = asyncio.create_task(save(connection, world, fingerprint_version=FINGERPRINT_VERSION))
    try:
        rows = await _event_rows(world, conflicts, policy)
    finally:
        await saving
    if fresh:
        kept = [(letter.record, letter.site_id, letter.reason, letter.detail) for letter in fresh]
        await save_dead_letters(connection, kept, world.recorded_at)
    rows += [
        dead_letter_row(letter.record, letter.reason, letter.detail, created_at=world.recorded_at) for letter in fresh
    ]
    if rows:
        await save_outbox(connection, rows)


async def _event_rows(world: World, conflicts: Sequence[tuple[Command, Outcome]], policy: Policy) -> list[OutboxRow]:
    """Make the events' rows while the database writes what they tell: it is waited for most of that time."""
    rows: list[OutboxRow] = []
    for number, event in enumerate(_events(world, conflicts, policy)):
        if number % _ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
        rows.append(event_row(event, prefix=policy.topic_prefix, created_at=world.recorded_at))
    return rows


def _events(world: World, conflicts: Sequence[tuple[Command, Outcome]], policy: Policy) -> Iterator[events.Event]:
    changes = world.changes
    for row in changes.movements:
        yield events.stock_changed(world, row)
    for alert in changes.alerts:
        yield events.alert_level_changed(world, alert)
    for item in changes.items.values():
        yield events.stock_level(world, item)
    for command, outcome in [*((done.command, done.outcome) for done in changes.decided), *conflicts]:
        yield from events.told(command, outcome, emit_applied=policy.emit_applied)


def _expiry(order: OrderKey, expires_at: datetime) -> Command:
    """Ask for the expiry of an order; it happened at the time that was set for it."""
    reference = decide.expiry_of(order, expires_at)
    return Command(
        CommandKind.EXPIRE,
        reference,
        order.order_id,
        None,
        fingerprint(CommandKind.EXPIRE, reference, order.order_id, None),
        expires_at,
        Source("sweeper"),
        expires_at=expires_at,
    )


def _decide(world: World, entry: Entry) -> Outcome:
    if isinstance(entry, Command):
        return decide.decide(world, entry)
    return change_product(world, entry) if isinstance(entry, ProductChanged) else _refuse(entry)


def _refuse(entry: Malformed) -> Outcome:
    kind = OutcomeKind.FAILED if entry.code is Code.INTERNAL_ERROR else OutcomeKind.MALFORMED
    return Outcome(kind, entry.code, entry.detail)


def _letter(entry: Entry, outcome: Outcome) -> _Letter | None:
    """The dead letter of an entry; a command that did not come by Kafka has no record to keep."""
    assert outcome.code is not None
    if isinstance(entry, Malformed):
        return _Letter(entry.record, None, entry.code.text, entry.detail)
    if entry.record is None:
        return None
    assert isinstance(entry, Command), "a catalog record is never refused"
    return _Letter(entry.record, entry.site_id, outcome.code.text, outcome.message or outcome.code.text)


def _position(record: Record) -> tuple[str, int, int, int]:
    return record.topic, record.partition, record.offset, record.timestamp_ms


def _parked_command(record: Record) -> Command:
    """Decode again what was parked: its bytes were a command then, and decoding only learns, it never unlearns.

    The deployment's prefix may have been another one then.
    """
    command = decode(record, command_topic_of(record.topic))
    assert isinstance(command, Command), f"a parked record is no command any more: {command}"
    return command
