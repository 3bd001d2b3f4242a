"""`stock-worker emit`. Law: what the worker would take for malformed is refused here, before a byte is sent.

The key is the order's, or the reference's: what belongs together lies in one partition and stays in order.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stock_worker.cli import terminal

if TYPE_CHECKING:
    from stock_worker.settings import Settings


class Message(NamedTuple):
    """One command to send: where it stood (for its refusal), its bytes, and its key."""

    place: str
    value: bytes
    key: bytes | None


def emit(
    topic: Annotated[str, typer.Argument(help="A command topic, such as order-placed.")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="One JSON command, or one a line; `-` is standard input.")
    ] = "-",
    force: Annotated[
        bool, typer.Option("--force", help="Send what the worker would refuse as malformed, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a record.")] = False,
) -> None:
    """Send commands to a command topic, and print the partition and the offset of each.

    They are checked first as the worker will check them; when one is malformed, none is sent.
    """
    settings = terminal.read_settings()
    from stock_worker.cli import kafka  # noqa: PLC0415 - not for --help
    from stock_worker.core.topics import COMMAND_TOPICS  # noqa: PLC0415 - the same

    (name,) = kafka.known([topic], COMMAND_TOPICS, settings.topic_prefix)
    short = name.removeprefix(settings.topic_prefix)
    messages = _messages(_read(file), file, short)
    if not messages:
        terminal.say("nothing to send")
        return
    if not force and (refused := _refused(messages, name, short)):
        for words in refused:
            terminal.say(words)
        terminal.say(f"nothing was sent: {len(refused)} of {len(messages)} refused; --force sends them all")
        raise typer.Exit(terminal.FINDING)
    asyncio.run(_send(settings, name, messages, as_json=as_json))


def _read(file: str) -> bytes:
    if file == "-":
        if sys.stdin.isatty():
            terminal.say("reading from the terminal; end with Ctrl-D")
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise terminal.Misused(f"{file} cannot be read: {error.strerror}") from None


def _messages(content: bytes, file: str, topic: str) -> list[Message]:
    """Cut the content into commands: it is one JSON document, or one a line."""
    name = "standard input" if file == "-" else file
    try:
        json.loads(content)
    except ValueError:
        lines = [(f"{name}:{number}", line.strip()) for number, line in enumerate(content.splitlines(), 1)]
    else:
        lines = [(name, content.strip())]
    return [Message(place, value, _key(value, topic)) for place, value in lines if value]


def _key(value: bytes, topic: str) -> bytes | None:
    """The order's key, else the reference's, else the item's; none for what has neither."""
    from stock_worker.core.topics import PRODUCT_CHANGED  # noqa: PLC0415 - not for --help

    try:
        document: Any = json.loads(value)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    site = document.get("site_id")
    if topic == PRODUCT_CHANGED:
        names = [site, document.get("product_id"), document.get("variant_id") or ""]
    else:
        names = [site, document.get("order_id") or document.get("reference_id")]
    texts = [part for part in names if isinstance(part, str)]
    return "/".join(texts).encode("utf-8", "replace") if len(texts) == len(names) else None


def _refused(messages: list[Message], name: str, topic: str) -> list[str]:
    """Decode as the worker would, and say where and why not."""
    from stock_worker.core.model import Malformed, Record  # noqa: PLC0415 - not for --help
    from stock_worker.wire.decode import decode  # noqa: PLC0415 - the same

    now_ms = int(time.time() * 1000)
    read = [
        (message, decode(Record(name, 0, number, now_ms, message.key, message.value, ()), topic))
        for number, message in enumerate(messages)
    ]
    return [f"{message.place}: malformed: {found.detail}" for message, found in read if isinstance(found, Malformed)]


async def _send(settings: "Settings", name: str, messages: list[Message], *, as_json: bool) -> None:
    from stock_worker.cli import kafka  # noqa: PLC0415 - not for --help

    await kafka.partitions(settings, [name])
    async with kafka.producer(settings) as sender:
        sent = [await sender.send(name, message.value, message.key) for message in messages]
        for message, acknowledged in zip(messages, sent, strict=True):
            record = await acknowledged
            key = message.key.decode() if message.key else None
            if as_json:
                terminal.give_json({"topic": name, "partition": record.partition, "offset": record.offset, "key": key})
            else:
                terminal.give(f"{name} partition {record.partition} offset {record.offset} key {key or '-'}")
