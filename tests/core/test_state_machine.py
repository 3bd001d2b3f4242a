"""Every command of three items and three orders, in any order, against the model (contract sections 3 to 5).

Locations, rules, settings and the catalog change under way; time passes, reservations end, batches end.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.core.agreement import compare, rows_are_whole, same_items, same_orders, same_places
from tests.core.histories import (
    ADJUSTMENTS,
    ANY_NAME,
    ARRIVED,
    CATALOG,
    COUNTED,
    HOURS,
    ITEM,
    ITEMS,
    MODE,
    MOVED,
    NEW_LINES,
    NOWHERE,
    ORDERS,
    PLACE,
    PLACES,
    RETURNED,
    RULE,
    SCOPES,
    SETTINGS,
    SOMEWHERE,
    STOCKED,
    WAITS,
    WORDS,
    Part,
    lines_of,
    quantity,
)
from tests.core.product import DEFAULT, Product, Told
from tests.models.brute_force import NOON
from tests.models.levels import Scope
from tests.models.stock_model import StockModel
from tests.models.trial import item_of
from tests.models.words import Expected, Item, Reference

Asked = tuple[str, dict[str, Any]]

STEPS: Final = 50


class ProductAgainstModel(RuleBasedStateMachine):
    """One product and one model, told the same."""

    seen: ClassVar[Counter[str]] = Counter()
    """Outcomes and codes of all histories: a search that never comes somewhere proves nothing about it."""
    whole: ClassVar[int] = 0
    """Histories of STEPS steps; hypothesis tries many shorter ones beside them."""
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.product, self.model = Product(), StockModel(DEFAULT)
        self.now: datetime = NOON
        self.sent: list[Asked] = []
        self.due: set[Item] = set()
        self.revisions: dict[Item, int] = {}
        self.catalog = 0
        self.taken = 0

    @initialize(
        stocked=st.lists(st.sampled_from((0, 0, 2, 5, 14)), min_size=9, max_size=9),
        limit=st.sampled_from((0, 0, 4)),
        closed=st.booleans(),
    )
    def begin(self, stocked: list[int], limit: int, closed: bool) -> None:
        """Three locations, perhaps one that is closed, and some stock of everything at some of them."""
        for priority, name in enumerate(PLACES[1:3], 1):
            self.set_location(name, priority, active=True)
        if closed:
            self.set_location(PLACES[3], 3, active=False)
        self.set_rule(("site",), {"backorder_limit": limit})
        spots = [{**item, "location_id": place} for item in ITEMS for place in PLACES[:3]]
        lines = [{**spot, "quantity": many} for spot, many in zip(spots, stocked, strict=True) if many]
        if lines:
            self.send("restock", lines=lines)

    # ------------------------------------------------------------ orders

    @rule(order=ORDERS, lines=NEW_LINES, again=st.booleans(), mode=MODE, hours=HOURS)
    def place(self, order: str, lines: list[Part], again: bool, mode: str | None, hours: int | None) -> None:
        reference = None if again else self.fresh()
        self.send(
            "order-placed",
            order_id=order,
            lines=lines,
            reference_id=reference,
            mode=mode,
            expires_at=self.in_hours(hours),
        )

    @rule(data=st.data(), lines=st.one_of(NEW_LINES, NEW_LINES, st.just([])), mode=MODE, hours=HOURS)
    def amend(self, data: st.DataObject, lines: list[Part], mode: str | None, hours: int | None) -> None:
        order = self.an_order(data)
        known = self.model.orders[order].lines if order in self.model.orders else {}
        fresh = [{**line, "line_id": f"{line['line_id']}+{len(known)}"} for line in lines] if hours else lines
        self.send("order-placed", order_id=order, lines=fresh, amend=True, mode=mode, expires_at=self.in_hours(hours))

    @rule(data=st.data(), everything=st.sampled_from((False, False, True)))
    def cancel(self, data: st.DataObject, everything: bool) -> None:
        order = self.an_order(data)
        lines = self.named_lines(order, data)
        without = [{name: value for name, value in line.items() if name != "quantity"} for line in lines]
        self.send("order-cancelled", order_id=order, lines=without if everything else lines)

    @rule(order=ORDERS, again=st.booleans())
    def cancel_whole(self, order: str, again: bool) -> None:
        self.send("order-cancelled", order_id=order, reference_id=None if again else self.fresh())

    @rule(data=st.data())
    def fulfil(self, data: st.DataObject) -> None:
        order = self.an_order(data)
        self.send("order-fulfilled", order_id=order, lines=self.named_lines(order, data, SOMEWHERE))

    @rule(data=st.data(), condition=RETURNED)
    def give_back(self, data: st.DataObject, condition: dict[str, str]) -> None:
        order = self.an_order(data)
        lines = [{**line, **condition} for line in self.named_lines(order, data, SOMEWHERE)]
        self.send("return-received", order_id=order, lines=lines)

    # ------------------------------------------------------------ stock

    @rule(lines=ARRIVED)
    def restock(self, lines: list[Part]) -> None:
        self.send("restock", lines=lines)

    @rule(lines=STOCKED, condition=RETURNED)
    def give_back_blind(self, lines: list[Part], condition: dict[str, str]) -> None:
        self.send("return-received", lines=[{**line, **condition} for line in lines])

    @rule(
        kind=st.sampled_from(ADJUSTMENTS),
        lines=STOCKED,
        minus=st.booleans(),
        atomic=st.sampled_from((None, True, False)),
        versions=st.lists(st.sampled_from((None, None, None, 0, 1)), min_size=3, max_size=3),
    )
    def adjust(
        self, kind: str, lines: list[Part], minus: bool, atomic: bool | None, versions: list[int | None]
    ) -> None:
        """`expected_version` is absent, right (0 off), or one off."""
        lines = [dict(line) for line in lines]
        for line, off in zip(lines, versions, strict=False):
            if off is not None:
                line["expected_version"] = self.model.version(item_of(line)) + off
            if minus and kind == "adjustment":
                line["quantity"] *= -1
        self.send("stock-adjustment", type=kind, lines=lines, atomic=atomic)

    @rule(counted=COUNTED, located=st.booleans())
    def count(self, counted: list[tuple[Part, Part, int, int | None]], located: bool) -> None:
        lines = []
        for item, place, many, ago in counted:
            version = self.model.version(item_of(item))
            looked = {} if ago is None else {"counted_at_version": max(version - ago, 0)}
            where = place or ({"location_id": DEFAULT} if located else {})
            lines.append({**item, **where, "counted": many, **looked})
        if len({(item_of(line), line.get("location_id")) for line in lines}) == len(lines):
            self.send("stock-count", lines=lines)

    @rule(lines=MOVED, leaves=PLACE, arrives=PLACE)
    def transfer(self, lines: list[Part], leaves: str, arrives: str) -> None:
        self.send("stock-transfer", lines=lines, from_location_id=leaves, to_location_id=arrives)

    # ------------------------------------------------------------ what people set, and what the catalog says

    @rule(
        change=st.one_of(
            st.tuples(st.just("set_rule"), st.tuples(SCOPES, RULE)),
            st.tuples(st.just("set_rule"), st.tuples(SCOPES, RULE)),
            st.tuples(st.just("set_settings"), st.tuples(SETTINGS)),
            st.tuples(
                st.just("set_location"), st.tuples(st.sampled_from(PLACES[1:]), st.integers(0, 3), st.booleans())
            ),
            st.tuples(st.just("set_default"), st.tuples(PLACE)),
        ),
        at_once=st.booleans(),
    )
    def steer(self, change: tuple[str, tuple[Any, ...]], at_once: bool) -> None:
        """Somebody changes something; levels follow at once or later."""
        getattr(self, change[0])(*change[1])
        if at_once:
            self.reevaluate()

    def set_rule(self, scope: Scope, changed: dict[str, Any]) -> None:
        self.model.set_rule(scope, changed)
        self.product.set_rule(scope, changed)

    def set_settings(self, changed: dict[str, Any]) -> None:
        self.model.set_settings(changed)
        self.product.set_settings(changed)

    def set_location(self, name: str, priority: int, active: bool) -> None:
        if self.model.set_location(name, priority=priority, active=active):
            self.product.set_location(name, priority=priority, active=active)

    def set_default(self, name: str) -> None:
        if self.model.set_default(name):
            self.product.set_default(name)

    def reevaluate(self) -> None:
        self.commit()
        limits = set(self.model.limits_changed)
        expected = self.model.reevaluate(self.now)
        actual = self.product.reevaluate(self.now)
        compare(actual, expected)
        # Which limits changed is for those to say who changed them.
        told = set(actual.told), set(expected.told)
        assert told[0] <= told[1] <= told[0] | limits, told

    @rule(item=ITEM, said=CATALOG, news=st.sampled_from((1, 1, 1, 0)))
    def announce(self, item: Part, said: dict[str, Any], news: int) -> None:
        self.catalog += news
        value = {**item, **said, "revision": self.catalog}
        expected = self.model.apply("product-changed", value, self.now)
        (told,) = self.product.apply("product-changed", value, self.now)
        self.due.update(expected.told)
        compare(told.expected, expected)

    # ------------------------------------------------------------ what Kafka and time do

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), meant=st.booleans())
    def redeliver(self, data: st.DataObject, meant: bool) -> None:
        """The same comes again, or another meaning under the same reference."""
        topic, value = data.draw(st.sampled_from(self.sent))
        if meant:
            self.tell(topic, value)
            return
        lines = [*(value.get("lines") or [])][::-1]
        more = {"lines": [*lines, {**ITEMS[0], "line_id": "9", "quantity": 1, "counted": 1}]}
        assert self.tell(topic, {**value, **more}).outcome == "conflict"

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data())
    def end_parked(self, data: st.DataObject) -> None:
        reference = data.draw(st.sampled_from(sorted(self.model.waiting)))
        expected = self.model.end_parked(reference, self.now)
        self.agree_on(self.product.end_parked(reference, self.now), expected, reference)

    @rule(order=ORDERS)
    def expire(self, order: str) -> None:
        reference = self.model.expiry_of(order, self.now)
        self.agree_on(self.product.expire(order, self.now), self.model.expire(order, self.now), reference)

    @rule(time=WAITS)
    def wait(self, time: timedelta) -> None:
        """A batch has one moment: with time, another begins."""
        self.commit()
        self.now += time

    def commit(self) -> None:
        """A batch ends: all that moved or was announced is told, and nothing else."""
        told, due, self.due = self.product.commit(), self.due, set()
        assert told == due, f"the product told {told}, the model {due}"

    # ------------------------------------------------------------ what must hold after each

    @invariant()
    def steps_are_counted(self) -> None:
        """The start, which stocks the items, is one."""
        self.taken += 1
        ProductAgainstModel.steps += 1
        ProductAgainstModel.whole += self.taken == STEPS

    @invariant()
    def both_are_in_the_same_state(self) -> None:
        same_places(self.product.world, self.model)
        same_items(self.product.world, self.model)
        same_orders(self.product.world, self.model)

    @invariant()
    def revisions_grow(self) -> None:
        for key, item in self.product.world.items.items():
            assert item.revision >= self.revisions.get(key[1:], 0)
            self.revisions[key[1:]] = item.revision

    # ------------------------------------------------------------ telling both the same

    def an_order(self, data: st.DataObject) -> str:
        """An order, more often one that is placed."""
        placed = [name for name, order in sorted(self.model.orders.items()) if order.placed]
        one = st.sampled_from(placed)
        return data.draw(one | one | one | ORDERS if placed else ORDERS)

    def named_lines(self, order: str, data: st.DataObject, place: st.SearchStrategy[Part] = NOWHERE) -> list[Part]:
        """One or two lines, more often such as the order has."""
        known = [{"line_id": name} for name in self.model.orders[order].lines] if order in self.model.orders else []
        one = st.sampled_from(known) | st.sampled_from(known) | ANY_NAME if known else ANY_NAME
        return data.draw(lines_of(one, quantity(1, 6), place, most=2))

    def fresh(self) -> str:
        return f"R{len(self.sent)}"

    def in_hours(self, hours: int | None) -> str | None:
        return None if hours is None else (self.now + timedelta(hours=hours)).isoformat()

    def send(self, topic: str, **value: object) -> None:
        told_value = {name: each for name, each in value.items() if each is not None}
        if not {"reference_id", "order_id"} & set(told_value) or topic not in ("order-placed", "order-cancelled"):
            told_value.setdefault("reference_id", self.fresh())
        if told_value.get("amend") or (topic == "order-cancelled" and "lines" in told_value):
            told_value.setdefault("reference_id", self.fresh())
        if self.tell(topic, told_value).outcome != "conflict":
            self.sent.append((topic, told_value))

    def tell(self, topic: str, value: dict[str, Any]) -> Expected:
        expected = self.model.apply(topic, value, self.now)
        first, *freed = self.product.apply(topic, value, self.now)
        self.agree_on(first, expected._replace(followed=()), first.reference)
        assert [each.reference for each in freed] == [reference for reference, _ in expected.followed]
        for told, (reference, after) in zip(freed, expected.followed, strict=True):
            self.agree_on(told, after, reference)
        return expected

    def agree_on(self, told: Told, expected: Expected, reference: Reference | None) -> None:
        self.seen.update(word for word in expected[:2] if word)
        self.due.update(expected.told)
        assert told.reference == reference
        compare(told.expected, expected)
        if told.outcome is not None:
            rows_are_whole(told.outcome)


def agree(histories: int, *, derandomize: bool) -> None:
    """Try so many histories, some half of them whole; the machine's class counts. Raises where the two disagree."""
    run_state_machine_as_test(
        ProductAgainstModel,
        settings=settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_product_and_model_agree_on_every_history() -> None:
    agree(400, derandomize=True)
    assert ProductAgainstModel.whole >= 200
    assert {word: ProductAgainstModel.seen[word] >= 10 for word in WORDS} == dict.fromkeys(WORDS, True)
