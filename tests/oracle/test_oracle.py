"""The oracle finds no fault in a good history, and each planted fault by its kind. The history is the model's."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.oracle.history import Shop
from tests.oracle.kinds import CODES, OUTCOMES
from tests.oracle.oracle import judge
from tests.oracle.records import Judgement, Seen, Sent
from tests.oracle.shop import Mix, steering_of
from tests.oracle.steering import NOWHERE

Plant = Callable[[list[Sent], list[Seen]], None]


MIX = Mix(commands=2_000, poison=0.03)


@pytest.fixture(scope="module")
def history() -> Shop:
    shop = Shop(7, MIX)
    shop.run()
    return shop


def test_a_good_history_has_no_fault_and_is_counted(history: Shop) -> None:
    judgement = judge(history.sent, history.seen, history.steering)
    assert judgement.faults == []
    assert judgement.moved_share > 0.5
    assert judgement.outcomes["malformed"] == sum(record.poison for record in history.sent)
    assert judgement.outcomes["duplicate"] > 0
    assert {name: judgement.outcomes[name] >= 5 for name in OUTCOMES} == dict.fromkeys(OUTCOMES, True)
    assert {name: judgement.codes[name] >= 3 for name in CODES} == dict.fromkeys(CODES, True)
    assert judgement.expiries > 5
    placed = sum(
        judgement.outcomes[each]
        for each in ("applied", "partly_applied", "no_effect", "superseded", "expired", "rejected")
    )
    still_parked = judgement.commands + judgement.expiries - placed
    ended = judgement.outcomes["parked"] - still_parked
    assert still_parked > 0
    assert ended > 0


def test_events_and_dead_letters_that_come_again_as_they_were_are_no_fault(history: Shop) -> None:
    last = max(record.offset for record in history.seen) + 1
    again = [record._replace(offset=record.offset + last) for record in history.seen[len(history.seen) // 3 :]]
    judgement = judge(history.sent, [*history.seen, *again], history.steering)
    assert judgement.faults == []
    assert judgement.redelivered_events == len(again)


# ---------------------------------------------------------------- planted faults


def find(seen: list[Seen], topic: str, **wanted: Any) -> int:  # noqa: ANN401 - JSON values
    """The index of the first event with these fields."""
    for index, record in enumerate(seen):
        if record.topic == topic and (not wanted or matches(record, wanted)):
            return index
    raise AssertionError(f"no {topic} with {wanted}")


def matches(record: Seen, wanted: dict[str, Any]) -> bool:
    value = json.loads(record.value or b"null")
    return all(value[name](each) if callable(value[name]) else value[name] == each for name, each in wanted.items())


def drop(topic: str, **wanted: Any) -> Plant:  # noqa: ANN401 - JSON values
    def plant(_: list[Sent], seen: list[Seen]) -> None:
        del seen[find(seen, topic, **wanted)]

    return plant


def bend(topic: str, change: Callable[[dict[str, Any]], object], **wanted: Any) -> Plant:  # noqa: ANN401 - JSON values
    """Change the value of an event."""

    def plant(_: list[Sent], seen: list[Seen]) -> None:
        index = find(seen, topic, **wanted)
        value = json.loads(seen[index].value or b"")
        change(value)
        seen[index] = seen[index]._replace(value=json.dumps(value).encode())

    return plant


def double(topic: str, change: Callable[[dict[str, Any]], object] = lambda _: None, **wanted: Any) -> Plant:  # noqa: ANN401
    """Publish an event a second time under another ce_id, at the end of its partition."""

    def plant(_: list[Sent], seen: list[Seen]) -> None:
        record = seen[find(seen, topic, **wanted)]
        value = json.loads(record.value or b"")
        change(value)
        headers = tuple((name, b"another" if name == "ce_id" else told) for name, told in record.headers)
        value_bytes = json.dumps(value).encode()
        seen.append(record._replace(offset=10**6, headers=headers, value=value_bytes))

    return plant


def swap_offsets(topic: str) -> Plant:
    """Publish two records of one key the other way round."""

    def plant(_: list[Sent], seen: list[Seen]) -> None:
        first = find(seen, topic)
        other = next(
            i for i, each in enumerate(seen) if i > first and each[:2] + each[3:4] == seen[first][:2] + seen[first][3:4]
        )
        one, two = seen[first], seen[other]
        seen[first], seen[other] = one._replace(offset=two.offset), two._replace(offset=one.offset)

    return plant


def header(topic: str, name: str, value: bytes | None) -> Plant:
    def plant(_: list[Sent], seen: list[Seen]) -> None:
        index = find(seen, topic)
        headers = tuple((each, value if each == name else told) for each, told in seen[index].headers)
        seen[index] = seen[index]._replace(headers=headers)

    return plant


def other_key(topic: str) -> Plant:
    def plant(_: list[Sent], seen: list[Seen]) -> None:
        index = find(seen, topic)
        seen[index] = seen[index]._replace(key=b"somewhere/else/")

    return plant


def other_partition(_: list[Sent], seen: list[Seen]) -> None:
    index = find(seen, "stock-changed", version=2)
    seen[index] = seen[index]._replace(partition=seen[index].partition + 10)


def again_alone(_: list[Sent], seen: list[Seen]) -> None:
    """An old state comes again, last of all: a relay that was frozen and is not refused."""
    seen.append(seen[find(seen, "stock-level")]._replace(offset=10**6))


def again_in_part(_: list[Sent], seen: list[Seen]) -> None:
    """An old state comes again, and the newest after it."""
    first = seen[find(seen, "stock-level")]
    own = [record for record in seen if (record.topic, record.key) == (first.topic, first.key)]
    seen += [own[0]._replace(offset=10**6), own[-1]._replace(offset=10**6 + 1)]


def again_otherwise(_: list[Sent], seen: list[Seen]) -> None:
    record = seen[find(seen, "stock-changed")]
    seen.append(record._replace(offset=10**6, value=(record.value or b"") + b" "))


def dead(reason: bytes) -> Callable[[list[Seen]], int]:
    return lambda seen: next(i for i, each in enumerate(seen) if ("dlt-reason", reason) in each.headers)


def drop_letter(reason: bytes) -> Plant:
    def plant(_: list[Sent], seen: list[Seen]) -> None:
        del seen[dead(reason)(seen)]

    return plant


def bend_letter(reason: bytes, **change: Any) -> Plant:  # noqa: ANN401 - fields of a record
    def plant(_: list[Sent], seen: list[Seen]) -> None:
        index = dead(reason)(seen)
        seen[index] = seen[index]._replace(**change)

    return plant


def second_letter(_: list[Sent], seen: list[Seen]) -> None:
    """The same record dead-lettered for another position's sake: its timestamp differs."""
    record = seen[dead(b"malformed")(seen)]
    headers = tuple((name, b"2" if name == "dlt-original-timestamp" else told) for name, told in record.headers)
    seen.append(record._replace(offset=10**6, headers=headers))


