"""`stock-worker api`. Law: the service speaks for itself; the process ends with its exit code."""

from typing import Annotated

import typer

from stock_worker.cli import terminal


def api(
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many processes answer; about one a core.")] = 2,
) -> None:
    """Serve the API, health and metrics on STOCK_HTTP_PORT.

    Ends on SIGTERM or Ctrl-C: requests under way are answered first. Exit code 2 for bad settings, 1 for a wrong
    password or a missing migration; a database that is down is waited for.
    """
    settings = terminal.read_settings()
    from stock_worker.http.serve import serve  # noqa: PLC0415 - not for --help

    raise typer.Exit(serve(settings, processes))
