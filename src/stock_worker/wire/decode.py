"""Bytes to commands. Law: every record becomes a Command or a Malformed; nothing here raises, and nothing is skipped.

JSON by orjson (refuses NaN, lone surrogates, a byte order mark), shape by pydantic in Rust, then plain construction:
this is the hot path. One field's mistakes are found by its shape, those between fields by the builders below. Source:
contract section 3, rule 13, decided cases.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import ValidationError

from stock_worker.core import topics
from stock_worker.core.model import (
    Command,
    CommandKind,
    Entry,
    Line,
    Malformed,
    Mode,
    MovementType,
    ProductChanged,
    Record,
    Reference,
    Source,
)
from stock_worker.core.refusals import Code
from stock_worker.wire import catalog, cloudevents, words
from stock_worker.wire.fingerprint import fingerprint
from stock_worker.wire.messages import (
    SHAPES,
    OrderCancelled,
    OrderFulfilled,
    OrderLineShape,
    OrderPlaced,
    Restock,
    ReturnReceived,
    StockAdjustment,
    StockCount,
    StockTransfer,
)
from stock_worker.wire.unfit import Unfit
from stock_worker.wire.values import holds_nul, instant, instant_of_ms, money, with_integral_floats_as_integers


def decode(record: Record, topic: str) -> Entry:
    """Read a record of the command topic `topic` (without the deployment's prefix). Total: it never raises."""
    try:
        return _read(record, topic)
    except Unfit as unfit:
        return Malformed(record, words.one_line(str(unfit)))
    except Exception as bug:  # noqa: BLE001 - a record that raises here would be met again for ever: it is set aside
        return Malformed(record, f"decoding met a bug: {type(bug).__name__}", Code.INTERNAL_ERROR)


def command_of(
    document: object, topic: str, source: Source, now: datetime, *, traceparent: str | None = None
) -> Command | str:
    """Read a command that came by another entrance than Kafka, as its topic's message; a text says why it is none.

    `now` is when it happened, unless it says so itself.
    """
    timestamp_ms = int(now.timestamp() * 1000)
    headers = () if traceparent is None else (("traceparent", traceparent.encode()),)
    found = decode(Record(topic, 0, 0, timestamp_ms, None, orjson.dumps(document), headers), topic)
    if isinstance(found, Command):
        return replace(found, source=source, record=None)
    assert isinstance(found, Malformed), "the catalog comes by Kafka alone"
    return found.detail


def _read(record: Record, topic: str) -> Command | ProductChanged:
    if record.value is None and topic == topics.PRODUCT_CHANGED:
        return catalog.archived(record)
    return _BUILDERS[topic](record, _message(_document(record.value), topic))


def _document(value: bytes | None) -> object:
    """Read JSON, and refuse what PostgreSQL could not keep."""
    if value is None:
        raise Unfit("the record has no value")
    try:
        document: object = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Unfit(f"the value is not JSON: {error}") from None
    # Valid JSON can hold an escaped NUL, which no text column takes; the scan is needed only where the bytes say so.
    if b"\\u0000" in value and holds_nul(document):
        raise Unfit("the value holds a NUL character (\\u0000)")
    return document


def _message(document: object, topic: str) -> object:
    """Check the shape; where it fails, once more with 5.0 read as 5."""
    validate = _VALIDATORS[topic]
    try:
        return validate(document)
    except ValidationError:
        try:
            return validate(with_integral_floats_as_integers(document))
        except ValidationError as error:
            raise Unfit(words.of(error)) from None


# ---------------------------------------------------------------- one builder a topic


def _place(record: Record, message: OrderPlaced) -> Command:
    site_id, order_id, lines = message["site_id"], message["order_id"], message["lines"]
    reference_id, amend, mode = message.get("reference_id"), message.get("amend"), message.get("mode")
    if amend and reference_id is None:
        raise Unfit("reference_id is missing: an amendment needs its own")
    if not lines and not amend:
        raise Unfit("lines must have at least 1 entry")
    if amend and any(line.get("line_id") is None for line in lines):
        raise Unfit("line_id is missing on a line: an amendment needs one on every line")
    made = []
    for position, line in enumerate(lines, 1):
        location_ids = line.get("location_ids")
        made.append(
            Line(
                line.get("line_id") or str(position),
                line["product_id"],
                line.get("variant_id"),
                line.get("location_id"),
                line["quantity"],
                line.get("reason"),
                line.get("note"),
                location_ids=tuple(sorted(set(location_ids))) if location_ids else None,
            )
        )
    if len({line.line_id for line in made}) < len(made):
        raise Unfit("line_id is the same on two lines: a line without one takes its position, counted from 1")
    # What mode sale ignores is not even looked at; without a mode the site's setting may yet make it count.
    expires_at = None if mode == "sale" else _time(message.get("expires_at"), "expires_at")
    return _command(
        record,
        message,
        CommandKind.AMEND if amend else CommandKind.PLACE,
        Reference(site_id, "order", reference_id or order_id),
        order_id,
        tuple(made),
        mode=None if mode is None else _MODES[mode],
        expires_at=expires_at,
    )


def _cancel(record: Record, message: OrderCancelled) -> Command:
    lines, order_id, reference_id = message.get("lines"), message["order_id"], message.get("reference_id")
    made = None
    if lines is not None:
        if reference_id is None:
            raise Unfit("reference_id is missing: only the cancellation of a whole order can do without")
        made = tuple([_order_line(at, line, line.get("quantity"), None) for at, line in enumerate(lines)])
    reference = Reference(message["site_id"], "cancellation", reference_id or order_id)
    return _command(record, message, CommandKind.CANCEL, reference, order_id, made)


def _fulfil(record: Record, message: OrderFulfilled) -> Command:
    lines = [
        _order_line(at, line, line["quantity"], line.get("location_id")) for at, line in enumerate(message["lines"])
    ]
    reference = Reference(message["site_id"], "fulfilment", message["reference_id"])
    return _command(record, message, CommandKind.FULFIL, reference, message["order_id"], tuple(lines))


def _return(record: Record, message: ReturnReceived) -> Command:
    order_id, made = message.get("order_id"), []
    for at, line in enumerate(message["lines"]):
        if order_id is None and line.get("product_id") is None:
            raise Unfit(f"lines[{at}].product_id is missing: a return without order_id has no order lines to name")
        damaged = line.get("condition") == "damaged"
        made.append(_order_line(at, line, line["quantity"], line.get("location_id"), damaged=damaged))
    reference = Reference(message["site_id"], "return", message["reference_id"])
    return _command(record, message, CommandKind.RETURN, reference, order_id, tuple(made))


def _restock(record: Record, message: Restock) -> Command:
    made = []
    for line in message["lines"]:
        unit_cost = line.get("unit_cost")
        made.append(
            Line(
                line.get("line_id"),
                line["product_id"],
                line.get("variant_id"),
                line.get("location_id"),
                line["quantity"],
                line.get("reason"),
                line.get("note"),
                unit_cost=None if unit_cost is None else money(unit_cost),
                currency=line.get("currency"),
            )
        )
    reference = Reference(message["site_id"], "restock", message["reference_id"])
    return _command(record, message, CommandKind.RESTOCK, reference, None, tuple(made))


def _adjust(record: Record, message: StockAdjustment) -> Command:
    adjustment = MovementType(_ALIASES.get(message["type"], message["type"]))
    made = []
    for at, line in enumerate(message["lines"]):
        made.append(
            Line(
                line.get("line_id"),
                line["product_id"],
                line.get("variant_id"),
                line.get("location_id"),
                _adjusted_quantity(at, adjustment, line["quantity"]),
                line.get("reason"),
                line.get("note"),
                expected_version=line.get("expected_version"),
            )
        )
    reference = Reference(message["site_id"], "adjustment", message["reference_id"])
    atomic = message.get("atomic") is not False
    return _command(
        record, message, CommandKind.ADJUST, reference, None, tuple(made), adjustment=adjustment, atomic=atomic
    )


def _count(record: Record, message: StockCount) -> Command:
    made = [
        Line(
            line.get("line_id"),
            line["product_id"],
            line.get("variant_id"),
            line.get("location_id"),
            line["counted"],
            line.get("reason"),
            line.get("note"),
            counted_at_version=line.get("counted_at_version"),
        )
        for line in message["lines"]
    ]
    if len({line[1:4] for line in made}) < len(made):
        raise Unfit("lines name one item and location twice: a count says once what is there")
    reference = Reference(message["site_id"], "count", message["reference_id"])
    return _command(record, message, CommandKind.COUNT, reference, None, tuple(made))


def _transfer(record: Record, message: StockTransfer) -> Command:
    made = [
        Line(
            line.get("line_id"),
            line["product_id"],
            line.get("variant_id"),
            None,
            line["quantity"],
            line.get("reason"),
            line.get("note"),
        )
        for line in message["lines"]
    ]
    return _command(
        record,
        message,
        CommandKind.TRANSFER,
        Reference(message["site_id"], "transfer", message["reference_id"]),
        None,
        tuple(made),
        places=(message["from_location_id"], message["to_location_id"]),
    )


# ---------------------------------------------------------------- what they share


def _command(  # noqa: PLR0913 - a command has this many parts, and a record in between would cost the hot path
    record: Record,
    message: Mapping[str, Any],
    kind: CommandKind,
    reference: Reference,
    order_id: str | None,
    lines: tuple[Line, ...] | None,
    *,
    adjustment: MovementType | None = None,
    atomic: bool = True,
    mode: Mode | None = None,
    expires_at: datetime | None = None,
    places: tuple[str | None, str | None] = (None, None),
) -> Command:
    """Join what is asked with who asks, when and from where."""
    get, headers = message.get, record.headers
    occurred_at = _time(get("occurred_at"), "occurred_at")
    if occurred_at is None:
        occurred_at = cloudevents.time(headers) or instant_of_ms(record.timestamp_ms)
    return Command(
        kind,
        reference,
        order_id,
        lines,
        fingerprint(
            kind,
            reference,
            order_id,
            lines,
            adjustment=adjustment,
            atomic=atomic,
            mode=mode,
            expires_at=expires_at,
            places=places,
        ),
        occurred_at,
        Source(record.topic, record.partition, record.offset),
        adjustment,
        atomic,
        get("actor"),
        get("actor_id"),
        get("reason"),
        get("note"),
        cloudevents.traceparent(headers) if headers else None,
        record,
        mode,
        expires_at,
        *places,
    )


def _order_line(
    at: int, line: OrderLineShape, quantity: int | None, location_id: str | None, *, damaged: bool = False
) -> Line:
    """Make a line that means one of an order's."""
    line_id, product_id, variant_id = line.get("line_id"), line.get("product_id"), line.get("variant_id")
    if product_id is None:
        if line_id is None:
            raise Unfit(f"lines[{at}] must name a line_id or a product_id")
        if variant_id is not None:
            raise Unfit(f"lines[{at}].product_id is missing: a variant_id names nothing without it")
    return Line(line_id, product_id, variant_id, location_id, quantity, line.get("reason"), line.get("note"), damaged)


def _adjusted_quantity(at: int, adjustment: MovementType, quantity: int) -> int:
    """A positive count, or signed where the type leaves the direction open."""
    if quantity == 0:
        raise Unfit(f"lines[{at}].quantity must not be 0")
    direction = _DIRECTIONS.get(adjustment)
    if direction is None or quantity > 0:
        return quantity
    if direction > 0:
        raise Unfit(f"lines[{at}].quantity must be positive: {adjustment.value} gives")
    return -quantity


def _time(given: object, name: str) -> datetime | None:
    """Read a field that holds a time, if it is there."""
    if given is None:
        return None
    moment = instant(given) if isinstance(given, str) else None
    if moment is None:
        raise Unfit(f"{name} {words.TIME_WORDS}")
    return moment


_BUILDERS: Final[dict[str, Callable[[Record, Any], Command | ProductChanged]]] = {
    topics.ORDER_PLACED: _place,
    topics.ORDER_CANCELLED: _cancel,
    topics.ORDER_FULFILLED: _fulfil,
    topics.RETURN_RECEIVED: _return,
    topics.RESTOCK: _restock,
    topics.STOCK_ADJUSTMENT: _adjust,
    topics.STOCK_COUNT: _count,
    topics.STOCK_TRANSFER: _transfer,
    topics.PRODUCT_CHANGED: catalog.changed,
}
_MODES: Final = {mode.value: mode for mode in Mode}
_VALIDATORS: Final[dict[str, Callable[[Any], Any]]] = {
    topic: shape.validator.validate_python for topic, shape in SHAPES.items()
}
_ALIASES: Final = {
    "received": "restock",
    "sold": "sale",
    "returned": "return",
    "adjusted": "adjustment",
    "manual_adjustment": "adjustment",
}
_DIRECTIONS: Final = {
    MovementType.DAMAGE: -1,
    MovementType.EXPIRED: -1,
    MovementType.SALE: -1,
    MovementType.RESERVED: -1,
    MovementType.RESTOCK: +1,
    MovementType.RETURN: +1,
    MovementType.UNRESERVED: +1,
}
