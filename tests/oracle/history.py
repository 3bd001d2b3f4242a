"""A good history without a product: the model decides, and its answers are told as contract sections 2 and 6 say.

For tests of the oracle: it must find this without fault, and find each fault that is then planted in it.
"""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from itertools import count, islice
from typing import Any, Final
from uuid import UUID, uuid5

from tests.models.meaning import reference_of
from tests.models.stock_model import StockModel
from tests.models.trial import HOLDING
from tests.models.words import Expected, Item, Moved, Reference
from tests.oracle.generator import FIRST, generate
from tests.oracle.items import NAMES as THRESHOLDS
from tests.oracle.records import Headers, Seen, Sent
from tests.oracle.shop import Mix, before_stock, steering_of
from tests.oracle.steering import Step, default_of

PARTITIONS: Final = 3
NAMES: Final = UUID("00000000-0000-4000-8000-0000000000ff")
BATCH: Final = 20
STATE: Final = {"on_hand": 0, "reserved": 0, "available": 0, "version": 0, "revision": 0}


class Shop:
    """The topics of a run: `sent` with the positions that a broker would have given, `seen` as it comes out."""

    def __init__(self, seed: int, mix: Mix) -> None:
        self.sent: list[Sent] = []
        self.seen: list[Seen] = []
        self.steering = steering_of(seed, mix)
        self.models: dict[str, StockModel] = {}
        self.counters: dict[tuple[str, Item], dict[str, Any]] = {}
        self.places: dict[tuple[str, Item], dict[str, list[int]]] = defaultdict(dict)
        self.parked: dict[tuple[str, Reference], Sent] = {}
        self._mix, self._records, self.now = mix, generate(seed, mix), mix.begins
        self._dirty: dict[tuple[str, Item], None] = {}
        self._offsets: Counter[tuple[str, int]] = Counter()
        self._ids = count()

    def run(self) -> None:
        """Send and decide all records, in batches, with what time and people bring between them.

        Afterwards what is still parked in the first half of them is ended.
        """
        first = [record for record in self._records if FIRST in (record.value or b"")]
        self._steer(before_stock(self.steering.first))
        self._batch(first)
        self._steer(step for step in self.steering.first if step.what == "location")
        rest, changes = self._records[len(first) :], iter(self.steering.meanwhile)
        done: list[Step] = []
        for start in range(0, len(rest), BATCH):
            self.now = self._mix.begins + timedelta(seconds=self._mix.lasts_s * start / len(rest))
            self._batch(rest[start : start + BATCH])
            done += (steps := list(islice(changes, 1)))
            self._steer(steps)
            self._let_expire()
        self.steering.meanwhile = done
        self.now += timedelta(days=1)
        for site, reference in list(self.parked)[::2]:
            record = self.parked.pop((site, reference))
            self._tell(site, record, reference, self._model(site).end_parked(reference, self.now))
        self._let_expire()

    def _model(self, site: str) -> StockModel:
        if site not in self.models:
            self.models[site] = StockModel(default_of(site))
        return self.models[site]

    def _steer(self, steps: Iterable[Step]) -> None:
        for step in steps:
            model = self._model(step.site)
            if step.what == "settings":
                model.set_settings(step.fields)
            elif step.what == "rule":
                model.set_rule(step.scope, step.fields)
            else:
                fields = {"active": step.fields.get("is_active", True), "priority": step.fields["fulfillment_priority"]}
                assert model.set_location(str(step.scope[0]), **fields)
            self._tell_alerts(step.site, model.reevaluate(self.now))
        self._tell_levels()

    def _let_expire(self) -> None:
        """The reservations whose time has come."""
        for site, model in self.models.items():
            for name in list(model.orders):
                reference = model.expiry_of(name, self.now)
                if reference is not None:
                    self._tell_decided(site, name, reference, model.expire(name, self.now))
        self._tell_levels()

    def _batch(self, records: Iterable[Sent]) -> None:
        for record in records:
            self._decide(self._send(record))
        self._tell_levels()

    def _send(self, record: Sent) -> Sent:
        partition = zlib.crc32(record.key or b"") % PARTITIONS
        sent = record._replace(partition=partition, offset=self._next(record.topic, partition))
        self.sent.append(sent)
        return sent

    def _decide(self, record: Sent) -> None:
        if record.poison:
            self._bury(record, "malformed")
            return
        assert record.value is not None
        value = lowered(json.loads(record.value))
        site, model = value["site_id"], self._model(value["site_id"])
        if record.topic == "product-changed":
            self._tell_alerts(site, model.apply(record.topic, value, self.now))
            return
        reference = reference_of(record.topic, value)
        expected = model.apply(record.topic, value, self.now)
        if expected.outcome == "parked":
            self.parked[site, reference] = record
        elif expected.outcome == "conflict":
            self._bury(record, "reference_conflict")
            self._tell_rejected(site, record, reference, expected)
        elif expected.outcome != "duplicate":
            self._tell(site, record, reference, expected)
        for freed, after in expected.followed:
            self._tell(site, self.parked.pop((site, freed)), freed, after)

    def _tell(self, site: str, record: Sent, reference: Reference, expected: Expected) -> None:
        """One command's rows, alerts and outcome."""
        assert record.value is not None
        order = json.loads(record.value).get("order_id")
        if expected.outcome == "rejected":
            self._tell_rejected(site, record, reference, expected)
        else:
            self._tell_decided(site, order, reference, expected)
            if expected.failed:
                self._tell_rejected(site, record, reference, expected)
        if expected.code == "order_never_placed":
            self._bury(record, "order_never_placed")

    def _tell_decided(self, site: str, order: str | None, reference: Reference, expected: Expected) -> None:
        rows = self._rows(site, order, reference, expected)
        self._tell_alerts(site, expected)
        lines = [{name: row[name] for name in LINE} for row in rows]
        self._publish_outcome(
            "adjustment-applied", site, reference, order, {"outcome": expected.outcome, "lines": lines}
        )

    def _tell_alerts(self, site: str, expected: Expected) -> None:
        """Alerts as they are, and that the states of what was told have to follow."""
        policy = self._model(site).policy
        for alert in expected.alerts:
            state = self.counters[site, alert.item]
            told = {"previous_level": alert.previous, "level": alert.level, "revision": state["revision"] + 1}
            numbers = {name: state[name] for name in ("available", "on_hand", "reserved", "version")}
            numbers["thresholds"] = {
                name: policy.threshold(alert.item, f"{field}_threshold")[0] for name, field in THRESHOLDS.items()
            }
            self._publish(
                "alert-level-changed", item_key(site, alert.item), {**of(site, alert.item), **told, **numbers}
            )
        self._dirty.update(dict.fromkeys((site, item) for item in expected.told if (site, item) in self.counters))

    def _rows(self, site: str, order: str | None, reference: Reference, expected: Expected) -> list[dict[str, Any]]:
        model = self._model(site)
        placed = order is not None and model.orders[order].placed
        rows = [self._row(site, moved) for moved in expected.moved]
        for row in rows:
            row |= {"reference_type": reference[0], "reference_id": reference[1]}
            row |= {"order_id": order if placed else None, "last_of_command": False}
        for row in {(row["product_id"], row["variant_id"]): row for row in rows}.values():
            row["last_of_command"] = True
        for row in rows:
            self._publish("stock-changed", row_key(row), row)
        return rows

    def _row(self, site: str, moved: Moved) -> dict[str, Any]:
        """A row's own fields; they run along with what the item had before it."""
        state = self.counters.setdefault((site, moved.item), dict(STATE))
        place = self.places[site, moved.item].setdefault(moved.location, [0, 0])
        before, holds = state["available"], moved.type in HOLDING
        place[holds] += -moved.quantity if holds else moved.quantity
        state |= {"on_hand": moved.on_hand, "reserved": moved.reserved, "available": before + moved.quantity}
        state["version"] += 1
        return {
            **of(site, moved.item),
            **{name: state[name] for name in ("on_hand", "reserved", "available", "version")},
            "movement_id": str(uuid5(NAMES, str(next(self._ids)))),
            "location_id": moved.location,
            "location_on_hand": place[0],
            "location_reserved": place[1],
            "type": moved.type,
            "quantity": moved.quantity,
            "previous_stock": before,
            "new_stock": state["available"],
            "line_id": moved.line_id,
            "unit_cost": told_money(moved.unit_cost),
            "average_cost": told_money(moved.average_cost),
            "costed_quantity": moved.costed,
            "recorded_at": (self.now + timedelta(microseconds=len(self.seen))).isoformat(),
        }

    def _tell_rejected(self, site: str, record: Sent, reference: Reference, expected: Expected) -> None:
        assert record.value is not None
        value = json.loads(record.value)
        lines = []
        for failed in expected.failed:
            line = value["lines"][failed.position]
            lines.append({**dict.fromkeys(("product_id", "variant_id")), **line, "requested": line.get("quantity")})
        source = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        told = {"code": expected.code, "message": "it could not be met", "lines": lines, "source": source}
        self._publish_outcome("adjustment-rejected", site, reference, value.get("order_id"), told)

    def _tell_levels(self) -> None:
        for site, item in self._dirty:
            state, model = self.counters[site, item], self._model(site)
            state["revision"] += 1
            places = [
                {"location_id": name, "on_hand": there[0], "reserved": there[1], "available": there[0] - there[1]}
                for name, there in self.places[site, item].items()
            ]
            tracked = model.tracked(item)
            sellable = max(state["available"] + model.policy.backorder_limit(item), 0) if tracked else None
            told = {"sellable": sellable, "level": model.mood[item].shown, "track_inventory": tracked}
            self._publish("stock-level", item_key(site, item), {**of(site, item), **state, **told, "locations": places})
        self._dirty.clear()

    def _publish_outcome(
        self, topic: str, site: str, reference: Reference, order: str | None, told: dict[str, Any]
    ) -> None:
        key = f"{site}/{order}" if order is not None else f"{site}/{'/'.join(reference)}"
        named = {"site_id": site, "reference_type": reference[0], "reference_id": reference[1], "order_id": order}
        self._publish(topic, key, {**named, **told})

    def _publish(self, topic: str, key: str, value: dict[str, Any]) -> None:
        headers: Headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", str(uuid5(NAMES, f"event {next(self._ids)}")).encode()),
            ("ce_type", f"stock-worker.{topic}.v1".encode()),
            ("ce_source", b"stock-worker"),
            ("ce_time", b"2026-03-01T12:00:00Z"),
            ("content-type", b"application/json"),
        )
        self._append(topic, key.encode(), json.dumps(value).encode(), headers)

    def _bury(self, record: Sent, reason: str) -> None:
        told = {
            "reason": reason,
            "detail": "see the contract",
            "original-topic": record.topic,
            "original-partition": str(record.partition),
            "original-offset": str(record.offset),
            "original-timestamp": "1",
        }
        headers = (*record.headers, *((f"dlt-{name}", value.encode()) for name, value in told.items()))
        key = record.key
        if record.key is None and record.value is None:
            key, headers = b"", (*headers, ("dlt-null-key", b"true"))
        self._append(f"{record.topic}-dlt", key, record.value, headers)

    def _append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        partition = zlib.crc32(key or b"") % PARTITIONS
        self.seen.append(Seen(topic, partition, self._next(topic, partition), key, value, headers))

    def _next(self, topic: str, partition: int) -> int:
        self._offsets[topic, partition] += 1
        return self._offsets[topic, partition] - 1


LINE: Final = ("line_id", "product_id", "variant_id", "location_id", "type", "quantity")


def lowered(value: dict[str, Any]) -> dict[str, Any]:
    """The value with its site as events spell it; the other ids are drawn that way."""
    return {**value, "site_id": value["site_id"].lower()}


def told_money(amount: Decimal | None) -> str | None:
    """Money as text."""
    return None if amount is None else str(amount)


def of(site: str, item: Item) -> dict[str, str | None]:
    """The fields that every item event carries."""
    return {"site_id": site, "product_id": item[0], "variant_id": item[1]}


def item_key(site: str, item: Item) -> str:
    """The Kafka key of an item."""
    return f"{site}/{item[0]}/{item[1] or ''}"


def row_key(row: dict[str, Any]) -> str:
    """The Kafka key of a row."""
    return f"{row['site_id']}/{row['product_id']}/{row['variant_id'] or ''}"
