"""What became of each command. Law: every reference has one lasting outcome, every broken record one dead letter.

A command whose order never came may still be parked; it is then silent. Which of several meanings of one reference was
decided first is not known from outside: all but one of them must have been told as conflicts.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tests.models.meaning import meaning_of, reference_of
from tests.oracle.records import Event, Judgement, Published, Seen, Sent

Reference = tuple[str, str, str]

PARKABLE: Final = ("order-cancelled", "order-fulfilled", "return-received", "order-placed")
"""Topics whose commands may wait for their order (a placement only when it amends)."""
EXPIRY: Final = "expiry"
"""In the place of a topic: what the sweeper does by itself when reservations are due."""
_PLACES: Final = {"unknown_location", "inactive_location"}
ALLOWED: Final = {
    "order": {"order_already_placed", "insufficient_stock", "counter_overflow", "order_never_placed", *_PLACES},
    "cancellation": {"unknown_line", "exceeds_cancellable", "order_never_placed"},
    "fulfilment": {"unknown_line", "exceeds_placed", "order_never_placed"},
    "return": {"unknown_line", "exceeds_returnable", "counter_overflow", "order_never_placed"},
    "restock": {"counter_overflow"},
    "adjustment": {"version_conflict", "exceeds_reserved", "insufficient_stock", "counter_overflow", *_PLACES},
    "count": {"location_required", "unknown_version", "counter_overflow", *_PLACES},
    "transfer": {"same_location", "insufficient_stock", "counter_overflow", *_PLACES},
    EXPIRY: set[str](),
}


@dataclass(slots=True)
class Command:
    """A reference with what was sent under it and what was told of it; `value` is the meaning that was decided."""

    reference: Reference
    sent: list[Sent] = field(default_factory=list)
    meanings: list[str] = field(default_factory=list)
    applied: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[tuple[int, int]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    topic: str = ""
    value: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str | None:
        """The lasting outcome; None for what is still parked."""
        if self.applied:
            return str(self.applied[0]["outcome"])
        return "rejected" if self.rejected else None

    @property
    def order_id(self) -> str | None:
        """The order that it is about."""
        value = self.value or json.loads(self.sent[0].value or b"")
        return None if value.get("order_id") is None else str(value["order_id"])

    @property
    def accepted(self) -> bool:
        """Whether it was applied, wholly or by lines."""
        return self.outcome in ("applied", "partly_applied")

    def __str__(self) -> str:
        return "/".join(self.reference[1:])


def judge_commands(
    sent: list[Sent], published: Published, ledger: dict[str, list[dict[str, Any]]], judgement: Judgement
) -> dict[Reference, Command]:
    """Judge outcomes, conflicts and dead letters; return the commands by reference, expiries among them."""
    commands = _commands(sent)
    _add_expiries(commands, published, ledger)
    for event in (*published.events["adjustment-applied"], *published.events["adjustment-rejected"]):
        _tell(commands, event, judgement)
    for rows in ledger.values():
        for row in rows:
            command = commands.get((row["site_id"], row["reference_type"], row["reference_id"]))
            if command is None:
                judgement.wrong.append(f"a row of {row['reference_type']}/{row['reference_id']}, which nobody sent")
                continue
            command.rows.append(row)
            if row["order_id"] not in (None, command.order_id):
                judgement.wrong.append(f"{command} moved stock for order {row['order_id']}, which it did not name")
    dead = _dead_letters(sent, published, judgement)
    asked = [command for command in commands.values() if command.sent]
    for command in asked:
        _judge_conflicts(command, dead, judgement)
    for command in commands.values():
        _judge_outcome(command, dead, judgement)
    judgement.commands, judgement.moved = len(asked), sum(bool(command.rows) for command in asked)
    judgement.expiries = len(commands) - len(asked)
    return commands


def _commands(sent: list[Sent]) -> dict[Reference, Command]:
    commands: dict[Reference, Command] = {}
    for record in sent:
        if record.poison or record.topic == "product-changed":
            continue
        assert record.value is not None
        value = json.loads(record.value)
        reference = (value["site_id"].lower(), *reference_of(record.topic, value))
        command = commands.setdefault(reference, Command(reference))
        command.sent.append(record)
        command.meanings.append(meaning_of(record.topic, value))
    return commands


def _add_expiries(
    commands: dict[Reference, Command], published: Published, ledger: dict[str, list[dict[str, Any]]]
) -> None:
    """An expiry is told and has rows as a command has, though nobody sent it."""
    told = (event.value for event in published.events["adjustment-applied"])
    for value in (*told, *(row for rows in ledger.values() for row in rows)):
        if value["reference_type"] == EXPIRY:
            reference = (value["site_id"], EXPIRY, value["reference_id"])
            order_id, _, _ = value["reference_id"].rpartition("@")
            commands.setdefault(reference, Command(reference, topic=EXPIRY, value={"order_id": order_id}))


def _tell(commands: dict[Reference, Command], event: Event, judgement: Judgement) -> None:
    value = event.value
    reference = (value["site_id"], value["reference_type"], value["reference_id"])
    named = value["order_id"] if value.get("order_id") is not None else "/".join(reference[1:])
    if event.key != f"{reference[0]}/{named}":
        judgement.wrong.append(f"{event.topic} of {'/'.join(reference)} has the key {event.key}")
    command = commands.get(reference)
    if command is None:
        judgement.wrong.append(f"{event.topic} of {'/'.join(reference)}, which nobody sent")
    elif event.topic == "adjustment-applied":
        command.applied.append(value)
    elif value["code"] == "reference_conflict":
        command.conflicts.append((value["source"]["partition"], value["source"]["offset"]))
    else:
        command.rejected.append(value)


def _dead_letters(sent: list[Sent], published: Published, judgement: Judgement) -> dict[tuple[str, int, int], str]:
    """Match dead letters to what was sent; return the reason by topic, partition and offset."""
    sent_at = {(each.topic, each.partition, each.offset): each for each in sent if each.offset >= 0}
    unplaced = Counter((each.topic, each.key, each.value) for each in sent if each.offset < 0)
    reasons: dict[tuple[str, int, int], str] = {}
    broken = 0
    for topic, records in published.dead.items():
        for record in records:
            told = {name: str(value or b"", "utf-8") for name, value in record.headers if name.startswith("dlt-")}
            where = f"dead letter {topic}[{told['dlt-original-partition']}]@{told['dlt-original-offset']}"
            position = (topic, int(told["dlt-original-partition"]), int(told["dlt-original-offset"]))
            if position in reasons:
                judgement.doubled.append(f"{where} was written for two reasons")
            reasons[position] = told["dlt-reason"]
            original = sent_at.get(position)
            if original is None:
                if not unplaced[topic, record.key, record.value]:
                    judgement.wrong.append(f"{where} is of a record that nobody sent")
                continue
            _judge_letter(where, record, original, told, judgement)
            broken += original.poison
    judgement.outcomes["malformed"] += sum(reason == "malformed" for reason in reasons.values())
    judgement.codes["malformed"] += sum(reason == "malformed" for reason in reasons.values())
    judgement.lost += [
        f"{each.topic}[{each.partition}]@{each.offset} is broken and has no dead letter"
        for each in sent
        if each.poison and each.offset >= 0 and (each.topic, each.partition, each.offset) not in reasons
    ]
    return reasons


def _judge_letter(where: str, record: Seen, original: Sent, told: dict[str, str], judgement: Judgement) -> None:
    empty = original.key is None and original.value is None
    if record.key != (b"" if empty else original.key) or record.value != original.value:
        judgement.wrong.append(f"{where} has not the key and value that were sent")
    if empty != ("dlt-null-key" in told):
        judgement.wrong.append(f"{where}: dlt-null-key belongs to a record without key and value")
    if not told.get("dlt-detail") or not told["dlt-original-topic"].endswith(original.topic):
        judgement.wrong.append(f"{where} does not say where it came from, or why it is here")
    kept = Counter(pair for pair in record.headers if not pair[0].startswith("dlt-"))
    if Counter(original.headers) - kept:
        judgement.wrong.append(f"{where} lost headers")
    if original.poison != (told["dlt-reason"] == "malformed"):
        judgement.wrong.append(f"{where} is {told['dlt-reason']}: {told.get('dlt-detail')}")


def _judge_conflicts(command: Command, dead: dict[tuple[str, int, int], str], judgement: Judgement) -> None:
    """All records that were not told as a conflict mean the same, and those that were mean something else."""
    decided: set[str] = set()
    refused: set[str] = set()
    for record, meaning in zip(command.sent, command.meanings, strict=True):
        conflict = dead.get((record.topic, record.partition, record.offset)) == "reference_conflict"
        (refused if conflict else decided).add(meaning)
        if conflict:
            judgement.outcomes["conflict"] += 1
            judgement.codes["reference_conflict"] += 1
        elif not command.topic:
            assert record.value is not None
            command.topic, command.value = record.topic, json.loads(record.value)
    if len(decided) > 1 and all(record.offset >= 0 for record in command.sent):
        judgement.lost.append(f"{command}: two meanings, and no conflict told")
    if not decided or decided & refused:
        judgement.wrong.append(f"{command}: a conflict was told of the meaning that stands")
    lettered = Counter(
        (each.partition, each.offset)
        for each in command.sent
        if dead.get((each.topic, each.partition, each.offset)) == "reference_conflict"
    )
    if Counter(command.conflicts) != lettered and all(each.offset >= 0 for each in command.sent):
        judgement.wrong.append(f"{command}: conflicts told {command.conflicts}, dead-lettered {sorted(lettered)}")


def _judge_outcome(command: Command, dead: dict[tuple[str, int, int], str], judgement: Judgement) -> None:
    applied, rejected = command.applied, command.rejected
    if len(applied) > 1 or len(rejected) > 1:
        judgement.doubled.append(f"{command} has {len(applied)} applied and {len(rejected)} rejected events")
    if applied and bool(rejected) != (command.outcome == "partly_applied"):
        judgement.wrong.append(f"{command} is {command.outcome} and has {len(rejected)} rejected events")
    if command.rows and not command.accepted:
        judgement.wrong.append(f"{command} is {command.outcome} and moved stock")
    waits = command.topic in PARKABLE and (command.topic != "order-placed" or command.value.get("amend"))
    if command.outcome is None and not waits:
        judgement.lost.append(f"{command} has no outcome")
    judgement.outcomes[command.outcome or "parked"] += 1
    judgement.outcomes["parked"] += _ended(command)
    told = sum(dead.get((each.topic, each.partition, each.offset)) == "reference_conflict" for each in command.sent)
    judgement.outcomes["duplicate"] += max(len(command.sent) - told - 1, 0)
    for event in rejected:
        code = event["code"]
        judgement.codes[code] += 1
        if code not in ALLOWED[command.reference[1]]:
            judgement.wrong.append(f"{command} was refused as {code}")
        if not event["message"] or (code != "order_never_placed" and not event["lines"] and not _about_order(code)):
            judgement.wrong.append(f"{command} was refused as {code} without a word or a line")
        letters = sum(dead.get((each.topic, each.partition, each.offset)) == code for each in command.sent)
        if letters != (code == "order_never_placed") and all(each.offset >= 0 for each in command.sent):
            judgement.wrong.append(f"{command} was refused as {code} and has {letters} dead letters")


def _ended(command: Command) -> bool:
    """Whether it was certainly parked before its outcome; that others were too cannot be seen from outside."""
    blind = command.topic == "return-received" and command.value.get("order_id") is not None and bool(command.rows)
    unplaced = blind and all(row["order_id"] is None for row in command.rows)
    return unplaced or any(event["code"] == "order_never_placed" for event in command.rejected)


def _about_order(code: str) -> bool:
    """A refusal that is about the order as a whole needs no line."""
    return code == "order_already_placed"
