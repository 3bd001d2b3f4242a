"""The tables as SQLAlchemy Core metadata. Law: rows audit themselves; a CHECK states each law as an equivalence.

Migrations build the same catalog, and a test compares the two. What metadata cannot say (triggers, roles, grants,
policies) stands in `guards.sql`. `site_id` is in every table: row level security reads it, and one day distribution.
Source: contract section 2 and rule 2; docs/decisions/0003 for keys and indexes.
"""

from stock_worker.store.tables import delivery, ledger, orders, steering
from stock_worker.store.tables.schema import SCHEMA, metadata

__all__ = ["SCHEMA", "delivery", "ledger", "metadata", "orders", "steering"]
