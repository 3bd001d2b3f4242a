"""ANALYZE leaves out the columns that no statement asks by: counters, costs, words, positions, lists.

Frozen, like every migration. Each ALTER takes a moment and holds up nobody but another one of its table.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UNASKED = {
    "movements": (
        *("quantity", "previous_stock", "new_stock", "on_hand", "reserved", "location_on_hand", "location_reserved"),
        *("costed_quantity", "net_sold", "unit_cost", "average_cost", "source", "source_partition", "source_offset"),
        *("actor", "reason", "note", "occurred_at"),
    ),
    '"references"': (
        *("fingerprint", "fingerprint_version", "source", "source_partition", "source_offset", "movements"),
        "rejected",
    ),
    "order_lines": ("placed", "cancelled", "fulfilled", "returned", "position", "tracked", "allocations", "versions"),
}


def upgrade() -> None:
    _gather(0)


def downgrade() -> None:
    _gather(-1)


def _gather(target: int) -> None:
    for table, columns in UNASKED.items():
        changes = ", ".join(f"ALTER {column} SET STATISTICS {target}" for column in columns)
        op.get_bind().exec_driver_sql(f"ALTER TABLE stock.{table} {changes}")
