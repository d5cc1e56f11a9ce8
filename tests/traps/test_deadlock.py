"""Tests and fixtures that wait for something that can never happen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from ..run import Suite
from . import deadlock_wakers as wakers
from .deadlock_wakers import WAKERS
from .variants import HEAD, check

#: A proof that takes less time than the default, so that these tests do, too.
QUICK = ("-o", "asyncio_deadlock_duration=0.4")
#: No step is slow, however busy the machine is.
PATIENT = ("-o", "asyncio_slow_callback_duration=9")


@pytest.mark.parametrize("part", range(3))
def test_it_leaves_what_can_be_woken_alone(suite: Suite, part: int, every_case: bool) -> None:
    """A false alarm would break a sound test: each waits for several times as long as the proof.

    After each of them, a test waits in a process in which that waker is gone.
    """
    wait, still = (3.0, 1.0) if every_case else (0.5, 0.1)
    cases = list(WAKERS.items())[part::3]
    suite.write(
        **{
            f"test_{re.sub('[^a-z]+', '_', what.lower())}": "\n".join(
                [wakers.HEAD, f"WAIT = {wait}", textwrap.dedent(text), wakers.FOREVER]
            )
            for what, text in cases
        }
    )

    outcome = suite.run("-o", f"asyncio_deadlock_duration={still}", *PATIENT)

    outcome.no_fault()
    assert set(outcome.kinds) == {"deadlock"}
    tests = [finding["nodeid"].partition("::")[2] for finding in outcome.findings]
    assert tests == ["test_waits_forever"] * len(cases), outcome.result.stdout.str()
    counts = outcome.result.parseoutcomes()
    assert counts["failed"] == len(cases)
    assert counts["passed"] >= len(cases)


def test_it_waits_until_nothing_unknown_is_left(suite: Suite) -> None:
    """A thread that is not Python's may do anything, until it ends or waits for another thread."""
    suite.write(
        test_it=HEAD
        + """
import ctypes, faulthandler

library = ctypes.CDLL(None)

async def forever(seconds):
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert time.monotonic() - began > seconds

async def test_native_thread():
    thread, function = ctypes.c_ulong(), ctypes.cast(library.sleep, ctypes.c_void_p)
    library.pthread_create(ctypes.byref(thread), None, function, ctypes.c_void_p(1))
    await forever(0.9)
    library.pthread_join(thread, None)

async def test_native_thread_that_waits():
    semaphore = ctypes.create_string_buffer(64)
    library.sem_init(semaphore, 0, 0)
    thread, function = ctypes.c_ulong(), ctypes.cast(library.sem_wait, ctypes.c_void_p)
    library.pthread_create(ctypes.byref(thread), None, function, semaphore)
    await forever(0)
    library.sem_post(semaphore)
    library.pthread_join(thread, None)

async def test_timer_of_faulthandler():
    with open(os.devnull, "w") as null:
        faulthandler.dump_traceback_later(0.9, file=null)
        await forever(0.9)
"""
    )

    outcome = suite.run("-o", "asyncio_deadlock_duration=0.1", *PATIENT)

    assert outcome.kinds == ["deadlock"] * 3
    outcome.result.assert_outcomes(failed=3)
    outcome.result.stdout.no_fnmatch_line("*AssertionError*")


