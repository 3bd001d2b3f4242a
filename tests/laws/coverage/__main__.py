"""Vouch for the table of promises with what a run left, and write docs/coverage.md.

`python -m tests.laws.coverage RESULTS.xml …` takes the results of the pytest processes that made up the run; without
any it only writes the page.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.laws.coverage.table import PAGE, missing, page, promises

NOT_PASSED = ("failure", "error", "skipped")


def passed(files: Iterable[Path]) -> set[str]:
    """Give the tests that passed, by the ids that pytest knows them by; whole tests, too, of which every row passed."""
    told: dict[str, bool] = {}
    for file in files:
        for case in ET.parse(file).iter("testcase"):  # noqa: S314 - our own run wrote it
            test = f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}"
            well = all(case.find(how) is None for how in NOT_PASSED)
            for name in {test, test.partition("[")[0]}:
                told[name] = told.get(name, True) and well
    return {test for test, well in told.items() if well}


def main(arguments: list[str]) -> int:
    """Give 1 if a promise names a test that was not seen passing, else write the page."""
    if arguments:
        unproven = missing((test for promise in promises() for test in promise.shown_by), passed(map(Path, arguments)))
        for test in unproven:
            sys.stderr.write(f"coverage: not seen passing: {test}\n")
        if unproven:
            return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
