"""What happened, and what is open. Law: every answer leads to the rows and messages that made it.

Movements, orders, what is reserved, what became of a command, what waits for an order, and why an item has its number.
Ids of orders and references are any text: a slash in them is part of the id. Source: contract section 7.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field, TypeAdapter

from stock_worker.audit.explain import explain
from stock_worker.core.model import MAX_COUNTER, Reference
from stock_worker.http.access import Access, Books, Reader
from stock_worker.http.backend import Backend
from stock_worker.http.cursors import cursor_of, read_cursor
from stock_worker.http.documents import problems
from stock_worker.http.pages import LIMIT, Limit, Paged
from stock_worker.http.problems import Problem
from stock_worker.http.shapes_history import (
    Explained,
    Movements,
    MovementsAsked,
    Order,
    Parked,
    ReferenceId,
    ReferenceTold,
    Reservations,
)
from stock_worker.store.reads import movements, orders
from stock_worker.store.reads.references import Answer, read_answers
from stock_worker.wire.values import Name

router = APIRouter(prefix="/sites/{site}", tags=["history"], responses=problems())

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_Time = Annotated[int, Field(ge=0, le=(movements.LATEST - _EPOCH) // _TICK)]
_Number = Annotated[int, Field(ge=0, lt=2**63)]
_MOVEMENT: Final = TypeAdapter(tuple[_Time, _Number, _Number])
_PARKED: Final = TypeAdapter(tuple[_Time, _Number])

_WITHOUT_VARIANT: Final = "none"
_UNDECIDED: Final[dict[str, Any]] = {"code": None, "message": None, "lines": [], "rows": [], "decided_at": None}
_NOT_PARKED: Final = {"parked_at": None, "ends_at": None}

Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
Product = Annotated[UUID, Path(description="The product's id.")]
Variant = Annotated[UUID, Path(description="The variant's id.")]
Version = Annotated[int | None, Query(ge=1, le=MAX_COUNTER, description="Movements up to this version of the item.")]


@router.get("/movements")
async def list_movements(books: Books, access: Reader, asked: Annotated[MovementsAsked, Query()]) -> Movements:
    """List what moved, the newest first: who, what, when and why."""
    question = _question(access.site_id, asked)
    before = None
    if asked.cursor is not None:
        moment, item_id, version = read_cursor(asked.cursor, _MOVEMENT)
        before = movements.Place(_EPOCH + moment * _TICK, item_id, version)
    async with books.reading(access.sites) as connection:
        page = await movements.read_page(connection, question, before, asked.limit)
    after = page.after and cursor_of((_ticks(page.after.recorded_at), page.after.item_id, page.after.version))
    return Movements.model_validate(
        {"movements": page.rows, "next_cursor": after, "total": page.total, "total_is_exact": page.total_is_exact}
    )


@router.get("/orders/{order_id:path}", responses=problems("not_found"))
async def read_order(
    books: Books, access: Reader, order_id: Annotated[Name, Path(description="The order's id, slashes and all.")]
) -> Order:
    """Tell an order: its lines with what became of their units and where those are, and what waits for it."""
    async with books.reading(access.sites) as connection:
        order = await orders.read_order(connection, access.site_id, order_id)
        if order is None:
            raise Problem("not_found", "no command ever named this order")
        refusal = None
        if not order.lines:
            reference = Reference(access.site_id, "order", order_id)
            refusal = (await read_answers(connection, [reference])).get(reference)
    return Order.model_validate(
        {
            "order_id": order.order_id,
            "placed": bool(order.lines),
            "mode": order.mode,
            "cancelled_whole": order.cancelled_whole,
            "expires_at": order.expires_at,
            "lines": order.lines,
            "parked": [_waiting(books, each) for each in order.parked],
            "refusal": refusal if refusal and refusal.code else None,
        }
    )


@router.get("/reservations", responses=problems("not_found"))
async def read_reservations(
    books: Books,
    access: Reader,
    page: Paged,
    product_id: Annotated[UUID, Query(description="The item's product.")],
    variant_id: Annotated[UUID | None, Query(description="Its variant; absent: the product without variant.")] = None,
) -> Reservations:
    """Tell what holds an item: orders by line, until when and where, and what people hold."""
    variant = None if variant_id is None else str(variant_id)
    async with books.reading(access.sites) as connection:
        found = await orders.read_reservations(
            connection, access.site_id, str(product_id), variant, limit=page.limit, skip=page.offset
        )
    if found is None:
        raise _no_item()
    return Reservations.model_validate(
        {
            "item": found.item,
            "reserved": found.by_orders + found.by_hand,
            "by_orders": found.by_orders,
            "by_hand": found.by_hand,
            "reservations": found.lines,
            "holds": found.holds,
            "pagination": page.of(found.total),
        }
    )


@router.get("/references/{reference_type}/{reference_id:path}", responses=problems("not_found"))
async def read_reference(
    books: Books,
    access: Reader,
    reference_type: Annotated[Name, Path(description="order, cancellation, fulfilment, return, restock …")],
    reference_id: Annotated[ReferenceId, Path(description="The reference_id, slashes and all.")],
) -> ReferenceTold:
    """Tell what became of a command: its outcome and rows, or why it was refused, down to its place in Kafka."""
    reference = Reference(access.site_id, reference_type, reference_id)
    async with books.reading(access.sites) as connection:
        answer = (await read_answers(connection, [reference])).get(reference)
        parked = None if answer else await orders.read_parked(connection, reference)
    if answer is not None:
        return ReferenceTold.model_validate(_decided(answer))
    if parked is None:
        raise Problem("not_found", "no command with this reference was decided, and none waits")
    told = _waiting(books, parked)
    return ReferenceTold.model_validate(_UNDECIDED | told | {"outcome": "parked", "source": told})


@router.get("/parked")
async def list_parked(books: Books, access: Reader, cursor: Cursor = None, limit: Limit = LIMIT) -> Parked:
    """List the commands that wait for an order, the longest first."""
    after = orders.Waiting(_EPOCH, 0)
    if cursor is not None:
        moment, seq = read_cursor(cursor, _PARKED)
        after = orders.Waiting(_EPOCH + moment * _TICK, seq)
    async with books.reading(access.sites) as connection:
        page = await orders.list_parked(connection, access.site_id, after, limit)
    return Parked.model_validate(
        {
            "parked": [_waiting(books, each) for each in page.rows],
            "next_cursor": page.after and cursor_of((_ticks(page.after.parked_at), page.after.seq)),
            "total": page.total,
            "total_is_exact": page.total_is_exact,
        }
    )


@router.get("/items/{product_id}/explain", responses=problems("not_found"))
async def explain_product(
    books: Books, access: Reader, product_id: Product, version: Version = None, limit: Limit = LIMIT
) -> Explained:
    """Say why a product without variant has this number and this level."""
    return await _explain(books, access, product_id, None, version, limit)


@router.get("/items/{product_id}/{variant_id}/explain", responses=problems("not_found"))
async def explain_variant(
    books: Books,
    access: Reader,
    product_id: Product,
    variant_id: Variant,
    version: Version = None,
    limit: Limit = LIMIT,
) -> Explained:
    """Say why a variant has this number and this level."""
    return await _explain(books, access, product_id, variant_id, version, limit)


async def _explain(
    books: Backend, access: Access, product_id: UUID, variant_id: UUID | None, version: int | None, limit: int
) -> Explained:
    variant = None if variant_id is None else str(variant_id)
    async with books.reading(access.sites) as connection:
        told = await explain(connection, access.site_id, str(product_id), variant, version=version, limit=limit)
    if told is None:
        raise _no_item()
    return Explained.model_validate(told)


def _question(site_id: str, asked: MovementsAsked) -> movements.Question:
    """Read the filters. Raises Problem: malformed, where one needs another."""
    if asked.variant_id is not None and asked.product_id is None:
        raise Problem("malformed", "query.variant_id: it needs product_id, for a variant is one of a product")
    if (asked.reference_type is None) != (asked.reference_id is None):
        raise Problem("malformed", "query.reference_type: it needs reference_id, and the other way round")
    reference = None
    if asked.reference_type is not None and asked.reference_id is not None:
        reference = (asked.reference_type, asked.reference_id)
    return movements.Question(
        site_id,
        product_id=None if asked.product_id is None else str(asked.product_id),
        variant_id=None if asked.variant_id == _WITHOUT_VARIANT else asked.variant_id,
        all_variants=asked.variant_id is None,
        types=tuple(asked.type),
        location_id=None if asked.location_id is None else str(asked.location_id),
        order_id=asked.order_id,
        reference=reference,
        since=max(asked.since or movements.EARLIEST, movements.EARLIEST),
        until=min(asked.until or movements.LATEST, movements.LATEST),
    )


def _decided(answer: Answer) -> dict[str, Any]:
    return _NOT_PARKED | {
        "reference_type": answer.reference.type,
        "reference_id": answer.reference.id,
        "outcome": answer.outcome,
        "code": answer.code,
        "message": answer.message,
        "lines": answer.lines,
        "rows": answer.rows,
        "order_id": answer.order_id,
        "source": answer.source,
        "decided_at": answer.decided_at,
    }


def _waiting(books: Backend, parked: Mapping[str, Any]) -> dict[str, Any]:
    """Tell a parked command, and when its waiting ends."""
    return {**parked, "ends_at": parked["parked_at"] + timedelta(hours=float(books.settings.parked_ttl_hours))}


def _ticks(moment: datetime) -> int:
    return (moment - _EPOCH) // _TICK


def _no_item() -> Problem:
    return Problem("not_found", "no such item: it never moved and is in no catalog")
