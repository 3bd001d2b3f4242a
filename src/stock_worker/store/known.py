"""What a process remembers between batches. Law: nothing here is trusted without a stamp that was read under the locks.

Ids of items never change, so they are kept as they are. What an item is held to is kept with the revision of its
catalog entry, which stands on the locked item row, and with the stamp of its site's settings and rules, which is read
after the locks: where either differs, it is read again. Source: contract rules 2 and 10.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stock_worker.core.model import ItemKey
from stock_worker.core.policy import ItemPolicy

ITEMS_MAX: Final = 500_000
"""Items remembered by a process, some 400 bytes each at most; past it the memory starts anew."""


class Held(NamedTuple):
    """An item's policy, and what it was made of: its catalog revision and its site's stamp (None: none of either)."""

    catalog_revision: int | None
    stamp: int | None
    policy: ItemPolicy


@dataclass(slots=True)
class Known:
    """The ids of items by key, and their policies by id."""

    ids: dict[ItemKey, int] = field(default_factory=dict)
    policies: dict[int, Held] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget all: what was learnt in a transaction that failed may not exist."""
        self.ids.clear()
        self.policies.clear()

    def bound(self) -> None:
        """Start anew where there is too much."""
        if len(self.ids) > ITEMS_MAX:
            self.ids.clear()
        if len(self.policies) > ITEMS_MAX:
            self.policies.clear()
