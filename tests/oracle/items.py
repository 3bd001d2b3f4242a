"""The item events of one run. Law: per item rows 1..n, each continues the one before, and the states follow.

What an item is held to is what was set for its site. Where rules change meanwhile, or the catalog changes what counts,
it is not known from outside which rule a row met: then the alerts must be a chain, each true by its own thresholds, and
the end must be what the last rule says.
"""

from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from tests.models.levels import THRESHOLDS, Policy
from tests.models.words import Item
from tests.oracle.bounds import judge_bounds
from tests.oracle.records import Event, Judgement, Published
from tests.oracle.steering import Steering

Row = dict[str, Any]


class Held(NamedTuple):
    """What an item is held to in the end: `steady` if it was so all the time, `loose` if the catalog changed it."""

    policy: Policy
    item: Item
    steady: bool
    loose: bool
    tracked: bool
    archived: bool

    def level(self, available: int) -> str:
        """Rule 10."""
        return self.policy.level(self.item, available)[0] if self.tracked and not self.archived else "ok"

    @property
    def limit(self) -> int:
        """How far below zero it may be promised."""
        return self.policy.backorder_limit(self.item)


def judge_items(published: Published, steering: Steering, judgement: Judgement) -> dict[str, list[Row]]:
    """Judge rows, states and alerts; return the rows of each item by version."""
    ledger: dict[str, list[Row]] = {}
    policies = steering.policies()
    changed, states = _by_key(published, "stock-changed", judgement), _by_key(published, "stock-level", judgement)
    alerts = _by_key(published, "alert-level-changed", judgement)
    for key, events in changed.items():
        held = _held(key, steering, policies)
        rows = ledger[key] = _versions(key, events, judgement)
        told, last = [event.value for event in alerts.pop(key, [])], states.pop(key, [])
        _chain(key, rows, judgement)
        _lasts(key, rows, judgement)
        judge_bounds(key, rows, held.limit, judgement)
        _states(key, rows, last, held, judgement)
        if held.steady:
            _alerts(key, rows, told, held, judgement)
        else:
            _alerts_in_a_chain(key, rows, told, last, held, judgement)
    judgement.wrong += [f"{key} has a level and no row" for key in states]
    judgement.wrong += [f"{key} has an alert and no row" for key in alerts]
    names = [row["movement_id"] for rows in ledger.values() for row in rows]
    if len(names) != len(set(names)):
        judgement.doubled.append("a movement_id stands for two rows")
    return ledger


def _held(key: str, steering: Steering, policies: dict[str, Policy]) -> Held:
    site, product, variant = key.split("/")
    item = (product, variant or None)
    loose = (site, item) in steering.loose
    tracked, archived = (site, item) not in steering.untracked, (site, item) in steering.archived
    steady = site not in steering.moving and not loose
    return Held(policies.get(site, Policy()), item, steady, loose, tracked, archived)


def _by_key(published: Published, topic: str, judgement: Judgement) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in published.events[topic]:
        value = event.value
        named = f"{value.get('site_id')}/{value.get('product_id')}/{value.get('variant_id') or ''}"
        if named != event.key:
            judgement.wrong.append(f"{topic} of {named} has the key {event.key}")
        found[event.key].append(event)
    for key, events in found.items():
        if len({event.partition for event in events}) > 1:
            judgement.inversions.append(f"{topic} of {key} is in several partitions")
    return found


def _versions(key: str, events: list[Event], judgement: Judgement) -> list[Row]:
    """The rows in the order of their versions; what is older than the newest seen so far is an inversion."""
    newest = 0
    rows: dict[int, Row] = {}
    for event in events:
        version = event.value["version"]
        if version in rows:
            judgement.doubled.append(f"{key} has two rows of version {version}")
        elif version < newest:
            judgement.inversions.append(f"{key}: version {version} came after {newest}")
        newest = max(newest, version)
        rows.setdefault(version, event.value)
    missing = [version for version in range(1, newest + 1) if version not in rows]
    if missing:
        judgement.gaps.append(f"{key}: versions {missing[:5]} of {newest} never came")
    return [rows[version] for version in sorted(rows)]


