"""What people set for the sites of a workload. Law: data, told alike to the product, to a model and to the oracle.

Of three sites the first has nothing set and one location; the second has locations, rules and settings that stay; the
third has the same, and rules that change while commands flow. How far below zero an item may be promised never changes
meanwhile, since it is judged row by row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from tests.models.levels import Policy, Scope
from tests.models.words import Item

NAMESPACE: Final = UUID("00000000-0000-4000-8000-00000000feed")
NOWHERE: Final = str(uuid5(NAMESPACE, "a location that nobody has"))
PLAIN, STEADY, MOVING = 0, 1, 2
"""The kinds of sites, by their number modulo three."""


class Step(NamedTuple):
    """One thing that somebody sets: `what` is settings, rule (of `scope`) or location (of the id in `scope`)."""

    site: str
    what: str
    scope: Scope
    fields: dict[str, Any]


def default_of(site: str) -> str:
    """The id of a site's default location (contract section 1)."""
    return str(uuid5(UUID(site), "default"))


def place_of(site: str, name: str) -> str:
    """The id of a location of a site: east, west, or closed."""
    return str(uuid5(NAMESPACE, f"{site} {name}"))


def rules_at_first(site: str, products: Sequence[str]) -> Iterator[Step]:
    """What is set before anything moves."""
    money = {"currency": "EUR", "timezone": "Europe/Berlin", "low_stock_threshold": 12}
    yield Step(site, "settings", (), money)
    yield Step(site, "rule", ("site",), {"backorder_limit": 3})
    many = {"low_stock_threshold": 40, "critical_stock_threshold": 20, "out_of_stock_threshold": 5}
    yield Step(site, "rule", ("product", products[1]), {**many, "backorder_limit": -2})
    yield Step(site, "rule", ("product", products[2]), {"is_active": False})


def places_at_first(site: str) -> Iterator[Step]:
    """What is set once the first stock has opened the locations: which sell first, and which is out of use."""
    for priority, name in enumerate(("east", "west"), 1):
        yield Step(site, "location", (place_of(site, name),), {"fulfillment_priority": priority})
    yield Step(site, "location", (place_of(site, "closed"),), {"fulfillment_priority": 9, "is_active": False})


def changes(site: str, products: Sequence[str], random: Random) -> Iterator[Step]:
    """What is changed meanwhile, without end."""
    fields = ("low_stock_threshold", "critical_stock_threshold", "out_of_stock_threshold", "is_active")
    while True:
        scope = random.choice((("site",), ("product", random.choice(products[:6]))))
        name = random.choice(fields)
        values = (None, True, False) if name == "is_active" else (None, 1, 4, 15, 60, 480)
        yield Step(site, "rule", scope, {name: random.choice(values)})


@dataclass(slots=True)
class Steering:
    """All that was set: before the commands, and meanwhile. `loose` are the items whose tracking or status changes."""

    first: list[Step] = field(default_factory=list)
    meanwhile: list[Step] = field(default_factory=list)
    untracked: set[tuple[str, Item]] = field(default_factory=set)
    archived: set[tuple[str, Item]] = field(default_factory=set)
    loose: set[tuple[str, Item]] = field(default_factory=set)

    def policies(self) -> dict[str, Policy]:
        """What holds in the end, by site."""
        policies: dict[str, Policy] = {}
        for step in (*self.first, *self.meanwhile):
            policy = policies.setdefault(step.site, Policy())
            if step.what == "settings":
                policy.settings.update(step.fields)
            elif step.what == "rule":
                policy.rules.setdefault(step.scope, {}).update(step.fields)
        return policies

    @property
    def moving(self) -> set[str]:
        """The sites whose rules changed while commands flowed."""
        return {step.site for step in self.meanwhile}
