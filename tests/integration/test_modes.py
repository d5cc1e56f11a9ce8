"""One small suite, in each of the ways in which Python and pytest can be run.

The findings are the same ones, at the same lines, and the innocent tests stay green. Where a mode
changes something, it stands here, with the reason.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_asyncio_traps.traps import KINDS

from ..cases import cases
from ..run import environment, line_of, place_of
from .test_matrix import HEAD, SPRINGS

#: For each kind, code that comes close to it, and is sound.
NEAR_MISSES = """
async def near_never_awaited():
    work().close()

async def near_unretrieved_exception():
    task = asyncio.create_task(boom())
    await asyncio.wait([task])
    assert task.exception() is not None

async def near_pending_task():
    task = asyncio.create_task(poll())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

async def near_unclosed_transport():
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    server.close()
    await server.wait_closed()

async def near_unclosed_loop():
    asyncio.new_event_loop().close()

async def near_slow_callback():
    await asyncio.sleep(0.15)

async def near_invalid_state():
    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    with pytest.raises(asyncio.InvalidStateError):
        future.set_result(2)

async def near_callback_exception():
    def callback():
        try:
            raise ValueError
        except ValueError:
            pass
    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0.01)

async def near_unclosed_asyncgen():
    numbers_ = numbers()
    async for _ in numbers_:
        break
    await numbers_.aclose()

async def near_unclosed_resource():
    client = Client()
    await client.close()

async def near_wrong_thread():
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(loop.call_soon_threadsafe, int)

async def near_wrong_loop():
    loop, running = asyncio.new_event_loop(), asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    loop.call_soon(loop.stop)
    loop.run_forever()
    asyncio._set_running_loop(running)
    loop.call_soon_threadsafe(int)
    loop.close()

async def near_deadlock():
    await asyncio.to_thread(time.sleep, 0.3)

async def near_blocking_call():
    await asyncio.to_thread(time.sleep, 0.001)

async def near_lingering_timer():
    asyncio.get_running_loop().call_later(3600, print).cancel()

async def near_swallowed_cancellation():
    task = asyncio.create_task(poll())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
"""

#: The loops that asyncio.run() makes, so that a test needs no plugin that runs it.
TEST = """
def test_{name}_guilty():
    asyncio.run(spring_{name}())

def test_{name}_near():
    asyncio.run(near_{name}())
"""


@dataclass(frozen=True)
class Mode:
    """How the suite is run: options of Python, of pytest, and the environment."""

    python: tuple[str, ...] = ()
    pytest: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    needs: str = "asyncio"
    #: Kinds that are raised in the test itself, whose failure that is; its findings join it.
    raised: frozenset[str] = frozenset()


#: asyncio's own debug mode checks the thread by itself, and raises.
DEBUG = frozenset({"wrong-thread"})

MODES = {
    "plain": Mode(),
    "no-asyncio": Mode(pytest=("-p", "no:asyncio")),
    "random": Mode(pytest=("-p", "randomly", "-p", "no:asyncio"), needs="pytest_randomly"),
    "optimized": Mode(python=("-O",)),
    "optimized-twice": Mode(python=("-OO",)),
    "dev": Mode(python=("-X", "dev"), raised=DEBUG),
    "asyncio-debug": Mode(env={"PYTHONASYNCIODEBUG": "1"}, raised=DEBUG),
    # Python's warnings about what is unclosed become errors, which nobody but pytest sees.
    "error": Mode(python=("-W", "error")),
    "importtime": Mode(python=("-X", "importtime")),
    "tracemalloc": Mode(python=("-X", "tracemalloc=5")),
    "isolated": Mode(python=("-I",)),
    "no-capture": Mode(pytest=("-s",)),
    "no-assertions": Mode(pytest=("--assert=plain", "-p", "no:warnings", "-p", "no:logging")),
    "importlib": Mode(pytest=("--import-mode=importlib",)),
    "coverage": Mode(pytest=("-p", "pytest_cov", "--cov=.", "--cov-report="), needs="pytest_cov"),
    "coverage-sysmon": Mode(
        pytest=("-p", "pytest_cov", "--cov=.", "--cov-report="),
        env={"COVERAGE_CORE": "sysmon"},
        needs="pytest_cov",
    ),
}


def suite() -> str:
    assert set(SPRINGS) == set(KINDS)
    names = [kind.replace("-", "_") for kind in KINDS]
    return "\n".join([HEAD, *SPRINGS.values(), NEAR_MISSES, *(TEST.format(name=n) for n in names)])


def run(folder: Path, mode: Mode) -> tuple[str, dict[str, Any]]:
    (folder / "test_it.py").write_text(suite())
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings =\n    ignore::pytest.PytestUnraisableExceptionWarning\n"
    )
    command = [sys.executable, *mode.python, "-m", "pytest", "-rA", "--tb=line"]
    command += ["-p", "no:cacheprovider"]
    command += ["-p", "asyncio"] if "no:asyncio" not in mode.pytest else []
    command += ["-p", "asyncio_traps", *mode.pytest, "--asyncio-traps-report=report.json"]
    command += ["--asyncio-strict", "--asyncio-traps=fail:blocking-call"]
    command += ["--asyncio-deadlock-duration=0.1"]
    kept = environment(without=("PYTEST", "PYTHON", "COV"))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **mode.env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    output = done.stdout + done.stderr[-2000:]
    assert done.returncode == 1, output
    return output, json.loads((folder / "report.json").read_text())


QUICK = ("plain", "optimized-twice", "dev", "asyncio-debug", "error", "isolated", "coverage-sysmon")


@pytest.mark.parametrize("name", cases(MODES, QUICK))
def test_the_same_findings(name: str, tmp_path: Path) -> None:
    mode = MODES[name]
    if importlib.util.find_spec(mode.needs) is None and mode.needs != "asyncio":
        pytest.skip(f"{mode.needs} is not installed")
    if mode.env.get("COVERAGE_CORE") == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring is new in Python 3.12")

    output, report = run(tmp_path, mode)

    found = {
        finding["kind"]: (
            finding["nodeid"],
            place_of(finding)["line"],
            finding["count"],
        )
        for finding in report["findings"]
    }
    expected = {
        kind: (
            f"test_it.py::test_{kind.replace('-', '_')}_guilty",
            line_of(tmp_path / "test_it.py", kind),
            1,
        )
        for kind in KINDS
    }
    assert found == expected, output
    assert len(report["findings"]) == len(KINDS), output
    assert "a fault of pytest-asyncio-traps" not in output
    passed = {line.split()[1] for line in output.splitlines() if line.startswith("PASSED ")}
    near = {f"test_it.py::test_{kind.replace('-', '_')}_near" for kind in KINDS}
    assert near <= passed, output
    red = {
        line.split()[1]
        for line in output.splitlines()
        if line.startswith(("FAILED ", "ERROR ")) and "::" in line
    }
    assert red == {nodeid for nodeid, _, _ in expected.values()}, output
    for kind in mode.raised:
        assert f"FAILED {expected[kind][0]} - {kind}" not in output
