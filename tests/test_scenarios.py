"""The examples that the documentation shows: each does what its page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_asyncio_traps.traps import KINDS

from .run import Outcome, Suite

SCENARIOS = Path(__file__).parent / "scenarios"
PAGES = Path(__file__).parents[1] / "docs" / "traps"


def run(suite: Suite, kind: str, *names: str) -> Outcome:
    """Run the tests ``names`` of the scenario of ``kind``."""
    suite.write(test_it=scenario(kind).read_text(encoding="utf-8"))
    return suite.run(*(f"test_it.py::{name}" for name in names))


def scenario(kind: str) -> Path:
    return SCENARIOS / f"{kind.replace('-', '_')}.py"


def test_each_kind_has_a_scenario() -> None:
    """And there is none for a kind that does not exist."""
    assert {path for path in SCENARIOS.glob("*.py") if path.stem != "__init__"} == {
        scenario(kind) for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_bad_fails_at_its_line_and_good_is_silent(suite: Suite, kind: str) -> None:
    outcome = run(suite, kind, "test_bad", "test_good")

    finding = outcome.only()
    assert finding["kind"] == kind
    assert finding["nodeid"] == "test_it.py::test_bad"
    assert finding["action"] == "fail"
    place = finding["location" if kind == "slow-callback" else "origin"]
    assert (place["path"], place["line"]) == ("test_it.py", suite.line_of("here"))
    check_counts(outcome)
    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    outcome.no_fault()
    page = (PAGES / f"{kind}.rst").read_text(encoding="utf-8")
    shown = [alike(line.strip()) for line in page.splitlines() if line.startswith("    E   ")]
    assert shown
    assert [line for line in map(alike, outcome.result.outlines) if line in shown] == shown


def alike(line: str) -> str:
    """``line`` without what differs between a run and the page that shows it."""
    line = re.sub(r"\btest_\w+\.py\b", "test_it.py", line)
    # pytest-asyncio 1.0 closes the loop without cancelling first.
    line = re.sub("Its loop was closed while.*", "It was left for the runner to cancel.", line)
    return re.sub(r"\b\d\.\d{3} s\b", "some time", line)


def check_counts(outcome: Outcome) -> None:
    """``test_good`` passed. What shows in the teardown of ``test_bad`` is an error there."""
    if outcome.only()["when"] == "teardown":
        outcome.result.assert_outcomes(passed=2, errors=1)
    else:
        outcome.result.assert_outcomes(passed=1, failed=1)


def test_unchained_coroutines_leave_the_slowest_pending(suite: Suite) -> None:
    outcome = run(suite, "pending-task", "test_bad_chain", "test_good_chain")

    finding = outcome.only()
    assert finding["kind"] == "pending-task"
    assert finding["nodeid"] == "test_it.py::test_bad_chain"
    assert finding["origin"]["line"] == suite.line_of("in vain")
    check_counts(outcome)
    outcome.no_fault()


@pytest.mark.parametrize("kind", KINDS)
def test_the_docs_can_cut_the_examples_out(kind: str) -> None:
    """Each section begins and ends once, and in this order."""
    lines = scenario(kind).read_text(encoding="utf-8").splitlines()
    markers = [line for line in lines if line.startswith("# [")]

    sections = ["bad", "good"] + ["bad chain", "good chain"] * (kind == "pending-task")
    assert markers == [f"# [{name}{end}]" for name in sections for end in ("", " end")]
