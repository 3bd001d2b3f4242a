"""What may be said of a shop from outside. Law: it reads what was sent and what came out, and knows no product code.

Lost: a command without an outcome. Doubled: two different events under one version or one reference. Inverted: an
item's version first seen after a higher one. Gap: a version that never came.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord


@dataclass(slots=True)
class Judgement:
    """Sentences about what is wrong, by kind, and the stock that the events leave."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    inverted: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    available: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """All that is wrong."""
        return [*self.lost, *self.doubled, *self.inverted, *self.gaps]


def judge(received: Sequence[ConsumerRecord], prefix: str, references: Sequence[str]) -> Judgement:
    """Judge what came out, where each reference was to have one outcome. `references` are type/id."""
    judgement = Judgement()
    seen: dict[tuple[str, str], bytes | None] = {}
    versions: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in received:
        topic = record.topic.removeprefix(prefix)
        headers = dict(record.headers)
        if "ce_id" not in headers:
            continue
        same = (topic, headers["ce_id"].decode())
        if same in seen:
            if seen[same] != record.value:
                judgement.doubled.append(f"{same} came with two values")
            continue
        seen[same] = record.value
        event = json.loads(record.value)
        if topic == "stock-changed":
            versions[record.key.decode()].append(event)
        elif topic in {"adjustment-applied", "adjustment-rejected"}:
            _outcome(judgement, event)
    judgement.lost += [f"{reference} has no outcome" for reference in references if reference not in judgement.outcomes]
    for key, events in versions.items():
        _chain(judgement, key, events)
    return judgement


def _outcome(judgement: Judgement, event: dict[str, Any]) -> None:
    reference = f"{event['reference_type']}/{event['reference_id']}"
    outcome = event.get("outcome") or event["code"]
    if outcome == "reference_conflict":
        return
    if reference in judgement.outcomes:
        judgement.doubled.append(f"{reference} is {judgement.outcomes[reference]} and {outcome}")
    judgement.outcomes[reference] = outcome


def _chain(judgement: Judgement, key: str, events: Sequence[dict[str, Any]]) -> None:
    numbers = [event["version"] for event in events]
    if len(set(numbers)) < len(numbers):
        judgement.doubled.append(f"{key} has a version twice")
    if numbers != sorted(numbers):
        judgement.inverted.append(f"{key} told its versions out of order")
    if sorted(set(numbers)) != list(range(1, len(set(numbers)) + 1)):
        judgement.gaps.append(f"{key} has gaps in its versions")
    stock = 0
    for event in sorted(events, key=lambda event: event["version"]):
        if event["previous_stock"] != stock or stock + event["quantity"] != event["new_stock"]:
            judgement.gaps.append(f"{key} breaks its chain at version {event['version']}")
        stock = event["new_stock"]
    judgement.available[key] = stock
