"""What a record of the catalog changes. Law: it gates no stock; it says what an item is called and whether it counts.

Of one item's records the highest revision stands; older and equal ones are ignored, and a null value archives what is
known. An item that becomes untracked or archived is `ok` from then on and silent. Source: contract section 3
(`product-changed`), rules 10 and 11.
"""

from typing import Final

from stock_worker.core.levels import evaluate, tell_level
from stock_worker.core.model import CatalogEntry, Outcome, OutcomeKind, ProductChanged
from stock_worker.core.state import World

_APPLIED: Final = Outcome(OutcomeKind.APPLIED)
_DUPLICATE: Final = Outcome(OutcomeKind.DUPLICATE)
_UNHEARD_OF: Final = CatalogEntry(
    *(None,) * 9,  # nothing but that it is archived
    track_inventory=True,
    archived=True,
    revision=None,
)


def change_product(world: World, change: ProductChanged) -> Outcome:
    """Take the entry over if it is news, and evaluate the item's level where that asks for it."""
    known = world.catalog.get(change.item)
    if change.entry is None:
        if known is not None and known.archived:
            return _DUPLICATE
        entry = _UNHEARD_OF if known is None else known._replace(archived=True)
    else:
        entry = change.entry
        if known is not None and known.revision is not None and _revision(entry) <= known.revision:
            return _DUPLICATE
    world.catalog[change.item] = entry
    world.changes.catalog[change.item] = entry
    item = world.items[change.item]
    item.catalog_revision = (item.catalog_revision or 0) + 1
    before = item.policy
    item.policy = before._replace(
        tracked=entry.track_inventory, archived=entry.archived, sku=entry.sku, name=entry.name
    )
    if item.version and (before.tracked, before.archived) != (entry.track_inventory, entry.archived):
        tell_level(world, item)
        evaluate(world, item, None)
    return _APPLIED


def _revision(entry: CatalogEntry) -> int:
    assert entry.revision is not None  # decoding demands one of every record with a value
    return entry.revision
