"""The README's own commands, typed in its order, on an empty database and a Kafka without topics."""

import signal
from pathlib import Path
from typing import Final

from stock_worker.devstack import Stack
from tests.flow.running import free_port, until
from tests.flow.showing import documents
from tests.flow.typed import PATH, session, shell, typed

SETS_UP: Final = ("make ",)
"""What the README tells to type that sets up, shows or tests."""
TOLD: Final = ("stock-changed", "stock-level", "adjustment-applied")


def commands() -> list[str]:
    """What the README tells to type, each command whole and without its comment."""
    return [each.command for each in typed("README.md") if not each.command.startswith(SETS_UP)]


async def test_readme_commands_do_what_they_say(stack: Stack, empty_database: str, topics: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {
        "PATH": PATH,
        "STOCK_KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "STOCK_DATABASE_URL": empty_database,
        "STOCK_TOPIC_PREFIX": topics,
        "STOCK_TOPIC_PARTITIONS": "2",
        "STOCK_HTTP_PORT": str(port),
    }
    told = [command.replace("localhost:8080", f"127.0.0.1:{port}") for command in commands()]
    run, tail = "stock-worker run --with-api", "stock-worker tail --from-beginning"
    before, after = told[: told.index(run)], told[told.index(tail) + 1 :]
    (emit,) = told[told.index(run) + 1 : told.index(tail)]
    async with session(settings, tmp_path) as there:
        for command in before:
            await there.type(f"{command} || exit")
        with shell(run, settings, tmp_path) as worker, shell(tail, settings, tmp_path) as reader:
            await there.type(f"{emit} || exit")
            await until(lambda: all(topic in reader.given() for topic in TOLD), 60.0)
            answers = [await there.type(command) for command in after]
            (written,), (history,) = map(documents, answers[-2:])
            assert written["outcome"] == "applied"
            assert [(row["type"], row["new_stock"]) for row in history["movements"]] == [
                ("damage", 10),
                ("restock", 12),
            ]
            assert reader.ended_by(signal.SIGINT) == 0
            assert worker.ended_by(signal.SIGTERM) == 0
