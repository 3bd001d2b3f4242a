"""Which shards this relay publishes. Law: a shard belongs to a slot, and a slot to one live session.

A relay that starts takes the first free of sixteen slots, by an advisory lock that ends with its session. The table
`relay_shards` says whose slot each shard is. A shard changes hands in two ways only:

- *Given up.* Its relay has nothing of it under way, sets the slot to NULL, and another claims it. No fence is needed.
- *Inherited.* The slot's session is over (crash, network, a frozen process that the server hung up on). Another relay
  takes the slot's lock, opens the slot's producer, whereby the old one is fenced, publishes with it what stands in the
  outbox, and only then makes the shards its own. So every partition to which the dead relay may still send has seen the
  higher epoch before anything newer gets there.

Every relay is entitled to its share, 16 / live relays, rounded up; it looks once a second.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from stock_worker.store import outbox

if TYPE_CHECKING:
    from asyncpg import Connection

Drain = Callable[[int, frozenset[int]], Awaitable[None]]
"""Publish with a dead slot's producer what the outbox holds of these shards."""


async def take_free_slot(connection: "Connection") -> int | None:
    """Take the first slot that nobody has; None while all are taken."""
    for slot in range(outbox.SLOTS):
        if await outbox.take_slot(connection, slot):
            return slot
    return None


async def look(connection: "Connection", slot: int, drain: Drain, *, settled: bool) -> frozenset[int]:
    """Inherit from the dead, take what is nobody's, leave what is beyond the share; give the shards that are ours.

    `settled` says that nothing an earlier fault left under way is still unpublished: only then may shards be given up.
    """
    owners = await _inherit(connection, slot, drain, await outbox.owners(connection))
    share = -(-len(owners) // max(1, await outbox.live_relays(connection)))
    ours = sorted(shard for shard, owner in owners.items() if owner == slot)
    if len(ours) > share and settled:
        await outbox.give_up(connection, slot, ours[share:])
        ours = ours[:share]
    elif len(ours) < share and None in owners.values():
        await outbox.claim(connection, slot, share - len(ours))
        ours = [shard for shard, owner in (await outbox.owners(connection)).items() if owner == slot]
    return frozenset(ours)


async def leave(connection: "Connection", slot: int) -> None:
    """Give up all shards, at an orderly end: others take them at once instead of inheriting."""
    owners = await outbox.owners(connection)
    await outbox.give_up(connection, slot, [shard for shard, owner in owners.items() if owner == slot])


async def _inherit(
    connection: "Connection", slot: int, drain: Drain, owners: dict[int, int | None]
) -> dict[int, int | None]:
    """Take over the shards of each slot that has some and no session."""
    for other in sorted({owner for owner in owners.values() if owner is not None and owner != slot}):
        if not await outbox.take_slot(connection, other):
            continue  # alive
        try:
            # Looked up again under its lock: it may have been inherited a moment ago.
            theirs = frozenset(s for s, owner in (await outbox.owners(connection)).items() if owner == other)
            if theirs:
                await drain(other, theirs)
                await outbox.inherit(connection, slot, other)
        finally:
            if not connection.is_closed():
                await outbox.free_slot(connection, other)
        owners = await outbox.owners(connection)
    return owners
