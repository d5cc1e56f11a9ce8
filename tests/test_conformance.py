"""The comparison that ``python -m conformance`` makes tells a real difference from chance."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conformance import __main__ as conformance
from conformance.__main__ import Verdict, as_json, judge, show
from conformance.outcomes import ABSENT, Difference, Outcome, differing, outcomes, totals
from conformance.runs import Run, Runner
from conformance.suites import SUITES, Place, Suite


def line(nodeid: str, when: str, outcome: str = "passed", message: str = "") -> Mapping[str, Any]:
    """What the recorder writes for one report."""
    return {"nodeid": nodeid, "when": when, "outcome": outcome, "message": message}


@pytest.mark.parametrize(
    ("events", "text"),
    [
        (["start", "setup", "call", "teardown"], "passed"),
        (["start", "setup", "call failed", "teardown"], "failed"),
        (["start", "setup", "call", "teardown failed"], "failed, failed in teardown"),
        (["start", "setup failed", "teardown"], "failed in setup"),
        (["start", "setup skipped", "teardown"], "skipped"),
        (["start", "setup", "call xfailed", "teardown"], "xfailed"),
        (
            ["start", "setup", "subtest failed", "subtest failed", "call failed", "teardown"],
            "failed, subtest failed (2)",
        ),
        (["start", "setup", "call"], "unfinished"),
        (["start"], "unfinished"),
        (["collect failed"], "failed when collected"),
        # What is told of a test when it is over counts, too.
        (["start", "setup", "call", "teardown", "call failed"], "failed, call failed"),
    ],
)
def test_the_outcome_of_a_test(events: list[str], text: str) -> None:
    """All phases and subtests make one outcome."""
    lines = [line("t", *event.split()) for event in events]

    assert outcomes(lines)["t"].text == text


def test_tests_are_counted_by_one_word() -> None:
    """An error in a fixture counts as a failure; what is rare is named only where there is some."""
    of_test = {
        "a": Outcome("passed"),
        "b": Outcome("failed in setup"),
        "c": Outcome("failed, failed in teardown"),
        "d": Outcome("xfailed"),
    }

    assert totals(of_test) == {"passed": 1, "failed": 2, "skipped": 0, "xfailed": 1}


def test_a_test_that_only_one_run_has_differs() -> None:
    """Absence is an outcome."""
    one, two = {"a": Outcome("passed"), "b": Outcome("passed")}, {"b": Outcome("passed")}

    assert differing(one, two) == ["a"]
    assert differing(two, one) == ["a"]


def test_a_difference_is_real_when_one_side_shows_it_again_and_the_other_never() -> None:
    """Once may be chance."""
    difference = Difference("t")
    for with_plugin, text in [(False, "passed"), (True, "failed"), (True, "passed")]:
        difference.saw(with_plugin, Outcome(text))
    assert not difference.is_real

    difference.saw(True, Outcome("failed"))
    assert difference.is_real
    assert difference.only_with == ["failed"]

    difference.saw(False, Outcome("failed"))
    assert not difference.is_real


SUITE = """
import asyncio, os, sys, unittest

class Tests(unittest.TestCase):
    def test_alike(self):
        pass

    def test_real(self):
        self.assertFalse("pytest_asyncio_traps" in sys.modules, "somebody is watching")

    def test_chance(self):
        if "pytest_asyncio_traps" in sys.modules and not os.path.exists("been_here"):
            open("been_here", "w").close()
            self.fail("for the first time")

    def test_debug(self):
        async def main():
            return asyncio.get_running_loop().get_debug()
        with asyncio.Runner() as runner:
            self.assertFalse(runner.run(main()))

    def test_trap(self):
        async def main():
            asyncio.create_task(asyncio.sleep(60))
        asyncio.run(main())
