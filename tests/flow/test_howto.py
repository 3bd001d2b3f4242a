"""docs/howto.md, typed into one shell in its order: a worker and the API answer what the page shows.

A command that reads is typed again until its answer fits, as the page says: a message to Kafka and a change of a rule
take a moment.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from stock_worker.devstack import Stack
from tests.flow.commands import names
from tests.flow.running import free_port, make_topics, settings_for, until
from tests.flow.showing import documents, fits, shown_documents, text_fits
from tests.flow.typed import PATH, Session, Typed, session, shell, typed

PAGE: Final = "docs/howto.md"
ADDRESS: Final = "localhost:8080"
AGAIN_S: Final = 20.0
_WRITES: Final = re.compile(r"--json|-X |stock-worker emit|--max-time")


def is_shown(each: Typed, given: str) -> bool:
    """Whether the page shows what was given."""
    assert each.answer is not None
    if each.language != "js":
        return text_fits(each.answer, given)
    try:
        found = documents(given)
    except ValueError:
        return False
    shown = shown_documents(each.answer)
    return len(shown) == len(found) and all(map(fits, shown, found))


async def follow(there: Session, each: Typed, *, address: str, prefix: str) -> None:
    """Type a command until its answer is the one shown, once if it writes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (0 if _WRITES.search(each.command) else AGAIN_S)
    while True:
        given = (await there.type(each.command.replace(ADDRESS, address))).replace(prefix, "")
        if each.answer is None:
            assert "urn:stock-worker:problem:" not in given, f"{each.command}\n{given}"
            return
        if is_shown(each, given):
            return
        assert loop.time() < deadline, f"{each.command}\n\ngave\n{given}\n\nwhere the page shows\n{each.answer}"
        await asyncio.sleep(0.1)


@asynccontextmanager
async def shop(stack: Stack, database: str, topics: str, folder: Path) -> AsyncIterator[tuple[Session, str]]:
    """A worker with the API, as the page begins with, a shell beside it, and the API's address."""
    await make_topics(stack.kafka_bootstrap, topics)
    port = free_port()
    settings = names(settings_for(stack.kafka_bootstrap, database, topics, http_port=port)) | {
        "PATH": PATH,
        "STOCK_JWT_KEY": "a key of these tests that is long enough",
    }
    with shell("stock-worker run --with-api", settings, folder) as worker:
        async with httpx.AsyncClient() as client, session(settings, folder) as there:

            async def is_ready() -> bool:
                assert worker.process.poll() is None, worker.said()
                try:
                    return (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success
                except httpx.TransportError:
                    return False

            await until(is_ready)
            yield there, f"127.0.0.1:{port}"


async def test_the_page_is_answered_as_it_shows(stack: Stack, database: str, topics: str, tmp_path: Path) -> None:
    lacking = [tool for tool in ("bash", "curl", "jq") if shutil.which(tool) is None]
    assert lacking == [], "the page's commands need these tools; install them"
    async with shop(stack, database, topics, tmp_path) as (there, address):
        for each in typed(PAGE):
            await follow(there, each, address=address, prefix=topics)


# ---------------------------------------------------------------- the rule of what is left out


@pytest.mark.parametrize(
    ("shown", "given", "is_it"),
    [
        pytest.param('{"a": 1}', '{"a": 1}', True, id="the same"),
        pytest.param('{"a": 1}', '{"a": 1, "b": 2}', False, id="a member that is not shown"),
        pytest.param('{"a": 1, …}', '{"a": 1, "b": 2}', True, id="members left out"),
        pytest.param('{"a": 1, …}', '{"b": 2}', False, id="a member that is not there"),
        pytest.param('{"a": 1, …}', '{"a": "1", "b": 2}', False, id="a text is no number"),
        pytest.param('{"a": true}', '{"a": 1}', False, id="a number is no truth"),
        pytest.param('{"a": "…"}', '{"a": null}', True, id="any value"),
        pytest.param('{"a": "2026-…Z"}', '{"a": "2026-11-26Z"}', True, id="any characters"),
        pytest.param('{"a": "2026-…Z"}', '{"a": "2025-11-26Z"}', False, id="other characters"),
        pytest.param('{"a": "{b, …}"}', '{"a": "{b, c}"}', True, id="any characters of a text with braces"),
        pytest.param("[1, …]", "[1, 2]", True, id="elements left out"),
        pytest.param("[1, 2, …]", "[1]", False, id="too few elements"),
        pytest.param("[1]", "[1, 2]", False, id="too many elements"),
        pytest.param('{"a": 1}\n{"b": 2}', '{"a": 1}\n{"b": 2}', True, id="two documents"),
        pytest.param('{"a": 1}', '{"a": 1}\n{"b": 2}', False, id="one document too many"),
        pytest.param('{"a": 1}', "<html>", False, id="no document"),
    ],
)
def test_an_answer_fits_or_not(shown: str, given: str, is_it: bool) -> None:
    assert is_shown(Typed("curl", shown, "js"), given) is is_it


@pytest.mark.parametrize(
    ("shown", "given", "is_it"),
    [
        pytest.param("a,b\n1,2", "a,b\r\n1,2\r\n", True, id="the same"),
        pytest.param("a,b\n1,…", "a,b\n1,2\n", True, id="any characters of a line"),
        pytest.param("a,b\n1,…", "a,b\n1,2\n3\n", False, id="a line too many"),
        pytest.param("a,b\n…", "a,b\n1,2\n3\n", True, id="any lines"),
        pytest.param("…\nend", "a\nb\nend", True, id="any lines before"),
        pytest.param("…\nend", "a\nb", False, id="a line that is not there"),
    ],
)
def test_a_text_fits_or_not(shown: str, given: str, is_it: bool) -> None:
    assert text_fits(shown, given) is is_it
