"""Every command of two items and three orders, in any order, against the model (contract sections 4 and 5)."""

from collections import Counter
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

from stock_worker.core import orders
from stock_worker.core.model import Command, OrderKey, Outcome, OutcomeKind
from stock_worker.core.orders import units_cancelled
from tests.core.product import DEFAULT, SITE, command_of, decide_in, end_in, item_key, new_world, told
from tests.models.meaning import reference_of
from tests.models.stock_model import Expected, StockModel, cancelled

Asked = tuple[str, dict[str, Any]]

ITEMS: Final = (
    {"product_id": "00000000-0000-4000-8000-000000000061"},
    {"product_id": "00000000-0000-4000-8000-000000000061", "variant_id": "00000000-0000-4000-8000-000000000062"},
)
STEPS: Final = 50
LINE_IDS: Final = ("1", "2", "3")
SMALL: Final = st.integers(1, 4)
ORDERS: Final = st.sampled_from(("O1", "O2", "O3"))
PLACES: Final = st.sampled_from(({}, {}, {"location_id": DEFAULT}))
ADJUSTMENTS: Final = ("adjustment", "damage", "expired", "sale", "restock", "return", "sold", "received")


def lines_of(*parts: st.SearchStrategy[dict[str, Any]], most: int = 3) -> st.SearchStrategy[list[dict[str, Any]]]:
    """One to `most` lines, each of these parts."""
    line = st.tuples(*parts).map(lambda chosen: {name: value for part in chosen for name, value in part.items()})
    return st.lists(line, min_size=1, max_size=most)


def quantity(values: st.SearchStrategy[int] = SMALL) -> st.SearchStrategy[dict[str, Any]]:
    """The quantity of a line."""
    return st.fixed_dictionaries({"quantity": values})


TOLD: Final = st.sampled_from(({}, {}, {"line_id": "told"}))
STOCKED: Final = lines_of(st.sampled_from(ITEMS), quantity(), PLACES, TOLD)
NEW_LINES: Final = STOCKED.flatmap(
    lambda lines: st.sampled_from((LINE_IDS, LINE_IDS, LINE_IDS[::-1])).map(
        lambda names: [{**line, "line_id": name} for line, name in zip(lines, names, strict=False)]
    )
)
ANY_NAME: Final = st.one_of(
    st.sampled_from(LINE_IDS).map(lambda name: {"line_id": name}),
    st.sampled_from(ITEMS),
    st.tuples(st.sampled_from(LINE_IDS), st.sampled_from(ITEMS)).map(lambda two: {"line_id": two[0], **two[1]}),
)
WORDS: Final = (
    *("applied", "partly_applied", "no_effect", "superseded", "rejected", "conflict", "duplicate", "parked"),
    *("order_already_placed", "unknown_line", "version_conflict", "exceeds_placed", "exceeds_cancellable"),
    *("exceeds_returnable", "insufficient_stock", "order_never_placed"),
)
RETURNED: Final = st.sampled_from(({}, {"condition": "sellable"}, {"condition": "damaged"}))


