"""A shop whose pages have something to show: names, prices, stock of every level, and a month of movements."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tests.http.booking import Books, variant
from tests.http.running import product


class Article(NamedTuple):
    """A product's variant: what came in a month ago at which cost, and what was ordered since."""

    name: str
    variant_name: str
    sku: str
    category: str
    arrived: int
    unit_cost: str
    ordered: tuple[int, ...]


ARTICLES: Final = (
    Article("Linen shirt", "Small", "LIN-S", "Clothing", 40, "18.50", (3, 2, 4)),
    Article("Linen shirt", "Medium", "LIN-M", "Clothing", 60, "18.50", (8, 12, 9, 23)),
    Article("Linen shirt", "Large", "LIN-L", "Clothing", 30, "18.50", (10, 14, 6)),
    Article("Wool jumper", "Grey", "WOO-G", "Clothing", 24, "31.00", (1, 1)),
    Article("Wool jumper", "Navy", "WOO-N", "Clothing", 24, "31.00", (5, 9, 7)),
    Article("Rain jacket", "Yellow", "RAI-Y", "Clothing", 15, "44.90", (2,)),
    Article("Enamel mug", "Blue", "MUG-B", "Kitchen", 200, "2.40", (24, 36, 12)),
    Article("Enamel mug", "White", "MUG-W", "Kitchen", 200, "2.40", (48, 60, 84)),
    Article("Chef's knife", "20 cm", "KNI-20", "Kitchen", 18, "27.75", (2, 3, 1)),
    Article("Cast-iron pan", "28 cm", "PAN-28", "Kitchen", 12, "22.10", (4, 8)),
    Article("Olive-wood board", "Large", "BOA-L", "Kitchen", 35, "9.80", (1, 2, 1)),
    Article("Beeswax candle", "Set of 4", "CAN-4", "Home", 150, "3.15", (20, 16, 30)),
    Article("Woven basket", "Round", "BAS-R", "Home", 22, "7.60", (6, 5, 8)),
    Article("Field notebook", "Dotted, A5", "NOT-A5", "Stationery", 300, "1.95", (40, 25, 60)),
    Article("Fountain pen", "Fine", "PEN-F", "Stationery", 10, "16.00", (3, 3, 2)),
)


async def fill(books: Books, now: datetime) -> None:
    """Have all articles announced, delivered thirty days before `now`, and ordered a few times since."""
    begin = now - timedelta(days=30)
    for number, article in enumerate(ARTICLES, 1):
        ids = {"variant_id": variant(number)}
        await books.announce(
            number,
            begin,
            name=article.name,
            variant_name=article.variant_name,
            sku=article.sku,
            category_id=article.category.lower(),
            category_name=article.category,
            **ids,
        )
        await books.restock(number, article.arrived, begin, unit_cost=article.unit_cost, **ids)
        for turn, quantity in enumerate(article.ordered, 1):
            lines = [{"product_id": product(number), "quantity": quantity, **ids}]
            order = {"order_id": f"{1000 + 20 * turn + number}", "mode": "reserve", "lines": lines}
            await books.book("order-placed", order, begin + timedelta(days=6 * turn, hours=number))
    await books.adjust("damage", 7, 2, now - timedelta(hours=3), variant_id=variant(7))