def _chain(key: str, rows: list[Row], judgement: Judgement) -> None:
    start = {"version": 0, "new_stock": 0, "on_hand": 0, "reserved": 0, "recorded_at": "0001-01-01T00:00:00Z"}
    places: dict[str, tuple[int, int]] = {}
    for before, row in pairwise([start, *rows]):
        holds = row["type"] in ("reserved", "unreserved")
        step = (0, -row["quantity"]) if holds else (row["quantity"], 0)
        place = places.get(row["location_id"], (0, 0))
        places[row["location_id"]] = (row["location_on_hand"], row["location_reserved"])
        laws = [
            ("previous + quantity", row["previous_stock"] + row["quantity"], row["new_stock"]),
            ("on_hand - reserved", row["on_hand"] - row["reserved"], row["new_stock"]),
            ("available", row["new_stock"], row["available"]),
            ("location_on_hand", place[0] + step[0], row["location_on_hand"]),
            ("location_reserved", place[1] + step[1], row["location_reserved"]),
        ]
        follows = (
            ("previous_stock", before["new_stock"], row["previous_stock"]),
            ("on_hand", before["on_hand"] + step[0], row["on_hand"]),
            ("reserved", before["reserved"] + step[1], row["reserved"]),
        )
        if before["version"] + 1 == row["version"]:  # else the gap has been told
            laws += follows
        judgement.wrong += [
            f"{key} version {row['version']}: {law} should be {expected}, is {found}"
            for law, expected, found in laws
            if expected != found
        ]
        if datetime.fromisoformat(row["recorded_at"]) < datetime.fromisoformat(str(before["recorded_at"])):
            judgement.wrong.append(f"{key} version {row['version']}: recorded_at went back")


def _lasts(key: str, rows: list[Row], judgement: Judgement) -> None:
    """Of the rows that a command wrote for an item the newest, and no other, is its last."""
    told: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        told[row["reference_type"], row["reference_id"]].append(row)
    for reference, own in told.items():
        if [row["last_of_command"] for row in own] != [False] * (len(own) - 1) + [True]:
            judgement.wrong.append(f"{key}: last_of_command of {'/'.join(reference)} is not on its newest row alone")
        if own[-1]["version"] - own[0]["version"] != len(own) - 1:
            judgement.doubled.append(f"{key}: rows of {'/'.join(reference)} do not stand together")


def _states(key: str, rows: list[Row], states: list[Event], held: Held, judgement: Judgement) -> None:
    if not states:
        judgement.lost.append(f"{key} has rows and no stock-level")
        return
    by_version = {row["version"]: row for row in rows}
    revision, version = 0, 0
    for event in states:
        state = event.value
        where = f"{key} stock-level revision {state['revision']}"
        if state["revision"] < revision or state["version"] < version:
            judgement.inversions.append(f"{where}, version {state['version']}, came after {revision}, {version}")
        elif state["revision"] == revision:
            judgement.doubled.append(f"{where} was published twice")
        revision, version = max(revision, state["revision"]), max(version, state["version"])
        row = by_version.get(state["version"])
        if row is None:
            judgement.wrong.append(f"{where} is of version {state['version']}, which never came")
            continue
        level = held.level(row["available"]) if held.steady or (event is states[-1] and not held.loose) else None
        sellable = max(row["available"] + held.limit, 0) if held.tracked else None
        laws = (
            *((name, row[name], state[name]) for name in ("on_hand", "reserved", "available")),
            ("sellable", state["sellable"] if held.loose else sellable, state["sellable"]),
            ("level", level or state["level"], state["level"]),
            ("track_inventory", state["track_inventory"] if held.loose else held.tracked, state["track_inventory"]),
            ("locations", *_places(rows, state)),
        )
        judgement.wrong += [f"{where}: {law} {found}, not {wanted}" for law, wanted, found in laws if wanted != found]
    if states[-1].value["version"] != rows[-1]["version"]:
        judgement.lost.append(f"{key}: the last stock-level is of version {states[-1].value['version']}, not the last")


