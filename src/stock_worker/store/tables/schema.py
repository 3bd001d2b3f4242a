"""What all tables share: their schema, and the bounds and words that several of them check. Law: each stands once."""

from typing import Final

from sqlalchemy import MetaData

SCHEMA: Final = "stock"
metadata: Final = MetaData(schema=SCHEMA)

COUNTER: Final = "BETWEEN -1000000000000000 AND 1000000000000000"
TYPES: Final = "('adjustment','sale','return','restock','transfer','damage','expired','reserved','unreserved')"
HOT: Final = {"fillfactor": 70}
"""Room on the page, so that an update of unindexed columns stays heap-only."""
