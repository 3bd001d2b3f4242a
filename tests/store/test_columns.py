import pytest

from stock_worker.store import tables
from stock_worker.store.columns import COPIED

WRITTEN_LATER = {"dead_letters": {"settled_at", "settled_by", "settlement"}}


@pytest.mark.parametrize("name", COPIED)
def test_what_is_copied_has_all_columns_of_its_table_in_its_order(name: str) -> None:
    table = tables.metadata.tables[f"{tables.SCHEMA}.{name}"]
    assert COPIED[name] == tuple(
        column.name
        for column in table.columns
        if column.identity is None and column.name not in WRITTEN_LATER.get(name, ())
    )