def test_found(suite: Suite) -> None:
    """Each way in which a test may wait for itself, or for nobody."""
    check(
        suite,
        """
        async def test_get():
            await asyncio.Queue().get()  # here

        async def test_put():
            queue = asyncio.Queue(1)
            await queue.put(1)
            await queue.put(2)  # here

        async def test_join():
            queue = asyncio.Queue()
            queue.put_nowait(1)
            await queue.join()  # here

        async def test_lock():
            lock = asyncio.Lock()
            async with lock:
                async with lock:  # here
                    pass

        async def test_lock_order():
            first, second = asyncio.Lock(), asyncio.Lock()
            async def hold(one, other):
                async with one:
                    await asyncio.sleep(0)
                    async with other:
                        pass
            await asyncio.gather(hold(first, second), hold(second, first))  # here

        async def test_semaphore():
            semaphore = asyncio.Semaphore(0)
            await semaphore.acquire()  # here

        async def test_event():
            await asyncio.Event().wait()  # here

        async def test_condition():
            condition = asyncio.Condition()
            async with condition:
                await condition.wait()  # here

        async def test_barrier():
            await asyncio.Barrier(2).wait()  # here

        async def test_future():
            await asyncio.get_running_loop().create_future()  # here

        async def test_each_other():
            async def wait(name):
                await asyncio.sleep(0)
                await tasks[name]
            tasks = {}
            tasks["a"] = asyncio.create_task(wait("b"))
            tasks["b"] = asyncio.create_task(wait("a"))
            await tasks["a"]  # here

        async def test_group():
            async with asyncio.TaskGroup() as group:  # here
                group.create_task(asyncio.Event().wait())
                group.create_task(asyncio.Queue().get())

        async def test_wait():
            await asyncio.wait([asyncio.create_task(asyncio.Event().wait())])  # here

        async def test_reader():
            reader = asyncio.StreamReader()
            reader.feed_data(b"no newline")
            await reader.readline()  # here

        def test_run():
            async def main():
                await asyncio.Event().wait()  # here
            asyncio.run(main())

        def test_run_until_complete():
            async def main():
                await asyncio.Event().wait()  # here
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(main())
            finally:
                loop.close()

        @pytest.mark.asyncio(loop_scope="module")
        async def test_module():
            await asyncio.Event().wait()  # here

        @pytest.mark.asyncio(loop_scope="session")
        async def test_session():
            await asyncio.Event().wait()  # here

        import unittest
        class Case(unittest.IsolatedAsyncioTestCase):
            async def test_case(self):
                await asyncio.Event().wait()  # here

        async def test_idle_workers():
            await asyncio.to_thread(time.sleep, 0)
            await asyncio.Event().wait()  # here
        """,
        "deadlock",
        *QUICK,
    )


def test_fixtures(suite: Suite) -> None:
    """The set-up and the teardown of a fixture fail, and the finding is the fixture's."""
    outcome = suite.test(
        """
        import asyncio, pytest

        @pytest.fixture
        async def outer(log):
            yield
            log.append("outer")

        @pytest.fixture(scope="module")
        def log():
            return []

        @pytest.fixture
        async def stuck():
            await asyncio.Event().wait()
            yield

        @pytest.fixture
        async def stuck_at_end(outer):
            yield
            await asyncio.Event().wait()

        async def test_set_up(stuck): pass
        async def test_teardown(stuck_at_end): pass
        def test_others(log): assert log == ["outer"]
        """,
        *QUICK,
    )

    outcome.result.assert_outcomes(passed=2, errors=2)
    assert [(f["owner"]["name"], f["when"]) for f in outcome.findings] == [
        ("stuck", "setup"),
        ("stuck_at_end", "teardown"),
    ]


def test_anyio(suite: Suite) -> None:
    """anyio runs everything in one task, which ends with the test that waits forever."""
    outcome = suite.test(
        """
        import anyio, asyncio, pytest

        pytestmark = pytest.mark.anyio
        log = []

        @pytest.fixture
        def anyio_backend(): return "asyncio"

        @pytest.fixture
        async def outer():
            yield
            log.append("outer")

        @pytest.fixture
        async def stuck(outer):
            await anyio.Event().wait()

        async def test_it(outer):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.Event().wait)
                try:
                    await anyio.Event().wait()
                finally:
                    log.append("test")

        async def test_set_up(stuck): pass
        def test_log(): assert log == ["test", "outer", "outer"]
        """,
        *QUICK,
        plugins=("anyio",),
    )

    outcome.result.assert_outcomes(passed=1, failed=1, errors=1)
    assert [(f["owner"]["name"], f["when"]) for f in outcome.findings] == [
        ("test_it.py::test_it", "call"),
        ("stuck", "setup"),
    ]


