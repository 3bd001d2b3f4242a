"""Stock as tests of reads lay it: any command at any moment, the catalog, rules, and what the ledger says of it all."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from asyncpg import Connection

from stock_worker.breaker import Breaker
from stock_worker.core.model import Malformed, OutcomeKind
from stock_worker.core.topics import PRODUCT_CHANGED
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.engine import connect
from stock_worker.store.steering import rules, settings
from stock_worker.store.steering.refused import Refused
from stock_worker.store.steering.rules import Scope
from stock_worker.sweeper.reevaluations import Reevaluations
from stock_worker.wire.decode import decode
from tests.flow.running import until
from tests.http.running import SITE, product
from tests.store.records import record

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


def variant(number: int) -> str:
    """A variant's id, by number."""
    return str(uuid5(NAMESPACE_OID, f"variant {number}"))


def place(number: int) -> str:
    """A location's id, by number."""
    return str(uuid5(NAMESPACE_OID, f"place {number}"))


class Books:
    """A worker's connection, and what a test books over it."""

    def __init__(self, connection: Connection, policy: Policy) -> None:
        self.connection, self.policy = connection, policy
        self.references = 0

    @classmethod
    async def open(cls, database_url: str, topic_prefix: str = "") -> "Books":
        """Open a connection that nobody else uses; events are for topics of that prefix."""
        return cls(await connect(database_url, "stock_worker"), Policy(topic_prefix))

    async def book(self, topic: str, body: Mapping[str, Any], at: datetime = NOON, site: str = SITE) -> None:
        """Have a message decided and recorded at a moment; it must not be refused."""
        self.references += 1
        document = {"site_id": site, "reference_id": f"b{self.references}", **body}
        entry = decode(record(topic, document), topic)
        assert not isinstance(entry, Malformed), entry.detail
        (outcome,) = await handle_batch(self.connection, [entry], self.policy, clock=at)
        assert outcome.kind is not OutcomeKind.REJECTED, outcome

    async def restock(
        self, number: int, quantity: int, at: datetime = NOON, *, site: str = SITE, **line: object
    ) -> None:
        """Have so much of a product arrive."""
        await self.book("restock", {"lines": [{"product_id": product(number), "quantity": quantity, **line}]}, at, site)

    async def adjust(self, kind: str, number: int, quantity: int, at: datetime = NOON, **line: object) -> None:
        """Adjust a product by hand."""
        lines = [{"product_id": product(number), "quantity": quantity, **line}]
        await self.book("stock-adjustment", {"type": kind, "lines": lines}, at)

    async def announce(self, number: int, at: datetime = NOON, *, site: str = SITE, **entry: object) -> None:
        """Have the catalog tell of a product; later tellings have higher revisions."""
        told = {"product_id": product(number), "name": f"Product {number}", "status": "active", "revision": 1, **entry}
        self.references += 1
        key = f"{site}/{product(number)}/{told.get('variant_id') or ''}".encode()
        message = record(PRODUCT_CHANGED, {"site_id": site, **told, "revision": self.references})._replace(key=key)
        found = decode(message, PRODUCT_CHANGED)
        assert not isinstance(found, Malformed), found.detail
        await handle_batch(self.connection, [found], self.policy, clock=at)

    async def rule(self, *ids: str, **fields: object) -> None:
        """Set a rule of the site, a product or a variant, and have it reach every item."""
        assert not isinstance(await rules.change(self.connection, Scope(SITE, *ids), fields), Refused)
        await self.sweep()

    async def set(self, **fields: object) -> None:
        """Change the site's settings, and have that reach every item."""
        assert not isinstance(await settings.change(self.connection, SITE, fields), Refused)
        await self.sweep()

    async def sweep(self) -> None:
        """Evaluate what a change of rules has left to do."""
        duty = Reevaluations(self.policy, Breaker(faults=2, window_s=60.0), lambda: None)

        async def is_done() -> bool:
            while (await duty.sweep(self.connection)).more:
                pass
            return not await self.connection.fetchval("SELECT count(*) FROM stock.reevaluations")

        await until(is_done)  # a change is worked off once every transaction that may have read the old rule has ended

    async def ledger(self, site: str = SITE) -> list[Mapping[str, Any]]:
        """Every row of a site's ledger, with its item's key."""
        statement = """SELECT m.*, i.product_id::text, i.variant_id::text
            FROM stock.movements m JOIN stock.items i USING (item_id) WHERE m.site_id = $1 ORDER BY item_id, version"""
        return [dict(row) for row in await self.connection.fetch(statement, site)]
