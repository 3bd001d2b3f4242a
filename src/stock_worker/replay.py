"""Send a dead letter again, or close it. Law: nothing is sent that would die again, or that has happened already.

A letter goes back as it came: to its topic, with its key, headers and time, so that it tells when it happened. Where
its reference is settled for something else, or as refused, it gets a new one. It is held while it is sent and settled
after: should the settling fail, a second replay finds the first one's reference. Source: contract rules 1 and 13,
section 8.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from stock_worker.core.model import Command, Malformed, Record
from stock_worker.core.topics import command_topic_of
from stock_worker.store.dead_letters import Letter, Settlement, held, known_references, settle
from stock_worker.store.steering.fields import NAME_MAX, Field, text, unfit
from stock_worker.store.steering.refused import Refused, Why
from stock_worker.wire.decode import decode
from stock_worker.wire.values import NAME_MAX_CHARACTERS

if TYPE_CHECKING:
    from asyncpg import Connection

_REPLAYS_MAX: Final = 50
"""How often one letter can be tried under a new name of ours; who needs more gives it one."""
_REFUSED: Final = "rejected"
SETTLERS_WORDS: Final[Mapping[str, Field]] = {
    "by": text(NAME_MAX, clears=False),
    "reason": text(NAME_MAX, clears=False),
}
"""What people say when they settle a letter."""

Produce = Callable[[Record], Awaitable[None]]
"""Sends a record to its topic, by its key, with its time; returns when Kafka has it."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What would be sent: the record, and its reference_id before and then (None: the catalog's have none)."""

    letter: Letter
    record: Record
    reference_id: str | None
    was: str | None

    @property
    def words(self) -> str:
        """Say what the letter becomes, as it is kept."""
        return "replayed" if self.reference_id is None else f"replayed as {self.reference_id}"


async def plan(
    connection: "Connection", letter: Letter, *, reference_id: str | None = None, taken: Collection[str] = ()
) -> Replay | Refused:
    """Look whether and as what a letter can go back.

    `reference_id` is the new one that somebody wants for it; `taken` are names that were just given to others.
    """
    if letter.entry.settlement is not None:
        return _settled(letter.entry.settlement)
    entry = decode(letter.record, command_topic_of(letter.record.topic))
    if isinstance(entry, Malformed):
        return Refused(Why.UNFIT, f"it is still {entry.code.text}: {entry.detail}")
    if isinstance(entry, Command):
        return await _plan_command(connection, letter, entry, reference_id, taken)
    if reference_id is not None:
        return Refused(Why.MALFORMED, "a record of the catalog has no reference_id")
    return Replay(letter, letter.record, None, None)


async def send(connection: "Connection", replay: Replay, by: str, produce: Produce) -> Refused | None:
    """Send a letter and settle it; None when that was done."""
    if refused := unfit("a replay", SETTLERS_WORDS, {"by": by}):
        return refused
    position = replay.letter.entry.position
    async with held(connection, position) as settled:
        if settled is not None:
            return _settled(settled)
        await produce(replay.record)
        await settle(connection, position, by, replay.words)
    return None


async def discard(connection: "Connection", letter: Letter, by: str, reason: str) -> Refused | None:
    """Close a letter with a reason; None when that was done."""
    if refused := unfit("a discard", SETTLERS_WORDS, {"by": by, "reason": reason}):
        return refused
    position = letter.entry.position
    async with held(connection, position) as settled:
        if settled is not None:
            return _settled(settled)
        await settle(connection, position, by, reason)
    return None


async def _plan_command(
    connection: "Connection", letter: Letter, command: Command, wanted: str | None, taken: Collection[str]
) -> Replay | Refused:
    was = command.reference.id
    if wanted is not None:
        return await _renamed(connection, letter, command, [wanted])
    known = (await known_references(connection, command.reference, [was])).get(was)
    if known is None:
        return Replay(letter, letter.record, was, was)
    if known.fingerprint == command.fingerprint and known.outcome != _REFUSED:
        return Refused(Why.KNOWN, f"it has been taken meanwhile: {was} is {known.outcome}")
    names = [_with_number(was, number) for number in range(1, _REPLAYS_MAX + 1)]
    return await _renamed(connection, letter, command, [name for name in names if name not in taken])


async def _renamed(connection: "Connection", letter: Letter, command: Command, names: list[str]) -> Replay | Refused:
    """Take the first name that is free; one that is known for this very command says that it went back before."""
    known = await known_references(connection, command.reference, names)
    for name in names:
        record = _with_reference(letter.record, name)
        again = decode(record, command_topic_of(record.topic))
        if not isinstance(again, Command):
            return Refused(Why.MALFORMED, f"reference_id must be 1 to {NAME_MAX_CHARACTERS} characters on one line")
        if name not in known:
            return Replay(letter, record, name, command.reference.id)
        if known[name].fingerprint == again.fingerprint and known[name].outcome != _REFUSED:
            return Refused(Why.KNOWN, f"it has been sent again before: {name} is {known[name].outcome}")
    if len(names) == 1:
        return Refused(Why.KNOWN, f"{names[0]} is known already: choose another reference_id")
    return Refused(Why.KNOWN, f"it was refused {len(names)} times: choose a reference_id for it")


def _with_reference(record: Record, reference_id: str) -> Record:
    """Write another reference into a record that is a command."""
    assert record.value is not None
    fields = orjson.loads(record.value)
    return record._replace(value=orjson.dumps({**fields, "reference_id": reference_id}))


def _with_number(reference_id: str, number: int) -> str:
    """Name the nth replay, within what a reference may be long."""
    ending = f"-replay-{number}"
    return reference_id[: NAME_MAX_CHARACTERS - len(ending)] + ending


def _settled(settlement: Settlement) -> Refused:
    return Refused(
        Why.SETTLED, f"it is settled: {settlement.words} ({settlement.by}, {settlement.at:%Y-%m-%d %H:%M} UTC)"
    )
