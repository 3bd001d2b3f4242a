"""A shop whose pages have something to show: the demo's, with stock of every level and a month of movements."""

from datetime import datetime

from stock_worker.cli.demo.month import Shop
from stock_worker.handle import Policy
from tests.http.booking import Books
from tests.http.running import SITE


async def fill(books: Books, now: datetime) -> None:
    """Have the shop opened thirty days before `now`, at the tests' site, and trade since."""
    await Shop(SITE).lay(books.connection, now, Policy())
