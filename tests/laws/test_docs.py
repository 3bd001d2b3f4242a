"""The lists of docs/contract.md and of the code are the same lists, in the same order where order means something."""

from typer.main import get_command

from stock_worker.cli.commands import app
from stock_worker.core.model import MovementType, OutcomeKind
from stock_worker.core.refusals import DEAD_LETTERED, Code
from stock_worker.core.topics import COMMAND_TOPICS
from stock_worker.http.problems import TITLES
from tests.laws.docs_tables import INTEGRATE, table


def test_docs_refusals_are_the_codes_in_their_order_of_precedence() -> None:
    assert [row[0].rstrip(" †") for row in table("refusals")] == [code.text for code in Code]


def test_docs_refusals_that_are_dead_lettered_are_marked() -> None:
    marked = {row[0] for row in table("refusals") if row[2] == "yes"}
    assert marked == {code.text for code in DEAD_LETTERED}


def test_docs_outcomes_are_the_closed_list() -> None:
    assert {row[0] for row in table("outcomes")} == set(OutcomeKind)


def test_docs_movement_types_are_the_nine() -> None:
    assert {row[0] for row in table("movement types")} == set(MovementType)


def test_docs_topics_name_every_command_topic() -> None:
    assert {row[0] for row in table("topics")} >= set(COMMAND_TOPICS)


def test_docs_commands_name_every_command_of_the_program() -> None:
    program = set(get_command(app).commands)  # type: ignore[attr-defined] # a group has commands
    documented = {row[0].removeprefix("stock-worker ").split()[0] for row in table("commands")}
    assert program <= documented


def test_docs_problems_are_those_of_the_api_with_their_status() -> None:
    told = {row[0]: int(row[1]) for row in table("problems", INTEGRATE)}
    assert told == {code: status for code, (status, _) in TITLES.items()}