def _places(rows: list[Row], state: Row) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """The counters of each location as the rows so far left them, and as the state tells them; nothing is no place."""
    wanted = {
        row["location_id"]: (row["location_on_hand"], row["location_reserved"])
        for row in rows
        if row["version"] <= state["version"]
    }
    found = {each["location_id"]: (each["on_hand"], each["reserved"]) for each in state["locations"]}
    return _something(wanted), _something(found)


def _something(places: dict[str, tuple[int, int]]) -> dict[str, tuple[int, ...]]:
    return {place: counts for place, counts in places.items() if any(counts)}


def _alerts(key: str, rows: list[Row], alerts: list[Row], held: Held, judgement: Judgement) -> None:
    """One alert for each change of level, seen once per command, and nothing else."""
    expected, level = [], "ok"
    for row in rows:
        if row["last_of_command"] and held.level(row["available"]) != level:
            expected.append((level, held.level(row["available"]), row["version"], row["available"]))
            level = held.level(row["available"])
    if not held.policy.is_active(held.item):
        expected = []
    told = [(each["previous_level"], each["level"], each["version"], each["available"]) for each in alerts]
    thresholds = {name: held.policy.threshold(held.item, f"{field}_threshold")[0] for name, field in NAMES.items()}
    judgement.wrong += [
        f"{key}: an alert's thresholds are {each['thresholds']}, not {thresholds}"
        for each in alerts
        if each["thresholds"] != thresholds
    ]
    if told == expected:
        return
    if sorted(told) == sorted(expected):
        judgement.inversions.append(f"{key}: its alerts are not in the order of its versions")
    judgement.lost += [f"{key}: no alert {each}" for each in expected if each not in told]
    judgement.wrong += [f"{key}: an alert {each} without such a change" for each in told if each not in expected]
    if len(told) > len(set(told)):
        judgement.doubled.append(f"{key}: a change of level was told twice")


NAMES = {"low": "low_stock", "critical": "critical_stock", "out": "out_of_stock"}
assert {f"{field}_threshold" for field in NAMES.values()} == set(THRESHOLDS)


def _alerts_in_a_chain(
    key: str, rows: list[Row], alerts: list[Row], states: list[Event], held: Held, judgement: Judgement
) -> None:
    """Each alert goes on where the one before was, is true by its own thresholds, and the last is how the item is."""
    by_version = {row["version"]: row["available"] for row in rows}
    emitted = "ok"
    for each in alerts:
        where = f"{key}: the alert of revision {each['revision']}"
        if each["previous_level"] != emitted:
            kind = judgement.doubled if each["level"] == emitted else judgement.lost
            kind.append(f"{where} comes from {each['previous_level']}, the one before it told {emitted}")
        emitted = each["level"]
        if each["level"] == each["previous_level"]:
            judgement.doubled.append(f"{where} changes nothing")
        if by_version.get(each["version"]) != each["available"]:
            judgement.wrong.append(f"{where} has {each['available']} available at version {each['version']}")
        if not held.loose and each["level"] != (_by(each["thresholds"], each["available"]) if held.tracked else "ok"):
            judgement.wrong.append(f"{where} is {each['level']} at {each['available']}, by {each['thresholds']}")
    if held.policy.is_active(held.item) and not held.loose and states and states[-1].value["level"] != emitted:
        judgement.lost.append(f"{key} is {states[-1].value['level']} in the end, and the last alert told {emitted}")


def _by(thresholds: dict[str, int], available: int) -> str:
    return next((level for level in ("out", "critical", "low") if available <= thresholds[level]), "ok")
