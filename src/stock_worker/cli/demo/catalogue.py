"""What the demo's shop sells: 201 products, some in sizes or colours, each with a picture. Law: the same in every run.

A product is a good in one of five makes (an enamel mug, a linen shirt). The pictures are those that the page draws.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import cycle
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from stock_worker.http.admin import pictures

CURRENCY: Final = "EUR"
_COST: Final = Decimal("0.42")
"""Of a price, what the thing cost."""
_CENT: Final = Decimal("0.01")
_DEARER: Final = Decimal("0.12")
"""By how much each make is dearer than the one before."""


class Article(NamedTuple):
    """What is counted: a product, or a variant of one. `cost` and `price` are in CURRENCY."""

    product_id: str
    variant_id: str | None
    name: str
    variant_name: str | None
    sku: str
    category: str
    cost: Decimal
    price: Decimal
    picture: str
    is_tracked: bool = True

    @property
    def ids(self) -> dict[str, str]:
        """Name it in a message."""
        variant = {"variant_id": self.variant_id} if self.variant_id else {}
        return {"product_id": self.product_id, **variant}

    @property
    def announced(self) -> dict[str, Any]:
        """Give what the catalog says of it, but for the site."""
        return {
            **self.ids,
            "name": self.name,
            "variant_name": self.variant_name,
            "sku": self.sku,
            "category_id": self.category.lower(),
            "category_name": self.category,
            "image_url": self.picture,
            "unit_price": str(self.price),
            "cost_price": str(self.cost),
            "track_inventory": self.is_tracked,
            "status": "active",
            "revision": 1,
        }


class _Range(NamedTuple):
    """A shelf of the shop: goods (name, motif, price) in makes, and what they come in."""

    category: str
    makes: tuple[str, ...]
    goods: tuple[tuple[str, str, str], ...]
    variants: tuple[str, ...] = ()


_RANGES: Final = (
    _Range(
        "Kitchen",
        ("Enamel", "Stoneware", "Porcelain", "Earthenware", "Glass"),
        (
            ("mug", "mug", "9.50"),
            ("bowl", "bowl", "12.00"),
            ("jug", "jug", "24.00"),
            ("plate", "plate", "14.50"),
            ("teapot", "teapot", "38.00"),
        ),
    ),
    _Range(
        "Clothing",
        ("Cotton", "Hemp", "Linen", "Merino", "Cashmere"),
        (
            ("shirt", "shirt", "49.00"),
            ("jumper", "shirt", "79.00"),
            ("trousers", "trousers", "69.00"),
            ("scarf", "scarf", "29.00"),
            ("socks", "sock", "12.50"),
        ),
        ("Small", "Medium", "Large"),
    ),
    _Range(
        "Bags",
        ("Canvas", "Felt", "Cork", "Waxed cotton", "Leather"),
        (
            ("tote", "tote", "24.00"),
            ("backpack", "backpack", "89.00"),
            ("pouch", "wallet", "16.00"),
            ("wallet", "wallet", "35.00"),
            ("weekender", "tote", "120.00"),
        ),
    ),
    _Range(
        "Stationery",
        ("Plain", "Ruled", "Dotted", "Squared", "Marbled"),
        (
            ("notebook", "book", "11.50"),
            ("pocket book", "book", "6.50"),
            ("writing pad", "pad", "8.00"),
            ("planner", "book", "18.00"),
            ("sketchbook", "pad", "21.00"),
        ),
    ),
    _Range(
        "Lighting",
        ("Paper", "Rattan", "Linen", "Steel", "Brass"),
        (
            ("table lamp", "lamp", "65.00"),
            ("floor lamp", "lamp", "145.00"),
            ("pendant", "pendant", "98.00"),
            ("wall light", "pendant", "54.00"),
            ("reading lamp", "lamp", "72.00"),
        ),
    ),
    _Range(
        "Bath",
        ("Sea salt", "Lavender", "Cedar", "Fig", "Rose"),
        (
            ("soap", "soap", "7.50"),
            ("hand cream", "bottle", "13.00"),
            ("bath oil", "bottle", "19.00"),
            ("candle", "candle", "17.50"),
            ("bath salts", "jar", "14.00"),
        ),
    ),
    _Range(
        "Garden",
        ("Willow", "Terracotta", "Zinc", "Slate", "Copper"),
        (
            ("planter", "pot", "22.00"),
            ("watering can", "can", "34.00"),
            ("bird house", "house", "42.00"),
            ("trug", "basket", "28.00"),
            ("herb pot", "pot", "9.00"),
        ),
    ),
    _Range(
        "Pantry",
        ("Thyme", "Lemon", "Chestnut", "Orange blossom", "Fennel"),
        (
            ("honey", "jar", "8.50"),
            ("tea", "tin", "7.00"),
            ("olive oil", "bottle", "15.50"),
            ("biscuits", "tin", "5.50"),
            ("jam", "jar", "6.00"),
        ),
    ),
)


def articles() -> list[Article]:
    """Give everything that the shop sells, in a fixed order."""
    return [*_goods(), _article("Gift card", None, "GIFT", "Gifts", Decimal(25), ("gift", "plum"), is_tracked=False)]


def _goods() -> Iterator[Article]:
    colours = cycle(pictures.COLOURS)
    for shelf in _RANGES:
        for good, motif, price in shelf.goods:
            for step, make in enumerate(shelf.makes):
                dearer = (Decimal(price) * (1 + step * _DEARER)).quantize(_CENT)
                stem = f"{shelf.category[:3]}-{_short(good)}-{make[:3]}".upper()
                picture = (motif, next(colours))
                for variant in shelf.variants or (None,):
                    sku = f"{stem}-{variant[0]}" if variant else stem
                    yield _article(f"{make} {good}", variant, sku, shelf.category, dearer, picture)


def _article(
    name: str,
    variant: str | None,
    sku: str,
    category: str,
    price: Decimal,
    picture: Sequence[str],
    *,
    is_tracked: bool = True,
) -> Article:
    product = f"https://demo.example/shop/{name}"
    return Article(
        str(uuid5(NAMESPACE_URL, product)),
        str(uuid5(NAMESPACE_URL, f"{product}/{variant}")) if variant else None,
        name,
        variant,
        sku,
        category,
        (price * _COST).quantize(_CENT),
        price,
        pictures.address_of(*picture),
        is_tracked=is_tracked,
    )


def _short(good: str) -> str:
    """Shorten a good's words to the start of each: "wall light" is "wali"."""
    words = good.split()
    return good[:4] if len(words) == 1 else "".join(word[:2] for word in words)
