"""Clocks that stand still or jump: freezegun and time-machine."""

from __future__ import annotations

import pytest

from ..run import Suite
from .mixed import MIXED, NAMED, need, reference, run_of, seen

CLOCKS = {
    "freezegun": """
import freezegun

@pytest.fixture(autouse=True)
def clock():
    with freezegun.freeze_time("2020-01-01", real_asyncio=True) as frozen:
        yield frozen
""",
    "freezegun-tick": """
import freezegun

@pytest.fixture(autouse=True)
def clock():
    with freezegun.freeze_time("2020-01-01", tick=True) as frozen:
        yield frozen
""",
    "time-machine": """
import time_machine

@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel("2020-01-01", tick=False) as traveller:
        yield traveller
""",
    "time-machine-tick": """
import time_machine

@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel("2020-01-01", tick=True) as traveller:
        yield traveller
""",
}

JUMPS = """
import asyncio, datetime, time
import pytest

async def test_jumps_ahead(clock):
    await asyncio.sleep(0)
    clock.move_to("2030-01-01")
    await asyncio.sleep(0)
    assert datetime.date.today().year == 2030

async def test_jumps_back(clock):
    await asyncio.sleep(0)
    clock.move_to("1990-01-01")
    await asyncio.sleep(0)

def test_jumps_in_a_loop_of_its_own(clock):
    async def main():
        clock.move_to("2030-01-01")
    asyncio.run(main())

async def test_blocks(clock):
    await asyncio.sleep(0)
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # blocks

async def test_jumps_and_blocks(clock):
    await asyncio.sleep(0)
    clock.move_to("1990-01-01")
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # both
"""


@pytest.mark.parametrize("how", CLOCKS)
def test_the_same_whatever_the_clock_says(suite: Suite, how: str) -> None:
    """Each test of the suite runs by a clock that stands, or that tells another time."""
    need(how.removesuffix("-tick").replace("-", "_"))
    expected = reference(suite)
    suite.pytester.makeconftest("import pytest\n" + CLOCKS[how])

    outcome = suite.test(MIXED, "-rA", *NAMED)

    assert run_of(outcome) == expected


@pytest.mark.parametrize("how", CLOCKS)
def test_a_clock_that_jumps(suite: Suite, how: str) -> None:
    """A jump takes no time; a step that blocks is found by the time that does pass."""
    need(how.removesuffix("-tick").replace("-", "_"))
    outcome = suite.test(JUMPS + CLOCKS[how])

    assert {(f["kind"], f["nodeid"].rpartition("::")[2], seen(f)[3]) for f in outcome.findings} == {
        ("slow-callback", "test_blocks", suite.line_of("blocks")),
        ("slow-callback", "test_jumps_and_blocks", suite.line_of("both")),
    }
    assert all(0.2 < finding["duration"] < 60 for finding in outcome.findings)
    outcome.result.assert_outcomes(passed=3, failed=2)
    outcome.no_fault()


def test_a_clock_that_stands_still_for_asyncio_too(suite: Suite) -> None:
    """freezegun's way when nothing else is asked for, as a decorator and as a block."""
    need("freezegun")
    outcome = suite.test(
        """
        import asyncio, time
        from freezegun import freeze_time

        async def work(): await asyncio.sleep(0)

        @freeze_time("2020-01-01")
        async def test_innocent(): await asyncio.gather(work(), work())

        @freeze_time("2020-01-01", auto_tick_seconds=3600)
        async def test_each_look_takes_an_hour():
            await work()
            time.time(), time.monotonic(), time.perf_counter()
            await work()

        @freeze_time("2020-01-01")
        def test_run(): asyncio.run(work())

        async def test_forgets():
            with freeze_time("2020-01-01") as clock:
                work()  # forgets
                clock.tick(3600)
                await work()

        @freeze_time("2020-01-01")
        def test_blocks():
            async def main():
                end = time.thread_time() + 0.3
                while time.thread_time() < end: pass  # blocks
            asyncio.run(main())

        async def test_after(): await asyncio.sleep(0.01)
        """
    )

    assert {(f["kind"], f["nodeid"].rpartition("::")[2], seen(f)[3]) for f in outcome.findings} == {
        ("never-awaited", "test_forgets", suite.line_of("forgets")),
        ("slow-callback", "test_blocks", suite.line_of("blocks")),
    }
    outcome.result.assert_outcomes(passed=4, failed=2)
    outcome.no_fault()
