"""`stock-worker tail`. Law: what is shown was committed, in each partition's order; reading changes nothing.

A line a record for a person; with --json the record whole. Filters look into the value, and for dead letters too.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from stock_worker.cli import terminal

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord

    from stock_worker.settings import Settings

_SHOWN_MAX: Final = 160


class Wanted(NamedTuple):
    """What a record has to be of; None means any."""

    site: str | None
    product: str | None
    order: str | None

    def takes(self, value: object) -> bool:
        """Whether a decoded value is wanted."""
        if self == (None, None, None):
            return True
        if not isinstance(value, dict):
            return False
        lines = value.get("lines")
        products = {value.get("product_id"), *(line.get("product_id") for line in _objects(lines))}
        return (
            self.site in {None, value.get("site_id")}
            and (self.product is None or self.product in products)
            and self.order in {None, value.get("order_id")}
        )


def tail(
    topics: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC]...", help="Any topics of the service; all event topics if none."),
    ] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start with the oldest record.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many records.")] = None,
    site: Annotated[str | None, typer.Option(help="Only this site.")] = None,
    product: Annotated[str | None, typer.Option(help="Only this product.")] = None,
    order: Annotated[str | None, typer.Option(help="Only this order.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each record as one JSON object.")] = False,
) -> None:
    """Follow events (or commands, or dead letters) from now on, until Ctrl-C."""
    settings = terminal.read_settings()
    from stock_worker.cli import kafka  # noqa: PLC0415 - not for --help
    from stock_worker.core.topics import EVENT_TOPICS  # noqa: PLC0415 - the same

    names = kafka.known(topics or EVENT_TOPICS, kafka.TOPICS, settings.topic_prefix)
    wanted = Wanted(site.lower() if site else None, product.lower() if product else None, order)
    with suppress(KeyboardInterrupt):
        asyncio.run(_follow(settings, names, wanted, _shown_as_json if as_json else _shown, limit, from_beginning))


async def _follow(
    settings: "Settings",
    names: list[str],
    wanted: Wanted,
    shown: "Callable[[ConsumerRecord, object, str], str]",
    limit: int | None,
    from_beginning: bool,
) -> None:
    """Show records until there were enough, or until Ctrl-C or SIGTERM."""
    async with _reading(settings, names, from_beginning=from_beginning) as reader:
        with suppress(asyncio.CancelledError):
            shown_so_far = 0
            async for record in reader:
                value = _decoded(record.value)
                if not wanted.takes(value):
                    continue
                terminal.give(shown(record, value, record.topic.removeprefix(settings.topic_prefix)))
                shown_so_far += 1
                if shown_so_far == limit:
                    return


@asynccontextmanager
async def _reading(
    settings: "Settings", names: list[str], *, from_beginning: bool
) -> "AsyncIterator[AIOKafkaConsumer]":
    """Open a consumer that stands where the following begins; SIGTERM cancels whoever reads from it."""
    from stock_worker.cli import kafka  # noqa: PLC0415 - not for --help

    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    parts = await kafka.partitions(settings, names)
    async with kafka.consumer(settings) as reader:
        reader.assign(parts)
        if from_beginning:
            await reader.seek_to_beginning(*parts)
        else:
            await reader.seek_to_end(*parts)
        for part in parts:  # asked now, so that "from now on" begins before the next line is said
            await reader.position(part)
        terminal.say(f"following {', '.join(names)}; Ctrl-C ends")
        yield reader


def _shown_as_json(record: "ConsumerRecord", value: object, _topic: str) -> str:
    """The record whole; bytes that are not JSON are given as text."""
    return json.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": _time(record.timestamp),
            "key": _text(record.key),
            "headers": {name: _text(header) for name, header in record.headers},
            "value": value if value is not None else _text(record.value),
        },
        ensure_ascii=False,
    )


def _shown(record: "ConsumerRecord", value: object, topic: str) -> str:
    """One line for a person."""
    say = next((say for name, say in _SAYINGS.items() if topic == name), None)
    if topic.endswith("-dlt"):
        headers = {name: _text(header) for name, header in record.headers}
        words = f"{headers.get('dlt-reason')}: {headers.get('dlt-detail')}  {_short(_text(record.value))}"
    elif say and isinstance(value, dict):
        words = say(value)
    else:
        words = _short(_text(record.value))
    # Control characters of somebody's text would move the cursor of whoever watches.
    line = f"{_time(record.timestamp)[11:23]} {topic:19} {words}"
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in line)


def _stock_changed(value: Mapping[str, Any]) -> str:
    return (
        f"{_item(value)} v{value['version']} {value['type']} {value['quantity']:+d}: "
        f"available {value['previous_stock']} → {value['new_stock']}  {value['reference_type']} {value['reference_id']}"
    )


def _stock_level(value: Mapping[str, Any]) -> str:
    return (
        f"{_item(value)} v{value['version']} on_hand {value['on_hand']} reserved {value['reserved']} "
        f"available {value['available']} ({value['level']})"
    )


def _alert(value: Mapping[str, Any]) -> str:
    return f"{_item(value)} {value['previous_level']} → {value['level']}: available {value['available']}"


def _rejected(value: Mapping[str, Any]) -> str:
    return f"{value['reference_type']} {value['reference_id']}: {value['code']}: {value['message']}"


def _applied(value: Mapping[str, Any]) -> str:
    lines = ", ".join(f"{line['type']} {line['quantity']:+d}" for line in _objects(value["lines"]))
    return _short(f"{value['reference_type']} {value['reference_id']}: {value['outcome']}  {lines}")


_SAYINGS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "stock-changed": _stock_changed,
    "stock-level": _stock_level,
    "alert-level-changed": _alert,
    "adjustment-rejected": _rejected,
    "adjustment-applied": _applied,
}


def _item(value: Mapping[str, Any]) -> str:
    variant = value.get("variant_id")
    return str(value["product_id"])[:8] + (f"/{str(variant)[:8]}" if variant else "")


def _objects(lines: object) -> list[dict[str, Any]]:
    return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []


def _decoded(value: bytes | None) -> object:
    try:
        return json.loads(value) if value is not None else None
    except ValueError:
        return None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _short(text: str | None) -> str:
    words = text or ""
    return words if len(words) <= _SHOWN_MAX else words[: _SHOWN_MAX - 1] + "…"


def _time(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
