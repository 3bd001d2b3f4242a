"""Imports: a broken file changes nothing and names its lines; the same file twice changes nothing again."""

import io

import asyncpg
import pytest

from stock_worker.audit.verify import verify
from stock_worker.core.model import ItemKey, OutcomeKind
from stock_worker.handle import Policy
from stock_worker.imports import Known, Mistake, Row, What, book, known_of, read
from tests.store.histories import NOON
from tests.store.records import DEFAULT, SITE, product

A, B = product("a"), product("b")
KNOWN = Known({"default": DEFAULT, DEFAULT: DEFAULT}, {"MUG": ItemKey(SITE, A, None), "TWO": None})


def read_text(text: str, what: What = What.STOCK, name: str = "spring") -> tuple[list[Row], list[Mistake]]:
    return read(io.StringIO(text, newline=""), what, name=name, site_id=SITE, known=KNOWN, now=NOON)


@pytest.mark.parametrize(
    ("text", "what", "figures"),
    [
        (f"product_id,quantity\n{A},5\n{B},7\n", What.STOCK, [5, 7]),
        (f"\ufeffProduct_ID; Quantity\r\n{A};5\r\n", What.STOCK, [5]),
        ("sku\tquantity\tunit_cost\tcurrency\nMUG\t5\t2.50\tEUR\n", What.STOCK, [5]),
        (f'product_id,quantity,note\n{A},5,"two\nlines"\n\n{B},1,\n', What.STOCK, [5, 1]),
        (f"product_id,location,counted\n{A},DEFAULT,0\n", What.COUNT, [0]),
        (f"product_id,variant_id,quantity\n{A},,5\n{A},{B},6\n", What.STOCK, [5, 6]),
    ],
    ids=[
        "commas",
        "semicolons, a mark, capitals",
        "tabs, sku, cost",
        "a note of two lines",
        "a count of 0",
        "variants",
    ],
)
def test_files_as_people_save_them(text: str, what: What, figures: list[int]) -> None:
    rows, mistakes = read_text(text, what)
    assert mistakes == []
    assert [row.command.lines[0].quantity for row in rows if row.command.lines] == figures
    assert len({row.command.reference for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("", [(1, "a column product_id or sku must say which item a row is about")]),
        (f"product_id,amount\n{A},5\n", [(1, "unknown column 'amount'; the columns are")]),
        (f"product_id,note\n{A},x\n", [(1, "the column quantity is missing")]),
        (f"product_id,quantity\n{A},5\n{A},6\n", [(3, "the item and location of line 2 again")]),
        (f"product_id,quantity\n{A},five\n{B},-1\n", [(2, "quantity 'five' is not"), (3, "quantity '-1' is not")]),
        (f"product_id,quantity\n{A},0\n", [(2, "quantity must be at least 1")]),
        ("product_id,quantity\nshirt,5\n", [(2, "product_id must be a UUID")]),
        ("sku,quantity\nCUP,5\nTWO,1\n,1\n", [(2, "sku 'CUP' is in no"), (3, "belongs to several"), (4, "neither")]),
        (f"product_id,location,quantity\n{A},attic,5\n", [(2, "location 'attic' is neither")]),
        (f"product_id,quantity,unit_cost\n{A},5,2.5.0\n", [(2, "unit_cost must be money")]),
        (f"product_id,quantity\n{A}\n", [(2, "the row does not have as many cells")]),
    ],
)
def test_every_mistake_is_told_by_its_line(text: str, mistakes: list[tuple[int, str]]) -> None:
    _, found = read_text(text)
    assert [(line, words in told) for (line, told), (_, words) in zip(found, mistakes, strict=True)] == [
        (line, True) for line, _ in mistakes
    ]


async def test_rule_1_the_same_file_twice_changes_nothing_and_a_corrected_one_books_what_is_new(
    worker: asyncpg.Connection,
) -> None:
    done: list[int] = []
    first, _ = read_text(f"product_id,quantity\n{A},5\n")
    second, _ = read_text(f"product_id,quantity\n{A},6\n{B},7\n")
    outcomes = [await book(worker, rows, Policy(), say=done.append) for rows in (first, first, second)]
    assert [counted for counted, _ in outcomes] == [
        {OutcomeKind.APPLIED: 1},
        {OutcomeKind.DUPLICATE: 1},
        {OutcomeKind.CONFLICT: 1, OutcomeKind.APPLIED: 1},
    ]
    ((line, kind, words),) = outcomes[2][1]
    assert (line, kind) == (2, OutcomeKind.CONFLICT)
    assert "other figures, which stand" in words
    assert [row["on_hand"] for row in await worker.fetch("SELECT on_hand FROM stock.items ORDER BY product_id")] == [
        5,
        7,
    ]
    assert await worker.fetchval("SELECT DISTINCT source FROM stock.movements") == "cli"
    assert done == [1, 1, 2]
    assert await verify(worker) == []


async def test_what_a_site_has_can_be_named(worker: asyncpg.Connection) -> None:
    rows, _ = read_text(f"product_id,quantity\n{A},5\n")
    assert (await known_of(worker, SITE)).locations["default"] == DEFAULT
    await book(worker, rows, Policy(), say=lambda _done: None)
    known = await known_of(worker, SITE)
    assert known.locations == {"default": DEFAULT, DEFAULT: DEFAULT}
    assert known.skus == {}


async def test_rule_1_a_file_that_comes_again_in_another_order_changes_nothing(worker: asyncpg.Connection) -> None:
    first, _ = read_text(f"product_id,quantity\n{A},5\n{B},7\n")
    sorted_anew, _ = read_text(f"product_id,note,quantity\n{B},from the shop,7\n\n{A},,5\n")
    outcomes = [await book(worker, rows, Policy(), say=lambda _done: None) for rows in (first, sorted_anew)]
    assert [counted for counted, _ in outcomes] == [{OutcomeKind.APPLIED: 2}, {OutcomeKind.DUPLICATE: 2}]
    assert await worker.fetchval("SELECT sum(on_hand) FROM stock.items") == 12


async def test_rule_1_one_item_at_two_locations_is_two_rows(worker: asyncpg.Connection) -> None:
    shop = "a0000000-0000-4000-8000-0000000000aa"
    known = Known({"default": DEFAULT, "shop": shop}, {})
    text = f"product_id,location,quantity\n{A},DEFAULT,5\n{A},SHOP,7\n"
    rows, mistakes = read(io.StringIO(text), What.STOCK, name="spring", site_id=SITE, known=known, now=NOON)
    assert mistakes == []
    assert [await book(worker, rows, Policy(), say=lambda _done: None) for _ in range(2)] == [
        ({OutcomeKind.APPLIED: 2}, []),
        ({OutcomeKind.DUPLICATE: 2}, []),
    ]
    there = await worker.fetch("SELECT on_hand FROM stock.location_stock ORDER BY on_hand")
    assert [row["on_hand"] for row in there] == [5, 7]
