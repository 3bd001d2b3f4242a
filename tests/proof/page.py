"""docs/reliability.md. Law: every figure on the page was read from a part's result; the words around them are here.

The words of each part say what is done, what would be a failure, and what the part does not prove.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.proof.part import Table
from tests.proof.results import ROOT, Result

PAGE: Final = ROOT / "docs" / "reliability.md"

HEAD: Final = """# Reliability

Written by `make proof`; do not edit. Every figure was measured by a part of that run, on a real Kafka and a real
PostgreSQL with real `stock-worker` processes. The results it was written from lie in `docs/proof/`.

## How to repeat

```
make proof              # every part that has not passed on the sources as they are; Ctrl-C and again goes on
make proof PART=kills   # one part, whatever it came to before
```

A part starts servers of its own and ends them. It takes at most 25 minutes, all of them together at most 75, on
two cores. The exit code is 1 when a part fails.

## Who judges

Two judges that share no code with the engine, nor with each other:

- The **oracle** (`tests/oracle`) reads what was sent and what came out of the topics, and nothing else. *lost*: a
  command without an outcome, a broken record without a dead letter, an item without its last state. *doubled*: two
  outcomes, two rows of one version, one ce_id with two contents. *inversion*: an older state told after a newer one.
  *gap*: a version that never came. *wrong*: everything else, such as rows that are not what the command asked for or
  not where, totals that are not those of rule 5, a promise beyond its limit, an average that is not rule 12's, an
  expiry before its time.
- **`verify`** and **`rebuild --dry-run`** (`src/stock_worker/audit`) read what is stored: chains, versions, sums, order
  totals, references, levels; and what the ledger alone says of counters, costs, days and where lines have their units.

The workload (`tests/oracle/makers.py`) is seeded: every command, over three sites, with 10 % duplicates (half of them
said in other words), 5 % out of order and 1 % poison of some forty kinds. One site has nothing set; one has locations,
a limit, safety stock, a currency and rules; the third has the same, and a rule of it changes every second, as does what
the catalog says of two of its items. Reservations fall due while the workload is sent. A run in which fewer than half
of the commands moved stock fails.

Workers are static members of their group with a session of 6 s, so that a test need not wait 45 s for each death.
"""

WORDS: Final[Mapping[str, str]] = {
    "models": """The rules against models. Rule 5 is walked: every order of every multiset of one to six out of ten
commands on one line sold, of one to five out of eleven, expiry among them, on one line reserved; all orders of a
multiset that are free of refusals must end in equal totals. All commands about three items, four locations and three
orders, redelivered, conflicting, early and late, while rules, settings, locations and the catalog change, are told to
the engine's core and to an independent model, which must agree on outcome, rows, alerts and totals after each step.
Fewer tried is a failure.""",
    "points": """A worker dies by SIGKILL at a named point, and the next life dies there too, and so on; then one goes
on. Sweepers die too, around the commit of an expiry and of a changed rule.
The function that a point names is wrapped from outside when the process starts: the product knows of no points. A
death counts when the process ended by SIGKILL and its last words name the point. Where Kafka must have had records that
the outbox still held, something has to be told a second time, or the point was not where it claims to be. Migrations
die before, in the middle of (at a drawn statement) and after their transaction; migrating again must give the catalogs
of one that was left alone.""",
    "kills": """Three workers on one shop, each killed by SIGKILL at a drawn moment 0 to 1 s after its first applied
batch and replaced at once, while the workload keeps coming. Every outcome and every refusal must occur at least a
hundred times, or the run has not been everywhere. Not among them: `failed` (`internal_error`) and `counter_overflow`,
which no seeded workload brings about and which have named tests.""",
    "world": """What can fail around a worker: the database is shut down at once and started again, the broker is
restarted and crashes, connections are cut in mid-transaction, a worker stands still (SIGSTOP) until another has its
partitions and its relay's shards, and then wakes. The last kind freezes with records in its hands, so that two relays
have one shard. A fault is over when the workers apply again.""",
    "faults": """Each promise is broken on purpose, in the code, and the test that guards it must fail; it must pass
without the fault in the same run.""",
}


def write(results: Sequence[tuple[str, Result | None]]) -> None:
    """Write the page from what there is; a part without a result is named as such."""
    parts = [_part(name, result) for name, result in results]
    PAGE.write_text("\n".join([HEAD, _summary(results), *parts]))


def _summary(results: Sequence[tuple[str, Result | None]]) -> str:
    rows = [
        (
            name,
            _verdict(result),
            f"{result.seconds:,.0f} s" if result else "",
            result.finished_at[:10] if result else "",
        )
        for name, result in results
    ]
    return f"## Result\n\n{_table(('part', 'result', 'took', 'on'), rows)}\n"


def _part(name: str, result: Result | None) -> str:
    words = [f"## {name}", "", WORDS[name], ""]
    if result is None:
        return "\n".join([*words, "Not run yet.", ""])
    words += [_table(("", "measured"), result.report.figures), ""]
    for table in result.report.tables:
        words += [f"### {table.heading}", "", _drawn(table), ""]
    if result.report.failures:
        words += ["### Failures", "", *(f"- {_one_line(failure)}" for failure in result.report.failures), ""]
    dirty = " with changes not committed" if result.dirty else ""
    versions = ", ".join(f"{library} {version}" for library, version in result.versions.items())
    words += [
        f"Commit {result.commit}{dirty}, sources {result.sources}, {result.finished_at}, {result.seconds:,.0f} s."
    ]
    words += [f"{result.machine}. {result.stack}. {versions}.", ""]
    return "\n".join(words)


def _verdict(result: Result | None) -> str:
    if result is None:
        return "not run yet"
    return "passed" if result.passed else f"{len(result.report.failures)} failures"


def _drawn(table: Table) -> str:
    return _table(table.columns, table.rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_one_line(cell) for cell in line)} |" for line in lines)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