def letter_of_a_good_record(sent: list[Sent], seen: list[Seen]) -> None:
    good = next(each for each in sent if not each.poison and each.topic == "restock")
    letter = next(each for each in seen if each.topic == "restock-dlt")
    moved = {b"dlt-original-partition": good.partition, b"dlt-original-offset": good.offset}
    headers = tuple(
        (name, str(moved.get(name.encode(), (told or b"").decode())).encode()) for name, told in letter.headers
    )
    seen.append(letter._replace(offset=10**6, key=good.key, value=good.value, headers=headers))


def unheard(sent: list[Sent], _: list[Seen]) -> None:
    """A command that was produced and came to nothing."""
    value = {"site_id": "x", "reference_id": "unheard", "lines": [{"product_id": "p", "quantity": 1}]}
    sent.append(Sent("restock", None, json.dumps(value).encode(), partition=0, offset=10**6))


def unasked(sent: list[Sent], seen: list[Seen]) -> None:
    """An outcome of what nobody produced."""
    told = json.loads(seen[find(seen, "adjustment-applied", reference_type="restock")].value or b"")
    sent[:] = [each for each in sent if told["reference_id"].encode() not in (each.value or b"")]


def add(name: str, quantity: int) -> Callable[[dict[str, Any]], object]:
    return lambda value: value.update({name: value[name] + quantity})


def put(**fields: Any) -> Callable[[dict[str, Any]], object]:  # noqa: ANN401 - JSON values
    return lambda value: value.update(fields)


