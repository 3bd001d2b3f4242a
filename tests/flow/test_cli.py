"""Contract section 8, the command line: data on stdout, words on stderr, exit codes, one clear line for each fault."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stock_worker.cli.doctor import NEEDED_APIS, lacking_apis, server
from stock_worker.core.topics import COMMAND_TOPICS, STOCK_LEVEL
from stock_worker.devstack import Stack
from stock_worker.store.revision import NEEDED
from tests.flow.commands import Terminal, names
from tests.flow.running import SITE, Shop, product, restock, settings_for

COMMANDS = (
    "run",
    "migrate",
    "topics",
    "demo",
    "doctor",
    "emit",
    "tail",
    "verify",
    "dlt",
    "locations",
    "rules",
    "settings",
)
NOBODY = "127.0.0.1:1"


@pytest.fixture
def typed(stack: Stack, database: str, topics: str, tmp_path: Path) -> Terminal:
    """A terminal with a migrated database and no topics."""
    return Terminal(tmp_path, names(settings_for(stack.kafka_bootstrap, database, topics)))


@pytest.fixture
def ready(shop: Shop, tmp_path: Path) -> Terminal:
    """A terminal with a migrated database and all topics."""
    return Terminal(tmp_path, names(shop.settings))


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{password}@{parts.hostname}:{parts.port}"))


# ---------------------------------------------------------------- the program


def test_help_names_every_command(tmp_path: Path) -> None:
    ran = Terminal(tmp_path).type("--help")
    assert ran.exit_code == 0
    assert set(COMMANDS) <= set(ran.given.split())


def test_help_loads_none_of_what_takes_time() -> None:
    loaded = "import sys, stock_worker.cli; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    slow = {"aiokafka", "alembic", "asyncpg", "faststream", "pydantic", "rich.table", "sqlalchemy", "uvicorn"}
    assert not slow & set(modules)


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-command",),
        ("verify", "--no-such-option"),
        ("verify", "--site", "no-uuid"),
        ("tail", "--limit", "0"),
        ("tail", "no-such-topic"),
        ("emit",),
        ("emit", "stock-level", "-"),
        ("emit", "restock", "no-such-file.json"),
        ("migrate", "--sql", "--down", "base"),
        ("migrate", "--down", "no-such-revision"),
        ("--env-file", "no-such-file.env", "topics", "check"),
    ],
)
def test_what_is_typed_wrongly_ends_with_2_and_gives_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    settings = {"STOCK_KAFKA_BOOTSTRAP": NOBODY, "STOCK_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"}
    ran = Terminal(tmp_path, settings).type(*words)
    assert (ran.exit_code, ran.given) == (2, "")
    assert ran.said
    assert "Traceback" not in ran.said


@pytest.mark.parametrize(
    "words", [("run",), ("migrate",), ("topics", "check"), ("emit", "restock"), ("tail",), ("verify",)]
)
def test_bad_settings_end_with_2_in_a_line_each(tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = Terminal(tmp_path, {"STOCK_KAFKA_BOOTSTRAP": "nonsense", "STOCK_TOPIC_PARTITIONS": "0"}).type(*words)
    assert (ran.exit_code, ran.given) == (2, "")
    starts = [line.split(":")[0].split()[0] for line in ran.said.splitlines()]
    assert sorted(starts) == ["STOCK_DATABASE_URL", "STOCK_KAFKA_BOOTSTRAP", "STOCK_TOPIC_PARTITIONS"]


def test_settings_are_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.env").write_text("STOCK_KAFKA_BOOTSTRAPS=typo:9092\n")
    ran = Terminal(tmp_path).type("--env-file", "other.env", "topics", "check")
    assert ran.exit_code == 2
    assert "STOCK_KAFKA_BOOTSTRAPS in other.env" in ran.said


# ---------------------------------------------------------------- faults of the surroundings


@pytest.mark.parametrize(
    ("words", "name", "value", "said"),
    [
        (("verify",), "STOCK_DATABASE_URL", "password", "password in STOCK_DATABASE_URL"),
        (("migrate",), "STOCK_DATABASE_URL", "password", "password in STOCK_DATABASE_URL"),
        (("verify",), "STOCK_DATABASE_URL", "no such database", "create the database"),
        (("verify",), "STOCK_DATABASE_URL", "postgresql://a:b@127.0.0.1:1/c", "PostgreSQL does not answer"),
        (("migrate",), "STOCK_DATABASE_URL", "postgresql://a:b@127.0.0.1:1/c", "PostgreSQL does not answer"),
        (("verify",), "STOCK_DATABASE_URL", "not migrated", "stock-worker migrate"),
        (("tail",), "STOCK_KAFKA_BOOTSTRAP", NOBODY, "no broker answers at 127.0.0.1:1"),
        (("emit", "restock"), "STOCK_KAFKA_BOOTSTRAP", NOBODY, "no broker answers at 127.0.0.1:1"),
        (("topics", "check"), "STOCK_KAFKA_BOOTSTRAP", NOBODY, "no broker answers at 127.0.0.1:1"),
        (("topics", "create"), "STOCK_KAFKA_BOOTSTRAP", NOBODY, "no broker answers at 127.0.0.1:1"),
        (("tail",), "STOCK_TOPIC_PREFIX", "absent-", "stock-worker topics create"),
        (("emit", "restock"), "STOCK_TOPIC_PREFIX", "absent-", "stock-worker topics create"),
    ],
)
def test_a_fault_outside_is_one_line_that_says_what_to_do(
    typed: Terminal, empty_database: str, words: tuple[str, ...], name: str, value: str, said: str
) -> None:
    url = typed.settings["STOCK_DATABASE_URL"]
    meant = {
        "password": with_password(url, "wrong-one"),
        "no such database": url.replace(urlsplit(url).path, "/absent"),
        "not migrated": empty_database,
    }.get(value, value)
    ran = typed.having({name: meant}).type(*words, sent=restock("r-1"))
    assert (ran.exit_code, ran.given) == (1, "")
    assert said in ran.said
    assert len(ran.said.splitlines()) == 1, ran.said
    assert "wrong-one" not in ran.said


# ---------------------------------------------------------------- migrate, topics


def test_migrate_goes_up_stays_and_goes_down(empty_database: str, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {"STOCK_KAFKA_BOOTSTRAP": NOBODY, "STOCK_DATABASE_URL": empty_database})
    said = [terminal.type("migrate", *words) for words in ((), (), ("--down", "base"))]
    assert [ran.exit_code for ran in said] == [0, 0, 0]
    assert [ran.said.strip() for ran in said] == [
        f"no schema → revision {NEEDED}",
        f"revision {NEEDED} already",
        f"revision {NEEDED} → no schema",
    ]


@pytest.mark.parametrize("words", [(), ("--down", "0001"), ("--down", "base")])
def test_migrate_leaves_a_database_of_a_newer_release_alone(
    database: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    async def execute(statement: str) -> None:
        owner = await asyncpg.connect(database)
        await owner.execute(statement)
        await owner.close()

    asyncio.run(execute("UPDATE stock.alembic_version SET version_num = '9999'"))
    terminal = Terminal(tmp_path, {"STOCK_KAFKA_BOOTSTRAP": NOBODY, "STOCK_DATABASE_URL": database})
    ran = terminal.type("migrate", *words)
    assert (ran.exit_code, ran.given, len(ran.said.splitlines())) == (1, "", 1), ran.said
    assert "at revision 9999" in ran.said


def test_migrate_gives_the_sql_for_a_dba_where_it_may_not(limited: Terminal) -> None:
    login = urlsplit(limited.settings["STOCK_DATABASE_URL"]).username
    ran = limited.type("migrate")
    assert ran.exit_code == 1
    assert f"GRANT stock_worker TO {login}" in ran.given
    assert "a DBA has to run this" in ran.said
    printed = limited.type("migrate", "--sql")
    assert printed.exit_code == 0
    assert f'GRANT stock_worker TO "{login}" WITH SET TRUE' in printed.given


def test_doctor_finds_a_role_that_may_not_be_acted_as(limited: Terminal) -> None:
    checks = {check["subject"]: check for check in limited.type("doctor", "--json").json}
    assert checks["role stock_worker"]["found"] == "this login may not act as it"
    assert "stock-worker migrate" in checks["role stock_worker"]["advice"]


@pytest.fixture
def limited(template: str, empty_database: str, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal of a login that may neither make roles nor act as ours, which are there."""
    login = f"limited_{urlsplit(empty_database).path[-8:]}"
    name = urlsplit(empty_database).path[1:]

    async def execute(*statements: str) -> None:
        owner = await asyncpg.connect(empty_database)
        for statement in statements:
            await owner.execute(statement)
        await owner.close()

    grant = f'GRANT CREATE ON DATABASE "{name}" TO {login}'
    asyncio.run(execute(f"CREATE ROLE {login} LOGIN PASSWORD 'limited'", grant))
    url = with_password(empty_database.replace(str(urlsplit(empty_database).username), login), "limited")
    yield Terminal(tmp_path, {"STOCK_KAFKA_BOOTSTRAP": NOBODY, "STOCK_DATABASE_URL": url})
    asyncio.run(execute(f'REVOKE ALL ON DATABASE "{name}" FROM {login}', f"DROP ROLE {login}"))


