"""Law: `--proof` makes the searching tests of this folder search ten times as far; without it they take seconds."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; it is known where this folder is named on the command line."""
    parser.addoption("--proof", action="store_true", help="search ten times as far, and elsewhere at each run")


@pytest.fixture(scope="session")
def proof(request: pytest.FixtureRequest) -> bool:
    """Whether this is the long run."""
    return bool(request.config.getoption("proof", default=False))
