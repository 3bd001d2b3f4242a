"""One item on the page. Law: its names in addresses, ids and words are made in one place.

An item in an address is `product` and, where it has one, `variant`; in the page it is `product_variant` or
`product_none`. Source: contract section 1 (item), section 7 (the page).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query

from stock_worker.core.model import Level
from stock_worker.http.access import Access
from stock_worker.http.admin import pictures
from stock_worker.http.admin.session import HOME
from stock_worker.http.backend import Backend
from stock_worker.http.pages import LIMIT_MAX
from stock_worker.http.problems import Problem
from stock_worker.http.routes.items import OneAsked, get_product, get_variant, read_items
from stock_worker.http.shapes_items import Item

_SHORT: Final = 2
_NONE: Final = "none"


class Status(NamedTuple):
    """How an item's level is shown: the name of its style and icon, and its word."""

    style: str
    word: str


STATUSES: Final = {
    Level.OK.value: Status("ok", "In stock"),
    Level.LOW.value: Status("low", "Low"),
    Level.CRITICAL.value: Status("critical", "Critical"),
    Level.OUT.value: Status("out", "Out of stock"),
}
UNTRACKED: Final = Status("untracked", "Not tracked")


class Ref(NamedTuple):
    """Which item."""

    product: UUID
    variant: UUID | None

    @property
    def id(self) -> str:
        """Its name in the page."""
        return f"{self.product}_{self.variant or _NONE}"

    @property
    def key(self) -> tuple[str, str | None]:
        """Its name in the store."""
        return str(self.product), None if self.variant is None else str(self.variant)

    def query(self, site_id: str, **more: str) -> str:
        """Its part of an address."""
        said = {"site": site_id, "product": str(self.product)}
        if self.variant is not None:
            said["variant"] = str(self.variant)
        return urlencode(said | more)

    @classmethod
    def of_id(cls, text: str) -> "Ref":
        """Read its name in the page. Raises ValueError."""
        product, _, variant = text.partition("_")
        return cls(UUID(product), None if variant == _NONE else UUID(variant))


def id_of_key(key: bytes) -> str:
    """Give an item's name in the page by the key of its events, which is `site/product/variant`."""
    _, _, item = key.decode(errors="replace").partition("/")
    product, _, variant = item.partition("/")
    return f"{product}_{variant or _NONE}"


class Named:
    """An item with what people call it; `names` are the catalog's, of the product and of the variant."""

    def __init__(self, ref: Ref, site_id: str, names: tuple[str | None, str | None]) -> None:
        self.ref, self.site_id, self._names = ref, site_id, names

    @property
    def name(self) -> str:
        """What the catalog calls the product, else its id."""
        return self._names[0] or f"Product {self.ref.product}"

    @property
    def variant(self) -> str | None:
        """What the catalog calls the variant, else the beginning of its id."""
        if self.ref.variant is None:
            return None
        return self._names[1] or f"Variant {str(self.ref.variant)[:8]}"

    @property
    def called(self) -> str:
        """The item in words, for who does not see the row."""
        return ", ".join(part for part in (self.name, self.variant) if part)

    @property
    def initials(self) -> str:
        """Stand in for a picture."""
        words = [word for word in self.name.split() if word[0].isalnum()]
        return "".join(word[0] for word in words[:_SHORT]).upper() or "?"

    def path(self, what: str, **more: str) -> str:
        """Where something of this item is: `adjust`, `history`."""
        return f"{HOME}/{what}?{self.ref.query(self.site_id, **more)}"


class Row(Named):
    """An item as the table shows it."""

    def __init__(self, item: Item, site_id: str) -> None:
        super().__init__(Ref(item.product_id, item.variant_id), site_id, (item.name, item.variant_name))
        self.item = item

    @property
    def picture(self) -> str | None:
        """Where its picture is; the policy loads none but ours and those over https."""
        url = self.item.image_url
        return url if url and url.startswith(("https://", f"{pictures.PATH}/")) else None

    @property
    def status(self) -> Status:
        """Say how it stands."""
        return STATUSES[self.item.alert_level or Level.OK.value] if self.item.track_inventory else UNTRACKED


async def _ref(product: Annotated[UUID, Query()], variant: Annotated[UUID | None, Query()] = None) -> Ref:
    return Ref(product, variant)


Meant = Annotated[Ref, Depends(_ref)]
"""The item that an address names."""


async def _refs(item: Annotated[list[str], Query(min_length=1, max_length=LIMIT_MAX)]) -> list[Ref]:
    try:
        return [Ref.of_id(each) for each in dict.fromkeys(item)]
    except ValueError:
        raise Problem("malformed", "item: the name of a row") from None


SeveralMeant = Annotated[list[Ref], Depends(_refs)]
"""The items that an address names, each once, as `item`."""


async def read_row(books: Backend, access: Access, ref: Ref, then: datetime | None = None) -> Row:
    """Read an item, as it is or as the ledger had it then. Raises Problem: not_found."""
    asked = OneAsked(as_of=then)
    if ref.variant is None:
        item = await get_product(books, access, ref.product, asked)
    else:
        item = await get_variant(books, access, ref.product, ref.variant, asked)
    return Row(item, access.site_id)


async def read_rows(books: Backend, access: Access, refs: Sequence[Ref]) -> list[Row]:
    """Read items as they are now, at once and in this order; one that is not there is left out."""
    items = await read_items(books, access, [ref.key for ref in refs])
    rows = {row.ref: row for row in (Row(item, access.site_id) for item in items)}
    return [rows[ref] for ref in refs if ref in rows]
