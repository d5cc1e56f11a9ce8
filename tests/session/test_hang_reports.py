"""The task trees of tests that hung, in the files of reports."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ..blocks import blocks_of
from ..reports.test_html import read
from ..run import Outcome, Suite
from .test_hangs import HANGS, TREE, heads, needs_timeout, run

ROOT = Path(__file__).parents[2]
#: The name of the class of asyncio's own loops.
CLASS = (
    "ProactorEventLoop" if sys.platform == "win32" else "_UnixSelectorEventLoop"
)  #: The function that makes the tasks: a comprehension was one of its own.
MAKER = "hang" if sys.version_info >= (3, 12) else "<listcomp>"

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="signals")
needs_xdist = pytest.mark.skipif(
    importlib.util.find_spec("xdist") is None, reason="needs pytest-xdist"
)


def hangs(outcome: Outcome) -> list[dict[str, Any]]:
    outcome.no_fault()
    found: list[dict[str, Any]] = outcome.report["hangs"]
    return found


def reasons(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(hang["reason"], hang["nodeid"], hang["when"]) for hang in hangs(outcome)]


def shows_the_queue(hang: dict[str, Any]) -> bool:
    """Whether the tree of `hang` is there: three equal tasks wait for a queue."""
    tasks = [task for loop in hang["loops"] for task in loop["tasks"]]
    while tasks:
        task = tasks.pop()
        tasks += task["tasks"]
        if task["coroutine"] == "consumer":
            return bool(task["count"] == 3 and task["waits_for"]["kind"] == "queue")
    return False


# -- the fields ----------------------------------------------------------------------------------


def test_every_field(suite: Suite) -> None:
    """A tree has all that the terminal shows, as data."""
    outcome = run(suite, "def test_it(): asyncio.run(hang(0.8))  # here", *HANGS)

    (hang,) = hangs(outcome)
    (loop,) = hang.pop("loops")
    (main,) = loop.pop("tasks")
    (consumer,) = main.pop("tasks")
    verdict = hang.pop("verdict")
    lines = {tag: suite.line_of(tag) for tag in ("consumes", "enters", "makes", "here")}
    assert 0.3 <= hang.pop("seconds") < 60
    assert 0 <= loop.pop("timer")["seconds"] < 0.8
    assert main.pop("idle") >= 0
    assert consumer.pop("idle") >= 0
    assert hang == {
        "nodeid": "test_it.py::test_it",
        "when": "call",
        "reason": "hang",
        "main_thread": None,
        "omitted": 0,
        "unread": 0,
    }
    assert loop == {
        "class": CLASS,
        "owner": {"type": "test", "name": "test_it.py::test_it", "scope": "function"},
        "thread": "MainThread",
        "state": "asleep",
        "since": None,
        "location": None,
        "ready": 0,
        "descriptors": [],
        "hidden": "",
        "omitted": 0,
    }
    assert main == {
        "id": 1,
        "name": main["name"],
        "coroutine": "hang",
        "count": 1,
        "main": True,
        "holds": False,
        "again": None,
        "origin": {"path": "test_it.py", "line": lines["here"], "function": "test_it"},
        "waits": [{"path": "test_it.py", "line": lines["enters"], "function": "hang"}],
        "waits_for": {
            "kind": "tasks", "text": "the tasks of a TaskGroup", "detail": "", "tasks": 3,
        },
        "omitted": 0,
    }  # fmt: skip
    assert consumer == {
        "id": 2,
        "name": consumer["name"],
        "coroutine": "consumer",
        "count": 3,
        "main": False,
        "holds": False,
        "again": None,
        "origin": {"path": "test_it.py", "line": lines["makes"], "function": MAKER},
        "waits": [{"path": "test_it.py", "line": lines["consumes"], "function": "consumer"}],
        "waits_for": {"kind": "queue", "text": "Queue.get()", "detail": "0 items", "tasks": 0},
        "tasks": [],
        "omitted": 0,
    }
    assert verdict == (
        f"somebody has to put an item into the queue, for {consumer['name']} at "
        f"test_it.py:{lines['consumes']} in consumer (and 2 more)"
    )


def test_a_step_a_cycle_and_a_lock(suite: Suite) -> None:
    """What a loop does is there, who holds a lock, and where a task is shown again."""
    outcome = run(
        suite,
        """
