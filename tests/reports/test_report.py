"""The JSON report, the terminal and JUnit."""

from __future__ import annotations

import os
import stat
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from pytest_asyncio_traps.traps import TRAPS

from ..run import Suite
from .samples import PENDING_TASK


def test_a_finding_in_the_json_report(suite: Suite) -> None:
    """Every key of the contract, with what belongs there."""
    outcome = suite.test(PENDING_TASK)

    assert outcome.report["schema"] == 1
    assert outcome.report["tool"]["name"] == "pytest-asyncio-traps"
    assert outcome.report["pytest"] == pytest.__version__
    assert outcome.report["counts"] == {"fail": 1, "warn": 0, "allow": 0, "baseline": 0}
    assert outcome.only() == {
        "kind": "pending-task",
        "action": "fail",
        "nodeid": "test_it.py::test_it",
        "when": "teardown",
        "owner": {"type": "test", "name": "test_it.py::test_it", "scope": "function"},
        "summary": "task running 'poll' was left pending",
        "count": 1,
        "duration": None,
        "exception": None,
        "origin": {"path": "test_it.py", "line": suite.line_of("here"), "function": "test_it"},
        "location": {"path": "test_it.py", "line": 4, "function": "poll"},
        "trace": [{"path": "test_it.py", "line": suite.line_of("here"), "function": "test_it"}],
        "waits": [{"path": "test_it.py", "line": 4, "function": "poll"}],
        "notes": ["Still pending when its loop was shut down; the runner cancelled it."],
    }


def test_the_terminal_teaches(suite: Suite) -> None:
    """Kind, code, where it waits, what to do, how to allow it; a count at the end."""
    outcome = suite.test(PENDING_TASK)

    outcome.result.stdout.fnmatch_lines(
        [
            "    async def test_it():",
            ">       task = asyncio.create_task(poll())  # here",
            "E   pending-task: task running 'poll' was left pending",
            "E     created at test_it.py:7, in test_it",
            "E     waiting at test_it.py:4, in poll",
            "E         await asyncio.sleep(3600)",
            "E     To fix it: *",
            'E     To allow it: @pytest.mark.asyncio_allow("pending-task", reason="...")',
            "test_it.py:7: pending-task",
            "*= asyncio traps =*",
            "pending-task: 1 failed",
            "ERROR test_it.py::test_it - pending-task: task running 'poll' was*",
        ]
    )


def test_junit_points_to_the_users_line(suite: Suite) -> None:
    suite.test(PENDING_TASK, "--junitxml=junit.xml")

    (error,) = ElementTree.parse(suite.pytester.path / "junit.xml").iter("error")
    assert "pending-task: task running 'poll' was left pending" in (error.get("message") or "")
    assert f"test_it.py:{suite.line_of('here')}: pending-task" in (error.text or "")


def test_reprcrash_is_the_users_line(suite: Suite) -> None:
    suite.pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if report.failed:
                crash = report.longrepr.reprcrash
                print("CRASH", crash.path, crash.lineno, crash.message)
        """
    )
    outcome = suite.test(PENDING_TASK, "-s")

    path = suite.pytester.path / "test_it.py"
    outcome.result.stdout.fnmatch_lines([f"*CRASH {path} {suite.line_of('here')} pending-task: *"])


@pytest.mark.parametrize("style", ["auto", "long", "short", "line", "native", "no"])
def test_every_traceback_style(suite: Suite, style: str) -> None:
    outcome = suite.test(PENDING_TASK, f"--tb={style}")

    outcome.result.assert_outcomes(passed=1, errors=1)
    outcome.no_fault()


def test_control_characters_do_not_reach_the_terminal(suite: Suite) -> None:
    outcome = suite.test(
        r"""
        import asyncio

        async def boom():
            raise ValueError("\x1b[31mred\x07 \ud800")

        async def test_it():
            task = asyncio.create_task(boom(), name="\x1b]0;title\x07")
            await asyncio.sleep(0)
        """
    )

    assert outcome.only()["kind"] == "unretrieved-exception"
    text = "\n".join(line for line in outcome.result.outlines if line.startswith("E "))
    assert "\\x1b[31mred\\x07" in text
    assert "\x1b" not in text


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
def test_the_report_replaces_a_file_whole(suite: Suite) -> None:
    """A link is followed; the file's mode follows the umask; nothing is left beside it."""
    folder = suite.pytester.mkdir("out")
    (folder / "real.json").write_text("old")
    (folder / "link.json").symlink_to("real.json")

    suite.test(PENDING_TASK, f"--asyncio-traps-report={folder / 'link.json'}")

    assert (folder / "link.json").is_symlink()
    assert (folder / "real.json").read_text().startswith("{")
    assert sorted(path.name for path in folder.iterdir()) == ["link.json", "real.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((folder / "real.json").stat().st_mode) == 0o666 & ~mask


def test_each_kind_has_its_words() -> None:
    for trap in TRAPS:
        assert trap.title
        assert trap.advice.endswith(".")
        assert trap.kind == trap.__module__.rpartition(".")[2].replace("_", "-")


@pytest.mark.parametrize("dist", ["load", "loadscope"])
def test_distributed_runs_report_the_same(suite: Suite, dist: str) -> None:
    """Under pytest-xdist, late findings too arrive with the right nodeid."""
    pytest.importorskip("xdist")
    text = PENDING_TASK + "\nKEPT = []\nasync def test_late(): KEPT.append(poll())\n"
    text += "async def test_fine(): await asyncio.sleep(0)\n"

    alone = suite.test(text)
    spread = suite.test(text, "-n2", f"--dist={dist}", plugins=("xdist",))

    def key(finding: dict[str, object]) -> tuple[object, ...]:
        return finding["kind"], finding["nodeid"], finding["when"], str(finding["origin"])

    assert sorted(map(key, spread.findings)) == sorted(map(key, alone.findings))
    assert spread.report["counts"] == alone.report["counts"]
    assert spread.result.ret == alone.result.ret == 1
    assert spread.result.parseoutcomes() == alone.result.parseoutcomes()
    spread.no_fault()


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="this pytest has no subtests")
def test_a_failed_subtest_hides_no_trap(suite: Suite) -> None:
    """The subtest's failure is its own; the test fails by the trap, and says so."""
    outcome = suite.test(
        """
        import asyncio, unittest

        async def work(): pass

        async def test_it(subtests):
            with subtests.test("first"):
                work()
                assert 1 == 2

        class TestIt(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                with self.subTest("first"):
                    work()
                    assert 1 == 2
        """
    )

    assert outcome.kinds == ["never-awaited"] * 2
    outcome.result.stdout.fnmatch_lines(
        [
            "SUBFAILED* test_it.py::test_it - *assert 1 == 2",
            "FAILED test_it.py::test_it - never-awaited: *",
            "SUBFAILED* test_it.py::TestIt::test_it - *assert 1 == 2",
            "FAILED test_it.py::TestIt::test_it - never-awaited: *",
        ]
    )


def test_records_of_a_passing_test_join_its_report(suite: Suite) -> None:
    """From WARNING on, what asyncio logs during a test is found with that test."""
    outcome = suite.test(
        """
        import asyncio

        async def test_it():
            asyncio.get_running_loop().call_exception_handler({"message": "something is odd"})
        """,
        "-p",
        "no:logging",
        "-rP",
    )

    outcome.clean()
    outcome.result.stdout.fnmatch_lines(["*Captured asyncio log call*", "ERROR something is odd"])
