"""The columns that go by COPY, in the order of the rows that `save` builds. Law: each table's own, in its order.

They stand here a second time because a worker needs only their names: to ask the tables for them it would load
SQLAlchemy, a fourth of what it loads at start. A test compares the two.
"""

from typing import Final

COPIED: Final[dict[str, tuple[str, ...]]] = {
    table: tuple(names.split())
    for table, names in {
        "movements": """
            item_id version quantity previous_stock new_stock on_hand reserved location_on_hand
            location_reserved costed_quantity net_sold source_offset recorded_at occurred_at source_partition
            last_of_command movement_id site_id location_id actor_id type reference_type reference_id source
            order_id line_id unit_cost average_cost actor reason note
        """,
        "references": """
            site_id decided_at source_offset source_partition fingerprint_version type id source order_id
            outcome code fingerprint movements rejected
        """,
        "order_lines": """
            order_pk item_id placed cancelled fulfilled returned position expired tracked site_id location_id
            line_id mode allocations versions
        """,
        "parked_commands": """
            order_pk parked_at timestamp_ms offset partition fingerprint_version site_id reference_type
            reference_id order_id topic fingerprint key value header_names header_values
        """,
        "dead_letters": """
            offset timestamp_ms recorded_at partition site_id topic reason detail key value header_names
            header_values
        """,
        "outbox": """
            created_at id shard aggregatetype aggregateid type topic key payload header_names header_values
        """,
    }.items()
}
"""Table → its columns, without the one that the database numbers, and without what an operator adds to dead letters."""
