"""Sound code stays silent, however close to a trap it comes."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path

import pytest

from ..run import Suite

SOUND = Path(__file__).with_name("sound_code.py")


@pytest.mark.parametrize("args", [(), ("--asyncio-strict",)], ids=["plain", "strict"])
def test_sound_code_is_silent(suite: Suite, args: tuple[str, ...]) -> None:
    """Every test of sound_code.py runs, and none has a finding."""
    if importlib.util.find_spec("anyio") is None:
        pytest.skip("anyio is not installed")
    outcome = suite.test(SOUND.read_text(), *args, plugins=("anyio",))

    outcome.clean()
    tests = [
        node
        for node in ast.walk(ast.parse(SOUND.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
    ]
    outcomes = outcome.result.parseoutcomes()
    assert outcomes["skipped"] == outcomes["xfailed"] == 1
    assert outcomes["passed"] + 2 == len(tests) > 35


def test_a_busy_coroutine_that_gives_way(suite: Suite) -> None:
    """Many short steps are not one long one."""
    outcome = suite.test(
        """
        import asyncio, time

        async def test_it():
            end = time.perf_counter() + 0.4
            while time.perf_counter() < end:
                sum(range(1000))
                await asyncio.sleep(0)
        """
    )

    outcome.clean()


def test_a_lazily_started_worker_of_a_session_fixture(suite: Suite) -> None:
    """What a test starts on a loop that outlives it, and its owner ends, is nobody's leak."""
    outcome = suite.test(
        """
        import asyncio, pytest, pytest_asyncio
        pytestmark = pytest.mark.asyncio(loop_scope="session")

        class Pool:
            task = None

            async def get(self):
                if self.task is None:
                    self.task = asyncio.create_task(self.work())
                await asyncio.sleep(0)

            async def work(self):
                await asyncio.sleep(3600)

            async def close(self):
                self.task.cancel()
                await asyncio.gather(self.task, return_exceptions=True)

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def pool():
            pool = Pool()
            yield pool
            await pool.close()

        async def test_a(pool): await pool.get()
        async def test_b(pool): await pool.get()
        """
    )

    outcome.clean()
    outcome.result.assert_outcomes(passed=2)


def test_a_fake_clock_does_not_make_steps_slow(suite: Suite) -> None:
    """A clock that jumps an hour within a step is not an hour of blocking."""
    outcome = suite.test(
        """
        import asyncio, time

        async def test_it(monkeypatch):
            for name in ("monotonic", "perf_counter", "time"):
                real = getattr(time, name)
                monkeypatch.setattr(time, name, lambda real=real: real() + 3600)
            await asyncio.sleep(0)
        """
    )

    outcome.clean()


def test_findings_are_json(suite: Suite) -> None:
    """The report of a clean run has every key of the contract."""
    outcome = suite.test("def test_it(): pass")

    outcome.clean()
    report = json.loads(json.dumps(outcome.report))
    assert set(report) == {
        "schema", "tool", "python", "pytest", "counts", "findings", "errors", "hangs",
        "blind_spots", "faults",
    }  # fmt: skip
    assert report["counts"] == {"fail": 0, "warn": 0, "allow": 0, "baseline": 0}