class ProductAgainstModel(RuleBasedStateMachine):
    """One world and one model, told the same commands."""

    seen: ClassVar[Counter[str]] = Counter()
    """Outcomes and codes of all histories: a search that never comes somewhere proves nothing about it."""
    whole: ClassVar[int] = 0
    """Histories of STEPS steps; hypothesis tries many shorter ones beside them."""
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.world, self.model = new_world(), StockModel()
        self.sent: list[Asked] = []
        self.parked: dict[tuple[str, str], Command] = {}
        self.revisions: dict[str, int] = {}
        self.taken = 0

    @initialize(stocked=st.lists(st.sampled_from((0, 4, 14, 30)), min_size=2, max_size=2))
    def begin(self, stocked: list[int]) -> None:
        lines = [{**item, "quantity": many} for item, many in zip(ITEMS, stocked, strict=True) if many]
        if lines:
            self.send("restock", lines=lines)

    # ------------------------------------------------------------ one rule a command

    @rule(lines=STOCKED)
    def restock(self, lines: list[dict[str, Any]]) -> None:
        self.send("restock", lines=lines)

    @rule(order=ORDERS, lines=NEW_LINES, again=st.booleans())
    def place(self, order: str, lines: list[dict[str, Any]], again: bool) -> None:
        self.send("order-placed", order_id=order, lines=lines, reference_id=None if again else self.fresh())

    @rule(order=ORDERS, lines=st.one_of(NEW_LINES, st.just([])))
    def amend(self, order: str, lines: list[dict[str, Any]]) -> None:
        self.send("order-placed", order_id=order, lines=lines, amend=True)

    @rule(order=ORDERS, data=st.data(), everything=st.sampled_from((False, False, True)))
    def cancel(self, order: str, data: st.DataObject, everything: bool) -> None:
        lines = self.named_lines(order, data)
        without = [{name: value for name, value in line.items() if name != "quantity"} for line in lines]
        self.send("order-cancelled", order_id=order, lines=without if everything else lines)

    @rule(order=ORDERS, again=st.booleans())
    def cancel_whole(self, order: str, again: bool) -> None:
        self.send("order-cancelled", order_id=order, reference_id=None if again else self.fresh())

    @rule(order=ORDERS, data=st.data())
    def fulfil(self, order: str, data: st.DataObject) -> None:
        self.send("order-fulfilled", order_id=order, lines=self.named_lines(order, data))

    @rule(order=ORDERS, data=st.data(), condition=RETURNED)
    def give_back(self, order: str, data: st.DataObject, condition: dict[str, str]) -> None:
        lines = [{**line, **condition} for line in self.named_lines(order, data)]
        self.send("return-received", order_id=order, lines=lines)

    @rule(lines=STOCKED, condition=RETURNED)
    def give_back_blind(self, lines: list[dict[str, Any]], condition: dict[str, str]) -> None:
        self.send("return-received", lines=[{**line, **condition} for line in lines])

    @rule(
        kind=st.sampled_from(ADJUSTMENTS),
        lines=STOCKED,
        minus=st.booleans(),
        atomic=st.sampled_from((None, True, False)),
        versions=st.lists(st.sampled_from((None, None, 0, 1)), min_size=3, max_size=3),
    )
    def adjust(
        self,
        kind: str,
        lines: list[dict[str, Any]],
        minus: bool,
        atomic: bool | None,
        versions: list[int | None],
    ) -> None:
        """`expected_version` is absent, right (0 off), or one off."""
        for line, off in zip(lines, versions, strict=False):
            if off is not None:
                line["expected_version"] = self.model.version.get((line["product_id"], line.get("variant_id")), 0) + off
            if minus and kind == "adjustment":
                line["quantity"] *= -1
        self.send("stock-adjustment", type=kind, lines=lines, atomic=atomic)

    # ------------------------------------------------------------ what Kafka and time do

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        self.tell(*data.draw(st.sampled_from(self.sent)))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_with_another_meaning(self, data: st.DataObject) -> None:
        topic, value = data.draw(st.sampled_from(self.sent))
        lines = [*(value.get("lines") or [])][::-1]
        more = {"lines": [*lines, {**ITEMS[0], "line_id": "9", "quantity": 1}]}
        assert self.tell(topic, {**value, **more}).outcome == "conflict"

    @precondition(lambda self: self.parked)
    @rule(data=st.data())
    def end_parked(self, data: st.DataObject) -> None:
        reference = data.draw(st.sampled_from(sorted(self.parked)))
        command = self.parked.pop(reference)
        expected = self.model.end_parked(reference)
        self.compare(command, end_in(self.world, command), expected)

    # ------------------------------------------------------------ what must hold after each

    @invariant()
    def steps_are_counted(self) -> None:
        """The start, which stocks the items, is one."""
        self.taken += 1
        ProductAgainstModel.steps += 1
        ProductAgainstModel.whole += self.taken == STEPS

    @invariant()
    def counters_levels_and_versions_are_the_models(self) -> None:
        for item in ITEMS:
            key = item["product_id"], item.get("variant_id")
            held = self.world.items.get(item_key(*key))
            if held is None:
                assert key not in self.model.version
                continue
            assert held.on_hand == self.model.on_hand.get(key, 0)
            assert held.reserved == 0
            assert held.version == self.model.version.get(key, 0)
            assert held.level.value == self.model.level.get(key, "ok")
            assert held.revision >= self.revisions.get(held.key.text, 0)
            self.revisions[held.key.text] = held.revision
            assert sum(place.on_hand for place in held.places.values()) == held.on_hand

    @invariant()
    def orders_have_the_models_totals(self) -> None:
        for name, order in self.model.orders.items():
            held = self.world.orders[OrderKey(SITE, name)]
            assert (held.placed, held.cancelled_whole) == (order.placed, order.whole)
            assert [each.reference[1:] for each in held.parked] == [reference_of(*each) for each in order.parked]
            assert set(held.lines) == set(order.lines)
            for line_id, line in held.lines.items():
                gone = cancelled(order.lines[line_id], whole=order.whole)
                assert line.totals.placed == order.lines[line_id]["P"]
                assert units_cancelled(line.totals, whole=order.whole) == gone
                sold = orders.held(line.totals, line.mode, whole=order.whole, expired=False).sold
                assert sold == order.lines[line_id]["P"] - gone
                assert sum(part.sold for part in line.allocations) == order.lines[line_id]["P"] - gone

    # ------------------------------------------------------------ telling both the same

    def named_lines(self, order: str, data: st.DataObject) -> list[dict[str, Any]]:
        """One or two lines, more often such as the order has."""
        known = [{"line_id": name} for name in self.model.orders[order].lines] if order in self.model.orders else []
        one = st.sampled_from(known) | st.sampled_from(known) | ANY_NAME if known else ANY_NAME
        return data.draw(lines_of(one, quantity(st.integers(1, 6)), most=2))

    def fresh(self) -> str:
        return f"R{len(self.sent)}"

    def send(self, topic: str, **value: object) -> None:
        told_value = {name: each for name, each in value.items() if each is not None}
        if not {"reference_id", "order_id"} & set(told_value) or topic not in ("order-placed", "order-cancelled"):
            told_value.setdefault("reference_id", self.fresh())
        if told_value.get("amend") or (topic == "order-cancelled" and "lines" in told_value):
            told_value.setdefault("reference_id", self.fresh())
        if self.tell(topic, told_value).outcome != "conflict":
            self.sent.append((topic, told_value))

    def tell(self, topic: str, value: dict[str, Any]) -> Expected:
        expected = self.model.apply(topic, value)
        asked = command_of(topic, value)
        (_, outcome), *freed = decide_in(self.world, asked)
        self.compare(asked, outcome, expected._replace(followed=()))
        if expected.outcome == "parked":
            self.parked[reference_of(topic, value)] = asked
        assert [each.reference[1:] for each, _ in freed] == [reference for reference, _ in expected.followed]
        for (each, after), (reference, follows) in zip(freed, expected.followed, strict=True):
            del self.parked[reference]
            self.compare(each, after, follows)
        return expected

    def compare(self, command: Command, outcome: Outcome, expected: Expected) -> None:
        """The order of a command's rows across lines, and of its failing lines, is nobody's promise."""
        actual = told(self.world, command, outcome)
        self.seen.update(word for word in expected[:2] if word)
        assert actual[:2] == expected[:2]
        assert sorted(actual.moved, key=repr) == sorted(expected.moved, key=repr)
        assert sorted(actual.alerts, key=repr) == sorted(expected.alerts, key=repr)
        assert comparable(actual) == comparable(expected)
        self.rows_are_whole(outcome)

    def rows_are_whole(self, outcome: Outcome) -> None:
        """Each row adds up, each item's rows follow each other, and one of them is the command's last."""
        last: dict[object, bool] = {}
        for row in outcome.movements:
            assert row.previous_stock + row.quantity == row.new_stock == row.on_hand - row.reserved
            assert not last.get(row.item), "a row after the last of the command"
            last[row.item] = row.last_of_command
        assert all(last.values())
        if outcome.kind in (OutcomeKind.DUPLICATE, OutcomeKind.CONFLICT, OutcomeKind.REJECTED, OutcomeKind.PARKED):
            assert outcome.movements == ()


def comparable(expected: Expected) -> list[tuple[str, int, int]]:
    """The failing lines that made the code; what was asked and short is compared where the contract says what it is.

    A line that fails by a later code may be told or not: a command is refused by the first that applies.
    """
    return sorted(
        (fail.code, (fail.requested or 0) if fail.shortfall else 0, fail.shortfall or 0)
        for fail in expected.failed
        if fail.code == expected.code or expected.outcome == "partly_applied"
    )


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