"""


def compare(
    folder: Path,
    text: str,
    *about_debug: str,
    limits: tuple[tuple[str, str], ...] = (),
    hooks: bool = False,
) -> Verdict:
    """What the comparison says of a suite that consists of one module."""
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    debug = tuple((name, "why") for name in about_debug)
    suite = Suite("it", ("test_it.py",), (), about_debug=debug, limits=limits)
    runner = Runner(suite, Place(folder, sys.executable, folder), timeout=60)
    return judge(runner, suite.targets, together=True, hooks=hooks)


@pytest.fixture
def few_repeats(monkeypatch: pytest.MonkeyPatch, every_case: bool) -> None:
    """Without ``--all``, repeat a test only as often as the verdict needs."""
    if not every_case:
        monkeypatch.setattr(conformance, "ALONE", 1)
        monkeypatch.setattr(conformance, "IN_ITS_FILE", 1)


@pytest.mark.usefixtures("few_repeats")
def test_real_differences_are_told_from_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each test that ends in another way with the plugin is repeated; some may read debug mode."""
    verdict = compare(tmp_path, SUITE, "*::test_debug")

    assert [each.nodeid for each in verdict.real] == ["test_it.py::Tests::test_real"]
    assert [each.nodeid for each in verdict.chance] == ["test_it.py::Tests::test_chance"]
    assert verdict.excused == [("test_it.py::Tests::test_debug", "why")]
    assert not verdict.complaints
    assert not verdict.is_good
    assert as_json(verdict, {})["with"] == {"passed": 2, "failed": 3, "skipped": 0}
    show(verdict)
    shown = capsys.readouterr().out
    assert "REAL DIFFERENCE: test_it.py::Tests::test_real" in shown
    assert "somebody is watching" in shown
    assert "by chance: test_it.py::Tests::test_chance" in shown
    assert "as in debug mode: test_it.py::Tests::test_debug: why" in shown
    assert "findings: 1 pending-task" in shown


@pytest.mark.thorough
@pytest.mark.usefixtures("few_repeats")
def test_debug_mode_has_to_be_the_same_as_asyncios(tmp_path: Path) -> None:
    """A test on the list that ends in another way than in asyncio's own debug mode differs."""
    verdict = compare(tmp_path, SUITE, "*::test_debug", "*::test_real", "*::test_chance")

    assert [each.nodeid for each in verdict.real] == ["test_it.py::Tests::test_real"]


def test_a_known_limit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no difference that anybody has to look into, and it is told each time."""
    text = "import sys\ndef test_it(): assert 'pytest_asyncio_traps' not in sys.modules\n"
    verdict = compare(tmp_path, text, limits=(("*::test_it", "it is loaded"),))

    assert verdict.is_good
    show(verdict)
    assert "a known limit: test_it.py::test_it: it is loaded" in capsys.readouterr().out


@pytest.mark.usefixtures("few_repeats")
def test_a_run_that_crashes_is_no_equal(tmp_path: Path) -> None:
    """What a dead process had not told of is a difference, and the death itself is named."""
    verdict = compare(
        tmp_path,
        "import os, sys\n"
        "def test_first(): pass\n"
        "def test_dies():\n"
        "    if 'pytest_asyncio_traps' in sys.modules: os._exit(7)\n",
    )

    assert [each.nodeid for each in verdict.real] == ["test_it.py::test_dies"]
    assert verdict.real[0].only_with == ["unfinished"]
    assert "the run with the plugin ended with code 7" in verdict.complaints[0]


def test_a_fault_of_the_plugin_is_no_equal() -> None:
    """FindingPipeline may be alike: a fault is told all the same."""
    good = Run({"t": Outcome("passed")}, 1.0, 0, "1 passed")
    bad = Run({"t": Outcome("passed")}, 1.0, 0, "= a fault of pytest-asyncio-traps =\nIts part")
    suite = SUITES["cpython"]

    assert Verdict(suite, good, good).is_good
    assert not Verdict(suite, good, bad).is_good
    assert "Its part" in Verdict(suite, good, bad).complaints[0]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12")
def test_each_hook_is_named_with_the_tests_that_enter_it(tmp_path: Path) -> None:
    """A hook that no test enters is told: nobody has judged it."""
    verdict = compare(
        tmp_path,
        "import asyncio\n"
        "async def nothing(): await asyncio.sleep(0)\n"
        "def test_one(): asyncio.run(nothing())\n"
        "def test_two(): asyncio.run(nothing())\n"
        "def test_three(): pass\n",
        hooks=True,
    )

    assert verdict.with_.hooks["asyncio.base_events.BaseEventLoop.close"] == {"test_it.py": 2}
    assert verdict.with_.hooks["threading.excepthook"] == {}
    assert "no test entered threading.excepthook" in verdict.complaints


def test_a_test_that_is_absent_has_an_outcome_of_its_own() -> None:
    """The word is not one of pytest's."""
    assert ABSENT not in outcomes([line("t", "call")])["t"].text
