"""The product's pure core, driven by the JSON-like commands that the models know. Law: nothing here decides anything.

Only the worlds are prepared (rows that a database would have loaded) and the outcomes are told in the models' words.
"""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID, uuid5

from stock_worker.core import decide as deciding
from stock_worker.core.booking import RESERVED, UNRESERVED
from stock_worker.core.catalog import change_product
from stock_worker.core.counts import REFERENCE_TYPE
from stock_worker.core.events import alert_level_changed
from stock_worker.core.keys import blind_items_of
from stock_worker.core.levels import evaluate
from stock_worker.core.model import (
    CatalogEntry,
    Command,
    CommandKind,
    ItemKey,
    Line,
    Mode,
    Movement,
    MovementType,
    OrderKey,
    Outcome,
    OutcomeKind,
    ProductChanged,
    Record,
    Reference,
    Source,
)
from stock_worker.core.policy import ItemPolicy, Rule, Settings, resolve
from stock_worker.core.state import (
    AlertChange,
    Allocation,
    Changes,
    Item,
    Location,
    Order,
    OrderLine,
    Place,
    Site,
    World,
)
from tests.models import words
from tests.models.brute_force import NOON
from tests.models.levels import Scope
from tests.models.meaning import canonical_type, instant, meaning_of, reference_of
from tests.models.words import Alert, Expected, Failed, Moved

SITE: Final = "00000000-0000-4000-8000-000000000001"
DEFAULT: Final = str(uuid5(UUID(SITE), "default"))
WINDOW: Final = timedelta(days=30)
KINDS: Final = {
    "order-placed": CommandKind.PLACE,
    "order-cancelled": CommandKind.CANCEL,
    "order-fulfilled": CommandKind.FULFIL,
    "return-received": CommandKind.RETURN,
    "restock": CommandKind.RESTOCK,
    "stock-adjustment": CommandKind.ADJUST,
    "stock-count": CommandKind.COUNT,
    "stock-transfer": CommandKind.TRANSFER,
}
RECORD: Final = Record("test", 0, 0, 0, None, b"{}", ())


class Told(NamedTuple):
    """What became of one command, in the product's words and in the models'."""

    reference: words.Reference | None
    outcome: Outcome | None
    expected: Expected


