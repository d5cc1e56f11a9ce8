"""Runs under pytest-xdist say what a run in one process says.

One suite springs every kind, in tests, in fixtures of every scope, while modules are
imported, at once and late. It is run in one process and in several ways by workers;
each test compares one side of what came of it.

A worker sets up its own module and session fixtures, and a module that is spread over
workers has its last test in each of them. So each wider fixture of the suite serves one
test; what shows late comes from the first tests of the first and largest module, which
every scheduler gives to one worker, with others to follow.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pytest_asyncio_traps.traps import KINDS

from ..cases import cases
from ..run import XDIST, Suite, environment

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed"
)

HEAD = """
import asyncio
import time
import unittest
import warnings

import pytest
import pytest_asyncio

KEPT = []

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)
async def boom(): raise ValueError("nobody reads this")
"""

SUITE = {
    "test_a_late.py": """
@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def for_all():
    work()
    yield
    KEPT.append(asyncio.create_task(boom()))
    await asyncio.sleep(0.01)
    KEPT.clear()

@pytest.mark.asyncio(loop_scope="session")
async def test_session_loop(for_all):
    KEPT.append(asyncio.create_task(poll()))
    await asyncio.sleep(0)

@pytest.mark.asyncio(loop_scope="module")
async def test_module_loop():
    KEPT.append(asyncio.create_task(boom()))
    await asyncio.sleep(0.01)

@pytest.mark.asyncio(loop_scope="module")
async def test_other_on_module_loop():
    await asyncio.sleep(0)

@pytest.mark.xfail(reason="known", strict=True)
async def test_late_and_expected():
    FOREVER.append(work())
    assert 0

async def test_kept_for_ever():
    FOREVER.append(work())

@pytest.mark.asyncio_allow("never-awaited", reason="used late")
async def test_late_and_allowed():
    FOREVER.append(work())

async def test_late_and_warned():
    FOREVER.append(quiet())

FOREVER = []
async def quiet(): await asyncio.sleep(0)

@pytest.mark.parametrize("number", range(14))
async def test_fine(number): await work()
""",
    "test_kinds.py": """
async def test_never_awaited(): work()

async def test_three_times():
    for _ in range(3):
        work()

async def test_unretrieved_exception():
    asyncio.create_task(boom())
    await asyncio.sleep(0.01)

async def test_pending_task():
    task = asyncio.create_task(poll())
    await asyncio.sleep(0)

async def test_unclosed_transport():
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)

def test_unclosed_loop(): KEPT.append(asyncio.new_event_loop())

async def test_slow_callback(): time.sleep(0.4)

async def test_invalid_state():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.cancel()
    loop.call_soon(future.set_result, 1)
    await asyncio.sleep(0)

async def test_callback_exception():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

async def numbers():
    yield 1
    yield 2

async def test_unclosed_asyncgen():
    async for _ in numbers():
        break
    await asyncio.sleep(0.01)

class Client:
    def __init__(self): self.name = "client"
    async def close(self): pass
    def __del__(self): warnings.warn("a client was not closed", ResourceWarning)

async def test_unclosed_resource(): Client()

async def test_wrong_thread():
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(lambda: loop.call_soon(print))

async def test_wrong_loop():
    loop, running = asyncio.new_event_loop(), asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    loop.call_soon(loop.stop)
    loop.run_forever()
    asyncio._set_running_loop(running)
    loop.call_soon(print)
    loop.close()

async def test_deadlock():
    await asyncio.gather(asyncio.Event().wait(), asyncio.Queue().get())

async def test_blocking_call(): open(__file__).close()

async def test_lingering_timer():
    asyncio.get_running_loop().call_later(3600, print)

async def test_swallowed_cancellation():
    async def stubborn():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return
    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    await task

async def test_several_kinds():
    work()
    task = asyncio.create_task(poll())
    await asyncio.sleep(0)

async def test_fails_by_itself():
    work()
    assert 0

async def test_skips():
    work()
    pytest.skip("not here")

@pytest.mark.xfail(reason="known", strict=True)
async def test_expected(): work()

