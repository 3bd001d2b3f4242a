"""What the commands that steer share. Law: what was typed wrongly is said before a server is asked, a refusal after.

Fields are typed as FIELD=VALUE, `null` clears. A refusal ends with exit code 1.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer

from stock_worker.cli import terminal
from stock_worker.cli.database import as_worker

if TYPE_CHECKING:
    import asyncpg

    from stock_worker.store.steering.fields import Field
    from stock_worker.store.steering.refused import Refused

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Site = Annotated[UUID, typer.Argument(metavar="SITE", help="The site's id.")]
Product = Annotated[UUID | None, typer.Option(help="The product's id.")]
Variant = Annotated[UUID | None, typer.Option(help="The variant's id; its product has to be named too.")]
Given = Annotated[
    list[str],
    typer.Argument(metavar="FIELD=VALUE...", help="What to set; `null` clears a field, commas separate a list."),
]


def connected(name: str, work: "Callable[[asyncpg.Connection], Awaitable[T | Refused]]") -> T:
    """Do the work as the worker; what is refused ends the command."""
    from stock_worker.store.steering.refused import Refused  # noqa: PLC0415 - not for --help

    database_url = terminal.read_settings().database_url

    async def run() -> "T | Refused":
        async with as_worker(database_url, name) as connection:
            return await work(connection)

    done = asyncio.run(run())
    if isinstance(done, Refused):
        raise terminal.Unfit(done.message)
    return done


def read_fields(thing: str, fields: "Mapping[str, Field]", given: Sequence[str]) -> dict[str, Any]:
    """Read FIELD=VALUE words. Raises Misused where `thing` does not take one."""
    from stock_worker.store.steering.fields import unfit  # noqa: PLC0415 - not for --help

    read: dict[str, Any] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals:
            raise terminal.Misused(f"{word} is no FIELD=VALUE; fields: {', '.join(fields)}")
        kind = fields[name].kind if name in fields else "text"
        read[name] = None if value == "null" else _READERS[kind](value)
    if refused := unfit(thing, fields, read):
        raise terminal.Misused(refused.message)
    return read


def show(data: Mapping[str, Any], *, as_json: bool) -> None:
    """Give one thing, a line a field."""
    if as_json:
        terminal.give_json(data)
    else:
        terminal.give_table(("field", "value"), [(name, shown(value)) for name, value in data.items()])


def shown(value: object) -> str:
    """Spell a value as it would be typed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else terminal.spelled(value)


def _integer(text: str) -> int | str:
    """Read an integer; what is none is left for its field to refuse."""
    try:
        return int(text)
    except ValueError:
        return text


_READERS: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "boolean": lambda text: {"true": True, "false": False}.get(text, text),
    "text": str,
    "texts": lambda text: [part.strip() for part in text.split(",") if part.strip()],
}