class Product:
    """A world with the rules, settings and past movements that a database would have kept beside it.

    Commands are decided in one batch until `commit` begins another.
    """

    def __init__(self) -> None:
        self.world = new_world()
        self.rules: dict[Scope, Rule] = {}
        self.past: list[Movement] = []

    # ------------------------------------------------------------ commands

    def apply(self, topic: str, value: dict[str, Any], now: datetime) -> list[Told]:
        """Decide a command; tell it, and then what it set free."""
        world = self._at(now)
        if topic == "product-changed":
            return [self._announce(value)]
        command = command_of(topic, value)
        self._load(command)
        outcome = deciding.decide(world, command)
        return [self._told(command, outcome), *(self._told(each, after) for each, after in outcome.released)]

    def expire(self, order_id: str, now: datetime) -> Told:
        """Let an order expire if it is due, as the sweeper does that finds it by `due_at`."""
        world = self._at(now)
        command = expiry_in(world, order_id)
        outcome = None if command is None else deciding.expire(world, command)
        if command is None or outcome is None:
            return Told(None, None, Expected("not_due"))
        decided = world.changes.decided[-1].command
        assert decided.reference in world.references
        return self._told(decided, outcome)

    def end_parked(self, reference: words.Reference, now: datetime) -> Told:
        """End a parked command as the sweeper does."""
        world = self._at(now)
        (command,) = (
            each for order in world.orders.values() for each in order.parked if each.reference[1:] == reference
        )
        self._load(command)
        return self._told(command, deciding.end_parked(world, command))

    def commit(self) -> set[words.Item]:
        """End the batch; return the items whose state it published."""
        told = {item.key[1:] for item in self.world.changes.items.values()}
        self.past += self.world.changes.movements
        self.world.changes, self.world.windows = Changes(), {}
        return told

    # ------------------------------------------------------------ what people set

    def set_rule(self, scope: Scope, changed: dict[str, Any]) -> None:
        """Change a rule; commands see it from now on."""
        self.rules[scope] = self.rules.get(scope, Rule())._replace(**changed)
        self._resolve(self.world.items.values())

    def set_settings(self, changed: dict[str, Any]) -> None:
        """Change settings; None is the default."""
        site, default = self.world.sites[SITE], Settings()._asdict()
        changed = {name: default[name] if value is None else value for name, value in changed.items()}
        if "mode" in changed:
            changed["mode"] = Mode(changed["mode"])
        site.settings = site.settings._replace(**changed)
        self._resolve(self.world.items.values())

    def reevaluate(self, now: datetime) -> Expected:
        """Evaluate all levels again, in a batch of its own."""
        world = self._at(now)
        for item in world.items.values():
            evaluate(world, item, None)
        return Expected("applied", alerts=self._alerts(world.changes.alerts), told=tuple(self.commit()))

    def set_location(self, name: str, *, priority: int, active: bool) -> None:
        """Create or change a location."""
        site = self.world.sites[SITE]
        code = site.locations[name].code if name in site.locations else name
        site.locations[name] = Location(name, code, priority, active)
        site.route()

    def set_default(self, name: str) -> None:
        """Make another location the default."""
        self.world.sites[SITE].default_location_id = name

    # ------------------------------------------------------------ what a database would have done

    def _at(self, now: datetime) -> World:
        self.world.recorded_at = now
        return self.world

    def _load(self, command: Command) -> None:
        known = set(self.world.items)
        load(self.world, command)
        self._resolve(item for key, item in self.world.items.items() if key not in known)
        for line in command.lines or ():
            if line.counted_at_version is not None and line.product_id is not None:
                self._look_back(ItemKey(SITE, line.product_id, line.variant_id), line.counted_at_version)

    def _resolve(self, items: Iterable[Item]) -> None:
        for item in items:
            item.policy = self._policy(item.key)

    def _policy(self, key: ItemKey) -> ItemPolicy:
        _, product, variant = key
        of_variant, of_product, of_site = map(
            self.rules.get, (("variant", product, variant), ("product", product), ("site",))
        )
        return resolve(self.world.catalog.get(key), of_variant, of_product, of_site, self.world.sites[SITE].settings)

    def _look_back(self, key: ItemKey, version: int) -> None:
        """Prepare what moved after a version and before this batch, counts aside."""
        item_id = self.world.items[key].item_id
        for row in self.past:
            at = item_id, row.location_id, version
            self.world.windows[at] = sum(
                each.quantity
                for each in self.past
                if each.item == key
                and each.location_id == row.location_id
                and each.version > version
                and each.type not in (RESERVED, UNRESERVED)
                and each.command.reference.type != REFERENCE_TYPE
            )

    def _announce(self, value: dict[str, Any]) -> Told:
        world, key = self.world, ItemKey(SITE, value["product_id"], value.get("variant_id"))
        if key not in world.items:
            world.items[key] = Item(key, len(world.items) + 1)
            self._resolve([world.items[key]])
        alerts = len(world.changes.alerts)
        outcome = change_product(world, ProductChanged(key, entry_of(value), RECORD))
        assert world.items[key].policy == self._policy(key)
        return Told(None, outcome, Expected(outcome.kind.value, alerts=self._alerts(world.changes.alerts[alerts:])))

    # ------------------------------------------------------------ the product's answers

    def _told(self, command: Command, outcome: Outcome) -> Told:
        alerts = self._alerts(each for each in self.world.changes.alerts if each.command is command)
        tells = outcome.kind in (OutcomeKind.PARTLY_APPLIED, OutcomeKind.REJECTED)
        failed = [
            Failed(position, line.code.text, line.requested, line.shortfall, line.available, line.detail)
            for position, line in enumerate(outcome.rejected)
        ]
        code = outcome.code.text if outcome.code else None
        moved = tuple(map(moved_of, outcome.movements))
        expected = Expected(outcome.kind.value, code, moved, alerts, tuple(failed) if tells else ())
        return Told(command.reference[1:], outcome, expected)

    def _alerts(self, changes: Iterable[AlertChange]) -> tuple[Alert, ...]:
        return tuple(map(self._alert, changes))

    def _alert(self, change: AlertChange) -> Alert:
        rows = [row for row in self.past if row.item == change.item.key and row.recorded_at <= change.at - WINDOW]
        self.world.sold_before[change.item.item_id] = rows[-1].net_sold if rows else 0
        told = alert_level_changed(self.world, change).payload
        days = told["days_until_stockout"]
        return Alert(
            change.item.key[1:],
            told["previous_level"],
            told["level"],
            told["cause"],
            told["rule"]["scope"],
            int(told["alert_id"][24:], 16),  # the stay, by which the id is numbered
            None if days is None else Decimal(str(days)),
        )


def moved_of(row: Movement) -> Moved:
    """A row in the model's words."""
    return Moved(
        row.item[1:],
        row.location_id,
        row.type.value,
        row.quantity,
        row.line_id,
        row.unit_cost,
        row.cost_ignored,
        row.on_hand,
        row.reserved,
        row.average_cost,
        row.costed_quantity,
    )


# ---------------------------------------------------------------- commands


