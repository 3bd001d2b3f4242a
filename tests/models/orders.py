"""An order line as its totals, and what moves when one of them changes (contract rule 5). Law: totals say it all.

A line is {name, item, mode, tracked, location, P, C, F, R, E} and three piles of its units: `held` are reserved for it,
`gone` were sold and have not come back, `back` were given back, each as (location, quantity) in the order in which they
came to be so. The piles say where, never how many.
"""

from datetime import datetime
from typing import Any, NamedTuple

from tests.models.trial import Line, Trial, item_of

Pile = list[tuple[str, int]]


class Order:
    """An order; a stub until a placement of it was accepted, superseded or came too late."""

    def __init__(self) -> None:
        self.placed = False
        self.whole = False
        self.mode = "sale"
        self.expires_at: datetime | None = None
        self.lines: dict[str, Line] = {}
        self.parked: list[tuple[str, dict[str, Any]]] = []


class Parts(NamedTuple):
    """What has become of the units of a line; with `reserved` they are all that were placed."""

    sold: int
    cancelled: int
    reserved: int
    expired: int


def new_line(name: str, asked: Line, *, mode: str, tracked: bool, expired: bool = False) -> Line:
    """An order line just placed, of which nothing moved yet."""
    totals = {"P": asked["quantity"], "C": 0, "F": 0, "R": 0, "E": expired and mode == "reserve"}
    piles: dict[str, list[Any]] = {"held": [], "gone": [], "back": []}
    location = asked.get("location_id")
    return {
        "name": name,
        "item": item_of(asked),
        "mode": mode,
        "tracked": tracked,
        "location": location,
        **totals,
        **piles,
    }


def out_of(line: Line) -> int:
    """What left the building: what came back must have left."""
    return int(max(line["F"], line["R"]))


def parts_of(line: Line, *, whole: bool) -> Parts:
    """Rule 5's formulas; `whole` is W."""
    out = out_of(line)
    cancelled = min(line["P"] if whole else line["C"], line["P"] - out)
    rest = line["P"] - out - cancelled
    if line["mode"] == "sale":
        return Parts(line["P"] - cancelled, cancelled, 0, 0)
    return Parts(out, cancelled, 0, rest) if line["E"] else Parts(out, cancelled, rest, 0)


def cancelled(line: Line, *, whole: bool) -> int:
    """How much of a line is cancelled."""
    return parts_of(line, whole=whole).cancelled


def left(line: Line, *, whole: bool) -> int:
    """What can still be cancelled, what has expired included."""
    return int(line["P"] - out_of(line) - cancelled(line, whole=whole))


# ---------------------------------------------------------------- what a step moves


def take(trial: Trial, line: Line, parts: Pile) -> None:
    """Book units of a line just placed, taken from one location after the other."""
    kind, pile = ("reserved", "held") if line["mode"] == "reserve" else ("sale", "gone")
    for place, part in by_place(parts):
        trial.move(line["item"], place, kind, -part, line["name"])
    for place, part in parts:
        line[pile].append((place, part))


def step(trial: Trial, line: Line, before: Parts, after: Parts, named: str | None = None) -> None:
    """Book the way from one state of a line to the next; `named` is the location that goods left from.

    Units that leave are those still reserved as far as there are any; the others are no longer held by anyone.
    """
    if not line["tracked"]:
        return
    trial.changed = True
    released, sold = before.reserved - after.reserved, after.sold - before.sold
    shipped = min(released, max(sold, 0))
    ship(trial, line, shipped, named if trial.book.active(named) else None)
    sell_again(trial, line, max(sold, 0) - shipped, named if trial.book.active(named) else None)
    for place, part in by_place(take_last(line["held"], released - shipped)):
        trial.move(line["item"], place, "unreserved", part, line["name"])
        give_back(line, place, part)
    for place, part in by_place(home(trial, take_last(line["gone"], max(-sold, 0)))):
        trial.move(line["item"], place, "sale", part, line["name"])
        give_back(line, place, part)


