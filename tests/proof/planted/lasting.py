"""Faults of what lasts: expiries, rules, days, imports, audits and replays. Caught on a real PostgreSQL, and Kafka."""

from typing import Final

from tests.proof.planted.fault import Edit, Fault

DOMAIN: Final = "tests/store/test_handle_domain.py::"
EXPIRIES: Final = "tests/store/test_expiries.py::"
SERVED: Final = "tests/flow/test_service_expiry.py::"
REEVALUATIONS: Final = "tests/store/test_reevaluations.py::"
IMPORTS: Final = "tests/store/test_imports.py::"
REBUILD: Final = "tests/store/test_rebuild.py::"
REPLAY: Final = "tests/store/test_replay.py::"
ALERTS: Final = "tests/store/steering/test_alerts.py::"
STEERED: Final = "tests/store/steering/test_rules.py::"

FAULTS: Final = (
    # ---------------------------------------------------------------- expiries
    Fault(
        "expiry without the lock",
        "Rule 6: orders are picked without their lock and expire as they were then, fulfilled or amended meanwhile.",
        (
            Edit(
                "store/queries/sweeper.sql",
                "ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED;",
                "ORDER BY due_at LIMIT $3;",
            ),
            Edit(
                "core/line_rules.py",
                "    at = order.expires_at\n    if at is None or at != command.expires_at or at > world.recorded_at:\n",
                "    at = command.expires_at\n    if at is None or at > world.recorded_at:\n",
            ),
        ),
        (EXPIRIES + "test_rule_6_what_happens_to_an_order_while_it_is_due_is_not_undone[amended]",),
    ),
    Fault(
        "an expiry does not look again",
        "Rule 6: orders are picked without their lock, and what is found under it later is not asked.",
        (
            Edit(
                "store/queries/sweeper.sql",
                "ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED;",
                "ORDER BY due_at LIMIT $3;",
            ),
            Edit("core/decide.py", "    if not line_rules.is_due(world, command):\n        return None\n", ""),
        ),
        (
            EXPIRIES + "test_rule_6_what_happens_to_an_order_while_it_is_due_is_not_undone[fulfilled]",
            EXPIRIES + "test_rule_6_what_happens_to_an_order_while_it_is_due_is_not_undone[cancelled]",
            SERVED + "test_rule_6_three_sweepers_expire_each_order_once",
        ),
    ),
    Fault(
        "expiries run past what is unread",
        "Rule 6: they reach as far as the partition that is furthest ahead; a fulfilment that waits comes too late.",
        (Edit("store/queries/sweeper.sql", "SELECT min(w.applied_to)", "SELECT max(w.applied_to)"),),
        (
            EXPIRIES + "test_rule_6_expiries_reach_as_far_as_the_partition_that_is_furthest_behind",
            SERVED + "test_rule_6_nothing_expires_while_an_older_command_waits_unread",
        ),
    ),
    Fault(
        "what is polled counts as applied",
        "Rule 6: a watermark passes commands that are in hand and not decided yet.",
        (
            Edit(
                "positions.py",
                "        if at in applied and record.offset < applied[at].applied:\n",
                "        if at not in applied:\n",
            ),
        ),
        (SERVED + "test_rule_6_nothing_expires_while_an_older_command_waits_unread",),
    ),
    Fault(
        "a partition without a mark is forgotten",
        "Rule 6: of a partition that nobody has read yet, nothing can be waiting.",
        (
            Edit(
                "sweeper/watermarks.py",
                'return row["applied_to"] if row["partitions"] == len(partitions) else None',
                'return row["applied_to"] if row["partitions"] else None',
            ),
        ),
        (EXPIRIES + "test_rule_6_expiries_reach_as_far_as_the_partition_that_is_furthest_behind",),
    ),
    Fault(
        "an order stays due",
        "Rule 6: an order that holds nothing any more is picked by every sweep, for ever.",
        (
            Edit(
                "core/booking.py",
                "due_at = order.expires_at if any(line.reserved for line in order.lines.values()) else None",
                "due_at = order.expires_at",
            ),
        ),
        (DOMAIN + "test_rule_6_due_orders_are_picked_up_to_the_reach_and_expire_once",),
    ),
    # ---------------------------------------------------------------- rules and what is remembered of them
    Fault(
        "a rule's change ends with its first batch",
        "Rule 10: one too many: a full batch of items passes for the last one, and the items behind it are missed.",
        (Edit("sweeper/reevaluations.py", "if len(keys) < _AT_ONCE:", "if len(keys) <= _AT_ONCE:"),),
        (REEVALUATIONS + "test_rule_10_a_change_reaches_every_item_however_many_batches_it_takes[2]",),
    ),
    Fault(
        "a rule's change goes on after the product",
        "Rule 10: of a product whose variants a batch ends among, the others are skipped.",
        (
            Edit(
                "store/queries/sweeper.sql",
                "       OR (product_id = $4 AND $5::uuid IS NOT NULL AND (variant_id > $5 OR variant_id IS NULL)))\n",
                "       OR (product_id = $4 AND variant_id > $5))\n",
            ),
        ),
        (REEVALUATIONS + "test_rule_10_a_change_reaches_every_item_however_many_batches_it_takes[2]",),
    ),
    Fault(
        "a rule's change waits for nobody",
        "Rule 10: an item that a batch under way makes, by the old rule, is in no list yet and is missed.",
        (
            Edit(
                "store/queries/sweeper.sql",
                "fence <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS is_ripe",
                "fence IS NOT NULL AS is_ripe",
            ),
        ),
        (REEVALUATIONS + "test_rule_10_an_item_whose_first_batch_had_read_the_old_rule_is_not_missed",),
    ),
    Fault(
        "activation leaves no job",
        "Rule 10: is_active is no threshold, so nobody evaluates levels again when it changes.",
        (
            Edit(
                "store/steering/rules.py",
                '"out_of_stock_threshold", "is_active")',
                '"out_of_stock_threshold")',
            ),
        ),
        (STEERED + "test_rule_10_a_change_leaves_a_stamp_and_a_job_where_it_decides_levels",),
    ),
    Fault(
        "a rule once read is never read again",
        "Rule 10: what a worker remembers of an item is trusted without the stamp of its site.",
        (Edit("store/policies.py", "held.stamp == stamp and ", ""),),
        (
            "tests/store/test_remembered.py::test_rule_10_a_rule_that_is_remembered_is_read_again_once_it_changed",
            "tests/store/test_remembered.py::test_a_setting_that_is_remembered_is_read_again_once_it_changed",
        ),
    ),
    Fault(
        "a stale dismissal hides what came since",
        "Rule 10: who dismisses an alert that has ended dismisses the one that the item is at, unseen.",
        (
            Edit(
                "store/steering/alerts.py",
                "        if asked < current:\n",
                "        asked = current\n        if asked < current:\n",
            ),
        ),
        (ALERTS + "test_rule_10_an_alert_that_has_ended_is_stale",),
    ),
    Fault(
        "sales of all time",
        "Section 6: days_until_stockout is of all that was ever sold, as if that had been in the last thirty days.",
        (Edit("core/events.py", "alert.net_sold - world.sold_before.get(alert.item.item_id, 0)", "alert.net_sold"),),
        (DOMAIN + "test_c54_sales_of_the_last_thirty_days_are_found_in_the_ledger",),
    ),
    # ---------------------------------------------------------------- places, counts and days in the database
    Fault(
        "locations are read without a lock",
        "Rule 7: a location is closed as empty while a batch under way brings goods there.",
        (
            Edit(
                "store/queries/batch.sql",
                "ORDER BY site_id, location_id FOR SHARE;",
                "ORDER BY site_id, location_id;",
            ),
        ),
        ("tests/store/test_closing.py::test_rule_7_a_location_does_not_close_over_what_is_on_its_way",),
    ),
    Fault(
        "an earlier batch's counts are corrected again",
        "Rule 9: what counts have corrected is told apart within a batch alone, and not in the ledger.",
        (Edit("store/queries/batch.sql", "    AND m.reference_type <> 'count' AND", "    AND"),),
        (DOMAIN + "test_one_batch_or_one_by_one_end_in_the_same_rows",),
    ),
    Fault(
        "a day in UTC",
        "Section 7: what a shop in Berlin sells after midnight is of the day before.",
        (Edit("store/rows.py", "row.recorded_at.astimezone(zone).date()", "row.recorded_at.date()"),),
        (
            DOMAIN + "test_the_day_is_that_of_the_sites_time_zone",
            REBUILD + "test_days_are_rebuilt_as_the_site_reckons_them",
        ),
    ),
    # ---------------------------------------------------------------- files that are imported
    Fault(
        "an import's rows are known by their lines",
        "Rule 1: a file that comes again in another order is booked again.",
        (
            Edit(
                "imports.py",
                "command_of(_document(found, what, name, site_id),",
                'command_of(_document(found, what, f"{name}/{line}", site_id),',
            ),
        ),
        (IMPORTS + "test_rule_1_a_file_that_comes_again_in_another_order_changes_nothing",),
    ),
    Fault(
        "an import's rows are known by their moment",
        "Rule 1: a file that is imported again, since it was cut off, is booked twice.",
        (
            Edit(
                "imports.py",
                "    reference_id = f",
                '    place += f" {datetime.now():%H%M%S%f}"\n    reference_id = f',
            ),
        ),
        (IMPORTS + "test_rule_1_the_same_file_twice_changes_nothing_and_a_corrected_one_books_what_is_new",),
    ),
    Fault(
        "an import's rows are known by their items",
        "Rule 1: of an item that lies at two locations the second row is a conflict, and its goods are not booked.",
        (Edit("imports.py", '"\\x1f".join((asked.item.text, asked.location_id or ""))', "asked.item.text"),),
        (IMPORTS + "test_rule_1_one_item_at_two_locations_is_two_rows",),
    ),
    # ---------------------------------------------------------------- rebuild and replay
    Fault(
        "days are forgotten and not rebuilt",
        "Section 8: a rebuild deletes the days that do not add up, and leaves it at that.",
        (Edit("audit/rebuild.py", '                await connection.execute(SQL["write_days"], wrong)\n', ""),),
        (
            REBUILD + "test_what_was_damaged_is_rebuilt[days]",
            REBUILD + "test_days_are_rebuilt_as_the_site_reckons_them",
        ),
    ),
    Fault(
        "days are rebuilt in UTC",
        "Section 7: a rebuild undoes the site's time zone.",
        (
            Edit(
                "store/queries/rebuild.sql",
                "AT TIME ZONE coalesce(s.timezone, 'UTC'))::date",
                "AT TIME ZONE 'UTC')::date",
            ),
        ),
        (REBUILD + "test_days_are_rebuilt_as_the_site_reckons_them",),
    ),
    Fault(
        "a dry run writes",
        "Section 8: who only asks what differs has it changed.",
        (
            Edit(
                "audit/rebuild.py",
                '        if not dry_run:\n            await _write(connection, SQL["write_items"]',
                '        if items or places or days:\n            await _write(connection, SQL["write_items"]',
            ),
        ),
        (REBUILD + "test_what_was_damaged_is_rebuilt[days]", REBUILD + "test_what_was_damaged_is_rebuilt[holds]"),
    ),
    Fault(
        "rebuilt holds include orders'",
        "Rule 8: a rebuild makes of what orders reserve something that people may release.",
        (
            Edit(
                "store/queries/rebuild.sql",
                "type IN ('reserved', 'unreserved') AND order_id IS NULL\n",
                "type IN ('reserved', 'unreserved')\n",
            ),
        ),
        (REBUILD + "test_rule_8_holds_are_rebuilt_without_what_orders_reserve",),
    ),
    Fault(
        "a letter goes back under a settled reference",
        "Section 7: what conflicted is sent again as it was, and dies of the same reference.",
        (
            Edit(
                "replay.py",
                "    if known is None:\n        return Replay(letter, letter.record, was, was)\n",
                "    if known is None or known.fingerprint != command.fingerprint:\n"
                "        return Replay(letter, letter.record, was, was)\n",
            ),
        ),
        (REPLAY + "test_8_what_conflicted_goes_under_a_new_name_and_the_first_stands",),
    ),
    Fault(
        "a refused letter goes back under its own name",
        "Rule 1: a refusal is sticky, so what waited in vain is sent again and answered by its refusal.",
        (
            Edit(
                "replay.py",
                "    if known is None:\n        return Replay(letter, letter.record, was, was)\n",
                "    if known is None or known.outcome == _REFUSED:\n"
                "        return Replay(letter, letter.record, was, was)\n",
            ),
        ),
        (REPLAY + "test_8_what_waited_in_vain_goes_under_a_new_name_once_its_order_is_there",),
    ),
    Fault(
        "a letter is taken twice",
        "Rule 1: what its sender has sent again meanwhile goes back under a new name, and is booked a second time.",
        (
            Edit(
                "replay.py",
                "    if known.fingerprint == command.fingerprint and known.outcome != _REFUSED:\n"
                '        return Refused(Why.KNOWN, f"it has been taken meanwhile: {was} is {known.outcome}")\n',
                "",
            ),
        ),
        (
            REPLAY + "test_8_what_was_taken_meanwhile_is_not_taken_twice",
            REPLAY + "test_8_what_waits_for_its_order_is_not_sent_beside_it",
        ),
    ),
)
