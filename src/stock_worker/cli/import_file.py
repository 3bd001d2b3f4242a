"""`stock-worker import`. Law: the whole file is read before a row of it is booked; a mistake is told by its line."""

import asyncio
import io
import re
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from stock_worker.cli import terminal
from stock_worker.cli.database import as_worker

if TYPE_CHECKING:
    from stock_worker.core.model import OutcomeKind
    from stock_worker.imports import Mistake, Told, What

_TOLD_MAX = 100
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,80}")


def import_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A CSV file with a heading; `-` is standard input.")],
    site: Annotated[UUID, typer.Option(help="The site whose stock it is.")],
    name: Annotated[
        str, typer.Option(help="The import's name: the same file under the same name changes nothing again.")
    ],
    count: Annotated[
        bool, typer.Option("--count", help="The rows say what was counted, instead of stock that comes in.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the file, and book nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of the rows as one JSON object.")] = False,
) -> None:
    """Book opening stock, or a count, from a CSV file, beside running workers.

    Columns: product_id (and variant_id) or sku; location (code or id; the default without); quantity, unit_cost,
    currency, note; with --count counted and note. A file with a mistake changes nothing; exit code 1 then, and where
    rows were refused or say something else than the import of this name did before.
    """
    if not _NAME.fullmatch(name):
        raise terminal.Misused("--name must have 1 to 80 characters, none of them a control character")
    settings = terminal.read_settings()
    content = _read(file)
    from stock_worker.imports import What  # noqa: PLC0415 - not for --help

    what = What.COUNT if count else What.STOCK
    found = asyncio.run(
        _import(settings.database_url, settings.topic_prefix, content, what, name, str(site), dry_run=dry_run)
    )
    mistakes, counted, told, rows = found
    if as_json:
        terminal.give_json(
            {
                "rows": rows,
                "booked": not dry_run and not mistakes,
                "outcomes": {kind.value: many for kind, many in counted.items()},
                "mistakes": [{"line": line, "words": words} for line, words in mistakes],
                "refused": [{"line": line, "outcome": kind.value, "words": words} for line, kind, words in told],
            }
        )
    else:
        for line, words in [*mistakes, *((line, f"{kind.value}: {words}") for line, kind, words in told)][:_TOLD_MAX]:
            terminal.give(f"{file}:{line}: {words}")
    _sum_up(rows, mistakes, counted, told, dry_run=dry_run)
    raise typer.Exit(terminal.FINDING if mistakes or told else 0)


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise terminal.Misused(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise terminal.Misused(f"{file}:{line} is not UTF-8; save the file as UTF-8") from None


async def _import(
    database_url: str, prefix: str, content: str, what: "What", name: str, site_id: str, *, dry_run: bool
) -> "tuple[list[Mistake], dict[OutcomeKind, int], list[Told], int]":
    from stock_worker import imports  # noqa: PLC0415 - not for --help
    from stock_worker.handle import Policy  # noqa: PLC0415 - the same

    async with as_worker(database_url, "import") as connection:
        known = await imports.known_of(connection, site_id)
        lines = io.StringIO(content, newline="")
        rows, mistakes = imports.read(lines, what, name=name, site_id=site_id, known=known, now=datetime.now(UTC))
        if mistakes or dry_run:
            return mistakes, {}, [], len(rows) + len(mistakes)
        with terminal.progress() as say:
            tell = partial(say, "rows", total=len(rows))
            counted, told = await imports.book(connection, rows, Policy(topic_prefix=prefix), say=tell)
        return [], counted, told, len(rows)


def _sum_up(
    rows: int,
    mistakes: "list[Mistake]",
    counted: "dict[OutcomeKind, int]",
    told: "list[Told]",
    *,
    dry_run: bool,
) -> None:
    if mistakes:
        more = f" (the first {_TOLD_MAX} are told)" if len(mistakes) > _TOLD_MAX else ""
        wrong = f"{len(mistakes)} of {rows} rows have a mistake{more}"
        terminal.say(f"nothing was booked: {wrong}; mend them and try again")
    elif dry_run:
        terminal.say(f"{rows} rows can be booked; run without --dry-run to do so")
    else:
        words = ", ".join(f"{many} {kind.value}" for kind, many in counted.items()) or "no rows"
        terminal.say(words + (f"; {len(told)} need attention" if told else ""))
