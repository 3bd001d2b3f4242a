"""Changes of stock. Law: each is one command under its Idempotency-Key, and takes the way that Kafka's commands take.

200 with the outcome (also where nothing moved), 409 with the refusal, 422 where it is malformed. Contract section 7.
"""

from typing import Any, Final

from fastapi import APIRouter, Request

from stock_worker.core.topics import RESTOCK, STOCK_ADJUSTMENT, STOCK_COUNT, STOCK_TRANSFER
from stock_worker.http.access import Access, Books, Writer
from stock_worker.http.bulk import bulk_answer_of, line_by_line
from stock_worker.http.commands import Body, Key, answer_of, read_command
from stock_worker.http.documents import command_body, problems
from stock_worker.http.shapes import Written, WrittenInBulk

router = APIRouter(prefix="/sites/{site}", tags=["writes"], responses=problems("refused", "too_large"))

_PRODUCT: Final = "6f1c1b1e-6b0d-4d4e-9a3c-1f2a3b4c5d6e"
_PLACES: Final = ("0b8f7a52-8a3e-4c57-9d3a-6c1de1f00001", "0b8f7a52-8a3e-4c57-9d3a-6c1de1f00002")
_ADJUSTMENT: Final = {
    "type": "damage",
    "reason": "water",
    "lines": [{"product_id": _PRODUCT, "quantity": 2}],
}
_BULK: Final = {
    "type": "adjustment",
    "reason": "stocktake",
    "lines": [
        {"product_id": _PRODUCT, "quantity": 4},
        {"product_id": _PRODUCT, "quantity": -1, "reason": "broken"},
    ],
}
_COUNT: Final = {"reason": "stocktake", "lines": [{"product_id": _PRODUCT, "counted": 12}]}
_TRANSFER: Final = {
    "from_location_id": _PLACES[0],
    "to_location_id": _PLACES[1],
    "lines": [{"product_id": _PRODUCT, "quantity": 5}],
}
_RESTOCK: Final = {"lines": [{"product_id": _PRODUCT, "quantity": 40, "unit_cost": "12.50"}]}


@router.post("/adjustments", openapi_extra=command_body(STOCK_ADJUSTMENT, _ADJUSTMENT))
async def adjust(request: Request, books: Books, access: Writer, key: Key, body: Body) -> Written:
    """Change stock by hand: adjustment (signed), damage, expired, sale, restock, return, reserved, unreserved."""
    return await _write(request, books, access, STOCK_ADJUSTMENT, key, body)


@router.post("/adjustments/bulk", openapi_extra=command_body(STOCK_ADJUSTMENT, _BULK))
async def adjust_many(request: Request, books: Books, access: Writer, key: Key, body: Body) -> WrittenInBulk:
    """Change the stock of many items under one key, each line by itself unless `atomic` is true.

    A line's reason is its own, else the common one. `results` says of each line, in order, what became of it.
    """
    command = read_command(request, access, STOCK_ADJUSTMENT, key, line_by_line(body), books.clock())
    told = await books.writer.write(command)
    return WrittenInBulk.model_validate(bulk_answer_of(command, told))


@router.post("/counts", openapi_extra=command_body(STOCK_COUNT, _COUNT))
async def count(request: Request, books: Books, access: Writer, key: Key, body: Body) -> Written:
    """Book what was counted; what moved since `counted_at_version` is kept."""
    return await _write(request, books, access, STOCK_COUNT, key, body)


@router.post("/transfers", openapi_extra=command_body(STOCK_TRANSFER, _TRANSFER))
async def transfer(request: Request, books: Books, access: Writer, key: Key, body: Body) -> Written:
    """Move goods from one location to another."""
    return await _write(request, books, access, STOCK_TRANSFER, key, body)


@router.post("/restocks", openapi_extra=command_body(RESTOCK, _RESTOCK))
async def restock(request: Request, books: Books, access: Writer, key: Key, body: Body) -> Written:
    """Book what arrived, at its cost."""
    return await _write(request, books, access, RESTOCK, key, body)


async def _write(request: Request, books: Books, access: Access, topic: str, key: str, body: dict[str, Any]) -> Written:
    command = read_command(request, access, topic, key, body, books.clock())
    return Written.model_validate(answer_of(await books.writer.write(command)))
