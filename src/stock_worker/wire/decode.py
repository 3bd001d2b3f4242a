"""Bytes to commands. Law: every record becomes a Command or a Malformed; nothing here raises, and nothing is skipped.

JSON by orjson (refuses NaN, lone surrogates, a byte order mark), shape by pydantic in Rust, then plain construction:
this is the hot path. One field's mistakes are found by its shape, those between fields by the builders below, and only
what is right but belongs to a later release is told "not yet". Source: contract section 3, rule 13, decided cases.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import ValidationError

from stock_worker.core import topics
from stock_worker.core.ids import default_location_id
from stock_worker.core.model import Command, CommandKind, Line, Malformed, MovementType, Record, Reference, Source
from stock_worker.core.refusals import Code
from stock_worker.wire import cloudevents, words
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
)
from stock_worker.wire.values import holds_nul, instant, instant_of_ms, money, with_integral_floats_as_integers


def decode(record: Record, topic: str) -> Command | Malformed:
    """Read a record of the command topic `topic` (without the deployment's prefix). Total: it never raises."""
    try:
        return _read(record, topic)
    except _Unfit as unfit:
        return Malformed(record, words.one_line(str(unfit)))
    except Exception as bug:  # noqa: BLE001 - a record that raises here would be met again for ever: it is set aside
        return Malformed(record, f"decoding met a bug: {type(bug).__name__}", Code.INTERNAL_ERROR)


class _Unfit(Exception):  # noqa: N818 - not a fault: it carries words for the sender from where they are found
    """The message is malformed, and this says why."""


def _read(record: Record, topic: str) -> Command:
    document = _document(record.value, topic)
    build = _BUILDERS.get(topic)
    if build is None:
        raise _Unfit(f"messages on {topic} are not yet supported by this release")
    return build(record, _message(document, topic))


def _document(value: bytes | None, topic: str) -> object:
    """Read JSON, and refuse what PostgreSQL could not keep."""
    if value is None:
        if topic == topics.PRODUCT_CHANGED:
            raise _Unfit("null values, which archive a product, are not yet supported by this release")
        raise _Unfit("the record has no value")
    try:
        document: object = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise _Unfit(f"the value is not JSON: {error}") from None
    # Valid JSON can hold an escaped NUL, which no text column takes; the scan is needed only where the bytes say so.
    if b"\\u0000" in value and holds_nul(document):
        raise _Unfit("the value holds a NUL character (\\u0000)")
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
            raise _Unfit(words.of(error)) from None


# ---------------------------------------------------------------- one builder a topic


def _place(record: Record, message: OrderPlaced) -> Command:
    site_id, order_id, lines = message["site_id"], message["order_id"], message["lines"]
    reference_id, amend, mode = message.get("reference_id"), message.get("amend"), message.get("mode")
    if amend and reference_id is None:
        raise _Unfit("reference_id is missing: an amendment needs its own")
    if not lines and not amend:
        raise _Unfit("lines must have at least 1 entry")
    if amend and any(line.get("line_id") is None for line in lines):
        raise _Unfit("line_id is missing on a line: an amendment needs one on every line")
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
        raise _Unfit("line_id is the same on two lines: a line without one takes its position, counted from 1")
    # What mode sale ignores is not even looked at; without a mode the site's setting may yet make it count.
    expires_at = None if mode == "sale" else _time(message.get("expires_at"), "expires_at")
    if mode == "reserve":
        raise _Unfit("mode reserve is not yet supported by this release")
    _refuse_other_places(site_id, made)
    return _command(
        record,
        message,
        CommandKind.AMEND if amend else CommandKind.PLACE,
        Reference(site_id, "order", reference_id or order_id),
        order_id,
        tuple(made),
        mode=mode,
        expires_at=expires_at,
    )


def _cancel(record: Record, message: OrderCancelled) -> Command:
    lines, order_id, reference_id = message.get("lines"), message["order_id"], message.get("reference_id")
    made = None
    if lines is not None:
        if reference_id is None:
            raise _Unfit("reference_id is missing: only the cancellation of a whole order can do without")
        made = tuple([_order_line(at, line, line.get("quantity"), None) for at, line in enumerate(lines)])
    reference = Reference(message["site_id"], "cancellation", reference_id or order_id)
    return _command(record, message, CommandKind.CANCEL, reference, order_id, made)


def _fulfil(record: Record, message: OrderFulfilled) -> Command:
    lines = [
        _order_line(at, line, line["quantity"], line.get("location_id")) for at, line in enumerate(message["lines"])
    ]
    reference = Reference(message["site_id"], "fulfilment", message["reference_id"])
    command = _command(record, message, CommandKind.FULFIL, reference, message["order_id"], tuple(lines))
    if not any(line.location_id for line in lines):
        return command
    # Part of the meaning, since the order may be a reservation; but this release has mode sale alone, which ignores it.
    return replace(command, lines=tuple([line._replace(location_id=None) for line in lines]))


def _return(record: Record, message: ReturnReceived) -> Command:
    order_id, made = message.get("order_id"), []
    for at, line in enumerate(message["lines"]):
        if order_id is None and line.get("product_id") is None:
            raise _Unfit(f"lines[{at}].product_id is missing: a return without order_id has no order lines to name")
        damaged = line.get("condition") == "damaged"
        made.append(_order_line(at, line, line["quantity"], line.get("location_id"), damaged=damaged))
    _refuse_other_places(message["site_id"], made)
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
    _refuse_other_places(message["site_id"], made)
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
    if adjustment in (MovementType.RESERVED, MovementType.UNRESERVED):
        raise _Unfit(f"adjustments of type {adjustment.value} are not yet supported by this release")
    _refuse_other_places(message["site_id"], made)
    reference = Reference(message["site_id"], "adjustment", message["reference_id"])
    atomic = message.get("atomic") is not False
    return _command(
        record, message, CommandKind.ADJUST, reference, None, tuple(made), adjustment=adjustment, atomic=atomic
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
    mode: str | None = None,
    expires_at: datetime | None = None,
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
            kind, reference, order_id, lines, adjustment=adjustment, atomic=atomic, mode=mode, expires_at=expires_at
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
    )


def _order_line(
    at: int, line: OrderLineShape, quantity: int | None, location_id: str | None, *, damaged: bool = False
) -> Line:
    """Make a line that means one of an order's."""
    line_id, product_id, variant_id = line.get("line_id"), line.get("product_id"), line.get("variant_id")
    if product_id is None:
        if line_id is None:
            raise _Unfit(f"lines[{at}] must name a line_id or a product_id")
        if variant_id is not None:
            raise _Unfit(f"lines[{at}].product_id is missing: a variant_id names nothing without it")
    return Line(line_id, product_id, variant_id, location_id, quantity, line.get("reason"), line.get("note"), damaged)


def _adjusted_quantity(at: int, adjustment: MovementType, quantity: int) -> int:
    """A positive count, or signed where the type leaves the direction open."""
    if quantity == 0:
        raise _Unfit(f"lines[{at}].quantity must not be 0")
    direction = _DIRECTIONS.get(adjustment)
    if direction is None or quantity > 0:
        return quantity
    if direction > 0:
        raise _Unfit(f"lines[{at}].quantity must be positive: {adjustment.value} gives")
    return -quantity


def _time(given: object, name: str) -> datetime | None:
    """Read a field that holds a time, if it is there."""
    if given is None:
        return None
    moment = instant(given) if isinstance(given, str) else None
    if moment is None:
        raise _Unfit(f"{name} {words.TIME_WORDS}")
    return moment


def _refuse_other_places(site_id: str, lines: list[Line]) -> None:
    """Only the site's default location is known to this release."""
    for at, line in enumerate(lines):
        if line.location_id is not None and line.location_id != default_location_id(site_id):
            raise _Unfit(f"lines[{at}].location_id: locations other than the default are not yet supported")
        if line.location_ids is not None and line.location_ids != (default_location_id(site_id),):
            raise _Unfit(f"lines[{at}].location_ids: locations other than the default are not yet supported")


_BUILDERS: Final[dict[str, Callable[[Record, Any], Command]]] = {
    topics.ORDER_PLACED: _place,
    topics.ORDER_CANCELLED: _cancel,
    topics.ORDER_FULFILLED: _fulfil,
    topics.RETURN_RECEIVED: _return,
    topics.RESTOCK: _restock,
    topics.STOCK_ADJUSTMENT: _adjust,
}
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