async def take(first, second):
    async with first:
        await asyncio.sleep(0.05)
        async with second:
            pass

async def test_it():
    one, other = asyncio.Lock(), asyncio.Lock()
    left = asyncio.create_task(take(one, other), name="left")
    right = asyncio.create_task(take(other, one), name="right")
    await asyncio.sleep(0.1)
    time.sleep(0.9)  # blocks
    left.cancel()
    await asyncio.wait([left, right])
""",
        *HANGS,
        "--asyncio-traps=off:slow-callback",
    )

    (hang,) = hangs(outcome)
    (loop,) = hang["loops"]
    step = {"path": "test_it.py", "line": suite.line_of("blocks"), "function": "test_it"}
    assert (loop["state"], loop["location"], loop["since"] > 0) == ("step", step, True)
    assert hang["verdict"] == f"the step at test_it.py:{step['line']} in test_it has to return"
    main, left = loop["tasks"]
    assert main["waits_for"]["kind"] == "running"
    (right,) = left["tasks"]
    (again,) = right["tasks"]
    assert [left["name"], right["name"], again["name"]] == ["left", "right", "left"]
    assert [left["holds"], right["holds"], again["holds"]] == [False, True, True]
    assert [left["again"], right["again"], again["again"]] == [None, None, "cycle"]
    assert again["id"] == left["id"] != right["id"]


def test_without_a_hang_the_list_is_empty(suite: Suite) -> None:
    assert (
        hangs(run(suite, "async def test_it(): await hang(0.01)", "--asyncio-traps-hang=60")) == []
    )


def test_a_sync_test(suite: Suite) -> None:
    """Without a loop, the line of the main thread is all there is."""
    outcome = run(suite, "def test_it():\n    time.sleep(0.7)  # here", *HANGS)

    (hang,) = hangs(outcome)
    assert (hang["loops"], hang["verdict"]) == ([], "")
    line = suite.line_of("here")
    assert hang["main_thread"] == {"path": "test_it.py", "line": line, "function": "test_it"}


def test_the_page_that_documents_the_fields_has_each_of_them(suite: Suite) -> None:
    """The example in the docs has the fields of a report, with values of the same types."""
    page = ROOT / "docs" / "reports.rst"
    blocks = [block.text for block in blocks_of(page) if '"reason": ' in block.text]
    (example,) = map(json.loads, blocks)
    outcome = run(suite, "async def test_it(): await hang(0.8)", *HANGS)

    assert shape([example]) == shape(hangs(outcome))
    words = page.read_text(encoding="utf-8")
    as_in_findings = {"type", "scope", "path", "line", "function"}
    for name in names(example) - as_in_findings:
        assert re.search(rf"``{name}``", words), name


def shape(value: Any) -> Any:
    """The names and types of ``value``; of a list, those of its first item."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return "number" if type(value) in (int, float) else type(value).__name__


def names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(names, value.values()))
    return set().union(*map(names, value)) if isinstance(value, list) else set()


# -- when ----------------------------------------------------------------------------------------


def test_each_phase(suite: Suite) -> None:
    outcome = run(
        suite,
        """
@pytest.fixture
def slow_setup(): asyncio.run(hang(0.6))

@pytest.fixture
def slow_teardown():
    yield
    asyncio.run(hang(0.6))

def test_a(slow_setup): pass
def test_b(): asyncio.run(hang(0.6))
def test_c(slow_teardown): pass
""",
        *HANGS,
    )

    assert reasons(outcome) == [
        ("hang", "test_it.py::test_a", "setup"),
        ("hang", "test_it.py::test_b", "call"),
        ("hang", "test_it.py::test_c", "teardown"),
    ]
    assert all(map(shows_the_queue, hangs(outcome)))


@needs_signals
def test_interrupted(suite: Suite) -> None:
    """Reports are written at Ctrl-C too. The time is known where a timer runs."""
    text = "async def test_it(): later(lambda: kill(signal.SIGINT)); await hang()"

    outcome = run(suite, text, "--asyncio-traps-report=traps.html")
    assert reasons(outcome) == [("interrupt", "test_it.py::test_it", "call")]
    (hang,) = hangs(outcome)
    assert shows_the_queue(hang)
    assert hang["seconds"] is None
    assert "test_it.py::test_it interrupted by Ctrl-C in its call" in read(suite).text

    (hang,) = hangs(run(suite, text, "--asyncio-traps-hang=60"))
    assert hang["seconds"] > 0.4


