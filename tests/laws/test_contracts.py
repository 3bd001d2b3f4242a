"""contracts/ against the code, both ways: schemas, golden messages and AsyncAPI say what decode, core and topics do."""

import json
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from stock_worker.core import events, topics
from stock_worker.core.alerts import BUILT_IN
from stock_worker.core.events import Event
from stock_worker.core.model import Level, Malformed, Movement, MovementType, OutcomeKind
from stock_worker.core.refusals import DEAD_LETTERED, UNREFERENCED, Code
from stock_worker.wire import messages
from stock_worker.wire.decode import decode
from stock_worker.wire.encode import EVENT_TYPE, dead_letter_row, event_row
from tests.core import shop
from tests.wire.samples import CONTRACTS, EXAMPLES, golden_value, goldens, record

SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted((CONTRACTS / "schemas").glob("*.json"))}
SHARED = {"common", "command-headers", "event-headers", "dead-letter-headers"}
ASYNCAPI = yaml.safe_load((CONTRACTS / "asyncapi.yaml").read_text())
REGISTRY: Registry[Any] = Registry().with_resources(
    (f"{name}.json", Resource.from_contents(schema, DRAFT202012)) for name, schema in SCHEMAS.items()
)


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"{name}.json"}, registry=REGISTRY)


def parts(schema: object) -> Iterator[dict[str, Any]]:
    """Every object inside a schema, itself included."""
    todo: list[object] = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            yield part
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The properties of a schema and of what it refers to."""
    names: dict[str, Any] = {}
    if "$ref" in schema:
        names |= resolved(SCHEMAS["common"]["$defs"][schema["$ref"].rpartition("/")[2]])
    return names | schema.get("properties", {})


def line_schema(name: str) -> dict[str, Any]:
    lines = SCHEMAS[name]["properties"]["lines"]
    found: dict[str, Any] = lines.get("items") or lines["anyOf"][0]["items"]
    return found


def enum(name: str) -> list[Any]:
    found: list[Any] = SCHEMAS["common"]["$defs"][name]["enum"]
    return found


# ---------------------------------------------------------------- schemas


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_valid_2020_12_and_its_references_lead_somewhere(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    for part in parts(schema):
        if isinstance(part.get("$ref"), str):
            file, _, pointer = part["$ref"].partition("#")
            assert pointer.removeprefix("/$defs/") in SCHEMAS[Path(file).stem or name]["$defs"]


def test_there_is_a_schema_for_every_topic_and_no_other() -> None:
    assert set(SCHEMAS) == {*topics.COMMAND_TOPICS, *topics.EVENT_TOPICS} | SHARED


def test_every_shared_value_is_used() -> None:
    used = {
        part["$ref"].rpartition("/")[2]
        for schema in SCHEMAS.values()
        for part in parts(schema)
        if isinstance(part.get("$ref"), str)
    }
    assert used == set(SCHEMAS["common"]["$defs"])


def test_enums_are_those_of_the_code() -> None:
    assert enum("movement-type") == [kind.value for kind in MovementType]
    assert enum("level") == [level.value for level in Level]
    assert enum("refusal") == [code.text for code in sorted(Code) if code not in UNREFERENCED]
    applied = SCHEMAS[topics.ADJUSTMENT_APPLIED]["properties"]["outcome"]["enum"]
    untold = {"rejected", "conflict", "duplicate", "parked", "malformed", "failed"}
    assert applied == [kind.value for kind in OutcomeKind if kind.value not in untold]
    assert untold < {kind.value for kind in OutcomeKind}
    reasons = SCHEMAS["dead-letter-headers"]["properties"]["dlt-reason"]["enum"]
    assert reasons == [code.text for code in sorted(DEAD_LETTERED)]
    adjustments = SCHEMAS[topics.STOCK_ADJUSTMENT]["properties"]["type"]["enum"]
    assert adjustments == list(get_args(messages.AdjustmentName))
    thresholds = SCHEMAS[topics.ALERT_LEVEL_CHANGED]["properties"]["thresholds"]["properties"]
    assert list(thresholds) == list(BUILT_IN._fields)


# Named in the contract and in the schema, but ignored, so not read: contract C15, C41.
IGNORED = {(topics.ORDER_CANCELLED, "location_id")}


@pytest.mark.parametrize("topic", messages.SHAPES)
def test_a_command_schema_names_exactly_the_fields_that_are_read(topic: str) -> None:
    shape = messages.SHAPES[topic]
    read = shape.json_schema(mode="validation")
    assert set(resolved(SCHEMAS[topic])) == set(read["properties"])
    assert set(SCHEMAS[topic]["required"]) | {"site_id"} == set(read["required"])
    if "lines" not in read["properties"]:  # the catalog tells of one item
        return
    read_line = next(part for name, part in read["$defs"].items() if name.endswith("Line"))
    assert set(resolved(line_schema(topic))) == set(read_line["properties"])
    required = {*line_schema(topic)["required"]}
    if "item-line" in line_schema(topic)["$ref"]:
        required.add("product_id")
    assert required == set(read_line.get("required", []))


def test_an_event_tells_every_field_of_the_ledger() -> None:
    """Section 2's fields, which the movement spreads over itself, its command and its source, plus section 6's."""
    told = set(SCHEMAS[topics.STOCK_CHANGED]["properties"])
    own = set(Movement._fields) - {"item", "command", "net_sold", "cost_ignored"}
    assert told - own == {
        *("site_id", "product_id", "variant_id"),
        *("reference_type", "reference_id", "actor", "actor_id", "source", "occurred_at"),
        *("available", "sku"),
    }
    assert own <= told


# ---------------------------------------------------------------- golden messages


@pytest.mark.parametrize(
    ("topic", "text"),
    [pytest.param(topic, text, id=f"{topic}/{name}") for topic, name, text in goldens("good")],
)
def test_a_good_message_fits_its_schema(topic: str, text: str) -> None:
    """That they become commands is in tests/wire."""
    validator(topic).validate(json.loads(text))


@pytest.mark.parametrize(
    ("topic", "text"), [pytest.param(topic, text, id=f"{topic}/{name}") for topic, name, text in goldens("malformed")]
)
def test_a_malformed_message_fails_its_schema_where_a_schema_can_say_it(topic: str, text: str) -> None:
    example = json.loads(text)
    if "text" in example:  # no JSON, or a NUL where no schema looks
        return
    assert validator(topic).is_valid(example["value"]) is not example["schema_refuses"]
    assert json.loads(golden_value(text)) == example["value"]


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        pytest.param(topic, path.read_text(), id=f"{topic}/{path.stem}")
        for topic in topics.EVENT_TOPICS
        for path in sorted((EXAMPLES / topic).glob("*.json"))
    ],
)
def test_an_event_example_fits_its_schema_and_shows_every_field(topic: str, text: str) -> None:
    event = json.loads(text)
    validator(topic).validate(event)
    assert set(event) == set(SCHEMAS[topic]["properties"])


@pytest.mark.parametrize("name", ["command", "event", "dead-letter"])
def test_a_header_example_fits_its_schema(name: str) -> None:
    validator(f"{name}-headers").validate(json.loads((EXAMPLES / "headers" / f"{name}.json").read_text()))


def test_every_topic_has_golden_messages_and_no_other_folder_has_any() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {*topics.COMMAND_TOPICS, *topics.EVENT_TOPICS, "headers"}
    for topic in topics.COMMAND_TOPICS:
        kinds = {path.name for path in (EXAMPLES / topic).iterdir()}
        assert kinds == {"good", "malformed"}
    for topic in topics.EVENT_TOPICS:
        assert any((EXAMPLES / topic).glob("*.json"))


OF_NO_KIND: Final[tuple[object, ...]] = (None, [], {}, "", "\x01", -(10**31), 0, 0.5, True, "x" * 2001)


@pytest.mark.parametrize("topic", messages.SHAPES)
def test_each_field_of_a_good_message_that_a_schema_constrains_is_checked_by_decode_too(topic: str) -> None:
    """Replace each field, and each of a line, by something of no kind: schema and decode agree on every one."""
    _, _, text = max(goldens("good", topic), key=lambda golden: len(golden[2]))
    good = json.loads(text)
    for holder in (good, *good.get("lines", [])[:1]):
        for name, kept in list(holder.items()):
            for wrong in OF_NO_KIND:
                holder[name] = wrong
                decodes = not isinstance(decode(record(json.dumps(good).encode(), topic), topic), Malformed)
                assert validator(topic).is_valid(good) is decodes, (name, wrong)
            holder[name] = kept


# ---------------------------------------------------------------- what the code sends


def sent() -> Iterator[Event]:
    """Events of every topic, as the code makes them: a delivery, an order, a refusal, and goods in part accepted."""
    world = shop.world()
    shop.run(
        world,
        shop.restock(shop.line("a", 12)._replace(unit_cost=Decimal("12.50")), ref="r"),
        shop.place("O1", shop.line("a", 4, reason="gift"), shop.line("a", 1)),
        shop.place("O2", shop.line("a", 90), shop.line("b", 1)),
        shop.give_back("O1", shop.line(line_id="1", quantity=1, damaged=True), ref="back"),
        shop.adjust(MovementType.DAMAGE, shop.line("a", 5), shop.line("b", 5), ref="each", atomic=False),
        shop.cancel_whole("O3"),
        shop.place("O3", shop.line("a", 1)),
    )
    for row in world.changes.movements:
        yield events.stock_changed(world, row)
    for alert in world.changes.alerts:
        yield events.alert_level_changed(world, alert)
    for item in world.changes.items.values():
        yield events.stock_level(world, item)
    for done in world.changes.decided:
        yield from events.told(done.command, done.outcome, emit_applied=True)


def test_every_event_of_the_code_fits_its_schema_and_has_its_fields_and_no_others() -> None:
    seen = set()
    for event in sent():
        *_, payload, _names, _values = event_row(event, prefix="shop.", created_at=shop.NOON)
        assert payload is not None
        message = json.loads(payload)
        validator(event.topic).validate(message)
        assert set(message) <= set(SCHEMAS[event.topic]["properties"])
        seen.add(event.topic)
    assert seen == set(topics.EVENT_TOPICS)


def test_the_headers_of_a_dead_letter_fit_their_schema_and_no_other_is_added() -> None:
    seen: set[str] = set()
    for source in (record(b"x" * topics.DEAD_LETTER_MAX_BYTES), record(None)._replace(key=None)):
        *_, names, values = dead_letter_row(source, "malformed", "words", created_at=shop.NOON)
        headers = {name: (value or b"").decode() for name, value in zip(names or (), values or (), strict=True)}
        validator("dead-letter-headers").validate(headers)
        seen |= set(headers)
    assert seen == set(SCHEMAS["dead-letter-headers"]["properties"])


# ---------------------------------------------------------------- AsyncAPI


def test_asyncapi_names_exactly_the_topics_of_the_code() -> None:
    dead = {topics.dead_letter_topic(topic) for topic in topics.COMMAND_TOPICS}
    addresses = {name: channel["address"] for name, channel in ASYNCAPI["channels"].items()}
    assert addresses == {name: name for name in {*topics.COMMAND_TOPICS, *topics.EVENT_TOPICS} | dead}
    assert set(ASYNCAPI["components"]["messages"]) == set(addresses)
    assert set(ASYNCAPI["operations"]) == {
        *(f"receive-{name}" for name in topics.COMMAND_TOPICS),
        *(f"send-{name}" for name in {*topics.EVENT_TOPICS} | dead),
    }
    for name, operation in ASYNCAPI["operations"].items():
        action, _, topic = name.partition("-")
        assert operation == {"action": action, "channel": {"$ref": f"#/channels/{topic}"}}


def test_asyncapi_gives_every_topic_its_policy_schema_headers_and_key() -> None:
    for name, channel in ASYNCAPI["channels"].items():
        configuration = channel["bindings"]["kafka"]["topicConfiguration"]
        policy = "compact" if name in topics.COMPACTED_TOPICS else "delete"
        dead = name.endswith(topics.DEAD_LETTER_SUFFIX)
        limit = {"max.message.bytes": topics.DEAD_LETTER_MAX_BYTES} if dead else {}
        assert configuration == {"cleanup.policy": [policy]} | limit
        message = ASYNCAPI["components"]["messages"][name]
        headers = "dead-letter" if dead else "event" if name in topics.EVENT_TOPICS else "command"
        assert message["headers"]["schema"] == {"$ref": f"./schemas/{headers}-headers.json"}
        assert message["bindings"]["kafka"]["key"]["description"]
        if not dead:
            assert message["payload"]["schema"] == {"$ref": f"./schemas/{name}.json"}


def test_asyncapi_has_the_version_of_the_project() -> None:
    project = tomllib.loads((CONTRACTS.parent / "pyproject.toml").read_text())["project"]
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert ASYNCAPI["info"]["version"] == project["version"]


def test_event_types_are_the_topics() -> None:
    pattern = SCHEMAS["event-headers"]["properties"]["ce_type"]["pattern"]
    assert [topic for topic in topics.EVENT_TOPICS if re.fullmatch(pattern, EVENT_TYPE.format(topic=topic))] == [
        *topics.EVENT_TOPICS
    ]
    assert pattern.count("|") + 1 == len(topics.EVENT_TOPICS)