def ship(trial: Trial, line: Line, quantity: int, named: str | None) -> None:
    """Sell reserved units: those at the named location first, then the oldest, each sold where it is said to be."""
    here = [part for part in line["held"] if part[0] == named]
    elsewhere = [part for part in line["held"] if part[0] != named]
    parts = by_place(take_first(here, quantity))
    parts += by_place(take_first(elsewhere, quantity - sum(part for _, part in parts)))
    drop(line["held"], parts)
    for place, part in parts:
        trial.move(line["item"], place, "unreserved", part, line["name"])
        sell(trial, line, named or place, part)


def sell_again(trial: Trial, line: Line, quantity: int, named: str | None) -> None:
    """Sell units that nobody held any more: where the sender says, else where they were given back, and so on."""
    if named is not None:
        parts = [(named, quantity)]
        found = given_back(line, quantity, [named])
    else:
        parts = given_back(line, quantity, [place for place in trial.book.places if trial.book.active(place)])
        found = list(parts)
        own = line["location"]
        rest = quantity - sum(part for _, part in parts)
        parts.append((own if trial.book.active(own) else trial.book.default, rest))
    given_back(line, quantity - sum(part for _, part in found), list(trial.book.places))
    for place, part in by_place(parts):
        sell(trial, line, place, part)


def sell(trial: Trial, line: Line, place: str, quantity: int) -> None:
    """Book units that left one location."""
    if quantity:
        trial.move(line["item"], place, "sale", -quantity, line["name"])
        line["gone"].append((place, quantity))


def come_back(trial: Trial, line: Line, asked: Line) -> None:
    """Book goods of a known order that came back: where they are now, else where they were sold, last in first out."""
    quantity, named = asked["quantity"], asked.get("location_id")
    parts = take_last(line["gone"], quantity)
    parts.append((trial.book.default, quantity - sum(part for _, part in parts)))
    if named is not None:
        parts = [(trial.book.inflow_to(named), quantity)]
    for place, part in by_place(home(trial, parts)):
        arrive(trial, line, asked, place, part)


def arrive(trial: Trial, line: Line, asked: Line, place: str, quantity: int) -> None:
    """Book goods that came back to one location; damaged ones leave at once, whatever stock there is: a fact."""
    trial.move(line["item"], place, "return", quantity, line["name"])
    if asked.get("condition") == "damaged":
        trial.move(line["item"], place, "damage", -quantity, line["name"])


# ---------------------------------------------------------------- piles


def give_back(line: Line, place: str, quantity: int) -> None:
    """Note that units of the line are at a location and held by nobody."""
    line["back"].append((place, quantity))


def given_back(line: Line, quantity: int, places: list[str]) -> Pile:
    """Take from the units that were given back at these locations, the last first."""
    there = [part for part in line["back"] if part[0] in places]
    rest = [part for part in line["back"] if part[0] not in places]
    taken = take_last(there, quantity)
    line["back"] = there + rest
    return taken


def home(trial: Trial, parts: Pile) -> Pile:
    """Where units go back to: where they were, or the default for a location that is not in use."""
    return [(place if trial.book.active(place) else trial.book.default, part) for place, part in parts]


def take_last(pile: Pile, quantity: int) -> Pile:
    """Take units from the end of a pile, as far as there are any."""
    taken: Pile = []
    while quantity and pile:
        place, part = pile.pop()
        taken.append((place, min(part, quantity)))
        if part > quantity:
            pile.append((place, part - quantity))
        quantity -= min(part, quantity)
    return taken


def take_first(pile: Pile, quantity: int) -> Pile:
    """Take units from the beginning of a pile, as far as there are any."""
    pile.reverse()
    taken = take_last(pile, quantity)
    pile.reverse()
    return taken


def drop(pile: Pile, parts: Pile) -> None:
    """Take away so many units of each location, those that came there first."""
    for place, quantity in parts:
        rest = quantity
        for index, (where, part) in enumerate(pile):
            gone = min(part, rest) if where == place else 0
            pile[index] = where, part - gone
            rest -= gone
    pile[:] = [part for part in pile if part[1]]


def by_place(parts: Pile) -> Pile:
    """One part for each location, in the order of their first."""
    sums: dict[str, int] = {}
    for place, quantity in parts:
        sums[place] = sums.get(place, 0) + quantity
    return [(place, quantity) for place, quantity in sums.items() if quantity]
