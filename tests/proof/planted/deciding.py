"""Faults of the decisions and of reading a message: caught in memory, by the tables of the rules."""

from typing import Final

from tests.proof.planted.fault import Edit, Fault

RULES: Final = "tests/core/test_rules.py::"
POISON: Final = "tests/flow/test_worker_poison.py::"

FAULTS: Final = (
    Fault(
        "no conflict check",
        "Rule 1: another meaning under a known reference passes for a redelivery, and its sender is not told.",
        (Edit("core/decide.py", "if fingerprint == command.fingerprint:", "if fingerprint is not None:"),),
        (RULES + "test_rule_1_the_same_reference_with_another_meaning_is_a_conflict_and_the_original_stands",),
    ),
    Fault(
        "a refusal is forgotten",
        "Rule 1: a refused order that is delivered again is sold once stock has arrived.",
        (
            Edit(
                "core/decide.py",
                "    _remember(world, command, outcome)\n    if command.kind",
                "    if outcome.kind is not OutcomeKind.REJECTED:\n        _remember(world, command, outcome)\n"
                "    if command.kind",
            ),
        ),
        (RULES + "test_rule_1_a_refusal_is_sticky",),
    ),
    Fault(
        "a duplicate within its batch is applied again",
        "Rule 1: what a batch has decided is known only to the batches after it.",
        (Edit("core/decide.py", "    world.references[command.reference] = command.fingerprint\n", ""),),
        (
            RULES + "test_rule_1_a_known_reference_changes_nothing_and_tells_nothing",
            "tests/store/test_handle.py::test_rule_1_a_conflict_is_told_once_per_position",
        ),
    ),
    Fault(
        "reason and note belong to the meaning",
        "Rule 1: a redelivery whose note was corrected is a conflict.",
        (Edit("wire/fingerprint.py", "always = line[:_ALWAYS]", "always = line[:_EXTRA_FROM]"),),
        ("tests/wire/test_fingerprint.py::test_when_who_why_and_spelling_are_no_part_of_the_meaning",),
    ),
    Fault(
        "each line is checked on its own",
        "Rule 3: two lines on one item that exceed its stock together are both sold.",
        (
            Edit(
                "core/booking.py",
                "        return item.on_hand + self._on_hand.get(item.item_id, 0)",
                "        return item.on_hand",
            ),
            Edit(
                "core/booking.py",
                "(place.on_hand if place else 0) + self._on_hand_at.get((item.item_id, location_id), 0)",
                "place.on_hand if place else 0",
            ),
        ),
        (RULES + "test_rule_3_lines_add_up_and_stand_or_fall_together[two lines exceed together]",),
    ),
    Fault(
        "the last of two lines on one item is lost",
        "Rule 3: an order with two lines on one item takes the first one's units only.",
        (
            Edit(
                "core/booking.py",
                "        self.steps.append(Step(",
                "        if all(step.item is not item for step in self.steps):\n            self.steps.append(Step(",
            ),
        ),
        (RULES + "test_rule_3_lines_add_up_and_stand_or_fall_together[two lines add up]",),
    ),
    Fault(
        "partly applied books the refused lines",
        "Rule 3: of a command whose lines stand alone, a line is told as refused and moves all the same.",
        (
            Edit(
                "core/stock_rules.py",
                "    if units > on_hand:\n        return short(draft, item, line, on_hand)\n"
                "    return move(draft, item, location_id, kind, -units, line)",
                "    moved = move(draft, item, location_id, kind, -units, line)\n"
                "    return short(draft, item, line, on_hand) if units > on_hand else moved",
            ),
        ),
        (RULES + "test_rule_3_each_line_stands_alone_where_the_command_says_so",),
    ),
    Fault(
        "a refused placement leaves its lines behind",
        "Rule 3: an order that was refused counts as placed, and its next placement is refused for that.",
        (
            Edit(
                "core/order_rules.py",
                "        draft.lines[new.line_id] = new\n        refusal",
                "        draft.lines[new.line_id] = order.lines[new.line_id] = new\n        refusal",
            ),
        ),
        (RULES + "test_rule_5_what_waits_goes_on_waiting_when_the_placement_is_refused",),
    ),
    Fault(
        "the code of the first failing line",
        "Section 5: the command's code is its first failing line's, not the first in precedence.",
        (Edit("core/lines.py", "code = min(refusal.code for refusal in refused)", "code = refused[0].code"),),
        (RULES + "test_rule_3_none_accepted_is_refused_with_the_first_code_in_precedence",),
    ),
    Fault(
        "sold as far as it goes",
        "Rule 4: a sale of more than there is sells what there is, instead of being refused whole.",
        (
            Edit(
                "core/places.py",
                "    if line.quantity > could:\n        return short(draft, item, line, could)\n",
                "    line = line._replace(quantity=max(0, min(line.quantity, could)))\n"
                "    assert line.quantity is not None\n",
            ),
        ),
        (RULES + "test_rule_4_adjustments[sale-9-rejected-8]",),
    ),
    Fault(
        "clamped at zero",
        "Section 2: a counter that would fall below zero stays at zero; goods that left have left all the same.",
        (
            Edit(
                "core/booking.py",
                "        item.on_hand += step.quantity",
                "        item.on_hand = max(0, item.on_hand + step.quantity)",
            ),
        ),
        (RULES + "test_rule_4_goods_that_left_have_left_even_below_zero",),
    ),
    Fault(
        "the tombstone of an unknown order is forgotten",
        "Rule 5: a whole cancellation that comes before its order cancels nothing, and the order is sold.",
        (
            Edit(
                "core/line_rules.py",
                "    if not order.cancelled_whole:",
                "    if order.placed and not order.cancelled_whole:",
            ),
        ),
        (RULES + "test_rule_5_a_line_is_a_function_of_its_totals",),
    ),
    Fault(
        "goods that have left are given back",
        "Rule 5: a cancellation of the whole order gives back what was fulfilled before.",
        (
            Edit(
                "core/orders.py",
                "min(totals.placed if whole else totals.cancelled, totals.placed - units_out(totals))",
                "totals.placed if whole else totals.cancelled",
            ),
        ),
        (
            RULES + "test_rule_5_a_line_is_a_function_of_its_totals",
            "tests/core/test_rule_5_brute_force.py::test_rule_5_model_and_product_agree_on_what_each_multiset_ends_in",
        ),
    ),
    Fault(
        "cancelled beyond what is left",
        "Rule 5: a named cancellation is measured against what was placed, and not against what has not left yet.",
        (
            Edit(
                "core/line_rules.py",
                "    left = units_left(totals, whole=False)",
                "    left = totals.placed - totals.cancelled",
            ),
        ),
        (RULES + "test_rule_5_refusals",),
    ),
    Fault(
        "the newest parked command first",
        "Rule 5: what waited for an order is decided in the reverse of its arrival.",
        (
            Edit(
                "core/decide.py",
                "waiting, order.parked = order.parked, []",
                "waiting, order.parked = order.parked[::-1], []",
            ),
        ),
        (RULES + "test_rule_5_what_comes_before_its_order_waits_and_is_decided_with_it_in_arrival_order",),
    ),
    Fault(
        "a version is skipped",
        "Section 1: an alert takes a version of its own, so the ledger's versions have gaps.",
        (
            Edit(
                "core/levels.py",
                "        item.emitted = level\n",
                "        item.emitted = level\n        item.version += 1\n",
            ),
        ),
        (
            RULES + "test_ledger_rows_testify",
            "tests/store/test_verify.py::test_a_good_history_has_no_drift",
        ),
    ),
    Fault(
        "every row is the last of its command",
        "Section 2: whoever acts on last_of_command sees half-way states.",
        (Edit("core/booking.py", "last=last[step.item.item_id] == index", "last=True"),),
        (RULES + "test_ledger_rows_testify",),
    ),
    Fault(
        "an alert a row",
        "Rule 10: the level is evaluated after each row of a command, and half-way states are alerted.",
        (
            Edit(
                "core/booking.py",
                "    world.changes.movements.append(row)\n",
                "    world.changes.movements.append(row)\n    evaluate(world, item, draft.command)\n",
            ),
        ),
        (
            RULES + "test_rule_10_each_change_of_level_alerts_once[not once a row]",
            RULES + "test_rule_10_each_change_of_level_alerts_once[nor half-way]",
        ),
    ),
    Fault(
        "the revision stands still",
        "Section 6: the newest stock-level of an item cannot be told from an older one.",
        (Edit("core/levels.py", "        item.revision += 1\n", ""),),
        (
            RULES + "test_rule_10_all_alerts_of_a_batch_carry_its_revision",
            "tests/store/test_handle.py::test_a_batch_writes_the_ledger_the_counters_and_every_event",
        ),
    ),
    Fault(
        "a header that cannot be read refuses the value",
        "Rule 13: a good command with a traceparent that is no UTF-8 goes to the dead letters.",
        (Edit("wire/cloudevents.py", "except UnicodeDecodeError:", "except LookupError:"),),
        (
            "tests/wire/test_values.py::test_a_traceparent_is_passed_on_when_it_can_be_read",
            POISON + "test_a_strange_record_passes_between_its_neighbours[cloudevents-headers-not-utf8]",
        ),
    ),
)
