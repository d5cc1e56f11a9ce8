"""What services for CI read: the end of a failure, annotations, and the JUnit file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ..run import Suite, line_of

ANNOTATE = "pytest_github_actions_annotate_failures.plugin"

HELPER = """
import asyncio

async def poll():
    await asyncio.sleep(3600)

def spawn():
    return asyncio.create_task(poll())  # helper

def forget():
    poll()  # forgotten
"""

TESTS = """
import asyncio, time
import pytest
from helper import forget, poll, spawn

KEPT = []

async def test_call():
    poll()  # call

async def test_teardown():
    asyncio.create_task(poll())  # teardown
    await asyncio.sleep(0)

async def test_helper():
    forget()

async def test_helper_teardown():
    spawn()
    await asyncio.sleep(0)

async def test_slow():
    time.sleep(0.3)  # slow

async def test_late():
    KEPT.append(poll())  # late

async def test_own():
    poll()
    assert 1 == 2  # own
"""


@pytest.fixture
def folder(suite: Suite) -> Path:
    """A suite in a folder of the one in which pytest is started, as in a repository of many."""
    folder = suite.pytester.mkdir("service")
    (suite.pytester.path / "tox.ini").rename(folder / "pytest.ini")
    (folder / "helper.py").write_text(HELPER)
    (folder / "test_it.py").write_text(TESTS)
    return folder


def lines(folder: Path) -> dict[str, tuple[str, int]]:
    """The file, as seen from where pytest starts, and the line, of each test's failure."""
    places = {
        name: ("service/test_it.py", line_of(folder / "test_it.py", name.removeprefix("test_")))
        for name in ("test_call", "test_teardown", "test_slow", "test_late", "test_own")
    }
    places["test_helper"] = "service/helper.py", line_of(folder / "helper.py", "forgotten")
    places["test_helper_teardown"] = "service/helper.py", line_of(folder / "helper.py", "helper")
    return places


@pytest.mark.parametrize("more", [(), ("-n2",)])
def test_a_failure_ends_in_a_path_from_where_pytest_was_started(
    suite: Suite, folder: Path, more: tuple[str, ...]
) -> None:
    """As pytest's own failures do, so that an editor finds it, also where the rootdir is another."""
    if more:
        pytest.importorskip("xdist")
    plugins = ("asyncio", "asyncio_traps", *(("xdist",) if more else ()))
    outcome = suite.run(
        "--rootdir=service", "-c", "service/pytest.ini", "service", *more, plugins=plugins
    )

    ends = set(re.findall(r"^(\S+\.py):(\d+): ", outcome.result.stdout.str(), re.MULTILINE))
    assert ends == {(path, str(line)) for path, line in lines(folder).values()}
    assert {finding["origin"]["path"] for finding in outcome.findings} == {
        "test_it.py",
        "helper.py",
    }


@pytest.mark.parametrize("more", [(), ("-n2",)])
def test_annotations_of_github(
    suite: Suite, folder: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    """Each failure of a call, and each late one, is marked at the user's line, wherever that is.

    The plugin passes over everything that shows in a teardown; `docs/ci.rst` says what to do.
    """
    pytest.importorskip(ANNOTATE)
    if more:
        pytest.importorskip("xdist")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(suite.pytester.path))
    monkeypatch.delenv("PYTEST_RUN_PATH", raising=False)
    plugins = ("asyncio", "asyncio_traps", ANNOTATE, *(("xdist",) if more else ()))
    outcome = suite.run(
        "--exclude-warning-annotations",
        "--rootdir=service",
        "-c",
        "service/pytest.ini",
        "service",
        *more,
        plugins=plugins,
    )

    text = outcome.result.stderr.str() + "\n" + outcome.result.stdout.str()
    marked = {
        re.split("[%\\s]", name)[0]: (path, int(line), message.partition(":")[0])
        for path, line, name, message in re.findall(
            r"::error file=([^,]+),line=(\d+)::(\S+?)%0A%0A(.*)", text
        )
    }
    kinds = {
        "test_call": "never-awaited",
        "test_helper": "never-awaited",
        "test_slow": "slow-callback",
        "test_late": "never-awaited",
        "test_own": "assert 1 == 2",
    }
    places = lines(folder)
    assert marked == {name: (*places[name], kind) for name, kind in kinds.items()}


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_the_junit_file(suite: Suite, folder: Path, family: str) -> None:
    """The text of each failure ends in the user's line; only xunit1 has attributes, of the test."""
    suite.run(
        "--rootdir=service",
        "-c",
        "service/pytest.ini",
        "service",
        "--junitxml=junit.xml",
        "-o",
        f"junit_family={family}",
    )

    cases = [*ElementTree.parse(suite.pytester.path / "junit.xml").iter("testcase")]
    ends = {}
    for case in cases:
        for problem in case:
            if problem.tag in ("failure", "error"):
                path, line, _ = (problem.text or "").rstrip().splitlines()[-1].split(":", 2)
                ends[case.get("name")] = path, int(line)
    assert ends == lines(folder)
    (teardown,) = (p for c in cases if c.get("name") == "test_teardown" for p in c)
    assert teardown.tag == "error"
    assert "pending-task: task running 'poll' was left pending" in (teardown.get("message") or "")
    # What shows late is a case of its own, of the guilty test: the first has passed by then.
    late = [[problem.tag for problem in case] for case in cases if case.get("name") == "test_late"]
    assert late == [[], ["failure"]]
    attributes = {(case.get("file") is None, case.get("line") is None) for case in cases}
    assert attributes == {(family == "xunit2", family == "xunit2")}