async def quiet(): await asyncio.sleep(0)
async def test_warned(): quiet()

async def silent(): await asyncio.sleep(0)
async def test_allowed_by_rule(): silent()

class TestUnittest(unittest.IsolatedAsyncioTestCase):
    async def test_it(self): work()
""",
    "test_function_fixture.py": """
@pytest_asyncio.fixture
async def sprung():
    work()
    yield
    KEPT.append(asyncio.create_task(poll()))
    await asyncio.sleep(0)

async def test_it(sprung): pass

@pytest.fixture
def loop():
    KEPT.append(asyncio.new_event_loop())
    yield
    work()

def test_loop(loop): pass
""",
    "test_module_fixture.py": """
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sprung():
    work()
    yield
    KEPT.append(asyncio.create_task(boom()))
    await asyncio.sleep(0.01)

@pytest.mark.asyncio(loop_scope="module")
async def test_it(sprung): pass
""",
    "test_import.py": """
def wait(): work()

wait()
for _ in range(2):
    work()
asyncio.run(work())

async def slow(): time.sleep(0.4)
asyncio.run(slow())
KEPT.append(work())
loop = asyncio.new_event_loop()

async def quiet(): await asyncio.sleep(0)
quiet()

async def silent(): await asyncio.sleep(0)
silent()

def test_it(): pass
def test_other(): pass
""",
    "test_markers.py": """
@pytest.mark.asyncio_allow("never-awaited", reason="used")
async def test_used(): work()

@pytest.mark.asyncio_allow("pending-task", reason="idle")
async def test_idle(): pass

@pytest.mark.asyncio_allow("pending-task", reason="idle, and not of use here")
async def test_idle_and_found(): work()

@pytest.mark.asyncio_allow("never-awaited", reason="used by one of the parameters")
@pytest.mark.parametrize("number", range(6))
async def test_one_uses_it(number):
    if number == 5:
        work()

@pytest.mark.parametrize("number", [
    pytest.param(1, marks=pytest.mark.asyncio_allow("never-awaited", reason="used by 1")),
    pytest.param(2, marks=pytest.mark.asyncio_allow("never-awaited", reason="idle on 2")),
])
async def test_each_has_its_own(number):
    if number == 1:
        work()

@pytest.mark.asyncio_allow("unclosed-loop", reason="idle in a class")
class TestIdle:
    @pytest.mark.parametrize("number", range(4))
    def test_it(self, number): pass

@pytest.mark.asyncio_allow("unclosed-loop", reason="used in a class")
class TestUsed:
    @pytest.mark.parametrize("number", range(4))
    def test_it(self, number):
        if number == 0:
            KEPT.append(asyncio.new_event_loop())

@pytest.mark.asyncio_allow("unclosed-loop", reason="some of its tests are skipped")
class TestSkipped:
    @pytest.mark.parametrize("number", range(4))
    def test_it(self, number):
        if number == 3:
            pytest.skip("not here")

@pytest.mark.skip
@pytest.mark.asyncio_allow("unclosed-loop", reason="not judged: it never runs")
def test_skipped(): pass
""",
    "föld er/test_ödd names.py": r"""
@pytest.mark.parametrize("text", ["a b", "ü", "a::b", "[x]", "", "a/b.py", "\x1b[31m", "\ud800"])
async def test_wörk(text): work()

@pytest.mark.parametrize("text", ["a - b", "ü::x", "]["])
async def test_late(text): FOREVER.append(work())
FOREVER = []
""",
}
INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
asyncio_slow_callback_duration = 0.25
asyncio_deadlock_duration = 0.1
asyncio_traps =
    warn:never-awaited:'quiet'
    allow:never-awaited:'silent'
    allow:pending-task:'nothing is called so'
    fail:blocking-call
    fail:lingering-timer
    fail:swallowed-cancellation
"""

WAYS = {
    "-n0": ("-n0",),
    "load": ("-n2",),
    "loadscope": ("-n2", "--dist=loadscope"),
    "loadfile": ("-n2", "--dist=loadfile"),
}