def test_topics_are_created_once_and_checked(typed: Terminal) -> None:
    prefix = typed.settings["STOCK_TOPIC_PREFIX"]
    missing = typed.type("topics", "check", "--json")
    assert missing.exit_code == 1
    made = typed.type("topics", "create", "--json")
    assert made.exit_code == 0
    assert sorted(made.json["created"]) == sorted(finding["topic"] for finding in missing.json)
    assert {prefix + topic for topic in COMMAND_TOPICS} <= set(made.json["created"])
    assert typed.type("topics", "create").given == ""
    well = typed.type("topics", "check")
    assert (well.exit_code, well.given) == (0, "")


# ---------------------------------------------------------------- doctor


def test_doctor_finds_nothing_where_all_is_well(typed: Terminal) -> None:
    assert typed.type("topics", "create").exit_code == 0
    ran = typed.type("doctor", "--json")
    assert ran.exit_code == 0
    assert all(check["ok"] and check["advice"] is None for check in ran.json)
    assert typed.type("doctor").said.strip() == "all is well"


@pytest.mark.parametrize(
    ("settings", "found", "advice"),
    [
        ({"STOCK_DATABASE_URL": "mysql://x"}, "is no PostgreSQL URL", "write postgresql://"),
        ({"STOCK_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"}, "does not answer", "start it"),
        ({"STOCK_DATABASE_URL": "password"}, "password authentication failed", "correct the user and the password"),
        ({"STOCK_DATABASE_URL": "not migrated"}, "not migrated", "stock-worker migrate"),
        ({"STOCK_KAFKA_BOOTSTRAP": NOBODY}, "no broker answers", "start Kafka"),
        ({"STOCK_TOPIC_PREFIX": "absent-"}, "is missing", "stock-worker topics create"),
        ({"STOCK_TOPIC_PARTITIONS": "3"}, "has 2 partitions", "set it to what is there"),
    ],
)
def test_doctor_names_the_fault_and_what_to_do(
    ready: Terminal, empty_database: str, settings: dict[str, str], found: str, advice: str
) -> None:
    meant = {
        "password": with_password(ready.settings["STOCK_DATABASE_URL"], "wrong-one"),
        "not migrated": empty_database,
    }
    terminal = ready.having({name: meant.get(value, value) for name, value in settings.items()})
    ran = terminal.type("doctor", "--json")
    assert ran.exit_code == 1
    assert any(found in check["found"] and advice in check["advice"] for check in ran.json if not check["ok"]), ran.json
    plain = terminal.type("doctor")
    assert "✗" in plain.given
    assert "wrong-one" not in plain.given + plain.said


