"""The demo: the real service between real servers, figures read back, and nothing left however it ends."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from stock_worker.cli.demo.shop import SEED, Shops
from stock_worker.core.model import Command, Malformed, OutcomeKind, Record
from stock_worker.core.topics import COMMAND_TOPICS, EVENT_TOPICS
from stock_worker.devstack import Stack
from stock_worker.devstack.databases import drop_database
from stock_worker.devstack.scratch import PREFIX
from stock_worker.wire.decode import decode
from tests.flow.commands import Terminal, environment

PATIENCE_S = 180.0


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s"
        time.sleep(0.1)


# ---------------------------------------------------------------- what the shops send


def test_the_shops_send_the_same_in_every_run() -> None:
    one, two, other = Shops(), Shops(), Shops(SEED + 1)
    sent = [one.next() for _ in range(2_000)]
    assert one.opening() == two.opening()
    assert sent == [two.next() for _ in range(2_000)]
    assert sent != [other.next() for _ in range(2_000)]


def test_the_shops_send_every_kind_of_message_and_mostly_good_ones() -> None:
    shops = Shops()
    sent = [*shops.opening(), *(shops.next() for _ in range(3_000))]
    assert {message.topic for message in sent} <= set(COMMAND_TOPICS)
    decoded = [decode(Record(one.topic, 0, at, 0, one.key, one.value, ()), one.topic) for at, one in enumerate(sent)]
    poison = [entry for entry in decoded if isinstance(entry, Malformed)]
    assert 10 < len(poison) < 100
    assert {command.kind for command in decoded if isinstance(command, Command)} >= {
        "place", "amend", "cancel", "fulfil", "return", "restock", "adjust",
    }  # fmt: skip
    references = Counter(command.reference for command in decoded if isinstance(command, Command))
    assert any(count > 1 for count in references.values())


# ---------------------------------------------------------------- on servers of its own


def test_the_demo_runs_on_a_bare_machine_and_leaves_nothing(tmp_path: Path) -> None:
    """Plain lines where nobody watches; the summary has the closed lists, and every verdict is good."""
    temporary = Path(tempfile.mkdtemp(prefix="bare-", dir="/tmp"))
    temporary.chmod(0o711)  # the database's user has to pass through
    ran = subprocess.run(
        [sys.executable, "-m", "stock_worker", "demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment({"STOCK_DEMO_SECONDS": "3", "TMPDIR": str(temporary)}),
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = [line.split() for line in ran.stdout.splitlines()]
    counted = {(row[0], row[1]): int(row[2].replace(",", "")) for row in rows if len(row) == 3 and row[2][0].isdigit()}
    outcomes = [name for what, name in counted if what == "command"]
    assert outcomes == [kind.value for kind in OutcomeKind]
    assert set(EVENT_TOPICS) <= {name for what, name in counted if what == "event"}
    assert counted["command", "applied"] > 100
    assert counted["event", "stock-changed"] == sum(n for (what, _), n in counted.items() if what == "movement")
    assert "✗" not in ran.stdout
    assert "verify: no drift" in ran.stdout
    assert any(line.startswith("first event ") for line in ran.stdout.splitlines())
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


# ---------------------------------------------------------------- on named servers


@pytest.fixture
def typed(stack: Stack, tmp_path: Path) -> Terminal:
    """A terminal with servers that are named."""
    settings = {"STOCK_KAFKA_BOOTSTRAP": stack.kafka_bootstrap, "STOCK_DATABASE_URL": stack.database_url}
    return Terminal(tmp_path, settings)


def left_over(stack: Stack) -> list[str]:
    """Databases and topics of demos on the servers."""

    async def look() -> list[str]:
        connection = await asyncpg.connect(stack.database_url)
        found = [row[0] for row in await connection.fetch("SELECT datname FROM pg_database")]
        await connection.close()
        admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
        await admin.start()
        found += await admin.list_topics()
        await admin.close()
        return [name for name in found if name.startswith("stock_worker_demo")]

    return asyncio.run(look())


def test_named_servers_are_used_with_things_of_its_own_that_are_removed(stack: Stack, typed: Terminal) -> None:
    log = typed.folder / "log"
    process = typed.having({"STOCK_DEMO_SECONDS": "2"}).start("demo", "--json", log=log)
    assert process.wait(PATIENCE_S) == 0, log.read_text()
    summary = json.loads(log.read_text().splitlines()[-1])
    assert all(verdict["ok"] for verdict in summary["verdicts"])
    assert sum(summary["commands"].values()) == sum(summary["outcomes"].values()) > 100
    assert 0 < summary["first_event_s"] < 60 * max(1.0, os.getloadavg()[0] / 2)
    assert left_over(stack) == []


LINK = re.compile(r"signed in \(the link works once\): (http://127\.0\.0\.1:\S+)")


def test_its_link_shows_the_shop_and_sigterm_ends_it_in_order_with_its_summary(stack: Stack, typed: Terminal) -> None:
    log = typed.folder / "log"
    process = typed.having({"STOCK_DEMO_SECONDS": "600"}).start("demo", log=log)
    until(lambda: LINK.search(log.read_text()) is not None)
    found = LINK.search(log.read_text())
    assert found
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(found[1])
        assert (page.status_code, page.url.path) == (200, "/admin/inventory")
        assert " of 251<" in page.text
        pictures = re.findall(r'<img src="(/[^"]+)"', page.text)
        assert len(pictures) == 50
        assert browser.get(page.url.join(pictures[0])).headers["content-type"] == "image/svg+xml"
        assert browser.cookies["stock_session"] not in log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0, log.read_text()
    assert "verify: no drift" in log.read_text()
    assert left_over(stack) == []


def test_a_demo_that_is_killed_takes_its_processes_and_its_folder_along(typed: Terminal) -> None:
    """On named servers nobody can remove the rest; what runs on this machine ends."""
    log, temporary = typed.folder / "log", typed.folder / "temporary"
    temporary.mkdir()
    process = typed.having({"STOCK_DEMO_SECONDS": "600", "TMPDIR": str(temporary)}).start("demo", log=log)
    try:
        until(lambda: "running" in log.read_text())
        (room,) = temporary.glob(PREFIX + "*")
        until(lambda: len(list((room / "pids").iterdir())) == 2)
        started = [int(note.name) for note in (room / "pids").iterdir()]
        process.kill()
        process.wait()
        until(lambda: not room.exists() and not any(map(alive, started)))
    finally:
        process.kill()
        remove_left_over(typed)


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


def remove_left_over(typed: Terminal) -> None:
    """Remove what a killed demo left on the test's servers."""

    async def remove() -> None:
        connection = await asyncpg.connect(typed.settings["STOCK_DATABASE_URL"])
        for row in await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'stock_worker_demo_%'"):
            await drop_database(typed.settings["STOCK_DATABASE_URL"], row[0])
        await connection.close()
        admin = AIOKafkaAdminClient(bootstrap_servers=typed.settings["STOCK_KAFKA_BOOTSTRAP"])
        await admin.start()
        if mine := [name for name in await admin.list_topics() if name.startswith("stock_worker_demo")]:
            await admin.delete_topics(mine)
        await admin.close()

    assert urlsplit(typed.settings["STOCK_DATABASE_URL"]).hostname == "127.0.0.1"
    asyncio.run(remove())


@pytest.mark.parametrize(
    ("settings", "exit_code", "said"),
    [
        ({"STOCK_DEMO_SECONDS": "soon"}, 2, "STOCK_DEMO_SECONDS"),
        ({"STOCK_BATCH_MAX_LINES": "1"}, 2, "STOCK_BATCH_MAX_LINES"),
        ({"STOCK_KAFKA_BOOTSTRAP": "127.0.0.1:1"}, 1, "nothing answers there"),
    ],
)
def test_what_is_wrong_before_it_begins_is_said_in_a_line(
    typed: Terminal, settings: dict[str, str], exit_code: int, said: str
) -> None:
    log = typed.folder / "log"
    assert typed.having(settings).start("demo", log=log).wait(PATIENCE_S) == exit_code
    assert said in log.read_text()
    assert "Traceback" not in log.read_text()
