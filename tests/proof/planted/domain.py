"""Faults of orders, places, counts, costs and levels: caught in memory, by the tables of the rules."""

from typing import Final

from tests.proof.planted.fault import Edit, Fault

PLACES: Final = "tests/core/test_places.py::"
RESERVATIONS: Final = "tests/core/test_reservations.py::"
LEVELS: Final = "tests/core/test_levels.py::"
COSTS: Final = "tests/core/test_costs.py::"
RULES: Final = "tests/core/test_rules.py::"
CANNOT_BE_TAKEN: Final = PLACES + "test_rule_7_what_cannot_be_taken"
GO_BACK: Final = PLACES + "test_rule_7_units_go_back_to_where_they_came_from_last_in_first_out"

FAULTS: Final = (
    # ---------------------------------------------------------------- places
    Fault(
        "first in, first out",
        "Rule 7: a cancelled order that was split gives back where it took first, and not where it took last.",
        (
            Edit(
                "core/line_rules.py",
                "    if sold < 0:\n",
                "    if sold < 0:\n        order_line.allocations.reverse()\n",
            ),
        ),
        (GO_BACK + "[cancelled by name]",),
    ),
    Fault(
        "given back to the default",
        "Rule 7: what is cancelled or comes back lies at the default location, wherever it was taken from.",
        (
            Edit(
                "core/places.py",
                "    return location_id if draft.is_active(location_id) else draft.site.default_location_id\n",
                "    return draft.site.default_location_id\n",
            ),
        ),
        (GO_BACK + "[cancelled whole]", GO_BACK + "[returned]"),
    ),
    Fault(
        "a backorder where routing begins",
        "Rule 7: what no location has is owed by the first one, and not by the default.",
        (Edit("core/places.py", "    default = site.default_location_id\n", "    default = permitted[0]\n"),),
        (
            PLACES + "test_rule_7_where_an_orders_line_is_taken[what no location has is a backorder at the default]",
            CANNOT_BE_TAKEN + "[no backorder without the default in the set]",
        ),
    ),
    Fault(
        "the set of locations is ignored",
        "Section 3: an order that may be taken from some locations is taken from any.",
        (
            Edit(
                "core/places.py",
                "permitted = [each for each in site.routing if line.location_ids is None or each in line.location_ids]",
                "permitted = site.routing",
            ),
        ),
        (PLACES + "test_rule_7_where_an_orders_line_is_taken[limited to a set]",),
    ),
    Fault(
        "a location that is out of use sells",
        "Rule 7: whatever the site has a row for passes for active.",
        (
            Edit(
                "core/state.py",
                "        return location is not None and location.active",
                "        return location is not None",
            ),
        ),
        (
            CANNOT_BE_TAKEN + "[inactive location]",
            PLACES + "test_rule_7_to_the_default_if_the_place_is_inactive",
        ),
    ),
    Fault(
        "a location that is out of use stays in the routing",
        "Rule 7: routing goes through every location that the site ever had, and a count asks which one was meant.",
        (
            Edit(
                "core/state.py",
                " for location in self.locations.values() if location.active]",
                " for location in self.locations.values()]",
            ),
        ),
        (PLACES + "test_c27_several_means_several_active_ones",),
    ),
    Fault(
        "safety stock is sold",
        "Section 1: a negative backorder_limit is taken for none, and the last units are promised.",
        (
            Edit(
                "core/places.py",
                "min(draft.available(item) + limit, sum(",
                "min(draft.available(item) + max(limit, 0), sum(",
            ),
            Edit(
                "core/places.py",
                "min(draft.available(item) + limit, draft.available_at(",
                "min(draft.available(item) + max(limit, 0), draft.available_at(",
            ),
        ),
        (
            CANNOT_BE_TAKEN + "[safety stock is kept]",
            "tests/core/test_limits.py::test_rule_4_safety_stock_is_kept",
        ),
    ),
    Fault(
        "safety stock at every location",
        "Rule 4: a negative limit is kept back at each location too, and goods that may be sold are refused.",
        (
            Edit(
                "core/places.py",
                "draft.available_at(item, location_id) + max(limit, 0))",
                "draft.available_at(item, location_id) + limit)",
            ),
        ),
        ("tests/core/test_limits.py::test_rule_4_safety_stock_is_the_items_and_not_each_locations",),
    ),
    # ---------------------------------------------------------------- holds, transfers, counts
    Fault(
        "orders' reservations count as holds",
        "Rule 8: what an order reserves is counted as held by hand, and can be released by hand.",
        (
            Edit(
                "core/booking.py",
                "        if step.order_line is None:\n            place.held -= step.quantity\n",
                "        place.held -= step.quantity\n",
            ),
        ),
        ("tests/core/test_holds.py::test_rule_8_nobody_releases_by_hand_what_an_order_reserved",),
    ),
    Fault(
        "a release takes whatever is reserved",
        "Rule 8: `unreserved` by hand is measured against all that is reserved, orders' units among it.",
        (Edit("core/places.py", "draft.held_at(item, location_id)", "draft.reserved_at(item, location_id)"),),
        ("tests/core/test_holds.py::test_rule_8_nobody_releases_by_hand_what_an_order_reserved",),
    ),
    Fault(
        "both rows of a transfer are its last",
        "Section 2: whoever acts on last_of_command sees the goods gone before they arrive.",
        (
            Edit(
                "core/booking.py",
                "last = {step.item.item_id: index for",
                "last = {(step.item.item_id, step.location_id): index for",
            ),
            Edit(
                "core/booking.py",
                "last=last[step.item.item_id] == index)",
                "last=last[step.item.item_id, step.location_id] == index)",
            ),
        ),
        (PLACES + "test_a_transfer_has_two_rows_out_first",),
    ),
    Fault(
        "a count overwrites",
        "Rule 9: on_hand becomes what was counted, and what was sold since the counter looked is there again.",
        (
            Edit(
                "core/counts.py",
                "delta = line.quantity - draft.on_hand_at(item, location_id) + moved",
                "delta = line.quantity - draft.on_hand_at(item, location_id)",
            ),
        ),
        (PLACES + "test_rule_9_a_count_undoes_nothing_that_happened_meanwhile",),
    ),
    Fault(
        "a count corrects what a count has corrected",
        "Rule 9: two people who count the same shelf correct it twice.",
        (Edit("core/counts.py", "        and row.command.reference.type != REFERENCE_TYPE\n", ""),),
        (PLACES + "test_rule_9_a_count_undoes_nothing_that_happened_meanwhile",),
    ),
    # ---------------------------------------------------------------- orders in time
    Fault(
        "reserved although its time is past",
        "Rule 6: whether a reservation is past is judged by its sender's clock, however long it waited to be read.",
        (
            Edit(
                "core/order_rules.py",
                "expires_at is not None and expires_at <= world.recorded_at:",
                "expires_at is not None and expires_at <= command.occurred_at:",
            ),
        ),
        ("tests/core/test_late.py::test_rule_6_what_was_still_good_when_it_was_sent_is_past_when_it_is_read",),
    ),
    Fault(
        "reserved at its last moment",
        "Decided cases on time: expired means expires_at <= recorded_at, and not before it.",
        (
            Edit(
                "core/order_rules.py",
                "expires_at is not None and expires_at <= world.recorded_at:",
                "expires_at is not None and expires_at < world.recorded_at:",
            ),
        ),
        (RESERVATIONS + "test_rule_6_already_past_on_arrival_is_expired_and_moves_nothing",),
    ),
    Fault(
        "a reservation lasts from when it was sent",
        "Decided cases on time: reservation_ttl counts from occurred_at; what waited long is over when it is read.",
        (
            Edit(
                "core/order_rules.py",
                "world.recorded_at + timedelta(seconds=ttl)",
                "command.occurred_at + timedelta(seconds=ttl)",
            ),
        ),
        ("tests/core/test_late.py::test_decided_a_sites_time_for_reservations_runs_from_when_it_is_recorded",),
    ),
    Fault(
        "an expiry is not decided again",
        "Rule 6: what was due when it was picked expires, fulfilled, cancelled or amended meanwhile or not.",
        (
            Edit(
                "core/decide.py",
                "    if not line_rules.is_due(world, command):\n        return None\n",
                "",
            ),
        ),
        (
            RESERVATIONS + "test_c31_an_expiry_that_is_not_due_writes_no_reference",
            RESERVATIONS + "test_rule_5_an_amendment_may_give_another_time",
        ),
    ),
    Fault(
        "an expiry's reference is used again",
        "Rule 1: a time that an amendment brought back expires under a reference that is known, and has two outcomes.",
        (
            Edit(
                "core/decide.py",
                "    if command.reference in world.references:\n",
                "    if command.reference in world.parked:\n",
            ),
        ),
        (RESERVATIONS + "test_a30_a_time_that_came_back_expires_under_the_moment_of_its_decision",),
    ),
    Fault(
        "an amendment survives its order's cancellation",
        "Decided cases on orders: once the whole order is cancelled its later lines are sold nevertheless.",
        (
            Edit(
                "core/order_rules.py",
                "    if order.cancelled_whole:\n        return _supersede(world, command, order)\n    draft = ",
                "    draft = ",
            ),
        ),
        (RULES + "test_cases_decided_orders",),
    ),
    Fault(
        "tracking is asked when goods move",
        "Rule 11: a line that was placed while its item was untracked moves stock once it is tracked.",
        (
            Edit(
                "core/line_rules.py",
                "    if not order_line.tracked:\n        return None\n",
                "    if not draft.world.items[order_line.item].policy.tracked:\n        return None\n",
            ),
        ),
        ("tests/core/test_tracking.py::test_rule_11_what_was_placed_untracked_never_moves",),
    ),
    # ---------------------------------------------------------------- costs
    Fault(
        "an average by float",
        "Rule 12: the average is computed in binary, which has not enough digits for money.",
        (
            Edit(
                "core/costing.py",
                "_EXACT.divide(worth, Decimal(total)).quantize(",
                "Decimal(float(worth) / total).quantize(",
            ),
        ),
        (COSTS + "test_rule_12_an_average_is_exact_however_large",),
    ),
    Fault(
        "an average rounded half up",
        "Rule 12: half to even keeps many roundings from adding up; half up does not.",
        (
            Edit(
                "core/costing.py",
                "from decimal import ROUND_HALF_EVEN, Context, Decimal",
                "from decimal import ROUND_HALF_UP, Context, Decimal",
            ),
            Edit("core/costing.py", "rounding=ROUND_HALF_EVEN)", "rounding=ROUND_HALF_UP)"),
        ),
        (COSTS + "test_rule_12_the_moving_average[half to even, down]",),
    ),
    Fault(
        "costed units go first",
        "Rule 12: outflow takes the units whose cost is known, and not costed and uncosted ones pro rata.",
        (Edit("core/costing.py", "taken = _half_even(units * costed, there)", "taken = min(units, costed)"),),
        (COSTS + "test_rule_12_the_moving_average[C45: pro rata, half to even: half a unit is none]",),
    ),
    Fault(
        "any currency is the site's",
        "Rule 12: dollars are averaged with euros.",
        (Edit("core/booking.py", "step.unit_cost, foreign=foreign)", "step.unit_cost, foreign=False)"),),
        (COSTS + "test_rule_12_a_cost_in_another_currency[another currency is uncosted]",),
    ),
    Fault(
        "a site without money has foreign costs",
        "Decided cases on cost: a site that never named its currency has every cost that names one ignored.",
        (
            Edit(
                "core/booking.py",
                "step.currency is not None and currency is not None and step.currency != currency",
                "step.currency is not None and step.currency != currency",
            ),
        ),
        (COSTS + "test_c49_a_site_without_a_currency_compares_none",),
    ),
    Fault(
        "debts are averaged",
        "Decided cases on cost: units that fill negative stock change the average of what is not there.",
        (
            Edit(
                "core/costing.py",
                "cost is not None and before >= 0 and not foreign",
                "cost is not None and not foreign",
            ),
        ),
        (COSTS + "test_c46_inflow_into_negative_stock_leaves_the_average[above zero at the average]",),
    ),
    # ---------------------------------------------------------------- levels and the catalog
    Fault(
        "an alert is told twice",
        "Rule 10: what was emitted is not remembered, and each evaluation emits it again.",
        (Edit("core/levels.py", "        item.emitted = level\n", ""),),
        (
            LEVELS + "test_rule_10_while_a_rule_is_inactive_the_level_shows_and_nothing_is_emitted",
            "tests/store/test_handle_domain.py::test_rule_10_items_are_evaluated_again_and_told_once",
        ),
    ),
    Fault(
        "an inactive rule alerts",
        "Rule 10: is_active is false, and people are told all the same.",
        (
            Edit(
                "core/levels.py",
                "    emits = policy.is_active and level is not item.emitted\n",
                "    emits = level is not item.emitted\n",
            ),
        ),
        (LEVELS + "test_rule_10_while_a_rule_is_inactive_the_level_shows_and_nothing_is_emitted",),
    ),
    Fault(
        "activation tells nothing",
        "Rule 10: a level that was reached while the rule was inactive is never told.",
        (
            Edit(
                "core/levels.py",
                "    if (level is item.level and not emits) or item.version == 0:\n",
                "    if level is item.level or item.version == 0:\n",
            ),
        ),
        (LEVELS + "test_rule_10_while_a_rule_is_inactive_the_level_shows_and_nothing_is_emitted",),
    ),
    Fault(
        "an alert's id is its level's",
        "Rule 10: an item that is low again has the alert that it had before, dismissed where that was.",
        (
            Edit(
                "core/levels.py",
                "        item.stay += 1\n",
                "        item.stay = list(Level).index(level)\n",
            ),
        ),
        (
            LEVELS + "test_rule_10_an_alerts_id_is_one_stay_at_one_level",
            "tests/store/steering/test_alerts.py::test_rule_10_an_alert_that_has_ended_is_stale",
        ),
    ),
    Fault(
        "what is archived alerts",
        "Rule 10: people are told that an item is low which the shop sells no longer.",
        (Edit("core/policy.py", "return self.tracked and not self.archived", "return self.tracked"),),
        (LEVELS + "test_c53_becoming_untracked_or_archived_emits_one_change_to_ok_then_nothing",),
    ),
    Fault(
        "an older revision wins",
        "Section 3: of two records of the catalog the one that is read last stands, and topics are read again.",
        (Edit("core/catalog.py", "_revision(entry) <= known.revision", "_revision(entry) == known.revision"),),
        (LEVELS + "test_section_3_older_and_equal_revisions_are_ignored",),
    ),
)
