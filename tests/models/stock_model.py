"""A second opinion on contract sections 3 to 5, in plain dict arithmetic. Law: it shares no line with the product.

One site. A command is a topic and its JSON value; ids are any text, since nothing here validates: what is malformed is
for the decoder to say. Time comes with each command.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from tests.models.catalog import announce
from tests.models.changing import cancel, expire, expiry_of, fulfil, give_back
from tests.models.levels import Scope
from tests.models.meaning import meaning_of, reference_of
from tests.models.orders import Order
from tests.models.places import Place
from tests.models.placing import amend, place
from tests.models.site import Site
from tests.models.stock import adjust, blind_return, count, restock, transfer
from tests.models.words import Expected, Reference

Decide = Callable[[Site, dict[str, Any], datetime], Expected]

RULES: Final[dict[str, Decide]] = {
    "order-cancelled": cancel,
    "order-fulfilled": fulfil,
    "restock": restock,
    "stock-adjustment": adjust,
    "stock-count": count,
    "stock-transfer": transfer,
}


class StockModel(Site):
    """The whole domain: commands, and what people set."""

    def apply(self, topic: str, value: dict[str, Any], now: datetime) -> Expected:
        """Decide one command, and the parked ones that it sets free."""
        if topic == "product-changed":
            return announce(self, value, now)
        reference, meaning = reference_of(topic, value), meaning_of(topic, value)
        first = self.known.get(reference) or self.waiting.get(reference)
        if first is not None:
            return Expected("duplicate") if first == meaning else Expected("conflict", "reference_conflict")
        order = self.order(value)
        was_placed = order is not None and order.placed
        expected = self._decide(topic, value, now)
        if expected.outcome == "parked":
            assert order is not None
            order.parked.append((topic, value))
            self.waiting[reference] = meaning
            return expected
        self.known[reference] = meaning
        if order is not None and order.placed and not was_placed:
            return expected._replace(followed=tuple(self._free(order, now)))
        return expected

    def expire(self, order_id: str, now: datetime) -> Expected:
        """What the sweeper does with an order when its time may be over; `not_due` changes nothing."""
        return expire(self, order_id, now)

    def expiry_of(self, order_id: str, now: datetime) -> Reference | None:
        """The reference that an expiry of the order would have now; None where it is not due."""
        return expiry_of(self, order_id, now)

    def end_parked(self, reference: Reference, now: datetime) -> Expected:
        """What the sweeper does with a command that was parked for too long."""
        for order in self.orders.values():
            for parked in order.parked:
                if reference_of(*parked) == reference:
                    order.parked.remove(parked)
                    self.known[reference] = self.waiting.pop(reference)
                    return self._end(*parked, now)
        raise KeyError(reference)

    def order(self, value: dict[str, Any]) -> Order | None:
        """Find the order that a command names; a stub where it is new."""
        order_id = value.get("order_id")
        return None if order_id is None else self.orders.setdefault(order_id, Order())

    def _decide(self, topic: str, value: dict[str, Any], now: datetime) -> Expected:
        rules: dict[str, Decide] = {
            "order-placed": amend if value.get("amend") else place,
            "return-received": blind_return if value.get("order_id") is None else give_back,
            **RULES,
        }
        return rules[topic](self, value, now)

    def _end(self, topic: str, value: dict[str, Any], now: datetime) -> Expected:
        if topic == "return-received" and all(line.get("product_id") for line in value["lines"]):
            return blind_return(self, value, now)
        return Expected("rejected", "order_never_placed")

    def _free(self, order: Order, now: datetime) -> Iterator[tuple[Reference, Expected]]:
        parked, order.parked = order.parked, []
        for topic, value in parked:
            reference = reference_of(topic, value)
            self.known[reference] = self.waiting.pop(reference)
            yield reference, self._decide(topic, value, now)

    # ------------------------------------------------------------ what people set

    def set_rule(self, scope: Scope, fields: dict[str, Any]) -> None:
        """Change a rule: absent fields stay, None inherits. Levels follow when they are evaluated again."""
        limits = {item: self.policy.backorder_limit(item) for item in self.ledger}
        self.policy.rules.setdefault(scope, {}).update(fields)
        changed = (item for item, limit in limits.items() if self.policy.backorder_limit(item) != limit)
        self.limits_changed.update(dict.fromkeys(changed))

    def set_settings(self, fields: dict[str, Any]) -> None:
        """Change the site's settings: absent fields stay, None is the default."""
        self.policy.settings.update(fields)

    def reevaluate(self, now: datetime) -> Expected:
        """What follows from changed rules and settings: each item is looked at again."""
        shown = {item: self.mood[item].shown for item in self.ledger}
        alerts = tuple(self.evaluate(self.ledger, now, "rule"))
        changed = [item for item, level in shown.items() if self.mood[item].shown != level]
        told = dict.fromkeys([*changed, *(alert.item for alert in alerts), *self.limits_changed])
        self.limits_changed = {}
        return Expected("applied", alerts=alerts, told=tuple(told))

    def set_location(
        self, name: str, *, code: str | None = None, priority: int | None = None, active: bool = True
    ) -> bool:
        """Create or change a location; one that is not empty stays in use, and so does the default."""
        old = self.book.places.get(name, Place(name, self.book.last_priority()))
        if not active and (name == self.book.default or not self.book.empty(name)):
            return False
        self.book.places[name] = Place(code or old.code, old.priority if priority is None else priority, active)
        return True

    def set_default(self, name: str) -> bool:
        """Make another location the default, which moves no stock; one that is not in use cannot be."""
        if not self.book.active(name):
            return False
        self.book.default = name
        return True
