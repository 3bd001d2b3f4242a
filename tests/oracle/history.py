"""A good history without a product: the model decides, and its answers are told as contract sections 2 and 6 say.

For tests of the oracle: it must find this without fault, and find each fault that is then planted in it.
"""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid5

from tests.models.levels import level_of
from tests.models.meaning import reference_of
from tests.models.stock_model import StockModel
from tests.models.words import Expected, Item, Reference
from tests.oracle.records import Headers, Seen, Sent

PARTITIONS: Final = 3
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES: Final = UUID("00000000-0000-4000-8000-0000000000ff")
BATCH: Final = 20


class Shop:
    """The topics of a run: `sent` with the positions that a broker would have given, `seen` as it comes out."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.seen: list[Seen] = []
        self.models: dict[str, StockModel] = defaultdict(StockModel)
        self.counters: dict[tuple[str, Item], dict[str, Any]] = {}
        self.parked: dict[tuple[str, Reference], Sent] = {}
        self._dirty: dict[tuple[str, Item], None] = {}
        self._offsets: Counter[tuple[str, int]] = Counter()
        self._ids = count()

    def run(self, records: Sequence[Sent]) -> None:
        """Send and decide records, in batches; then end what is still parked in the first half of them."""
        for start in range(0, len(records), BATCH):
            for record in records[start : start + BATCH]:
                self._decide(self._send(record))
            self._tell_levels()
        for site, reference in list(self.parked)[::2]:
            record = self.parked.pop((site, reference))
            self._tell(site, record, reference, self.models[site].end_parked(reference, NOON))
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
        value = json.loads(record.value)
        site, reference = value["site_id"].lower(), reference_of(record.topic, value)
        expected = self.models[site].apply(record.topic, value, NOON)
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
        rows = self._rows(site, order, reference, expected)
        for alert in expected.alerts:
            state = self.counters[site, alert.item]
            told = {"previous_level": alert.previous, "level": alert.level, "revision": state["revision"] + 1}
            numbers = {name: state[name] for name in ("available", "on_hand", "reserved", "version")}
            self._publish(
                "alert-level-changed", item_key(site, alert.item), {**of(site, alert.item), **told, **numbers}
            )
        if expected.outcome != "rejected":
            lines = [{name: row[name] for name in LINE} for row in rows]
            told = {"outcome": expected.outcome, "lines": lines}
            self._publish_outcome("adjustment-applied", site, reference, order, told)
        if expected.failed or expected.outcome == "rejected":
            self._tell_rejected(site, record, reference, expected)
        if expected.code == "order_never_placed":
            self._bury(record, "order_never_placed")

    def _rows(self, site: str, order: str | None, reference: Reference, expected: Expected) -> list[dict[str, Any]]:
        rows = []
        model = self.models[site]
        placed = order is not None and model.orders[order].placed
        for moved in expected.moved:
            state = self.counters.setdefault(
                (site, moved.item), {"on_hand": 0, "reserved": 0, "available": 0, "version": 0, "revision": 0}
            )
            before = state["available"]
            state["on_hand"] += moved.quantity
            state["available"] += moved.quantity
            state["version"] += 1
            place = str(uuid5(UUID(site), "default"))
            rows.append(
                {
                    **of(site, moved.item),
                    **{name: state[name] for name in ("on_hand", "reserved", "available", "version")},
                    "movement_id": str(uuid5(NAMES, str(next(self._ids)))),
                    "location_id": place,
                    "location_on_hand": state["on_hand"],
                    "location_reserved": 0,
                    "type": moved.type,
                    "quantity": moved.quantity,
                    "previous_stock": before,
                    "new_stock": state["available"],
                    "last_of_command": False,
                    "reference_type": reference[0],
                    "reference_id": reference[1],
                    "order_id": order if placed else None,
                    "line_id": moved.line_id,
                    "recorded_at": (NOON + timedelta(seconds=len(self.seen))).isoformat(),
                }
            )
            self._dirty[site, moved.item] = None
        for row in {(row["product_id"], row["variant_id"]): row for row in rows}.values():
            row["last_of_command"] = True
        for row in rows:
            self._publish("stock-changed", row_key(row), row)
        return rows

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
            state = self.counters[site, item]
            state["revision"] += 1
            place = {name: state[name] for name in ("on_hand", "reserved", "available")}
            told = {**state, "sellable": max(state["available"], 0), "level": level_of(state["available"])}
            self._publish("stock-level", item_key(site, item), {**of(site, item), **told, "locations": [place]})
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


def of(site: str, item: Item) -> dict[str, str | None]:
    """The fields that every item event carries."""
    return {"site_id": site, "product_id": item[0], "variant_id": item[1]}


def item_key(site: str, item: Item) -> str:
    """The Kafka key of an item."""
    return f"{site}/{item[0]}/{item[1] or ''}"


def row_key(row: dict[str, Any]) -> str:
    """The Kafka key of a row."""
    return f"{row['site_id']}/{row['product_id']}/{row['variant_id'] or ''}"
