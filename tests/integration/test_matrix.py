"""Every kind, in every runner: found once, charged right, at the right line.

All kinds are sprung in one run for each runner, by one test each; so the blame
has every chance to land on the wrong one.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pytest_asyncio_traps.traps import KINDS

from ..run import Launcher, environment, line_of, place_of

HEAD = """
import asyncio
import threading
import time
import unittest
import warnings

import pytest
import pytest_asyncio

KEPT = []

async def work():
    await asyncio.sleep(0)

async def poll():
    while True:
        await asyncio.sleep(3600)

async def boom():
    raise ValueError("nobody reads this")

async def spring(kind):
    await SPRINGS[kind]()
"""

#: For each kind, an async function that springs it, at the line marked with the kind.
SPRINGS = {
    # First: what others leave on a loop that they share could wake it.
    "deadlock": """
async def spring_deadlock():
    await asyncio.Event().wait()  # deadlock
""",
    "never-awaited": """
async def spring_never_awaited():
    work()  # never-awaited
""",
    "unretrieved-exception": """
async def spring_unretrieved_exception():
    task = asyncio.create_task(boom())  # unretrieved-exception
    await asyncio.sleep(0.01)
""",
    "pending-task": """
async def spring_pending_task():
    task = asyncio.create_task(poll())  # pending-task
    await asyncio.sleep(0)
""",
    "unclosed-transport": """
async def spring_unclosed_transport():
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)  # unclosed-transport
""",
    "unclosed-loop": """
async def spring_unclosed_loop():
    loop = asyncio.new_event_loop()  # unclosed-loop
    KEPT.append(loop)
""",
    "slow-callback": """
async def spring_slow_callback():
    await asyncio.sleep(0)
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # slow-callback
""",
    "invalid-state": """
async def spring_invalid_state():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    asyncio.get_running_loop().call_soon(future.set_result, 1)  # invalid-state
    await asyncio.sleep(0.01)
""",
    "callback-exception": """
async def spring_callback_exception():
    def callback():
        raise ValueError("nobody is there")  # callback-exception
    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0.01)
""",
    "unclosed-asyncgen": """
async def numbers():
    yield 1
    yield 2

async def spring_unclosed_asyncgen():
    async for _ in numbers():  # unclosed-asyncgen
        break
    await asyncio.sleep(0.01)
""",
    "unclosed-resource": """
class Client:
    closed = False
    def __init__(self):
        self.name = "client"
    async def close(self):
        self.closed = True
    def __del__(self):
        if not self.closed:
            warnings.warn("a client was not closed", ResourceWarning)

async def spring_unclosed_resource():
    Client()  # unclosed-resource
""",
    "wrong-thread": """
async def spring_wrong_thread():
    loop = asyncio.get_running_loop()
    def touch():
        loop.call_soon(print)  # wrong-thread
    await asyncio.to_thread(touch)
""",
    "wrong-loop": """
async def spring_wrong_loop():
    loop, running = asyncio.new_event_loop(), asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    loop.call_soon(loop.stop)
    loop.run_forever()
    asyncio._set_running_loop(running)
    loop.call_soon(print)  # wrong-loop
    loop.close()
""",
    "blocking-call": """
async def spring_blocking_call():
    time.sleep(0.001)  # blocking-call
""",
    "lingering-timer": """
async def spring_lingering_timer():
    asyncio.get_running_loop().call_later(3600, print)  # lingering-timer
""",
    "swallowed-cancellation": """
async def stubborn():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        return

async def spring_swallowed_cancellation():
    task = asyncio.create_task(stubborn())  # swallowed-cancellation
    await asyncio.sleep(0)
    task.cancel()
    await task