def command_of(topic: str, value: dict[str, Any]) -> Command:
    """The command as decoding would give it; its fingerprint is the models' meaning."""
    kind = CommandKind.AMEND if value.get("amend") else KINDS[topic]
    adjustment = MovementType(canonical_type(value["type"])) if kind is CommandKind.ADJUST else None
    lines, mode = value.get("lines"), value.get("mode")
    return Command(
        kind=kind,
        reference=Reference(SITE, *reference_of(topic, value)),
        order_id=value.get("order_id"),
        lines=None if lines is None else tuple(_line(kind, adjustment, *numbered) for numbered in enumerate(lines, 1)),
        fingerprint=blake2b(meaning_of(topic, value).encode(), digest_size=16).digest(),
        occurred_at=NOON,
        source=Source(topic, 0, 0),
        adjustment=adjustment,
        atomic=value.get("atomic") is not False,
        record=RECORD,
        mode=None if mode is None else Mode(mode),
        expires_at=instant(value.get("expires_at")),
        from_location_id=value.get("from_location_id"),
        to_location_id=value.get("to_location_id"),
    )


def expiry_in(world: World, order_id: str) -> Command | None:
    """The sweeper's command for an order that it finds due; None where it finds none."""
    key = OrderKey(SITE, order_id)
    order = world.orders.get(key)
    if order is None or order.due_at is None or order.due_at > world.recorded_at:
        return None
    reference = deciding.expiry_of(key, order.due_at)
    return Command(
        CommandKind.EXPIRE, reference, order_id, None, b"e", NOON, Source("sweeper"), expires_at=order.due_at
    )


def entry_of(value: dict[str, Any]) -> CatalogEntry | None:
    """The catalog's entry as decoding would give it."""
    if value.get("gone"):
        return None
    tracked = value.get("track_inventory") is not False
    return CatalogEntry(
        *("name", None, "sku", None, None, None, None, None, None),
        track_inventory=tracked,
        archived=value["status"] == "archived",
        revision=value["revision"],
    )


def _line(kind: CommandKind, adjustment: MovementType | None, number: int, line: dict[str, Any]) -> Line:
    quantity, cost = line.get("quantity", line.get("counted")), line.get("unit_cost")
    if quantity is not None and adjustment is not MovementType.ADJUSTMENT:
        quantity = abs(quantity)
    named, allowed = line.get("line_id"), line.get("location_ids")
    return Line(
        named or str(number) if kind is CommandKind.PLACE else named,
        line.get("product_id"),
        line.get("variant_id"),
        line.get("location_id"),
        quantity,
        damaged=line.get("condition") == "damaged",
        unit_cost=None if cost is None else Decimal(cost),
        currency=line.get("currency"),
        expected_version=line.get("expected_version"),
        location_ids=None if allowed is None else tuple(allowed),
        counted_at_version=line.get("counted_at_version"),
    )


# ---------------------------------------------------------------- worlds


def new_world() -> World:
    """An empty site."""
    return World(NOON, sites={SITE: Site(SITE, DEFAULT, {DEFAULT: Location(DEFAULT, "DEFAULT", 0, stored=False)})})


def load(world: World, command: Command) -> None:
    """Add the rows that a database would have made for what a command names."""
    for key in blind_items_of(command):
        world.items.setdefault(key, Item(key, len(world.items) + 1))
    if command.order_id is not None:
        order = OrderKey(SITE, command.order_id)
        world.orders.setdefault(order, Order(order, len(world.orders) + 1))


def item_key(product_id: str, variant_id: str | None = None) -> ItemKey:
    """The key of an item of the site."""
    return ItemKey(SITE, product_id, variant_id)


def copy_of(world: World) -> World:
    """A copy that shares nothing that deciding a command changes, its `changes` empty.

    deepcopy takes fifty times as long. Locations and catalog entries are replaced, never changed.
    """
    new = _copy(world)
    new.sites = {name: _copy(site) for name, site in world.sites.items()}
    for site in new.sites.values():
        site.locations = dict(site.locations)
    new.items = {key: _copy(item) for key, item in world.items.items()}
    for item in new.items.values():
        item.places = {name: _copy(place) for name, place in item.places.items()}
    new.orders = {key: _copy(order) for key, order in world.orders.items()}
    for order in new.orders.values():
        order.parked, order.lines = list(order.parked), {name: _copy(line) for name, line in order.lines.items()}
        for line in order.lines.values():
            line.allocations, line.versions = [_copy(part) for part in line.allocations], list(line.versions)
    new.references, new.parked, new.changes = dict(world.references), dict(world.parked), Changes()
    new.windows, new.catalog, new.sold_before = dict(world.windows), dict(world.catalog), dict(world.sold_before)
    return new


Row = TypeVar("Row", Allocation, Item, Order, OrderLine, Place, Site, World)
_VALUES: Final = {
    kind: attrgetter(*(each.name for each in fields(kind) if each.init))
    for kind in (Allocation, Item, Order, OrderLine, Place, Site, World)
}


def _copy(row: Row) -> Row:
    """A shallow copy, ten times as fast as copy.copy for a class with slots."""
    return type(row)(*_VALUES[type(row)](row))
