"""What counts as caught, and what does not: the verdict on a planted fault, and the planting itself."""

from pathlib import Path

import pytest

from stock_worker.devstack import Stack
from tests.proof.faults import Run, copy_of_the_product, escaped, package_in, plant, pytest_on, unfit
from tests.proof.planted import Edit
from tests.proof.witness import Phase, Witnessed

TEST = "tests/x.py::test_it"
PASSED = Phase(TEST, "call", "passed", 0.1, "", "")
FAILED = Phase(TEST, "call", "failed", 0.1, "AssertionError", "assert 1 == 2")
NO_SETUP = Phase(TEST, "setup", "failed", 0.1, "OSError", "no server")
SKIPPED = Phase(TEST, "setup", "skipped", 0.1, "", "")
NO_NAME = FAILED._replace(error="NameError", words="name 'x' is not defined")


def ran(*phases: Phase, strange: list[str] | None = None, was_ended: bool = False, whole: bool = True) -> Run:
    """A run that said this."""
    return Run(Witnessed(list(phases), (strange or []) if whole else None), 1.0, was_ended, "the last words")


@pytest.mark.parametrize(
    ("with_it", "words"),
    [
        (ran(FAILED), None),
        (ran(FAILED._replace(test=f"{TEST}[row 1]"), PASSED._replace(test=f"{TEST}[row 2]")), None),
        (ran(PASSED), "passes with it"),
        (ran(), "did not run: the last words"),
        (ran(FAILED._replace(test=f"{TEST}_too")), "did not run"),
        (ran(NO_SETUP), "failed in setup"),
        (ran(NO_NAME), "does not even run"),
        (ran(FAILED, was_ended=True), "hung"),
        (ran(FAILED, whole=False), "broke off: the last words"),
        (ran(FAILED, strange=["/elsewhere/stock_worker/handle.py"]), "and not the copy"),
    ],
    ids=[
        *("the test fails", "one of its rows fails", "it passes", "it did not run", "another fails"),
        *("its setup fails", "the product is broken", "it hangs", "the run breaks off", "the product is another"),
    ],
)
def test_a_fault_is_caught_by_what_its_test_says_itself(with_it: Run, words: str | None) -> None:
    found = escaped(with_it, [TEST])
    assert (words is None) == (found == [])
    assert words is None or words in found[0]


def test_of_several_tests_each_has_to_fail() -> None:
    assert escaped(ran(FAILED), [TEST, "tests/x.py::test_other"]) == [
        "tests/x.py::test_other did not run: the last words"
    ]


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (ran(PASSED), None),
        (ran(FAILED), "has failed in call: AssertionError"),
        (ran(PASSED, PASSED._replace(phase="teardown", outcome="failed")), "has failed in teardown"),
        (ran(SKIPPED), "did not run"),
        (ran(), "did not run"),
        (ran(PASSED, was_ended=True), "broke off"),
        (ran(PASSED, whole=False), "broke off"),
        (ran(PASSED, strange=["/elsewhere/stock_worker/handle.py"]), "was not of the copy"),
    ],
    ids=["passes", "fails", "fails afterwards", "skipped", "not there", "hangs", "breaks off", "of another product"],
)
def test_what_does_not_pass_without_a_fault_catches_nothing(without: Run, words: str | None) -> None:
    found = unfit(without, [TEST])
    assert (words is None) == (found == [])
    assert words is None or words in found[0]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit("core/orders.py", "return max(totals.fulfilled, totals.returned)", "return totals.fulfilled"), None),
        (Edit("core/orders.py", "return nothing of the kind", ""), "stands 0 times"),
        (Edit("core/orders.py", "totals", "total"), "times in core/orders.py"),
        (Edit("core/orders.py", "return max(", "return max(("), "no Python any more"),
    ],
    ids=["a fault", "a text that is gone", "a text that stands twice", "no code"],
)
def test_a_fault_is_planted_in_a_copy_where_its_text_stands_once(edit: Edit, words: str | None, tmp_path: Path) -> None:
    copy = copy_of_the_product(tmp_path / "copy")
    wrong = plant([edit], copy)
    planted = (package_in(copy) / edit.file).read_text(encoding="utf-8")
    if words is None:
        assert wrong == []
        assert edit.old not in planted
    else:
        assert words in wrong[0]
    assert (copy / "migrations" / "versions").is_dir()


async def test_the_tests_of_a_fault_run_on_the_copy_it_is_planted_in(tmp_path: Path) -> None:
    """Once whole, once with a fault, once so broken that the tests cannot even be collected."""
    nowhere = Stack("nowhere:9", "postgresql://nobody@nowhere/nothing", "none", None, None, None)
    rule_4 = ["tests/core/test_rules.py::test_rule_4_goods_that_left_have_left_even_below_zero"]
    copy = copy_of_the_product(tmp_path / "copy")
    assert unfit(await pytest_on(copy, rule_4, nowhere, 120), rule_4) == []
    assert (
        plant([Edit("core/booking.py", "item.on_hand += step.quantity", "item.on_hand = abs(item.on_hand)")], copy)
        == []
    )
    assert escaped(await pytest_on(copy, rule_4, nowhere, 120), rule_4) == []
    assert plant([Edit("core/alerts.py", "BUILT_IN: Final", "GIVEN: Final")], copy) == []
    (found,) = escaped(await pytest_on(copy, rule_4, nowhere, 120), rule_4)
    assert "did not run" in found
    assert escaped(await pytest_on(copy, rule_4, nowhere, 0.1), rule_4)[0].startswith("its tests hung")
