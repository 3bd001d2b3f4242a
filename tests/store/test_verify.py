"""What `verify` must notice: one good history, one drift planted at a time, and exactly the laws that it breaks.

A plant is SQL by the owner of the tables, with the guards off, in a transaction that ends with the test.
"""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from stock_worker.audit.drift import Drift, Kind
from stock_worker.audit.verify import verify
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.engine import connect
from tests.store.records import line, message, product

OTHER_SITE = "00000000-0000-4000-8000-000000000002"

HISTORY = (
    message("restock", reference_id="R1", lines=[line("a", 20), line("b", 8)]),  # a1 b1
    message("order-placed", order_id="O1", lines=[line("a", 3), line("a", 2), line("b", 4)]),  # a2 a3 b2
    message("order-fulfilled", reference_id="F1", order_id="O1", lines=[{"line_id": "1", "quantity": 2}]),
    message("order-cancelled", reference_id="C1", order_id="O1", lines=[{"line_id": "3", "quantity": 1}]),  # b3
    message(
        "return-received",
        reference_id="T1",
        order_id="O1",
        lines=[{"line_id": "1", "quantity": 2, "condition": "damaged"}],
    ),  # a4 a5
    message("order-cancelled", order_id="O2"),
    message("order-placed", order_id="O2", lines=[line("b", 1)]),
    message("order-placed", order_id="O3", lines=[line("a", 1)]),  # a6
    message("order-cancelled", order_id="O3"),  # a7
    message("order-fulfilled", reference_id="F9", order_id="O9", lines=[{"line_id": "1", "quantity": 2}]),
    message("return-received", reference_id="T2", lines=[line("a", 1)]),  # a8
    message("stock-adjustment", reference_id="A1", type="damage", atomic=False, lines=[line("a", 1), line("b", 99)]),
    message("stock-adjustment", reference_id="A2", type="sale", lines=[line("c", 1)]),  # never stocked, version 0
    message("restock", reference_id="R2", site_id=OTHER_SITE, lines=[line("a", 4)]),
)
"""Of item a nine rows, of item b three, of item c none; a command after another that the sender could have sent."""

UNGUARDED = """
    ALTER TABLE stock.movements DISABLE TRIGGER USER;
    ALTER TABLE stock."references" DISABLE TRIGGER USER;
    ALTER TABLE stock.movements DROP CONSTRAINT movements_previous_plus_quantity_is_new,
        DROP CONSTRAINT movements_new_is_on_hand_less_reserved;
    ALTER TABLE stock.location_stock DROP CONSTRAINT location_stock_held_is_a_part_of_reserved;
    ALTER TABLE stock.daily_totals NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE stock.locations NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE stock.items NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE stock.location_stock NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE stock.movements NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE stock."references" NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE stock.orders NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE stock.order_lines NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE stock.parked_commands NO FORCE ROW LEVEL SECURITY;
"""

A = f"(SELECT item_id FROM stock.items WHERE product_id = '{product('a')}' AND site_id <> '{OTHER_SITE}')"
B = f"(SELECT item_id FROM stock.items WHERE product_id = '{product('b')}')"
C = f"(SELECT item_id FROM stock.items WHERE product_id = '{product('c')}')"
ROW_A = f"UPDATE stock.movements SET {{}} WHERE item_id = {A} AND version"
ITEM_A = f"UPDATE stock.items SET {{}} WHERE item_id = {A}"
PLACE_A = f"UPDATE stock.location_stock SET {{}} WHERE item_id = {A}"
LINE = (
    "UPDATE stock.order_lines SET {} "
    "WHERE line_id = '{}' AND order_pk = (SELECT order_pk FROM stock.orders WHERE order_id = '{}')"
)
REFERENCE = "UPDATE stock.references SET {} WHERE id = '{}'"

