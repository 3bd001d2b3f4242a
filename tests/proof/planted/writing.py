"""Faults of locking, loading and the one transaction: caught on a real PostgreSQL."""

from typing import Final

from tests.proof.planted.fault import Edit, Fault

GUARDS: Final = "tests/store/test_guards.py::"
HANDLE: Final = "tests/store/test_handle.py::"
TOGETHER: Final = "tests/store/test_handle_together.py::"
SAVING: Final = "    saving = "
"""Where what was decided begins to be written."""
APART: Final = '    await connection.execute("COMMIT")\n    await connection.execute("BEGIN")\n'
"""The transaction is cut in two."""

FAULTS: Final = (
    Fault(
        "a reference that is there already is passed over",
        "Rule 1: ON CONFLICT DO NOTHING on the references, so of two meanings at once both are applied.",
        (
            Edit(
                "store/save.py",
                "        rows.sort(key=lambda row: (row[0], row[5], row[6]))\n",
                "        rows.sort(key=lambda row: (row[0], row[5], row[6]))\n"
                "        places = ', '.join(f'${n}' for n in range(1, len(rows[0]) + 1))\n"
                "        passing_over = f'INSERT INTO stock.references VALUES ({places}) ON CONFLICT DO NOTHING'\n"
                "        await connection.executemany(passing_over, rows)\n"
                "        rows = []\n",
            ),
        ),
        (TOGETHER + "test_rule_1_of_two_meanings_that_one_reference_is_given_at_once_one_stands",),
    ),
    Fault(
        "events are committed before the stock",
        "Rule 2: the outbox is committed first, so a batch that fails then has told what never happened.",
        (
            Edit(
                "handle.py",
                "        rows = await _event_rows(world, conflicts, policy)\n",
                "        rows = list[OutboxRow]()\n",
            ),
            Edit(
                "handle.py",
                SAVING,
                "    await save_outbox(connection, await _event_rows(world, conflicts, policy))\n" + APART + SAVING,
            ),
        ),
        (HANDLE + "test_rule_2_a_batch_that_fails_leaves_nothing",),
    ),
    Fault(
        "dead letters in a transaction of their own",
        "Rule 2: they are committed before their neighbours; when those fail, the redelivery takes them for told.",
        (
            Edit("handle.py", "        await save_dead_letters(connection, kept, world.recorded_at)\n", ""),
            Edit(
                "handle.py",
                SAVING,
                "    apart = [(letter.record, letter.site_id, letter.reason, letter.detail) for letter in fresh]\n"
                "    await save_dead_letters(connection, apart, world.recorded_at)\n" + APART + SAVING,
            ),
        ),
        (HANDLE + "test_rule_2_a_batch_that_fails_leaves_nothing",),
    ),
    Fault(
        "an item's id outlives its rollback",
        "Rule 2: what a failed batch learnt is kept, and the next batch counts on a row that was never made.",
        (Edit("handle.py", "        policy.known.forget()\n", ""),),
        (HANDLE + "test_rule_2_a_batch_that_fails_leaves_nothing",),
    ),
    Fault(
        "a commit that a crash may lose",
        "Rule 2: synchronous_commit is off, and offsets are committed for what was never written down.",
        (Edit("store/engine.py", '"synchronous_commit": "on",', '"synchronous_commit": "off",'),),
        (GUARDS + "test_a_connection_means_the_same_whatever_the_database_says[synchronous_commit-on]",),
    ),
    Fault(
        "items are read without their lock",
        "Rule 2: of two batches that meet on an item the second decides on stock that the first has taken.",
        (Edit("store/queries/batch.sql", "ORDER BY item_id FOR UPDATE;", "ORDER BY item_id;"),),
        (TOGETHER + "test_rule_2_a_batch_that_waited_for_an_item_decides_on_what_was_left_of_it",),
    ),
    Fault(
        "items that are locked are skipped",
        "Rule 2: FOR UPDATE SKIP LOCKED leaves out of a batch the items that another works on.",
        (Edit("store/queries/batch.sql", "ORDER BY item_id FOR UPDATE;", "ORDER BY item_id FOR UPDATE SKIP LOCKED;"),),
        (HANDLE + "test_two_workers_on_the_same_items_and_orders_lose_and_double_nothing",),
    ),
    Fault(
        "orders are locked as they come",
        "Rule 2: two batches that name two orders in opposite order deadlock.",
        (
            Edit(
                "store/load.py",
                "keys = sorted(orders_of(commands))",
                "keys = list(dict.fromkeys(key for command in commands if (key := command.order_key) is not None))",
            ),
        ),
        (TOGETHER + "test_rule_2_batches_that_meet_take_their_locks_in_one_order[orders]",),
    ),
    Fault(
        "items are locked in two steps",
        "Rule 2: first those that commands name, then those of their orders, so the order of locks is reversed.",
        (
            Edit(
                "store/load.py",
                "    items, moment = await _held_items(connection, keys, sites, known)\n    references",
                "    await _items(connection, {key for command in commands for key in items_of(command)}, known)\n"
                "    items, moment = await _held_items(connection, keys, sites, known)\n    references",
            ),
        ),
        (TOGETHER + "test_rule_2_batches_that_meet_take_their_locks_in_one_order[items of orders too]",),
    ),
    Fault(
        "recorded when the transaction began",
        "Section 2: recorded_at is read before the locks, so a row may be older than one it follows.",
        (Edit("store/queries/policies.sql", "SELECT clock_timestamp() AS moment", "SELECT now() AS moment"),),
        (TOGETHER + "test_2_recorded_at_is_read_after_the_locks",),
    ),
    Fault(
        "null is no variant",
        "Section 1: items without variant are compared with =, and null equals nothing.",
        (
            Edit(
                "store/queries/batch.sql",
                "AND (i.variant_id = k.variant_id OR (i.variant_id IS NULL AND k.variant_id IS NULL));",
                "AND i.variant_id = k.variant_id;",
            ),
        ),
        (HANDLE + "test_variants_are_items_of_their_own_and_null_equals_null",),
    ),
    Fault(
        "a tombstone is written only where lines move",
        "Rule 5: a whole cancellation of an unknown order is gone with its batch.",
        (Edit("store/save.py", "    if changes.orders:\n", "    if changes.orders and changes.lines:\n"),),
        (HANDLE + "test_rule_5_a_whole_cancellation_outlives_its_batch",),
    ),
    Fault(
        "parked commands by topic and offset",
        "Rule 5: what waits in the database is decided in the order of positions, which topics do not share.",
        (Edit("store/queries/batch.sql", "ORDER BY order_pk, seq;", 'ORDER BY order_pk, topic, "offset";'),),
        (HANDLE + "test_rule_5_what_waits_in_the_database_is_decided_in_arrival_order",),
    ),
    Fault(
        "an event's id is drawn",
        "Section 6: what is decided again after a crash is told again under another ce_id.",
        (
            Edit("core/ids.py", "from hashlib import blake2b\n", "import os\nfrom hashlib import blake2b\n"),
            Edit("core/ids.py", "digest_size=15)", "digest_size=15, salt=os.urandom(16))"),
        ),
        (TOGETHER + "test_6_what_is_decided_again_is_told_again_under_the_same_ids",),
    ),
)
