"""`stock-worker demo`. Law: the real service between a real Kafka and a real PostgreSQL, and nothing is left over.

The worker is a process of its own, `stock-worker run`; the demo sends commands and reads what comes of them. Only a
shop's past cannot be sent: it goes down the worker's write path, under a clock of its own. The demo ends when every
command has its outcome, every event is out, and `verify` has judged the ledger.
"""

import time
from typing import Annotated

import typer


def demo(as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False) -> None:
    """Run shops against the real service, and show what comes out.

    Prints a link to a shop on the inventory page, signed in. Starts Kafka, PostgreSQL and a worker, or uses the servers
    that STOCK_KAFKA_BOOTSTRAP and STOCK_DATABASE_URL name, with topics and a database of its own there. Ends with
    Ctrl-C, or after STOCK_DEMO_SECONDS (30 where nobody watches); removes all it made. Exit code 1 when the ledger has
    drifted or a figure does not add up.
    """
    began = time.monotonic()
    from stock_worker.cli.demo.stage import play  # noqa: PLC0415 - not for --help

    raise typer.Exit(play(began, as_json=as_json))
