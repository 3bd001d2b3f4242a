"""`stock-worker doctor`. Law: every finding says what was found and what to do, and nothing is changed.

The worker need not run. Looked at: settings, database (login, version, clock, roles, revision), Kafka (address, login,
versions of the protocol, topics). What cannot be asked because of an earlier finding is left out.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from stock_worker.cli import terminal

if TYPE_CHECKING:
    import asyncpg

    from stock_worker.settings import Settings
    from stock_worker.topics import Finding

SKEW_MAX_S: Final = 5.0
"""Beyond this, times that producers stamp and times that the ledger records read as out of order to a person."""

NEEDED_APIS: Final = {
    "Produce": (0, 7),  # records compressed with zstd
    "Fetch": (1, 10),  # the same
    "JoinGroup": (11, 5),  # static members
    "ApiVersions": (18, 0),
    "CreateTopics": (19, 0),
    "InitProducerId": (22, 1),  # transactions fence a relay that was taken over
    "AddPartitionsToTxn": (24, 0),
    "EndTxn": (26, 0),
    "DescribeConfigs": (32, 0),
}
"""What the service asks of a broker: name → its key in the protocol and the version that must be among the spoken."""
NEEDED_KAFKA: Final = "2.3"
"""The first Kafka that speaks all of these."""


class Check(NamedTuple):
    """One look: at what, what was found, and what to do; no advice means that all is well."""

    subject: str
    found: str
    advice: str | None = None


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as one JSON array.")] = False,
) -> None:
    """Look for what keeps the service from working, and say what to do; exit code 1 with findings."""
    checks = asyncio.run(_all())
    findings = [check for check in checks if check.advice]
    if as_json:
        terminal.give_json([{"ok": not check.advice, **check._asdict()} for check in checks])
    else:
        terminal.give_table(
            ("", "", "found", "to do"),
            [
                ("✗" if check.advice else "✓", check.subject, check.found, check.advice or "")
                for check in _joined(checks)
            ],
        )
        terminal.say(f"{len(findings)} findings" if findings else "all is well")
    raise typer.Exit(terminal.FINDING if findings else 0)


async def _all() -> list[Check]:
    from stock_worker.settings import SettingsError  # noqa: PLC0415 - not for --help

    try:
        settings = terminal.read_settings()
    except SettingsError as error:
        return [Check("settings", *_halves(line)) for line in str(error).splitlines()]
    checks = [Check("settings", "can be read")]
    # Side by side: a server that does not answer keeps nobody waiting for the other's findings.
    for found in await asyncio.gather(_taken(_database(settings), "database"), _taken(_kafka(settings), "Kafka")):
        checks += found
    return checks


async def _taken(looks: AsyncIterator[Check], subject: str) -> list[Check]:
    """Take checks until the last, or until the fault that ends them."""
    from stock_worker.cli.faults import explained  # noqa: PLC0415 - not for --help

    checks: list[Check] = []
    try:
        async for check in looks:
            checks.append(check)  # noqa: PERF401 - what was seen before a fault is kept
    except Exception as fault:
        words = explained(fault)
        if words is None:
            raise
        checks.append(Check(subject, *_halves(words.text)))
    return checks


def _joined(checks: Sequence[Check]) -> list[Check]:
    """Put neighbours that say the same of different subjects on one line: a person reads one cause as one finding."""
    lines = []
    for (found, advice), group in groupby(checks, key=lambda check: (check.found, check.advice)):
        first, *others = [check.subject for check in group]
        named = f"{first} and {len(others)} more" if others else first
        lines.append(Check(named, found, advice))
    return lines


# ---------------------------------------------------------------- the database


async def _database(settings: "Settings") -> AsyncIterator[Check]:
    from stock_worker.cli.faults import database_name  # noqa: PLC0415 - not for --help
    from stock_worker.store.engine import connect  # noqa: PLC0415 - the same

    connection = await connect(settings.database_url, None, application_name="stock-worker doctor")
    try:
        login = await connection.fetchval("SELECT session_user")
        yield Check("database login", f"{login} at {database_name(settings.database_url)}")
        version = await connection.fetchval("SHOW server_version")
        yield server(version, connection.get_server_version().major)
        yield await _clock(connection)
        roles = [check async for check in _roles(connection)]
        for check in roles:
            yield check
        if not any(check.advice for check in roles):
            yield await _revision(connection)
    finally:
        await connection.close()


def server(version: str, major: int) -> Check:
    """Judge the version of the server."""
    from stock_worker.store.revision import SERVER_MIN  # noqa: PLC0415 - not for --help

    return Check(
        "database version", f"PostgreSQL {version}", f"upgrade to {SERVER_MIN} or later" if major < SERVER_MIN else None
    )


async def _clock(connection: "asyncpg.Connection") -> Check:
    before = datetime.now(UTC)
    theirs = await connection.fetchval("SELECT clock_timestamp()")
    skew_s = (theirs - before - (datetime.now(UTC) - before) / 2).total_seconds()
    words = f"{abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
    return Check("database clock", words, "synchronise both clocks (NTP)" if abs(skew_s) > SKEW_MAX_S else None)


async def _roles(connection: "asyncpg.Connection") -> AsyncIterator[Check]:
    """Whether the roles exist, stand to row level security as they must, and may be acted as."""
    from stock_worker.store.roles import ROLES  # noqa: PLC0415 - not for --help

    migrate = "run stock-worker migrate; where its login may not, it prints the SQL for a DBA"
    for name, wanted in ROLES.items():
        role = await connection.fetchrow(
            "SELECT rolsuper OR rolbypassrls AS bypasses FROM pg_roles WHERE rolname = $1", name
        )
        subject = f"role {name}"
        if role is None:
            yield Check(subject, "does not exist", migrate)
        elif role["bypasses"] != (wanted == "BYPASSRLS"):
            yield Check(subject, f"is not {wanted}", migrate)
        elif not await _may_act_as(connection, name):
            yield Check(subject, "this login may not act as it", migrate)
        else:
            yield Check(subject, f"{wanted}, and this login may act as it")


async def _may_act_as(connection: "asyncpg.Connection", role: str) -> bool:
    import asyncpg  # noqa: PLC0415 - not for --help

    try:
        await connection.execute(f"SET ROLE {role}; RESET ROLE")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def _revision(connection: "asyncpg.Connection") -> Check:
    from stock_worker.store.engine import WORKER  # noqa: PLC0415 - not for --help
    from stock_worker.store.revision import NEEDED, read_revision  # noqa: PLC0415 - the same

    await connection.execute(f"SET ROLE {WORKER}")
    revision = await read_revision(connection)
    found = f"at {revision}, this release needs {NEEDED}" if revision else "not migrated"
    if revision is None or revision < NEEDED:
        return Check("database schema", found, "run: stock-worker migrate")
    if revision > NEEDED:
        return Check("database schema", found, f"install the newer release, or let it migrate --down {NEEDED}")
    return Check("database schema", f"at {revision}")


# ---------------------------------------------------------------- Kafka


async def _kafka(settings: "Settings") -> AsyncIterator[Check]:
    from stock_worker import topics  # noqa: PLC0415 - not for --help
    from stock_worker.cli import kafka  # noqa: PLC0415 - the same

    broker = await kafka.ask(settings)
    yield Check("Kafka login", f"{broker.address} ({settings.kafka_security_protocol})")
    lacking = lacking_apis(broker.versions)
    yield Check(
        "Kafka version",
        f"the broker lacks {', '.join(lacking)}" if lacking else "speaks what is needed",
        f"upgrade Kafka to {NEEDED_KAFKA} or later" if lacking else None,
    )
    findings = await topics.check(settings)
    for finding in findings:
        yield Check(f"topic {finding.topic}", *_topic_words(finding))
    if not findings:
        yield Check("topics", f"all {len(topics.plan(settings))} are as they should be")


def _topic_words(finding: "Finding") -> tuple[str, str]:
    """Cut a topic's finding into what was found and what to do."""
    if finding.problem == "unreadable":
        return finding.words, "grant this login DescribeConfigs on the topic"
    found, _, advice = finding.words.rpartition(": " if ": " in finding.words else ", ")
    return found, f"run: {advice}" if finding.problem == "missing" else advice


def lacking_apis(spoken: Mapping[int, tuple[int, int]]) -> list[str]:
    """Name what a broker does not speak, with the version that is needed."""
    return [f"{name} v{least}" for name, (key, least) in NEEDED_APIS.items() if spoken.get(key, (0, -1))[1] < least]


def _halves(words: str) -> tuple[str, str]:
    """Cut a line of ours into what was found and what to do."""
    found, _, advice = words.partition("; ")
    return found, advice or "correct it"