STUBBORN = """
    import asyncio

    async def test_it():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

    async def test_next(): pass
    """


def test_a_test_that_refuses_to_end(suite: Suite) -> None:
    """Its loop is stopped after a while."""
    outcome = suite.test(STUBBORN, *QUICK)

    assert outcome.only()["kind"] == "deadlock"
    outcome.result.assert_outcomes(passed=1, failed=1)


def test_xdist(suite: Suite) -> None:
    outcome = suite.test(STUBBORN, *QUICK, "-n1", plugins=("xdist",))

    assert outcome.only()["nodeid"] == "test_it.py::test_it"
    outcome.result.assert_outcomes(passed=1, failed=1)


#: A test that waits forever. It is ended from outside, by SIGINT: Python's own handler of that is
#: always in place, and counts as no waker.
ENDED_BY_A_SIGNAL = """
    import asyncio

    async def test_it():
        await asyncio.Event().wait()
    """
#: The same, after a debugger was entered.
DEBUGGED = """
    import asyncio

    async def test_it(pytestconfig):
        pytestconfig.hook.pytest_enter_pdb(config=pytestconfig, pdb=None)
        await asyncio.Event().wait()
    """


@pytest.mark.parametrize(
    ("rule", "text", "told"),
    [
        ("warn", ENDED_BY_A_SIGNAL, 1),
        ("allow", ENDED_BY_A_SIGNAL, 0),
        ("off", ENDED_BY_A_SIGNAL, 0),
        ("fail", DEBUGGED, 0),
    ],
    ids=["warn", "allow", "off", "debugger"],
)
def test_the_test_is_left_alone(suite: Suite, rule: str, text: str, told: int) -> None:
    """``warn`` prints who waits for whom, while the test waits."""
    suite.write(test_it=text)
    command = [
        *(sys.executable, "-m", "pytest", "-p", "asyncio", "-p", "asyncio_traps"),
        *("-p", "no:cacheprovider", f"--asyncio-traps={rule}:deadlock", *QUICK),
    ]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    heard = suite.pytester.path / "stderr"
    with heard.open("w") as stderr:
        process = subprocess.Popen(
            command, cwd=suite.pytester.path, env=env, stdout=-1, stderr=stderr, text=True
        )
    end = time.monotonic() + (60 if told else 5)
    while time.monotonic() < end and "To allow it" not in heard.read_text():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    err = heard.read_text()

    assert process.returncode == 2, out + err
    assert err.count("deadlock: 'test_it' waits forever") == told
    assert err.count("Event.wait()") == told
    assert "CancelledError" not in out


def test_the_plugins_own_threads_wake_nothing(suite: Suite) -> None:
    outcome = suite.test(STUBBORN, *QUICK, "--asyncio-traps-hang=60")

    assert outcome.only()["kind"] == "deadlock"


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_pytest_timeout(suite: Suite, method: str) -> None:
    """Its thread, or its timer of the system, ends the test, and does not wake its loop."""
    outcome = suite.test(
        STUBBORN, *QUICK, "--timeout=60", f"--timeout-method={method}", plugins=("timeout",)
    )

    assert outcome.only()["kind"] == "deadlock"


def test_uvloop_is_a_blind_spot(suite: Suite) -> None:
    """Its queue cannot be read, so that there is no verdict."""
    pytest.importorskip("uvloop")
    outcome = suite.test(
        """
        import asyncio, threading, uvloop

        def test_it():
            async def main():
                event, loop = asyncio.Event(), asyncio.get_running_loop()
                thread = threading.Timer(1.5, loop.call_soon_threadsafe, (event.set,))
                thread.start()
                await event.wait()
                thread.join()
            uvloop.run(main())
        """,
        *QUICK,
    )

    outcome.clean()
    spots = [spot["what"] for spot in outcome.report["blind_spots"]]
    assert "deadlock: loops whose queue cannot be read" in spots