@needs_signals
def test_how_long_tasks_have_rested_when_it_is_interrupted(suite: Suite) -> None:
    """What the timer has noted half-way is known at the end too."""
    text = "async def test_it(): later(lambda: kill(signal.SIGINT), 1.2); await hang()"

    first, second = hangs(run(suite, text, *HANGS))

    assert (first["reason"], second["reason"]) == ("hang", "interrupt")
    assert second["loops"][0]["tasks"][0]["idle"] > first["loops"][0]["tasks"][0]["idle"] + 0.5


def test_exit(suite: Suite) -> None:
    outcome = run(
        suite,
        """
async def test_it():
    task = asyncio.create_task(hang())
    await asyncio.sleep(0.1)
    pytest.exit("enough")
""",
    )

    assert reasons(outcome) == [("exit", "test_it.py::test_it", "call")]
    assert shows_the_queue(hangs(outcome)[0])


@needs_timeout
@needs_signals
def test_pytest_timeout(suite: Suite) -> None:
    """Its signal fails the test, and the run goes on to its reports. In a setup too."""
    outcome = run(
        suite,
        """
@pytest.fixture
def slow(): asyncio.run(hang())

def test_a(): asyncio.run(hang())
def test_b(slow): pass
""",
        *("--timeout=0.5", "--timeout-method=signal"),
        plugins=("pytest_timeout",),
    )

    outcome.result.assert_outcomes(failed=1, errors=1)
    assert reasons(outcome) == [
        ("timeout", "test_it.py::test_a", "call"),
        ("timeout", "test_it.py::test_b", "setup"),
    ]
    outcome.result.stdout.fnmatch_lines(["-* Captured asyncio task tree setup -*"])
    assert all(map(shows_the_queue, hangs(outcome)))


def test_faulthandler(suite: Suite) -> None:
    """Which does not end the run unless it is told to."""
    outcome = run(suite, "async def test_it(): await hang(1.2)", "-o", "faulthandler_timeout=0.8")

    assert reasons(outcome) == [("faulthandler", "test_it.py::test_it", "call")]


# -- by way of a worker --------------------------------------------------------------------------


@needs_xdist
def test_in_workers(suite: Suite) -> None:
    """The controller writes what its workers have sent."""
    text = """
async def test_a(): await hang(0.8)
async def test_b(): await hang(0.8)
def test_c(): pass
"""
    html = "--asyncio-traps-report=traps.html"
    outcome = run(suite, text, *HANGS, "-n2", html, plugins=("xdist",))

    assert sorted(reasons(outcome)) == [
        ("hang", "test_it.py::test_a", "call"),
        ("hang", "test_it.py::test_b", "call"),
    ]
    assert all(map(shows_the_queue, hangs(outcome)))
    assert shape(hangs(outcome)) == shape(hangs(run(suite, text, *HANGS)))
    assert "2 task trees of tests that hung." in read(suite).text


@needs_xdist
@needs_timeout
@needs_signals
def test_pytest_timeout_in_a_worker(suite: Suite) -> None:
    outcome = run(
        suite,
        "async def test_it(): await hang()",
        *("--timeout=0.5", "--timeout-method=signal", "-n1"),
        plugins=("xdist", "pytest_timeout"),
    )

    assert reasons(outcome) == [("timeout", "test_it.py::test_it", "call")]
    assert shows_the_queue(hangs(outcome)[0])
    assert heads(outcome) == []


@needs_xdist
@needs_timeout
def test_pytest_timeout_ends_a_worker(suite: Suite) -> None:
    """By its thread: the worker writes the tree to the terminal of the controller."""
    outcome = run(
        suite,
        "async def test_it(): await hang()",
        *("--timeout=0.5", "--timeout-method=thread", "-n1", "--max-worker-restart=0"),
        plugins=("xdist", "pytest_timeout"),
    )

    assert heads(outcome) == ["asyncio task tree: test_it.py::test_it timed out"]
    outcome.result.stderr.fnmatch_lines(TREE)
    assert hangs(outcome) == []
