"""Indexes that reads need: who is short, a site's days, what is new in its catalog, reorder points, dead letters.

Frozen, like every migration. Each is built under a lock that lets others read and makes writers wait: some seconds for
a million rows. Workers retry meanwhile, nothing is lost.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = {
    "items_short": "items (site_id, level) WHERE level <> 'ok'",
    "location_stock_reordered": "location_stock (site_id) WHERE reorder_point IS NOT NULL",
    "daily_totals_by_day": "daily_totals (site_id, day)",
    "products_by_change": "products (site_id, updated_at)",
    "dead_letters_of_site": 'dead_letters (site_id, recorded_at, topic, partition, "offset", timestamp_ms)',
}


def upgrade() -> None:
    for name, of in INDEXES.items():
        op.get_bind().exec_driver_sql(f"CREATE INDEX {name} ON stock.{of}")


def downgrade() -> None:
    for name in INDEXES:
        op.get_bind().exec_driver_sql(f"DROP INDEX stock.{name}")
