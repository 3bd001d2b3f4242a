"""Law: tests that need servers get real ones, each test its own database and topics, and no test is skipped unlisted.

One stack serves the session, each process of it. Run `python -m stock_worker.devstack` in another shell and export what
it prints, and the tests use that one instead: they then start at once.
"""

import os
import signal
import tomllib
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from stock_worker import devstack
from stock_worker.devstack import Stack
from tests import databases

# ---------------------------------------------------------------- the servers


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A Kafka and a PostgreSQL, the environment's if it names them."""
    with devstack.stack() as started:
        yield started


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """A stack that the tests of one file may crash, whatever the environment names.

    It is a fresh one, since a killed broker recovers each partition before it answers: with the topics of sixty tests
    on it (2,760 partitions) that takes 26 s of CPU; a new stack costs 3.
    """
    with devstack.stack(environment={}) as started:
        yield started


# ---------------------------------------------------------------- databases


@pytest.fixture(scope="session")
def template(stack: Stack) -> Iterator[str]:
    """The name of a migrated database that others are copied from; nobody may stay connected to it."""
    from stock_worker.store.migrate import upgrade  # noqa: PLC0415 - most tests need no database

    with databases.new_database(stack.database_url) as url:
        upgrade(url)
        yield databases.name_of(url)


@pytest.fixture
def database(stack: Stack, template: str) -> Iterator[str]:
    """The URL of a fresh migrated database for one test."""
    with databases.new_database(stack.database_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database(stack: Stack, template: str) -> Iterator[str]:
    """The URL of a migrated database that the tests of one file share."""
    with databases.new_database(stack.database_url, template) as url:
        yield url


@pytest.fixture
def empty_database(stack: Stack) -> Iterator[str]:
    """The URL of a database that was never migrated."""
    with databases.new_database(stack.database_url) as url:
        yield url


@pytest.fixture
def new_database(stack: Stack, template: str) -> Iterator[Callable[[], str]]:
    """Make a fresh migrated database at each call, for a test that needs several."""
    with ExitStack() as leaving:
        yield lambda: leaving.enter_context(databases.new_database(stack.database_url, template))


# ---------------------------------------------------------------- topics


@pytest.fixture
def topics() -> str:
    """A prefix for the topics and the consumer group of one test, so that tests share a broker without meeting."""
    return f"t{uuid.uuid4().hex[:10]}-"


# ---------------------------------------------------------------- the order


LONGEST_FIRST: Final = (
    "tests/chaos/",
    "tests/core/test_rule_5_brute_force.py",
)
"""Where the long tests are, by how their names begin; the others keep their places behind."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: whoever got it last would work on it while the run's other process has nothing."""

    def rank(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(LONGEST_FIRST) if item.nodeid.startswith(name)), len(LONGEST_FIRST))

    items.sort(key=rank)


# ---------------------------------------------------------------- skips


SKIPS = Path(__file__).with_name("skips.toml")


def pytest_configure(config: pytest.Config) -> None:
    """Put the law on skips into force, and take Ctrl-C.

    A shell has what it starts in the background ignore SIGINT, and so would every program that a test starts: one that
    is to end by it would never end.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(_SkipLaw(), "skip-law")


class _SkipLaw:
    """A skipped test, or a skipped file of tests, fails the session unless tests/skips.toml lists it."""

    def __init__(self) -> None:
        self._unlisted: list[str] = []
        told = tomllib.loads(SKIPS.read_text())
        self._listed: list[str] = [*told["skips"], *({} if os.environ.get("CI") else told["skips-outside-ci"])]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test; a failure that is expected comes as a skip too, and is none."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a skipped file."""
        if report.skipped:
            self._note(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the session that skipped something unlisted."""
        if self._unlisted and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was skipped unlisted."""
        for nodeid in self._unlisted:
            terminalreporter.write_line(f"SKIPPED, and not listed in tests/skips.toml: {nodeid}", red=True)

    def _note(self, nodeid: str) -> None:
        if not any(nodeid == name or (name.endswith("*") and nodeid.startswith(name[:-1])) for name in self._listed):
            self._unlisted.append(nodeid)