def test_doctor_finds_a_wrong_cleanup_policy(typed: Terminal) -> None:
    name = typed.settings["STOCK_TOPIC_PREFIX"] + STOCK_LEVEL

    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=typed.settings["STOCK_KAFKA_BOOTSTRAP"])
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, 2, 1, topic_configs={"cleanup.policy": "delete"})])
        finally:
            await admin.close()

    asyncio.run(create())
    typed.type("topics", "create")
    findings = [check for check in typed.type("doctor", "--json").json if not check["ok"]]
    assert [(check["subject"], check["advice"]) for check in findings] == [(f"topic {name}", "set it to compact")]


def test_doctor_judges_versions() -> None:
    assert server("15.9", 15).advice
    assert not server("16.0", 16).advice
    spoken = {key: (0, least) for key, least in NEEDED_APIS.values()}
    assert lacking_apis(spoken) == []
    old = spoken | {NEEDED_APIS["JoinGroup"][0]: (0, 4)}
    del old[NEEDED_APIS["InitProducerId"][0]]
    assert lacking_apis(old) == ["JoinGroup v5", "InitProducerId v1"]


# ---------------------------------------------------------------- emit, tail


def order(number: int) -> bytes:
    lines = [{"product_id": product(1), "quantity": 1}]
    return json.dumps({"site_id": SITE, "order_id": f"o-{number}", "lines": lines}).encode()


