"""`stock-worker rebuild`. Law: only what differs from the ledger is written, and told; the ledger never is."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from stock_worker.cli import terminal
from stock_worker.cli.database import as_worker

if TYPE_CHECKING:
    from stock_worker.audit.drift import Drift


def rebuild(
    site: Annotated[UUID | None, typer.Option(help="Only this site.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what differs from the ledger.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what differs as one JSON array.")] = False,
) -> None:
    """Compute counters, places, costs, days and order lines again from the ledger, beside running workers.

    With --dry-run nothing is written, and the exit code is 1 when anything differs.
    """
    settings = terminal.read_settings()
    drifts = asyncio.run(_rebuild(settings.database_url, str(site) if site else None, dry_run=dry_run))
    if as_json:
        terminal.give_json([asdict(drift) for drift in drifts])
    else:
        for drift in drifts:
            terminal.give(str(drift))
    if not drifts:
        terminal.say("everything follows from the ledger")
    elif dry_run:
        terminal.say(f"{len(drifts)} differ; run without --dry-run to write them as the ledger has them")
        raise typer.Exit(terminal.FINDING)
    else:
        terminal.say(f"{len(drifts)} rebuilt")


async def _rebuild(database_url: str, site_id: str | None, *, dry_run: bool) -> "list[Drift]":
    from stock_worker.audit.rebuild import rebuild as again  # noqa: PLC0415 - not for --help

    async with as_worker(database_url, "rebuild", plans="free") as connection:
        with terminal.progress() as say:
            return await again(connection, site_id=site_id, dry_run=dry_run, say=say)
