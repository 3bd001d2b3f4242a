"""`stock-worker run`. Law: the service speaks for itself; the process ends with its exit code."""

from typing import Annotated

import typer

from stock_worker.cli import terminal


def run(
    with_api: Annotated[bool, typer.Option("--with-api", help="Serve the API too, on the same port.")] = False,
) -> None:
    """Consume commands, apply them, publish events, sweep; health and metrics on STOCK_HTTP_PORT.

    Ends on SIGTERM or Ctrl-C: the batch and the sends under way are finished first. Exit code 2 for bad settings, 1 for
    a wrong password or a missing migration or topic; a broker or database that is down is waited for.
    """
    settings = terminal.read_settings()
    from stock_worker.service import serve  # noqa: PLC0415 - not for --help

    if not with_api:
        raise typer.Exit(serve(settings))
    from stock_worker.http.serve import around  # noqa: PLC0415 - a worker without it starts without FastAPI

    raise typer.Exit(serve(settings, around(settings)))