""",
}

#: What reaches the exception handler that anyio installs, it raises in the test.
RAISED_BY_ANYIO = {"unretrieved-exception", "callback-exception", "invalid-state"}
#: unittest sets its loop into asyncio's own debug mode, whose check raises.
RAISED_BY_DEBUG_MODE = ("wrong-thread", "unittest")
#: Functions within the spring that hold the line.
INNER = {"callback-exception": "callback", "wrong-thread": "touch"}

#: For each runner, how it wraps a test: ``NAME`` is the test's name, ``BODY`` what it awaits.
RUNNERS = {
    "pytest-asyncio-function": "async def NAME(): await BODY",
    "pytest-asyncio-strict": "@pytest.mark.asyncio\nasync def NAME(): await BODY",
    "pytest-asyncio-class": (
        '@pytest.mark.asyncio(loop_scope="class")\nclass TestIt:',
        "    async def NAME(self): await BODY",
    ),
    "pytest-asyncio-module": (
        'pytestmark = pytest.mark.asyncio(loop_scope="module")',
        "async def NAME(): await BODY",
    ),
    "pytest-asyncio-package": (
        'pytestmark = pytest.mark.asyncio(loop_scope="package")',
        "async def NAME(): await BODY",
    ),
    "pytest-asyncio-session": (
        'pytestmark = pytest.mark.asyncio(loop_scope="session")',
        "async def NAME(): await BODY",
    ),
    "async-fixture-setup": """
@pytest_asyncio.fixture
async def for_NAME():
    await BODY
    yield 1
async def NAME(for_NAME): await work()
""",
    "async-fixture-teardown": """
@pytest_asyncio.fixture
async def for_NAME():
    yield 1
    await BODY
async def NAME(for_NAME): await work()
""",
    "async-fixture-module": (
        'pytestmark = pytest.mark.asyncio(loop_scope="module")',
        """
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def for_NAME():
    await BODY
    yield 1
async def NAME(for_NAME): await work()
""",
    ),
    "asyncio.run": "def NAME(): asyncio.run(BODY)",
    "asyncio.Runner": """
def NAME():
    with asyncio.Runner() as runner:
        runner.run(work())
        runner.run(BODY)
""",
    "new_event_loop": """
def NAME():
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(BODY)
    finally:
        loop.close()
""",
    "unittest": (
        "class TestIt(unittest.IsolatedAsyncioTestCase):",
        "    async def NAME(self): await BODY",
    ),
    "anyio": (
        """
pytestmark = pytest.mark.anyio
@pytest.fixture(scope="module")
def anyio_backend(): return "asyncio"
""",
        "async def NAME(): await BODY",
    ),
    "thread": """
def NAME():
    thread = threading.Thread(target=lambda: asyncio.run(BODY))
    thread.start()
    thread.join()
""",
    "uvloop": (
        "import uvloop",
        """
def NAME():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(BODY)
""",
    ),
    "uvloop-fixture": (
        """
import uvloop
@pytest.fixture(scope="module")
def loop():
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()
""",
        "def NAME(loop): loop.run_until_complete(BODY)",
    ),
}

STRICT_MODE = {"pytest-asyncio-strict", "anyio"}


@dataclass
class Run:
    """One run of pytest, with its report."""

    code: int
    text: str
    report: dict[str, Any]
    lines: dict[str, int]


def kinds_in(runner: str) -> list[str]:
    """The kinds that are found in ``runner``: uvloop does not show what can wake it."""
    unseen = {"deadlock"} if runner.startswith("uvloop") else set()
    return [kind for kind in SPRINGS if kind not in unseen]


def module_for(runner: str) -> str:
    """A test module that springs every kind in ``runner``, with innocent tests in between."""
    made = RUNNERS[runner]
    head, test = ("", made) if isinstance(made, str) else made
    parts = [HEAD, *SPRINGS.values()]
    names = ", ".join(f"{kind!r}: spring_{kind.replace('-', '_')}" for kind in SPRINGS)
    parts += [f"SPRINGS = {{{names}}}", head]
    for kind in kinds_in(runner):
        name = kind.replace("-", "_")
        parts.append(test.replace("NAME", f"test_{name}_0_before").replace("BODY", "work()"))
        parts.append(
            test.replace("NAME", f"test_{name}_1_guilty").replace("BODY", f"spring({kind!r})")
        )
        parts.append(test.replace("NAME", f"test_{name}_2_after").replace("BODY", "work()"))
    text = "\n".join(parts)
    if runner.startswith("uvloop"):
        text = text.replace("asyncio.new_event_loop()", "uvloop.new_event_loop()")
    return text


@cache
def ran(launcher: Launcher, runner: str) -> Run:
    """Run the module for ``runner``, once."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "test_it.py")
        path.write_text(module_for(runner))
        Path(folder, "pytest.ini").write_text(
            "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
        )
        if runner == "pytest-asyncio-package":
            Path(folder, "__init__.py").touch()
        mode = "strict" if runner in STRICT_MODE else "auto"
        words = ["-p", "asyncio", "-p", "asyncio_traps", "-p", "no:cacheprovider", "-v"]
        words += [f"--asyncio-mode={mode}", "--asyncio-traps-report=report.json"]
        words += ["--asyncio-strict", "--asyncio-traps=fail:blocking-call"]
        words += ["--asyncio-deadlock-duration=0.1"]
        if runner == "anyio":
            words += ["-p", "anyio"]
        done = launcher.run(Path(folder), words, environment())
        report = Path(folder, "report.json")
        return Run(
            done.ret,
            f"{done.stdout}\n{done.stderr}\n",
            json.loads(report.read_text()) if report.exists() else {},
            {kind: line_of(path, kind) for kind in SPRINGS},
        )