def test_emit_sends_one_document_or_one_a_line(ready: Terminal) -> None:
    pretty = json.dumps(json.loads(restock("r-1")), indent=2).encode()
    assert ready.type("emit", "restock", sent=pretty).given.startswith(ready.settings["STOCK_TOPIC_PREFIX"] + "restock")
    (ready.folder / "orders.jsonl").write_bytes(b"\n".join(order(number) for number in range(3)) + b"\n")
    ran = ready.type("emit", "order-placed", "orders.jsonl", "--json")
    sent = [json.loads(line) for line in ran.lines]
    assert [record["key"] for record in sent] == [f"{SITE}/o-{number}" for number in range(3)]
    assert all(record["offset"] >= 0 and record["partition"] >= 0 for record in sent)


def test_emit_sends_nothing_when_one_is_malformed_unless_forced(ready: Terminal) -> None:
    content = order(1) + b"\nno json\n" + json.dumps({"site_id": SITE, "lines": []}).encode()
    ran = ready.type("emit", "order-placed", sent=content)
    assert (ran.exit_code, ran.given) == (1, "")
    assert [line.split(": ")[0] for line in ran.said.splitlines()[:-1]] == ["standard input:2", "standard input:3"]
    assert "2 of 3" in ran.said
    forced = ready.type("emit", "order-placed", "--force", sent=content)
    assert len(forced.lines) == 3
    followed = ready.type("tail", "order-placed", "--from-beginning", "--limit", "3", "--json")
    assert {json.loads(line)["offset"] for line in followed.lines} <= {0, 1, 2}  # and not what was refused before


def test_tail_filters_limits_and_shows_each_record_whole(shop: Shop, ready: Terminal) -> None:
    asyncio.run(shop.send(*[order(number) for number in range(5)], topic="order-placed"))
    asyncio.run(shop.send(b"\xffno json", topic="order-placed", headers=[("h", b"\xff"), ("n", None)]))
    follow = ("tail", "order-placed", "--from-beginning", "--limit")
    one = ready.type(*follow, "1", "--json", "--order", "o-3").json
    assert (one["value"]["order_id"], one["offset"], one["key"]) == ("o-3", 3, "key")
    poison = json.loads(ready.type(*follow, "6", "--json").lines[5])
    assert (poison["value"], poison["headers"]) == ("\\xffno json", {"h": "\\xff", "n": None})
    mine = ready.type(*follow, "5", "--site", SITE.upper(), "--product", product(1))
    assert [line.split()[1] for line in mine.lines] == ["order-placed"] * 5


# ---------------------------------------------------------------- verify


def test_verify_names_every_drift(ready: Terminal, shop: Shop) -> None:
    asyncio.run(
        shop.tell(  # an item that says it moved, without a ledger
            "INSERT INTO stock.items (site_id, product_id, on_hand, version, revision, first_movement_at, "
            f"last_movement_at, last_movement_type) VALUES ('{SITE}', '{product(1)}', 7, 1, 1, now(), now(), 'restock')"
        )
    )
    ran = ready.type("verify", "--json")
    assert ran.exit_code == 1
    assert all(drift["kind"] and drift["subject"] and drift["expected"] != drift["found"] for drift in ran.json)
    plain = ready.type("verify")
    assert len(plain.lines) == len(ran.json) > 0
    assert product(1) in plain.given
    other = ready.type("verify", "--site", "00000000-0000-4000-8000-000000000000")
    assert (other.exit_code, other.given, other.said.strip()) == (0, "", "no drift")


# ---------------------------------------------------------------- the program as a process


def test_the_program_runs_as_a_module_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    process = Terminal(tmp_path).start("topics", "check", log=tmp_path / "log")
    assert process.wait(60) == 2
    assert "STOCK_KAFKA_BOOTSTRAP is not set" in (tmp_path / "log").read_text()
