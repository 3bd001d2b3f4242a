"""`stock-worker locations`, `rules`, `settings` (contract section 8): what a person types, sees and is refused."""

from pathlib import Path
from uuid import uuid4

import pytest
from typer.main import get_command

from stock_worker.cli.commands import app
from stock_worker.store.steering import locations, rules, settings
from tests.flow.commands import Ran, Terminal
from tests.flow.running import SITE, product

NOWHERE = "postgresql://a:b@127.0.0.1:1/c"
PRODUCT, VARIANT = product(1), product(2)


@pytest.fixture
def typed(database: str, tmp_path: Path) -> Terminal:
    """A terminal with a migrated database; these commands need no Kafka."""
    return Terminal(tmp_path, {"STOCK_KAFKA_BOOTSTRAP": "127.0.0.1:1", "STOCK_DATABASE_URL": database})


def well(ran: Ran) -> Ran:
    """A command that went well and said nothing."""
    assert (ran.exit_code, ran.said) == (0, ""), ran
    return ran


def refused(ran: Ran) -> str:
    """The one line of a command that was refused."""
    assert (ran.exit_code, ran.given) == (1, ""), ran
    (words,) = ran.said.splitlines()
    return words


# ---------------------------------------------------------------- typed wrongly: said before a server is asked

USAGE = [
    (("locations", "list", "no-uuid"), "UUID"),
    (("locations", "create", SITE), "FIELD=VALUE"),
    (("locations", "create", SITE, "Shop"), "Shop is no FIELD=VALUE; fields: code, name, "),
    (("locations", "create", SITE, "colour=red"), "colour is no field of a location"),
    (("locations", "create", SITE, "name=Shop", "type=van"), "type must be one of: warehouse, "),
    (("locations", "set", SITE, "SHOP", "name=null"), "name cannot be cleared"),
    (("locations", "set", SITE, "SHOP", "fulfillment_priority=first"), "fulfillment_priority must be an integer"),
    (("rules", "set", SITE, "low_stock_threshold=many"), "low_stock_threshold must be an integer"),
    (("rules", "set", SITE, "is_active=yes"), "is_active must be true or false"),
    (("rules", "set", SITE, "--variant", VARIANT, "is_active=true"), "--variant needs --product"),
    (("rules", "show", SITE, "--product", "mug"), "UUID"),
    (("settings", "set", SITE, "timezone=Mars/Olympus"), "timezone must be the name of a time zone"),
    (("settings", "set", SITE, "email_recipients=a@b,c"), "one of them is none"),
    (("settings", "set", SITE), "FIELD=VALUE"),
]