def skip_unless_there(runner: str) -> None:
    """Skip where uvloop or anyio cannot be had."""
    needed = (
        "uvloop" if runner.startswith("uvloop") else "anyio" if runner == "anyio" else "asyncio"
    )
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")


def test_every_kind_is_here() -> None:
    """A new kind has to be tried in every runner."""
    assert set(SPRINGS) == set(KINDS)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("kind", SPRINGS)
def test_found_charged_and_placed(launcher: Launcher, kind: str, runner: str) -> None:
    """Found once, charged to the guilty test or fixture, at the line that did it."""
    skip_unless_there(runner)
    if kind not in kinds_in(runner):
        pytest.skip("not to be seen there")
    run = ran(launcher, runner)
    name = f"test_{kind.replace('-', '_')}_1_guilty"
    (finding,) = (f for f in run.report["findings"] if f["kind"] == kind)

    assert finding["action"] == "fail"
    assert finding["count"] == 1
    assert finding["nodeid"].endswith(name)
    place = place_of(finding)
    function = INNER.get(kind, f"spring_{kind.replace('-', '_')}")
    assert place == {"path": "test_it.py", "line": run.lines[kind], "function": function}
    if runner.startswith("async-fixture"):
        scope = "module" if runner.endswith("module") else "function"
        assert finding["owner"] == {"type": "fixture", "name": f"for_{name}", "scope": scope}
    else:
        assert finding["owner"] == {
            "type": "test",
            "name": finding["nodeid"],
            "scope": "function",
        }
    if (runner == "anyio" and kind in RAISED_BY_ANYIO) or (kind, runner) == RAISED_BY_DEBUG_MODE:
        # The exception is raised in the test, whose failure that is: the finding joins it.
        line = f"test_it.py:{run.lines[kind]}"
        assert f"{line}, in {function}" in run.text or f"{line} {function} " in run.text
    else:
        assert f"test_it.py:{run.lines[kind]}: {kind}" in run.text


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_innocent_stay_green(launcher: Launcher, runner: str) -> None:
    """Exactly the guilty tests fail, each once, and the run with them."""
    skip_unless_there(runner)
    run = ran(launcher, runner)

    red = [
        line.split(" - ")[0]
        for line in run.text.splitlines()
        if line.startswith(("FAILED ", "ERROR "))
    ]
    red = [line for line in red if "::" in line]

    assert run.code == 1
    kinds = kinds_in(runner)
    assert len(run.report["findings"]) == len(kinds), json.dumps(run.report, indent=1)
    assert sorted(line.rpartition("::")[2] for line in red) == sorted(
        f"test_{kind.replace('-', '_')}_1_guilty" for kind in kinds
    )
    assert "a fault of pytest-asyncio-traps" not in run.text


def test_uvloop_says_what_it_cannot_show(launcher: Launcher) -> None:
    """Where uvloop was used, the report names its blind spots."""
    skip_unless_there("uvloop")
    spots = ran(launcher, "uvloop").report["blind_spots"]

    assert spots
    assert all("uvloop" in spot["what"] and spot["reason"] for spot in spots)
