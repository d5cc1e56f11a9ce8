"""What fails a run and belongs to no test: it is in the last lines, and in each report."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ..run import XDIST, Outcome, Suite

BASELINE = """
never-awaited test_it.py test_gone
    code: work()
    test: test_it.py::test_gone
"""
#: An unused marker, and at line 8 a finding that no test made.
TESTS = """
import pytest

@pytest.mark.asyncio_allow("unclosed-loop", reason="none")
def test_marked(): pass

async def work(): pass
work()
"""
REPORTS = ("run.json", "run.sarif", "run.html")

#: By id, the place and the text of each error.
EXPECTED = {
    "finding-without-test": ("test_it.py:7", "never-awaited: coroutine 'work' was never awaited"),
    "unused-rule": ("tox.ini", "unused rule: 'allow:pending-task' allowed nothing"),
    "unused-marker": (
        "test_it.py::test_marked",
        "unused marker: asyncio_allow('unclosed-loop', reason='none') allowed nothing",
    ),
    "stale-baseline-entry": (
        "known.txt:2",
        "stale baseline entry: never-awaited test_it.py test_gone: work()",
    ),
}


def strict_run(suite: Suite, *args: str, plugins: tuple[str, ...] = XDIST) -> Outcome:
    """A strict run with an error of each kind."""
    suite.pytester.path.joinpath("known.txt").write_text(BASELINE)
    with suite.pytester.path.joinpath("tox.ini").open("a") as ini:
        ini.write("\nasyncio_traps = allow:pending-task\n")
    suite.write(test_it=TESTS.strip("\n"))
    files = [f"--asyncio-traps-report={name}" for name in REPORTS]
    known = "--asyncio-traps-baseline=known.txt"
    return suite.run(
        "--asyncio-strict", known, "--junitxml=junit.xml", *files, *args, plugins=plugins
    )


@pytest.mark.parametrize("args", [(), ("-n1",)], ids=["alone", "xdist"])
def test_each_error_is_in_the_summary_and_in_each_report(
    suite: Suite, args: tuple[str, ...]
) -> None:
    outcome = strict_run(suite, *args)

    folder = suite.pytester.path
    assert outcome.result.ret == 1
    outcome.no_fault()
    outcome.result.assert_outcomes(passed=1, errors=len(EXPECTED))
    for where, text in EXPECTED.values():
        (line,) = [x for x in outcome.result.outlines if x.startswith(f"ERROR {where} - ")]
        assert text.startswith(line.removeprefix(f"ERROR {where} - ").removesuffix("..."))

    report = json.loads((folder / "run.json").read_text())
    assert {
        error["id"]: (
            ":".join(str(error[part]) for part in ("path", "line", "subject") if error[part]),
            error["text"],
        )
        for error in report["errors"]
    } == EXPECTED

    cases = ElementTree.parse(folder / "junit.xml").iter("testcase")
    failed = {
        case.get("name"): failure.get("message")
        for case in cases
        if case.get("classname", "").startswith("pytest-asyncio-traps")
        for failure in case.iter("failure")
    }
    assert failed == {where.rpartition("::")[2]: text for where, text in EXPECTED.values()}

    (sarif,) = json.loads((folder / "run.sarif").read_text())["runs"]
    (invocation,) = sarif["invocations"]
    assert not invocation["executionSuccessful"]
    told = {
        notification["properties"]["id"]: notification["message"]["text"]
        for notification in invocation["toolExecutionNotifications"]
        if notification["descriptor"]["id"] == "error"
    }
    assert told == {name: f"{where}: {text}" for name, (where, text) in EXPECTED.items()}

    page = (folder / "run.html").read_text()
    for where, _ in EXPECTED.values():
        assert f'<li><code class="path">{where}</code>' in page


def test_the_section_says_what_to_do(suite: Suite) -> None:
    outcome = strict_run(suite)

    outcome.result.stdout.fnmatch_lines(
        [
            "These errors belong to no test, and fail the run:",
            "  never-awaited: coroutine 'work' was never awaited",
            "  tox.ini: unused rule: 'allow:pending-task' allowed nothing",
            "  Remove unused rules.",
            "  test_it.py::test_marked: unused marker: asyncio_allow(*) allowed nothing",
            "  Remove unused markers.",
            "  known.txt:2: stale baseline entry: never-awaited test_it.py test_gone: work()",
            "  Remove stale entries by hand, or with --asyncio-traps-update-baseline. *",
        ]
    )


def test_a_rule_of_the_command_line(suite: Suite) -> None:
    outcome = suite.test("def test_it(): pass", "--asyncio-strict", "--asyncio-traps=allow")

    outcome.result.stdout.fnmatch_lines(["ERROR --asyncio-traps - unused rule: 'allow' allowed*"])


def test_a_fault_is_in_junits_report_if_it_fails_the_run(suite: Suite) -> None:
    suite.write(
        conftest="""
        from pytest_asyncio_traps.session.owners import Owners
        def fail(*args): raise ValueError("broken")
        Owners.begin_fixture = fail
        """
    )
    tests = "import pytest\n@pytest.fixture\ndef it(): pass\ndef test_it(it): pass\n"
    for strict, failures in ((("--asyncio-strict",), 1), ((), 0)):
        outcome = suite.test(tests, "--junitxml=junit.xml", *strict)
        assert outcome.result.ret == failures
        junit = ElementTree.parse(suite.pytester.path / "junit.xml").getroot()
        assert [failure.get("message") for failure in junit.iter("failure")] == [
            "fault in pytest_fixture_setup: ValueError: broken"
        ] * failures


def test_a_run_without_errors_is_green(suite: Suite, tmp_path: Path) -> None:
    outcome = suite.test("def test_it(): pass", "--asyncio-strict", "--junitxml=junit.xml")

    outcome.result.assert_outcomes(passed=1)
    assert outcome.report["errors"] == []
    junit = ElementTree.parse(suite.pytester.path / "junit.xml").getroot()
    assert len([*junit.iter("testcase")]) == 1