@dataclass
class Run:
    """What came of one run."""

    code: int
    text: str
    report: dict[str, Any]
    junit: ElementTree.Element

    def red(self) -> list[str]:
        """What went wrong, by the short summary."""
        return red_lines(self.text.splitlines())

    def section(self, title: str) -> list[str]:
        """The lines of a section at the end of the terminal's text."""
        lines = iter(self.text.splitlines())
        for line in lines:
            if re.fullmatch(f"=+ {title} =+", line):
                break
        found = []
        for line in lines:
            if line.startswith("==="):
                break
            if "kept from running" not in line:  # by the machine: in one of the runs, perhaps
                found.append(masked(line))
        return sorted(found)

    def tally(self) -> dict[str, int]:
        """How many tests passed, failed and so on."""
        nouns: dict[str, int] = pytest.RunResult.parse_summary_nouns(self.text.splitlines())
        del nouns["warnings"]  # Python's own come from each worker that imports a module
        return nouns

    def warned(self) -> list[str]:
        """The warnings of the plugin."""
        lines = self.section("warnings summary")
        return [line.strip() for line in lines if "AsyncioTrapWarning" in line]


def red_lines(lines: list[str]) -> list[str]:
    """The lines of pytest's short summary that name what went wrong; no captured log."""
    return sorted(masked(line) for line in lines if re.match("(FAILED|ERROR) [^ ]", line))


def masked(text: str) -> str:
    """``text`` without what a clock said, and the numbers of tasks."""
    return re.sub(r"\bTask-\d+", "Task-N", re.sub(r"\d+\.\d+ s\b", "N s", text))


def run(folder: Path, *args: str, timeout: int = 120) -> Run:
    """Run pytest on ``folder``."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "asyncio"]
    command += ["-p", "xdist", "-p", "asyncio_traps"]
    command += ["--asyncio-traps-report=report.json", "--junitxml=junit.xml", *args]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
    )
    text = (done.stdout + done.stderr).replace(f"{folder}{os.sep}", "")
    assert (folder / "report.json").exists(), text
    return Run(
        done.returncode,
        text,
        json.loads((folder / "report.json").read_text()),
        ElementTree.parse(folder / "junit.xml").getroot(),
    )


@cache
def ran(way: str, strict: bool) -> Run:
    """Run the suite, once."""
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for file, text in SUITE.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(HEAD + text, encoding="utf-8")
        (folder / "pytest.ini").write_text(INI)
        args = WAYS.get(way, ())
        return run(folder, *args, *(["--asyncio-strict"] if strict else []))


def keyed(finding: dict[str, Any]) -> str:
    """A finding as text, without what a clock said."""
    assert (finding["duration"] is not None) == (finding["kind"] == "slow-callback")
    # By the machine, in one of the runs perhaps.
    notes = [note for note in finding["notes"] if "kept from running" not in note]
    return masked(json.dumps({**finding, "duration": None, "notes": notes}, sort_keys=True))


def failed_cases(junit: ElementTree.Element) -> Counter[tuple[str, ...]]:
    """Class, name and kind of complaint of the test cases that JUnit holds for failed."""
    return Counter(
        (case.get("classname", ""), case.get("name", ""), child.tag)
        for case in junit.iter("testcase")
        for child in case
        if child.tag in ("failure", "error")
    )


both = pytest.mark.parametrize("strict", cases([False, True], [True]), ids=["plain", "strict"])
ways = pytest.mark.parametrize("way", cases(WAYS, ["load", "loadfile"]))


@both
def test_the_suite_has_all_there_is(strict: bool) -> None:
    """What the others compare is not empty."""
    alone = ran("alone", strict)
    findings = alone.report["findings"]

    assert alone.code == 1
    assert {f["kind"] for f in findings} == set(KINDS)
    assert {f["when"] for f in findings} == {"setup", "call", "teardown", "late", "session"}
    actions = {"fail", "allow"} if strict else {"fail", "warn", "allow"}
    assert {f["action"] for f in findings} == actions
    assert {f["owner"]["type"] for f in findings} == {"test", "fixture", "module"}
    assert {f["owner"]["scope"] for f in findings} == {"function", "module", "session"}
    assert {f["count"] for f in findings} >= {1, 2, 3}
    late = {f["nodeid"].rpartition("::")[2] for f in findings if f["when"] == "late"}
    assert late >= {"test_session_loop", "test_module_loop", "test_kept_for_ever"}
    assert "a fault of pytest-asyncio-traps" not in alone.text


@both
@ways
def test_findings_are_equal(way: str, strict: bool) -> None:
    alone, spread = ran("alone", strict), ran(way, strict)

    found = Counter(map(keyed, spread.report["findings"]))
    assert found == Counter(map(keyed, alone.report["findings"]))
    assert spread.report["counts"] == alone.report["counts"]
    assert spread.report["blind_spots"] == alone.report["blind_spots"]
    assert "a fault of pytest-asyncio-traps" not in spread.text


@both
@ways
def test_outcomes_are_equal(way: str, strict: bool) -> None:
    alone, spread = ran("alone", strict), ran(way, strict)

    assert spread.red() == alone.red()
    assert spread.code == alone.code
    assert spread.tally() == alone.tally()


@both
@ways
def test_the_summary_is_equal(way: str, strict: bool) -> None:
    alone, spread = ran("alone", strict), ran(way, strict)

    assert alone.section("asyncio traps")
    assert spread.section("asyncio traps") == alone.section("asyncio traps")
    assert bool(alone.warned()) == (not strict)
    assert spread.warned() == alone.warned()


@both
@ways
def test_junit_is_equal(way: str, strict: bool) -> None:
    alone, spread = ran("alone", strict), ran(way, strict)

    assert failed_cases(alone.junit)
    assert failed_cases(spread.junit) == failed_cases(alone.junit)


@pytest.mark.parametrize("way", cases(["alone", *WAYS], ["alone", "load", "loadfile"]))
def test_idle_rules_and_markers(way: str) -> None:
    """In strict, exactly those are named that had their chance and allowed nothing."""
    unused = [
        re.match(r"  .*: unused (?:marker: .*reason='(.*?)'.*|(rule): (.*)) allowed nothing", line)
        for line in ran(way, True).text.splitlines()
    ]

    assert sorted(match[1] or f"{match[2]} {match[3]}" for match in unused if match) == [
        "idle",
        "idle in a class",
        "idle on 2",
        "idle, and not of use here",
        """rule "allow:pending-task:'nothing is called so'\"""",
    ]