@pytest.mark.parametrize(("words", "said"), USAGE, ids=[" ".join(words[:2] + words[3:]) for words, _ in USAGE])
def test_what_is_typed_wrongly_ends_with_2_and_asks_nobody(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    terminal = Terminal(tmp_path, {"STOCK_KAFKA_BOOTSTRAP": "127.0.0.1:1", "STOCK_DATABASE_URL": NOWHERE})
    ran = terminal.type(*words)
    assert (ran.exit_code, ran.given) == (2, ""), ran
    assert said in ran.said
    assert "Traceback" not in ran.said


@pytest.mark.parametrize(
    ("group", "command", "fields"),
    [
        ("locations", "create", locations.FIELDS),
        ("rules", "set", rules.FIELDS),
        ("settings", "set", settings.FIELDS),
    ],
)
def test_help_names_every_field(group: str, command: str, fields: dict[str, object]) -> None:
    words = get_command(app).commands[group].commands[command].help  # type: ignore[attr-defined] # groups have commands
    assert {name for name in fields if name not in words} == set()


# ---------------------------------------------------------------- locations


def test_locations_from_the_first_to_the_archive(typed: Terminal) -> None:
    (built_in,) = well(typed.type("locations", "list", SITE, "--json")).json
    assert (built_in["code"], built_in["is_default"], built_in["created_at"]) == ("DEFAULT", True, None)
    fields = ("name=The shop", "code=SHOP", "type=store", "city=Lyon")
    made = well(typed.type("locations", "create", SITE, *fields, "--json")).json
    assert (made["name"], made["type"], made["city"], made["fulfillment_priority"]) == ("The shop", "store", "Lyon", 1)
    assert made["created_at"].endswith("Z")
    changed = well(typed.type("locations", "set", SITE, "SHOP", "city=null", "fulfillment_priority=-1", "--json")).json
    assert (changed["city"], changed["fulfillment_priority"]) == (None, -1)
    assert well(typed.type("locations", "show", SITE, made["location_id"], "--json")).json == changed
    assert [line.split("\t")[1:] for line in well(typed.type("locations", "list", SITE)).lines] == [
        ["SHOP", "The shop", "store", "-1", "active"],
        ["DEFAULT", "Default", "warehouse", "0", "default"],
    ]
    assert well(typed.type("locations", "default", SITE, "SHOP", "--json")).json["is_default"]
    assert not well(typed.type("locations", "deactivate", SITE, "DEFAULT", "--json")).json["is_active"]
    assert well(typed.type("locations", "archive", SITE, "DEFAULT", "--json")).json["archived_at"]
    assert well(typed.type("locations", "list", SITE)).lines[1].endswith("\tarchived")
    restored = well(typed.type("locations", "restore", SITE, "DEFAULT"))
    assert "is_active\ttrue" in restored.lines
    assert "archived_at\tnull" in restored.lines


def test_locations_say_why_not(typed: Terminal) -> None:
    typed.type("locations", "create", SITE, "name=Shop", "code=SHOP")
    unknown = str(uuid4())
    for words, said in [
        (("show", SITE, "DEPOT"), "the site has no location DEPOT"),
        (("archive", SITE, unknown), f"the site has no location {unknown}"),
        (("create", SITE, "code=X"), "name is missing"),
        (("create", SITE, "name=Other", "code=SHOP"), "another location of the site has the code SHOP"),
        (
            ("deactivate", SITE, "DEFAULT"),
            "location DEFAULT is the site's default: make another one the default first",
        ),
    ]:
        assert refused(typed.type("locations", *words)) == said
        assert refused(typed.type("locations", *words, "--json")) == said


# ---------------------------------------------------------------- rules


def test_rules_are_set_shown_and_removed(typed: Terminal) -> None:
    typed.type("settings", "set", SITE, "critical_stock_threshold=4")
    typed.type("rules", "set", SITE, "low_stock_threshold=20", "notify_webhook=true")
    changed = well(typed.type("rules", "set", SITE, "--product", PRODUCT, "backorder_limit=-2", "--json")).json
    assert (changed["product_id"], changed["variant_id"]) == (PRODUCT, None)
    assert {name: value for name, value in changed["rule"].items() if value is not None} == {"backorder_limit": -2}
    assert changed["effective"]["low_stock_threshold"] == {"value": 20, "source": "site"}
    of_variant = ("--product", PRODUCT, "--variant", VARIANT)
    assert well(typed.type("rules", "show", SITE, *of_variant)).lines == [
        "low_stock_threshold\t20\tsite",
        "critical_stock_threshold\t4\tsettings",
        "out_of_stock_threshold\t0\tbuilt-in",
        "backorder_limit\t-2\tproduct",
        "reorder_point\tnull\tbuilt-in",
        "reorder_quantity\tnull\tbuilt-in",
        "is_active\ttrue\tbuilt-in",
        "notify_email\ttrue\tbuilt-in",
        "notify_dashboard\ttrue\tbuilt-in",
        "notify_webhook\ttrue\tsite",
    ]
    assert well(typed.type("rules", "list", SITE)).lines == [
        f"{PRODUCT}\t-\tbackorder_limit=-2",
        "-\t-\tlow_stock_threshold=20 notify_webhook=true",
    ]
    assert [rule["backorder_limit"] for rule in well(typed.type("rules", "list", SITE, "--json")).json] == [-2, None]
    assert well(typed.type("rules", "delete", SITE, "--product", PRODUCT, "--json")).json["rule"] is None
    assert refused(typed.type("rules", "delete", SITE, *of_variant)) == "the variant has no rule of its own"


# ---------------------------------------------------------------- settings


def test_settings_are_set_and_go_back(typed: Terminal) -> None:
    assert well(typed.type("settings", "list")).lines == []
    given = ("timezone=Europe/Paris", "currency=EUR", "mode=reserve", "email_recipients=a@b.c, d@e.f")
    changed = well(typed.type("settings", "set", SITE, *given, "webhook_enabled=true", "--json")).json
    assert (changed["timezone"], changed["email_recipients"]) == ("Europe/Paris", ["a@b.c", "d@e.f"])
    assert well(typed.type("settings", "show", SITE, "--json")).json == changed
    said = "email_recipients=a@b.c,d@e.f webhook_enabled=true mode=reserve timezone=Europe/Paris currency=EUR"
    assert well(typed.type("settings", "list")).lines == [f"{SITE}\t{said}"]
    (listed,) = well(typed.type("settings", "list", "--json")).json
    assert listed == {"site_id": SITE, **changed}
    cleared = well(typed.type("settings", "set", SITE, "currency=null", "email_recipients=null"))
    assert {"currency\tnull", "email_recipients\t", "mode\treserve"} <= set(cleared.lines)
