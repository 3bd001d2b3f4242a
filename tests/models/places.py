"""Where stock is, and from where it is sold (contract rules 4, 7, 8). Law: an item's counters are its places' sums.

A book is one state of all counters; a command is tried on a copy of it.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from tests.models.costs import Value
from tests.models.words import Item, Refused, Spot


class Place(NamedTuple):
    """A location; stock is sold from those of low priority first."""

    code: str
    priority: int
    active: bool = True


class Book:
    """The counters of every item at every location, the locations, and what the units cost."""

    def __init__(self, default: str) -> None:
        self.default = default
        self.places: dict[str, Place] = {default: Place("DEFAULT", 0)}
        self.on_hand: dict[Spot, int] = {}
        self.reserved: dict[Spot, int] = {}
        self.held: dict[Spot, int] = {}
        self.value: dict[Item, Value] = {}

    def copy(self) -> "Book":
        """A book that shares nothing that changes; every value in it is immutable."""
        new = Book(self.default)
        new.places = dict(self.places)
        new.on_hand, new.reserved, new.held = dict(self.on_hand), dict(self.reserved), dict(self.held)
        new.value = dict(self.value)
        return new

    # ------------------------------------------------------------ counters

    def all_on_hand(self, item: Item) -> int:
        """What there is of an item, over all locations."""
        return sum(self.on_hand.get((item, place), 0) for place in self.places)

    def all_reserved(self, item: Item) -> int:
        """What is reserved of an item, by orders and by people, over all locations."""
        return sum(self.reserved.get((item, place), 0) for place in self.places)

    def available(self, item: Item) -> int:
        """What can still be sold of an item."""
        return self.all_on_hand(item) - self.all_reserved(item)

    def available_at(self, item: Item, place: str) -> int:
        """What can still be sold of an item at one location."""
        return self.on_hand.get((item, place), 0) - self.reserved.get((item, place), 0)

    # ------------------------------------------------------------ locations

    def active(self, place: str | None) -> bool:
        """Whether the site has this location, in use."""
        return place in self.places and self.places[place].active

    def routing(self) -> list[str]:
        """The active locations, the first to sell from first."""
        active = [(place.priority, place.code, name) for name, place in self.places.items() if place.active]
        return [name for _, _, name in sorted(active)]

    def last_priority(self) -> int:
        """The priority of a location that comes after all others."""
        return 1 + max(place.priority for place in self.places.values())

    def inflow_to(self, place: str | None) -> str:
        """Where goods arrive: the named location, opened where it is not in use, else the default."""
        if place is None:
            return self.default
        if not self.active(place):
            code = self.places[place].code if place in self.places else place
            self.places[place] = Place(code, self.last_priority())
        return place

    def outflow_from(self, place: str | None) -> str:
        """Where goods leave: the named location, which must be in use, else the default."""
        if place is None:
            return self.default
        if place not in self.places:
            raise Refused("unknown_location")
        if not self.places[place].active:
            raise Refused("inactive_location")
        return place

    def empty(self, place: str) -> bool:
        """Whether a location holds nothing and owes nothing."""
        return not any(
            count for counts in (self.on_hand, self.reserved) for (_, where), count in counts.items() if where == place
        )

    # ------------------------------------------------------------ promises

    def room(self, item: Item, place: str, limit: int) -> int:
        """How much of an item can be promised at one location: both the item and the location bound it."""
        return max(min(self.available(item) + limit, self.available_at(item, place) + max(limit, 0)), 0)

    def limited(self, allowed: Collection[str] | None) -> list[str]:
        """The locations that a line may be routed to, the first to sell from first; None allows all."""
        if any(place not in self.places for place in allowed or ()):
            raise Refused("unknown_location")
        return [place for place in self.routing() if allowed is None or place in allowed]

    def room_in(self, item: Item, places: list[str], limit: int) -> int:
        """How much of an item these locations can promise together, with the default's backorder if it is one."""
        could = sum(max(self.available_at(item, place), 0) for place in places)
        if self.default in places:
            could += max(min(self.available_at(item, self.default), 0) + max(limit, 0), 0)
        return max(min(could, self.available(item) + limit), 0)

    def route(self, item: Item, quantity: int, places: list[str]) -> Iterator[tuple[str, int]]:
        """Say which location promises how much, in the order taken; what none has is the default's backorder."""
        has = {place: max(self.available_at(item, place), 0) for place in places}
        whole = [place for place in places if has[place] >= quantity]
        if whole:
            yield whole[0], quantity
            return
        for place in places:
            part = min(has[place], quantity)
            if part:
                yield place, part
            quantity -= part
        if quantity:
            yield self.default, quantity