PLANTS = [
    # rows of the ledger
    pytest.param(
        f"{ROW_A.format('version = version + 1')} = 9; {ITEM_A.format('version = version + 1')}; "
        f"UPDATE stock.references SET movements = ARRAY[{A}, 10] WHERE id = 'A1'",
        {Kind.VERSION_GAP},
        id="a version is left out",
    ),
    pytest.param(
        f"{ROW_A.format('previous_stock = previous_stock + 1')} = 8",
        {Kind.PREVIOUS_STOCK, Kind.QUANTITY},
        id="a row does not start where the one before ended",
    ),
    pytest.param(
        f"{ROW_A.format('quantity = quantity - 1')} = 9",
        {Kind.QUANTITY, Kind.ON_HAND_STEP, Kind.LOCATION_ON_HAND_STEP, Kind.DAILY_TOTALS},
        id="a quantity is not the change",
    ),
    pytest.param(
        f"{ROW_A.format('new_stock = new_stock - 1, quantity = quantity - 1, on_hand = on_hand - 1')} = 9; "
        f"{ITEM_A.format('on_hand = on_hand - 1')}; {PLACE_A.format('on_hand = on_hand - 1')}",
        {Kind.LOCATION_ON_HAND_STEP, Kind.LOCATION_COUNTERS, Kind.DAILY_TOTALS},
        id="a row counts at the item and not at its location",
    ),
    pytest.param(
        f"{ROW_A.format('on_hand = on_hand + 5, reserved = reserved + 5')} = 9; "
        f"{ITEM_A.format('on_hand = on_hand + 5, reserved = reserved + 5')}",
        {Kind.ON_HAND_STEP, Kind.RESERVED_STEP, Kind.LOCATION_SUM},
        id="a row that reserves nothing raises both counters",
    ),
    pytest.param(
        f"{ROW_A.format('reserved = 2')} = 9; {ITEM_A.format('reserved = 2')}",
        {Kind.NEW_STOCK, Kind.RESERVED_STEP, Kind.LOCATION_SUM},
        id="new_stock is not on_hand less reserved",
    ),
    pytest.param(
        f"{ROW_A.format('location_on_hand = location_on_hand + 1')} = 8",
        {Kind.LOCATION_ON_HAND_STEP},
        id="a location's on_hand jumps and comes back",
    ),
    pytest.param(
        f"{ROW_A.format('location_reserved = location_reserved + 1')} = 8",
        {Kind.LOCATION_RESERVED_STEP},
        id="a location's reserved jumps and comes back",
    ),
    pytest.param(
        f"{ROW_A.format(chr(39).join(['recorded_at = recorded_at - interval ', '1 day', '']))} = 8",
        {Kind.TIME_WENT_BACK},
        id="time goes back",
    ),
    pytest.param(
        f"UPDATE stock.movements SET site_id = '{OTHER_SITE}' WHERE item_id = {A} AND version = 1; "
        f"UPDATE stock.references SET site_id = '{OTHER_SITE}' WHERE id = 'R1'",
        {Kind.SITE, Kind.MOVEMENT_REFERENCE, Kind.REFERENCE_MOVEMENTS},
        id="a row and its reference are of another site",
    ),
    pytest.param(
        f"INSERT INTO stock.movements SELECT (jsonb_populate_record(m, '{{\"item_id\": 999999}}')).* "
        f"FROM stock.movements m WHERE item_id = {A} AND version = 1",
        {Kind.MOVEMENT_WITHOUT_ITEM},
        id="a row of no item",
    ),
    # items and locations
    pytest.param(ITEM_A.format("version = version + 1"), {Kind.ITEM_VERSION}, id="an item is ahead of its ledger"),
    pytest.param(
        ITEM_A.format("on_hand = on_hand - 1, reserved = 0"),
        {Kind.ITEM_COUNTERS, Kind.LOCATION_SUM},
        id="an item counts otherwise than its ledger",
    ),
    pytest.param(
        ITEM_A.format("on_hand = on_hand + 1, reserved = reserved + 1"),
        {Kind.ITEM_COUNTERS, Kind.LOCATION_SUM},
        id="both counters are wrong and available is right",
    ),
    pytest.param(
        ITEM_A.format("first_movement_at = first_movement_at - interval '1 s'"),
        {Kind.ITEM_MOVED_AT},
        id="an item's first movement is misdated",
    ),
    pytest.param(
        ITEM_A.format("last_movement_type = 'restock'"),
        {Kind.ITEM_MOVED_AT},
        id="an item's last movement is of another type",
    ),
    pytest.param(ITEM_A.format("level = 'low'"), {Kind.LEVEL}, id="a level that the thresholds do not give"),
    pytest.param(
        f"UPDATE stock.items SET level = 'out' WHERE item_id = {C}",
        {Kind.LEVEL},
        id="a level before the first movement",
    ),
    pytest.param(ITEM_A.format("revision = 0"), {Kind.REVISION}, id="an item that moved was never published"),
    pytest.param(
        PLACE_A.format("on_hand = on_hand + 1, reserved = 1"),
        {Kind.LOCATION_COUNTERS, Kind.LOCATION_SUM},
        id="a location counts otherwise than the ledger",
    ),
    pytest.param(
        f"DELETE FROM stock.location_stock WHERE item_id = {A}",
        {Kind.LOCATION_COUNTERS, Kind.LOCATION_SUM},
        id="a location's stock is lost",
    ),
    pytest.param(
        f"INSERT INTO stock.location_stock (item_id, on_hand, reserved, site_id, location_id) "
        f"SELECT item_id, 0, 0, site_id, '{product('z')}' FROM stock.items WHERE item_id = {A}",
        {Kind.LOCATION_UNKNOWN},
        id="a location that neither site nor ledger knows",
    ),
    pytest.param(PLACE_A.format(f"site_id = '{OTHER_SITE}'"), {Kind.SITE}, id="a location's stock is of another site"),
    # lines of orders
    pytest.param(LINE.format("placed = placed + 1", "2", "O1"), {Kind.LINE_SOLD, Kind.LINE_PLACED}, id="P is wrong"),
    pytest.param(LINE.format("cancelled = 2", "3", "O1"), {Kind.LINE_SOLD, Kind.LINE_PLACED}, id="C is wrong"),
    pytest.param(LINE.format("fulfilled = 4", "3", "O1"), {Kind.LINE_SOLD, Kind.LINE_PLACED}, id="F uncancels in vain"),
    pytest.param(LINE.format("returned = 1", "1", "O1"), {Kind.LINE_RETURNED}, id="R is wrong"),
    pytest.param(
        "UPDATE stock.orders SET cancelled_whole = false WHERE order_id = 'O3'",
        {Kind.LINE_SOLD, Kind.LINE_PLACED},
        id="W is forgotten",
    ),
    pytest.param(
        f"UPDATE stock.movements SET type = CASE type WHEN 'sale' THEN 'damage' ELSE type END "
        f"WHERE item_id = {A} AND version = 3",
        {
            *(Kind.LINE_SOLD, Kind.LINE_PLACED, Kind.LINE_ALLOCATIONS, Kind.LINE_DAMAGED),
            *(Kind.NET_SOLD_STEP, Kind.DAILY_TOTALS),
        },
        id="a sale was booked as damage",
    ),
    pytest.param(
        LINE.format("allocations = jsonb_set(allocations, '{0,1}', '1')", "2", "O1"),
        {Kind.LINE_ALLOCATIONS},
        id="a line holds less than it sold",
    ),
    pytest.param(
        LINE.format("allocations = jsonb_set(allocations, '{0,2}', '1')", "2", "O1"),
        {Kind.LINE_ALLOCATIONS},
        id="a line of mode sale reserves",
    ),
    pytest.param(
        LINE.format("versions = versions || 9999", "2", "O1"), {Kind.LINE_VERSIONS}, id="a line lists a row that is not"
    ),
    pytest.param(
        LINE.format("versions = versions || versions", "2", "O1"), {Kind.LINE_VERSIONS}, id="a line lists a row twice"
    ),
    pytest.param(
        LINE.format("versions = versions || 8", "2", "O1"),
        {Kind.LINE_VERSIONS, Kind.LINE_RETURNED},
        id="a line lists a row of another command",
    ),
    pytest.param(
        LINE.format("versions = versions[1:1], returned = 0, fulfilled = 0", "1", "O1"),
        {Kind.LINE_VERSIONS},
        id="a line forgets rows, and its totals with them",
    ),
    pytest.param(
        "DELETE FROM stock.orders WHERE order_id = 'O3'",
        {Kind.LINE_WITHOUT_ORDER, Kind.LINE_VERSIONS, Kind.REFERENCE_NOT_PLACED},
        id="an order is lost",
    ),
    pytest.param(
        "UPDATE stock.parked_commands SET order_pk = (SELECT order_pk FROM stock.orders WHERE order_id = 'O1')",
        {Kind.PARKED_OF_A_PLACED_ORDER},
        id="a command waits for an order that is placed",
    ),
    pytest.param(
        "UPDATE stock.parked_commands SET reference_id = 'F1'",
        {Kind.PARKED_AND_DECIDED},
        id="a command that was decided waits",
    ),
    # references
    pytest.param(REFERENCE.format("movements = '{}'", "T2"), {Kind.MOVEMENT_REFERENCE}, id="a reference lists nothing"),
    pytest.param("DELETE FROM stock.references WHERE id = 'T2'", {Kind.MOVEMENT_REFERENCE}, id="a reference is lost"),
    pytest.param(
        REFERENCE.format("movements = movements || movements", "T2"),
        {Kind.REFERENCE_MOVEMENTS, Kind.LAST_OF_COMMAND},
        id="a reference lists a row twice",
    ),
    pytest.param(
        f"UPDATE stock.references SET movements = ARRAY[{A}, 8], outcome = 'applied' WHERE id = 'F1'",
        {Kind.REFERENCE_MOVEMENTS},
        id="a reference lists the row of another",
    ),
    pytest.param(
        REFERENCE.format("movements = movements || ARRAY[1, 9999]", "R2"),
        {Kind.REFERENCE_MOVEMENTS, Kind.LAST_OF_COMMAND},
        id="a reference lists a row that is not",
    ),
    pytest.param(REFERENCE.format("order_id = 'O2'", "C1"), {Kind.REFERENCE_ORDER}, id="a reference of another order"),
    pytest.param(
        "DELETE FROM stock.order_lines WHERE order_pk = (SELECT order_pk FROM stock.orders WHERE order_id = 'O2')",
        {Kind.REFERENCE_NOT_PLACED},
        id="a placed order has no lines",
    ),
    # costs, holds, days, reservations
    pytest.param(f"{ROW_A.format('net_sold = net_sold + 1')} = 4", {Kind.NET_SOLD_STEP}, id="net sales jump"),
    pytest.param(f"{ROW_A.format('costed_quantity = 1')} = 4", {Kind.COST}, id="units are costed without a cost"),
    pytest.param(ITEM_A.format("average_cost = 1.5"), {Kind.ITEM_COST}, id="an average that no row has"),
    pytest.param(PLACE_A.format("held = 1"), {Kind.LOCATION_HELD}, id="a hold that nobody made"),
    pytest.param(
        f"UPDATE stock.daily_totals SET units_out = units_out + 1 WHERE item_id = {A} AND type = 'sale'",
        {Kind.DAILY_TOTALS},
        id="a day that sold more",
    ),
    pytest.param(
        LINE.format("mode = 'reserve'", "2", "O1"), {Kind.LINE_SOLD, Kind.LINE_RESERVED}, id="a reservation that sold"
    ),
    pytest.param(
        "UPDATE stock.orders SET expires_at = now(), due_at = now() WHERE order_id = 'O1'",
        {Kind.ORDER_DUE},
        id="an order is due that holds nothing",
    ),
    pytest.param(
        f"{ROW_A.format('last_of_command = true')} = 4", {Kind.LAST_OF_COMMAND}, id="two rows are the command's last"
    ),
    pytest.param(f"{ROW_A.format('last_of_command = false')} = 5", {Kind.LAST_OF_COMMAND}, id="no row is the last"),
    pytest.param(
        f"{ROW_A.format('last_of_command = version = 4')} IN (4, 5)", {Kind.LAST_OF_COMMAND}, id="the first is the last"
    ),
]