CRASH = """
import asyncio, os

KEPT = []
async def work(): await asyncio.sleep(0)
async def quiet(): await asyncio.sleep(0)

async def test_fails():
    work()

async def test_warns():
    quiet()

def test_shows_late():
    async def leave(): KEPT.append(asyncio.create_task(boom()))
    KEPT.append(asyncio.new_event_loop())
    KEPT[0].run_until_complete(leave())

async def boom(): raise ValueError("nobody reads this")

def test_closes():
    KEPT[0].run_until_complete(asyncio.sleep(0.01))
    KEPT.pop(0).close()
    KEPT.clear()

def test_crash():
    os._exit(7)

def test_after(): asyncio.run(work())
async def test_after_too(): work()
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies(suite: Suite, workers: int) -> None:
    """What was found until then is told, and the test that killed it fails by itself."""
    suite.write(test_it=CRASH)
    warn = "--asyncio-traps=warn:never-awaited:'quiet'"
    plugins = XDIST

    alone = suite.run(warn, "-k", "not crash", plugins=plugins)
    spread = suite.run(warn, f"-n{workers}", plugins=plugins)

    assert len(alone.findings) == 5
    assert sorted(map(keyed, spread.findings)) == sorted(map(keyed, alone.findings))
    crashed = "FAILED test_it.py::test_crash - worker 'gw"
    red = [line for line in red_lines(spread.result.outlines) if not line.startswith(crashed)]
    assert len(red) == len(red_lines(spread.result.outlines)) - 1
    assert red == red_lines(alone.result.outlines)
    assert spread.result.ret == 1
    spread.result.stdout.fnmatch_lines(["worker 'gw*' crashed while running *test_crash*"])
    assert "pytest_asyncio_traps" not in spread.result.stdout.str()
    assert "Traceback" not in spread.result.stdout.str() + spread.result.stderr.str()


def test_the_markers_of_a_test_that_died_are_not_judged(suite: Suite) -> None:
    marked = CRASH.replace(
        "def test_crash", '@pytest.mark.asyncio_allow(reason="dies")\ndef test_crash'
    ).replace("import asyncio, os", "import asyncio, os, pytest")
    idle = '@pytest.mark.asyncio_allow(reason="idle")\ndef test_idle(): pass\n'

    outcome = suite.test(marked + idle, "-n1", "--asyncio-strict", plugins=("xdist",))

    outcome.result.stdout.fnmatch_lines(
        ["  *test_idle: unused marker: asyncio_allow(reason='idle') allowed nothing"]
    )
    outcome.result.stdout.no_fnmatch_line("*reason='dies'*")


@pytest.mark.parametrize("dist", ["loadscope", "loadfile"])
def test_tests_that_share_a_fixture(suite: Suite, dist: str) -> None:
    """Where the tests of a module stay together, so does what they share."""
    head = "import asyncio, pytest, pytest_asyncio\n"
    head += 'pytestmark = pytest.mark.asyncio(loop_scope="module")\n'
    text = """