def alter_asked(topic: str, change: Callable[[dict[str, Any]], object], outcome: str = "applied") -> Plant:
    """Let the command have asked for something else than what was applied."""

    def plant(sent: list[Sent], seen: list[Seen]) -> None:
        done = {
            (told["reference_type"], told["reference_id"])
            for told in (json.loads(each.value or b"") for each in seen if each.topic == "adjustment-applied")
            if told["outcome"] == outcome
        }
        for index, record in enumerate(sent):
            if record.topic != topic or record.poison:
                continue
            value = json.loads(record.value or b"")
            kind = {"restock": "restock", "order-fulfilled": "fulfilment", "return-received": "return"}.get(
                topic, "order"
            )
            named = [each for each in sent if f'"{value.get("reference_id")}"'.encode() in (each.value or b"")]
            if (kind, value.get("reference_id") or value.get("order_id")) in done and len(named) == 1:
                change(value)
                sent[index] = record._replace(value=json.dumps(value).encode())
                return
        raise AssertionError(topic)

    return plant


def first_line(**fields: Any) -> Callable[[dict[str, Any]], object]:  # noqa: ANN401 - JSON values
    return lambda value: value["lines"][0].update(fields)


def forget_total(sent: list[Sent], seen: list[Seen]) -> None:
    """A fulfilment that took units back from a cancellation, its rows lost with all that follows from them."""
    index = next(
        i
        for i, each in enumerate(seen)
        if each.topic == "stock-changed" and matches(each, {"reference_type": "cancellation"})
    )
    value = json.loads(seen[index].value or b"")
    seen[index] = seen[index]._replace(value=json.dumps({**value, "line_id": "1x"}).encode())
    assert sent


def elsewhere(kind: str) -> Plant:
    """The rows of one command are at a location that it did not name."""

    def plant(sent: list[Sent], seen: list[Seen]) -> None:
        first = json.loads(seen[find(seen, "stock-changed", type=kind)].value or b"")
        for index, record in enumerate(seen):
            if record.topic in ("stock-changed", "adjustment-applied") and first["reference_id"].encode() in (
                record.value or b""
            ):
                value = (record.value or b"").replace(first["location_id"].encode(), NOWHERE.encode())
                seen[index] = record._replace(value=value)
        assert sent

    return plant


def other_line_of_a_count(sent: list[Sent], seen: list[Seen]) -> None:
    """The counter found one more than was booked."""
    told = json.loads(seen[find(seen, "stock-changed", reference_type="count")].value or b"")
    for index, record in enumerate(sent):
        if record.topic == "stock-count" and told["reference_id"].encode() in (record.value or b""):
            value = json.loads(record.value or b"")
            value["lines"] = [{**line, "counted": line["counted"] + 1} for line in value["lines"]]
            sent[index] = record._replace(value=json.dumps(value).encode())


def beyond(kind: str) -> Plant:
    """Everything of an item from its first such row on is a thousand less than told."""

    def plant(_: list[Sent], seen: list[Seen]) -> None:
        first = json.loads(seen[find(seen, "stock-changed", type=kind, reference_type="adjustment")].value or b"")
        less = {"on_hand": 1_000, "new_stock": 1_000, "available": 1_000, "location_on_hand": 1_000}
        bend(
            "stock-changed",
            lambda value: [value.update({name: value[name] - n}) for name, n in less.items()],
            **{name: first[name] for name in ("movement_id",)},
        )([], seen)

    return plant


def moving(topic: str, change: Callable[[dict[str, Any]], object] | None, *, last: bool = False) -> Plant:
    """Change, or lose, an event of the site whose rules change: the second of an item that has more, or its last."""

    def plant(_: list[Sent], seen: list[Seen]) -> None:
        site = steering_of(7, MIX).meanwhile[0].site
        by_key: dict[bytes | None, list[int]] = {}
        for index, record in enumerate(seen):
            if record.topic == topic and site.encode() in (record.key or b""):
                by_key.setdefault(record.key, []).append(index)
        several = next(indexes for indexes in by_key.values() if len(indexes) > 2)
        index = several[-1] if last else several[1]
        if change is None:
            del seen[index]
            return
        value = json.loads(seen[index].value or b"")
        change(value)
        seen[index] = seen[index]._replace(value=json.dumps(value).encode())

    return plant


