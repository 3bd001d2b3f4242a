"""Contract section 8, `import`: a broken file changes nothing and names its lines; a long one shows how far it is."""

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.flow.commands import Ran, Terminal, environment
from tests.flow.running import SITE, product

ROWS = 2_500
HEADING = "product_id,quantity,unit_cost\n"
STOCK = "SELECT count(*), coalesce(sum(on_hand), 0)::int FROM stock.items WHERE version > 0"


@pytest.fixture
def typed(database: str, tmp_path: Path) -> Terminal:
    """A terminal with a migrated database; the command needs no Kafka."""
    return Terminal(tmp_path, {"STOCK_KAFKA_BOOTSTRAP": "127.0.0.1:1", "STOCK_DATABASE_URL": database})


def file_of(typed: Terminal, *rows: str) -> Path:
    """A file in the terminal's folder."""
    file = typed.folder / "stock.csv"
    file.write_text(HEADING + "".join(row + "\n" for row in rows), encoding="utf-8")
    return file


def words_of(file: Path, *more: str) -> tuple[str, ...]:
    """What is typed to import a file."""
    return "import", str(file), "--site", SITE, "--name", "opening", *more


def stock(typed: Terminal) -> tuple[int, int]:
    """How many items there are, and how many units."""

    async def ask() -> tuple[int, int]:
        connection = await asyncpg.connect(typed.settings["STOCK_DATABASE_URL"])
        try:
            return tuple(await connection.fetchrow(STOCK))  # type: ignore[arg-type] # an aggregate has a row
        finally:
            await connection.close()

    return asyncio.run(ask())


def on_a_terminal(typed: Terminal, *words: str) -> Ran:
    """Run the program as a process whose stderr is a terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "stock_worker", *words],
        cwd=typed.folder,
        env=environment(typed.settings) | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=its,
    )
    os.close(its)
    drawn = b""
    try:
        while read := os.read(ours, 1 << 16):
            drawn += read
    except OSError:  # Linux says so when the other side is closed
        pass
    finally:
        os.close(ours)
    given, _ = process.communicate(timeout=30)
    return Ran(process.returncode, given.decode(), drawn.decode())


def test_a_long_file_draws_a_bar_on_a_terminal_and_nothing_into_the_data(typed: Terminal) -> None:
    file = file_of(typed, *(f"{product(n)},3,1.50" for n in range(ROWS)))
    ran = on_a_terminal(typed, *words_of(file))
    assert (ran.exit_code, ran.given) == (0, ""), ran.said
    assert f"0/{ROWS}" in ran.said or f"1000/{ROWS}" in ran.said, "it shows how far it is"
    assert f"{ROWS}/{ROWS}" in ran.said
    assert f"{ROWS} applied" in ran.said
    assert stock(typed) == (ROWS, 3 * ROWS)


def test_a_broken_file_changes_nothing_and_names_its_lines(typed: Terminal) -> None:
    file = file_of(typed, f"{product(1)},3,1.50", f"{product(2)},-1,1.50", f"{product(3)},3,cheap", f"{product(4)},1,2")
    ran = typed.type(*words_of(file))
    assert ran.exit_code == 1
    assert [line.split(": ")[0] for line in ran.lines] == [f"{file}:3", f"{file}:4"]
    assert "nothing was booked: 2 of 4 rows have a mistake" in ran.said
    assert stock(typed) == (0, 0)


def test_a_dry_run_books_nothing_and_the_same_file_twice_books_once(typed: Terminal) -> None:
    file = file_of(typed, f"{product(1)},3,1.50", f"{product(2)},4,")
    assert (typed.type(*words_of(file, "--dry-run")).exit_code, stock(typed)) == (0, (0, 0))
    first = typed.type(*words_of(file, "--json")).json
    assert (first["rows"], first["booked"], first["outcomes"]) == (2, True, {"applied": 2})
    again = typed.type(*words_of(file, "--json"))
    assert (again.exit_code, again.json["outcomes"]) == (0, {"duplicate": 2})
    assert stock(typed) == (2, 7)


def test_a_corrected_file_books_what_is_new_and_reports_what_differs(typed: Terminal) -> None:
    typed.type(*words_of(file_of(typed, f"{product(1)},3,1.50")))
    file = file_of(typed, f"{product(1)},5,1.50", f"{product(2)},4,")
    ran = typed.type(*words_of(file))
    assert ran.exit_code == 1
    assert [line.split(": ")[:2] for line in ran.lines] == [[f"{file}:2", "conflict"]]
    assert stock(typed) == (2, 7)