@pytest_asyncio.fixture(scope="module")
async def history(module_database: str) -> str:
    """The database of this file, with the good history in it."""
    worker = await connect(module_database, "stock_worker")
    await handle_batch(worker, HISTORY[:5], Policy())
    outcomes = await handle_batch(worker, HISTORY[5:], Policy())
    await worker.close()
    assert [outcome.kind.value for outcome in outcomes] == [
        *("no_effect", "superseded", "applied", "applied", "parked", "applied", "partly_applied", "rejected", "applied")
    ]
    return module_database


@pytest_asyncio.fixture
async def owner(history: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner of the tables, unguarded, in a transaction that is rolled back."""
    connection = await connect(history, None)
    transaction = connection.transaction(isolation="repeatable_read")
    await transaction.start()
    await connection.execute(UNGUARDED)
    yield connection
    await transaction.rollback()
    await connection.close()


async def verified(owner: asyncpg.Connection, slice_of: tuple[int, int] | None = None) -> list[Drift]:
    """Verify with the rights of the worker."""
    await owner.execute("SET LOCAL ROLE stock_worker")
    return await verify(owner, slice=slice_of)


async def test_a_good_history_has_no_drift(history: str) -> None:
    worker = await connect(history, "stock_worker", plans="free")
    assert await verify(worker) == []
    assert [await verify(worker, slice=(part, 2)) for part in range(2)] == [[], []]
    await worker.close()


@pytest.mark.parametrize(("plant", "kinds"), PLANTS)
async def test_each_planted_drift_is_noticed_by_its_name(
    owner: asyncpg.Connection, plant: str, kinds: set[Kind]
) -> None:
    await owner.execute(plant)
    drifts = await verified(owner)
    assert {drift.kind for drift in drifts} == kinds, "\n".join(map(str, drifts))
    assert all(drift.expected != drift.found for drift in drifts)


def test_every_kind_of_drift_is_planted() -> None:
    planted = [plant.values[1] for plant in PLANTS]
    assert {kind for kinds in planted if isinstance(kinds, set) for kind in kinds} == set(Kind)


async def test_a_site_and_a_slice_are_checked_alone(owner: asyncpg.Connection) -> None:
    item_id = await owner.fetchval(f"SELECT {A}")
    await owner.execute(ITEM_A.format("version = version + 1"))
    await owner.execute(LINE.format("placed = placed + 1", "2", "O1"))
    assert await verified(owner, (item_id % 3 + 1, 3)) == []
    kinds = [drift.kind for drift in await verified(owner, (item_id % 3, 3))]
    assert kinds == [Kind.ITEM_VERSION, Kind.LINE_SOLD, Kind.LINE_PLACED]
    assert await verify(owner, site_id=OTHER_SITE) == []


async def test_a_drift_names_its_row_and_both_figures(owner: asyncpg.Connection) -> None:
    await owner.execute(ITEM_A.format("level = 'critical'"))
    (drift,) = await verified(owner)
    site = "00000000-0000-4000-8000-000000000001"
    assert str(drift) == (f"level: item {site}/{product('a')}/: level at 15 available (expected ok, found critical)")


async def test_the_way_is_told_by_phase_and_ends_at_its_end(history: str) -> None:
    worker = await connect(history, "stock_worker", plans="free")
    told: list[tuple[str, int, int]] = []
    await verify(worker, say=lambda *words: told.append(words))
    await worker.close()
    assert told == [
        *(("items", 0, 4), ("items", 4, 4)),
        *(("order lines", 0, 5), ("order lines", 5, 5)),
        *(("references", 0, 13), ("references", 13, 13)),
    ]