PLANTS = [
    # lost
    pytest.param("lost", unheard, id="a command is lost"),
    pytest.param("lost", drop("adjustment-applied"), id="an outcome is lost"),
    pytest.param("lost", drop("adjustment-rejected", code="unknown_line"), id="a refusal is lost"),
    pytest.param("lost", drop_letter(b"malformed"), id="a broken record is lost"),
    pytest.param("wrong", drop_letter(b"order_never_placed"), id="the dead letter of a parked command is lost"),
    pytest.param("lost", drop_letter(b"reference_conflict"), id="a conflict is lost"),
    pytest.param(
        "wrong", drop("adjustment-rejected", code="reference_conflict"), id="a conflict is told in one place only"
    ),
    pytest.param("lost", drop("alert-level-changed"), id="an alert is lost"),
    # doubled
    pytest.param("doubled", double("adjustment-applied"), id="an outcome twice"),
    pytest.param("doubled", double("adjustment-rejected", code="unknown_line"), id="a refusal twice"),
    pytest.param("doubled", double("stock-changed", put(movement_id="m")), id="a version twice"),
    pytest.param("doubled", double("alert-level-changed"), id="an alert twice"),
    pytest.param(
        "doubled", double("stock-changed", add("version", 10**6)), id="a movement twice under another version"
    ),
    pytest.param("inversions", again_alone, id="an old event comes again alone"),
    pytest.param("inversions", again_in_part, id="an old event comes again and what followed it does not"),
    pytest.param("doubled", again_otherwise, id="an event comes again and is another"),
    pytest.param("doubled", second_letter, id="a dead letter twice"),
    # inversions
    pytest.param("inversions", swap_offsets("stock-changed"), id="an older row after a newer"),
    pytest.param("inversions", swap_offsets("stock-level"), id="an older state after a newer"),
    pytest.param("inversions", other_partition, id="a key in two partitions"),
    # gaps
    pytest.param("gaps", drop("stock-changed", version=2), id="a row never came"),
    pytest.param("gaps", drop("stock-changed", version=1), id="the first row never came"),
    # wrong, in rows
    pytest.param("wrong", bend("stock-changed", add("quantity", 1)), id="previous + quantity is not new"),
    pytest.param("wrong", bend("stock-changed", add("on_hand", 1)), id="on_hand - reserved is not new"),
    pytest.param("wrong", bend("stock-changed", add("previous_stock", 1), version=3), id="a row starts elsewhere"),
    pytest.param("wrong", bend("stock-changed", add("location_on_hand", 1)), id="a location counts otherwise"),
    pytest.param("wrong", bend("stock-changed", add("location_reserved", 1)), id="a location reserves otherwise"),
    pytest.param("wrong", bend("stock-changed", add("available", 1)), id="available is not new_stock"),
    pytest.param(
        "wrong", bend("stock-changed", put(recorded_at="2020-01-01T00:00:00Z"), version=3), id="time goes back"
    ),
    pytest.param(
        "wrong", bend("stock-changed", put(last_of_command=False), last_of_command=True), id="no row is the last"
    ),
    pytest.param(
        "wrong", bend("stock-changed", put(last_of_command=True), last_of_command=False), id="two rows are the last"
    ),
    pytest.param("wrong", bend("stock-changed", put(reference_id="nobody's")), id="a row of what nobody sent"),
    pytest.param(
        "wrong", bend("stock-changed", put(order_id="another"), reference_type="order"), id="a row of another order"
    ),
    pytest.param("wrong", forget_total, id="a row of another line"),
    pytest.param("wrong", bend("stock-changed", put(average_cost="9.000000"), version=4), id="an average of nothing"),
    pytest.param("wrong", bend("stock-changed", add("costed_quantity", 1), version=4), id="a unit without its cost"),
    pytest.param(
        "wrong", bend("stock-changed", put(type="unreserved"), type="damage"), id="a damage that moves no stock"
    ),
    pytest.param(
        "wrong", bend("stock-changed", put(order_id=None, line_id=None), type="unreserved"), id="a hold of nobody"
    ),
    pytest.param(
        "wrong", bend("stock-changed", put(recorded_at="2026-01-01T00:00:00Z"), reference_type="expiry"), id="early"
    ),
    pytest.param("wrong", elsewhere("transfer"), id="transferred to another place"),
    pytest.param("wrong", elsewhere("restock"), id="restocked at another place"),
    pytest.param("wrong", other_line_of_a_count, id="a count that corrects something else"),
    pytest.param("wrong", beyond("reserved"), id="reserved below the limit"),
    pytest.param("wrong", beyond("damage"), id="damaged what was not there"),
    # wrong, in states
    pytest.param("wrong", bend("stock-level", add("on_hand", 1)), id="a state is not its version's"),
    pytest.param(
        "wrong", bend("stock-level", put(level="ok"), level="low"), id="a state's level is not the thresholds'"
    ),
    pytest.param("wrong", bend("stock-level", add("sellable", 1)), id="a state sells more than is there"),
    pytest.param("wrong", bend("stock-level", put(locations=[])), id="a state without its locations"),
    pytest.param("wrong", bend("alert-level-changed", put(previous_level="out")), id="an alert from another level"),
    pytest.param("wrong", double("alert-level-changed", put(level="out", version=1)), id="an alert without a change"),
    pytest.param("wrong", moving("stock-level", put(level="critical"), last=True), id="the last rule was missed"),
    pytest.param("lost", moving("alert-level-changed", None), id="an alert of a changed rule is lost"),
    pytest.param(
        "wrong",
        moving("alert-level-changed", lambda value: value.update(level="low" if value["level"] == "ok" else "ok")),
        id="an alert that its own thresholds belie",
    ),
    # wrong, in outcomes
    pytest.param("wrong", unasked, id="an outcome of what nobody sent"),
    pytest.param(
        "wrong",
        bend("adjustment-applied", put(outcome="superseded"), reference_type="restock"),
        id="superseded and moved",
    ),
    pytest.param(
        "wrong",
        bend("adjustment-rejected", put(code="exceeds_placed"), code="exceeds_returnable"),
        id="a code that the command cannot have",
    ),
    pytest.param(
        "wrong",
        bend("adjustment-rejected", put(code="unknown_line"), code="exceeds_placed"),
        id="a refusal that cannot have been",
    ),
    pytest.param(
        "wrong", bend("adjustment-rejected", put(message=""), code="unknown_line"), id="a refusal without a word"
    ),
    pytest.param(
        "wrong",
        bend("adjustment-applied", lambda value: value["lines"].pop(), reference_type="order"),
        id="a line untold",
    ),
    # wrong, in quantities
    pytest.param("wrong", alter_asked("restock", first_line(quantity=77)), id="restocked less than asked"),
    pytest.param("wrong", alter_asked("order-placed", first_line(quantity=77)), id="sold less than asked"),
    pytest.param("wrong", alter_asked("return-received", first_line(quantity=77)), id="took back less than asked"),
    pytest.param("wrong", alter_asked("return-received", first_line(condition="damaged")), id="damage was not booked"),
    # wrong, in envelopes and letters
    pytest.param("wrong", header("stock-changed", "ce_id", None), id="an event without identity"),
    pytest.param("wrong", header("stock-level", "ce_type", b"stock.level"), id="an event of another type"),
    pytest.param("wrong", header("adjustment-applied", "ce_time", None), id="an event without time"),
    pytest.param("wrong", other_key("stock-changed"), id="an item event under another key"),
    pytest.param("wrong", other_key("adjustment-applied"), id="an outcome under another key"),
    pytest.param("wrong", bend_letter(b"malformed", value=b"cut"), id="a dead letter is not what was sent"),
    pytest.param("wrong", bend_letter(b"malformed", key=b"other"), id="a dead letter has another key"),
    pytest.param("wrong", letter_of_a_good_record, id="a good record is dead-lettered"),
]


@pytest.mark.parametrize(("kind", "plant"), PLANTS)
def test_each_planted_fault_is_found_by_its_kind(history: Shop, kind: str, plant: Plant) -> None:
    sent, seen = list(history.sent), list(history.seen)
    plant(sent, seen)
    judgement: Judgement = judge(sent, seen, history.steering)
    assert getattr(judgement, kind), judgement.faults
