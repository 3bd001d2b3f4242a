"""`stock-worker verify`. Law: every drift is named; a ledger without one, and nothing else, ends with exit code 0."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from stock_worker.cli import terminal
from stock_worker.cli.database import as_worker

if TYPE_CHECKING:
    from stock_worker.audit.drift import Drift


def verify(
    site: Annotated[UUID | None, typer.Option(help="Only this site.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the drifts as one JSON array.")] = False,
) -> None:
    """Check the ledger, the counters, the order lines and the references against each other.

    Reads in portions beside running workers, changes nothing, and shares no code with what decides. Exit code 1 when
    anything has drifted.
    """
    settings = terminal.read_settings()
    drifts = asyncio.run(check(settings.database_url, str(site) if site else None))
    if as_json:
        terminal.give_json([asdict(drift) for drift in drifts])
    else:
        for drift in drifts:
            terminal.give(str(drift))
    terminal.say(f"{len(drifts)} drifts" if drifts else "no drift")
    raise typer.Exit(terminal.FINDING if drifts else 0)


async def check(database_url: str, site_id: str | None = None, *, progress: bool = True) -> "list[Drift]":
    """Verify a database with a progress bar on stderr, where that is a terminal."""
    from stock_worker.audit.verify import verify as audit  # noqa: PLC0415 - not for --help

    async with as_worker(database_url, "verify", plans="free") as connection:
        with terminal.progress(wanted=progress) as say:
            return await audit(connection, site_id=site_id, say=say)