KEPT = []
async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared():
    yield
    KEPT.append(asyncio.create_task(poll()))
    await asyncio.sleep(0)

async def test_first(shared): KEPT.append(asyncio.create_task(poll()))
async def test_second(shared): await asyncio.sleep(0.01)
async def test_third(shared): work()
"""
    for name in ("test_one", "test_two", "test_three"):
        suite.write(**{name: head + text})
    plugins = XDIST

    alone = suite.run(plugins=plugins)
    spread = suite.run("-n2", f"--dist={dist}", plugins=plugins)

    assert len(alone.findings) == 9
    assert sorted(map(keyed, spread.findings)) == sorted(map(keyed, alone.findings))
    assert spread.result.parseoutcomes() == alone.result.parseoutcomes()


def test_markers_of_a_part_of_the_tests_are_not_judged(suite: Suite) -> None:
    """Neither of tests that were deselected, nor of those that a stop left out."""
    mark = '@pytest.mark.asyncio_allow("pending-task", reason="once")'
    text = f"import pytest\n{mark}\nclass TestIt:\n"
    text += "    def test_a(self): assert FINE\n    def test_b(self): pass\nFINE = True\n"
    suite.write(test_it=text)
    plugins = XDIST

    for workers in ("-n0", "-n1"):
        run_all = suite.run(workers, "--asyncio-strict", plugins=plugins)
        assert run_all.result.ret == 1
        run_all.result.stdout.fnmatch_lines(["  *: unused marker: *reason='once'* allowed nothing"])
        for args in (("-k", "test_a"), ("test_it.py::TestIt::test_a",)):
            assert suite.run(workers, "--asyncio-strict", *args, plugins=plugins).result.ret == 0

    suite.write(test_it=text.replace("FINE = True", "FINE = False"))
    for workers in ("-n0", "-n1"):
        stopped = suite.run(workers, "--asyncio-strict", "-x", plugins=plugins)
        assert stopped.result.parseoutcomes() == {"failed": 1}
        stopped.result.stdout.no_fnmatch_line("*allowed nothing*")


def test_names_that_cannot_be_encoded(suite: Suite) -> None:
    """The name of a file need not be UTF-8, as that of a message has to be."""
    text = """
import asyncio

SOURCE = "async def spring(): KEPT.append(asyncio.create_task(asyncio.sleep(3600)))"
KEPT = []

async def test_it():
    exec(compile(SOURCE, "odd_\\udce9.py", "exec"), globals())
    await spring()
    await asyncio.sleep(0)
"""
    outcome = suite.test(text, "-n1", plugins=("xdist",))

    outcome.result.assert_outcomes(passed=1, errors=1)
    origin = outcome.only()["origin"]
    assert origin == {"path": "odd_\udce9.py", "line": 1, "function": "spring"}
    outcome.no_fault()
