"""The rule of counts. Law: a count undoes nothing that happened since the counter looked.

`delta = counted - on_hand at counted_at_version - what counts have corrected since`, which is the same as counted less
what is there now plus all that moved meanwhile but for counts. Source: contract rule 9, decided cases on counts.
"""

from typing import Final

from stock_worker.core.booking import RESERVED, UNRESERVED, Draft
from stock_worker.core.lines import Refused, available_to, move
from stock_worker.core.model import Command, Line, MovementType, Outcome
from stock_worker.core.places import refusal_of
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, World
from stock_worker.core.stock_rules import each_line

WINDOW: Final = 100_000
"""How many versions back a counter may have looked."""
REFERENCE_TYPE: Final = "count"


def count(world: World, command: Command) -> Outcome:
    """Correct what is on hand to what was counted; a count opens no location."""
    return each_line(world, command, _count_line)


def _count_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    assert line.quantity is not None
    if line.location_id is None and len(draft.site.routing) > 1:
        return Refused(line, Code.LOCATION_REQUIRED, draft.available(item))
    location_id = line.location_id or draft.site.default_location_id
    refusal = refusal_of(draft, item, line, location_id)
    if refusal is not None:
        return refusal
    looked_at = item.version if line.counted_at_version is None else line.counted_at_version
    if not item.version - WINDOW <= looked_at <= item.version:
        detail = f"version is {item.version}"
        return Refused(line, Code.UNKNOWN_VERSION, available_to(draft, item, line), detail=detail)
    draft.counted.append((item, location_id))
    moved = _moved_since(draft.world, item, location_id, looked_at)
    delta = line.quantity - draft.on_hand_at(item, location_id) + moved
    return move(draft, item, location_id, MovementType.ADJUSTMENT, delta, line) if delta else None


def _moved_since(world: World, item: Item, location_id: str, version: int) -> int:
    """By how much on_hand of a place moved after a version, counts aside: before this batch, and in it."""
    if version == item.version:
        return 0
    before = world.windows.get((item.item_id, location_id, version), 0)
    return before + sum(
        row.quantity
        for row in world.changes.movements
        if row.item == item.key
        and row.location_id == location_id
        and row.version > version
        and row.command.reference.type != REFERENCE_TYPE
        and row.type not in (RESERVED, UNRESERVED)
    )
