"""Tests and fixtures that wait for something that can never happen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

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

        async def test_nested_group():
            async def inner():
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.Semaphore(0).acquire())
            async with asyncio.TaskGroup() as group:  # here
                group.create_task(inner())
                group.create_task(asyncio.sleep(0))

        async def test_gather():
            await asyncio.gather(asyncio.sleep(0), asyncio.Event().wait())  # here

        async def test_shield():
            await asyncio.shield(asyncio.create_task(asyncio.Event().wait()))  # here

        async def test_no_timeout():
            async with asyncio.timeout(None):
                await asyncio.wait_for(asyncio.Event().wait(), None)  # here

        async def test_past_timer():
            # A timer that was cancelled, and a future that completed it, wake nothing.
            loop = asyncio.get_running_loop()
            loop.call_later(60, print).cancel()
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
            await asyncio.Event().wait()  # here

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

        @pytest.mark.asyncio(loop_scope="package")
        async def test_package():
            await asyncio.Event().wait()  # here

        @pytest.mark.asyncio(loop_scope="class")
        class TestClass:
            async def test_class(self):
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
        "-o",
        "asyncio_deadlock_duration=0.1",
    )


def test_threads(suite: Suite) -> None:
    """The test's thread waits for a loop in another thread, by whatever may complete its wait."""
    check(
        suite,
        """
        import concurrent.futures, ctypes, queue

        @pytest.fixture
        def loop():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            yield loop
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        ended = []

        async def stuck(times=1):
            for _ in range(times):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    ended.append(times)

        def test_result(loop):
            asyncio.run_coroutine_threadsafe(stuck(), loop).result()  # here

        def test_exception(loop):
            with contextlib.suppress(concurrent.futures.CancelledError):
                asyncio.run_coroutine_threadsafe(asyncio.Event().wait(), loop).exception()  # here

        def test_stubborn(loop):
            asyncio.run_coroutine_threadsafe(stuck(3), loop).result()  # here

        def test_ring(loop):
            tasks = {}
            async def wait(name):
                await asyncio.sleep(0)
                await tasks[name]
            async def main():
                tasks["a"] = asyncio.create_task(wait("b"))
                tasks["b"] = asyncio.create_task(wait("a"))
                await tasks["a"]
            asyncio.run_coroutine_threadsafe(main(), loop).result()  # here

        def test_finally():
            assert ended == [1, 3, 3, 3]  # those of a test that goes on end by its loop

        def test_join():
            async def main():
                await asyncio.Event().wait()  # here
            thread = threading.Thread(target=asyncio.run, args=(main(),))
            thread.start()
            thread.join()

        def test_executor():
            async def main():
                await asyncio.Event().wait()  # here
            with concurrent.futures.ThreadPoolExecutor() as pool:
                with contextlib.suppress(asyncio.CancelledError):
                    pool.submit(asyncio.run, main()).result()

        def test_shutdown():
            async def main():
                await asyncio.Event().wait()  # here
            with concurrent.futures.ThreadPoolExecutor() as pool:
                pool.submit(asyncio.run, main())

        def test_portal():
            anyio = pytest.importorskip("anyio.from_thread")
            with anyio.start_blocking_portal() as portal:
                portal.call(stuck)  # here

        async def test_two_loops(loop):
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(stuck(), loop))  # here

        async def test_idle_threads():
            jobs, lock = queue.Queue(), threading.Lock()
            lock.acquire()
            threads = [threading.Thread(target=wait) for wait in (jobs.get, lock.acquire)]
            for thread in threads:
                thread.start()
            try:
                await asyncio.Event().wait()  # here
            finally:
                jobs.put(1)
                lock.release()

        def test_it_goes_on(loop):
            assert asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 1), loop).result() == 1
        """,
        "deadlock",
        "-o",
        "asyncio_deadlock_duration=0.1",
        "-Wignore::pytest.PytestUnhandledThreadExceptionWarning",
    )


def test_fixtures(suite: Suite) -> None:
    """The set-up or teardown of a fixture fails, the finding is its own, and all others end."""
    outcome = suite.test(
        """
        import asyncio, pytest, pytest_asyncio

        log = []

        def logs(name, scope):
            @pytest_asyncio.fixture(scope=scope, loop_scope=scope, name=name)
            async def fixture():
                yield
                log.append(name)
            return fixture

        outer, middle = logs("outer", "module"), logs("middle", "function")

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def stuck_late(outer):
            yield
            await asyncio.Event().wait()

        @pytest_asyncio.fixture(scope="class", loop_scope="class")
        async def stuck_early():
            await asyncio.Event().wait()

        @pytest.fixture
        async def stuck_at_end(middle):
            yield
            await asyncio.Event().wait()

        @pytest.fixture
        async def stuck_once_more(stuck_at_end):
            yield
            await asyncio.Event().wait()

        @pytest.fixture
        def stuck_in_run(middle):
            yield
            asyncio.run(asyncio.wait_for(asyncio.Event().wait(), None))

        class TestClass:
            async def test_set_up(self, stuck_early): pass

        async def test_teardown(stuck_once_more): pass
        def test_run(stuck_in_run): pass
        def test_others(): assert log == ["middle", "middle"]
        async def test_module(stuck_late): pass
        """,
        "-o",
        "asyncio_deadlock_duration=0.1",
        "--asyncio-traps-hang=60",
    )

    outcome.result.assert_outcomes(passed=4, errors=4)
    assert [(f["owner"]["name"], f["when"]) for f in outcome.findings] == [
        ("stuck_early", "setup"),
        ("stuck_once_more", "teardown"),
        ("stuck_at_end", "teardown"),
        ("stuck_in_run", "teardown"),
        ("stuck_late", "teardown"),
    ]
    assert all(finding["location"] for finding in outcome.findings)
    outcome.result.stdout.no_fnmatch_line("*CancelledError*")


def test_test_cases(suite: Suite) -> None:
    outcome = suite.test(
        """
        import asyncio, unittest

        class Case(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                if self._testMethodName == "test_1_set_up":
                    await asyncio.Event().wait()

            async def asyncTearDown(self):
                if self._testMethodName == "test_2_teardown":
                    await asyncio.Event().wait()

            async def test_1_set_up(self): pass
            async def test_2_teardown(self): pass
            async def test_3_clean_up(self): self.addAsyncCleanup(asyncio.Event().wait)
            async def test_4_sound(self): pass
        """,
        "-o",
        "asyncio_deadlock_duration=0.1",
    )

    outcome.result.assert_outcomes(passed=1, failed=3)
    assert outcome.kinds == ["deadlock"] * 3


def test_import(suite: Suite) -> None:
    """There is no test to fail: the import fails, and the finding is a warning."""
    suite.write(
        test_it="import asyncio\nasyncio.run(asyncio.Event().wait())  # here",
        test_other="def test_it(): pass",
    )

    outcome = suite.run("-o", "asyncio_deadlock_duration=0.1", "--continue-on-collection-errors")

    outcome.result.assert_outcomes(passed=1, errors=1, warnings=1)
    assert outcome.only()["location"]["line"] == suite.line_of("here")


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


@pytest.mark.parametrize(
    ("plugins", "args"),
    [
        (("timeout", "rerunfailures", "xdist"), ("--timeout-method=thread",)),
        (("xdist", "timeout", "rerunfailures"), ("--timeout-method=signal", "-n1")),
    ],
    ids=["alone", "worker"],
)
def test_the_threads_of_test_runners(
    suite: Suite, plugins: tuple[str, ...], args: tuple[str, ...]
) -> None:
    """They wake no loop, nor do the timer of pytest-timeout and the other thread of the plugin."""
    for name in plugins:
        pytest.importorskip(f"pytest_{name}" if name != "xdist" else name)

    outcome = suite.test(
        STUBBORN, *QUICK, "--timeout=60", "--asyncio-traps-hang=60", *args, plugins=plugins
    )

    assert outcome.only()["nodeid"] == "test_it.py::test_it"
    outcome.result.assert_outcomes(passed=1, failed=1)


#: Tests that wait forever and are left alone, with what is done about the kind. They are ended from
#: outside, by SIGINT: Python's own handler of that is always in place, and counts as no waker.
LEFT_ALONE = [
    ("warn", ""),
    ("allow", ""),
    ("off", ""),
    ("fail", "pytestconfig.hook.pytest_enter_pdb(config=pytestconfig, pdb=None)"),
    ("fail", "bdb.Bdb().set_trace()"),
]


def test_the_test_is_left_alone(suite: Suite) -> None:
    """``warn`` prints who waits for whom, while the test waits."""
    running = []
    for number, (rule, code) in enumerate(LEFT_ALONE):
        folder = suite.pytester.mkdir(f"run{number}")
        folder.joinpath("test_it.py").write_text(
            f"""
import asyncio, bdb

async def test_it(pytestconfig):
    {code}
    open("waits", "w").close()
    await asyncio.Event().wait()
"""
        )
        command = [
            *(sys.executable, "-m", "pytest", "-p", "asyncio", "-p", "asyncio_traps"),
            *("-p", "no:cacheprovider", f"--asyncio-traps={rule}:deadlock"),
            *("-o", "asyncio_mode=auto", "-o", "asyncio_deadlock_duration=0.1"),
        ]
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with folder.joinpath("stderr").open("w") as stderr:
            running.append(
                (
                    rule,
                    folder,
                    subprocess.Popen(
                        command, cwd=folder, env=env, stdout=-1, stderr=stderr, text=True
                    ),
                )
            )
    end = time.monotonic() + 60
    for rule, folder, _ in running:
        while time.monotonic() < end and not folder.joinpath("waits").exists():
            time.sleep(0.05)
        text = folder / "stderr"
        while rule == "warn" and time.monotonic() < end and "To allow" not in text.read_text():
            time.sleep(0.05)
    time.sleep(1)
    for rule, folder, process in running:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        err = folder.joinpath("stderr").read_text()
        assert process.returncode == 2, out + err
        assert err.count("deadlock: 'test_it' waits forever") == (rule == "warn")
        assert err.count("Event.wait()") == (rule == "warn")
        assert "CancelledError" not in out


def test_uvloop_is_a_blind_spot(suite: Suite) -> None:
    """Its queue cannot be read, so that there is no verdict."""
    pytest.importorskip("uvloop")
    outcome = suite.test(
        """
        import asyncio, threading, uvloop

        def test_it():
            async def main():
                event, loop = asyncio.Event(), asyncio.get_running_loop()
                thread = threading.Timer(0.6, loop.call_soon_threadsafe, (event.set,))
                thread.start()
                await event.wait()
                thread.join()
            uvloop.run(main())
        """,
        "-o",
        "asyncio_deadlock_duration=0.1",
    )

    outcome.clean()
    spots = [spot["what"] for spot in outcome.report["blind_spots"]]
    assert "deadlock: loops whose queue cannot be read" in spots


def test_reports(suite: Suite) -> None:
    """Each names the line, and has every task with what it waits for."""
    paths = [str(suite.pytester.path / f"report.{suffix}") for suffix in ("sarif", "html")]
    outcome = suite.test(
        """
        import asyncio

        async def move(source, target):
            async with source:
                await asyncio.sleep(0)
                async with target:  # inner
                    pass

        async def test_it():
            here, there = asyncio.Lock(), asyncio.Lock()
            reader = asyncio.create_task(asyncio.Queue().get(), name="reader")
            await asyncio.gather(move(here, there), move(there, here))  # here
        """,
        "-o",
        "asyncio_deadlock_duration=0.1",
        *(f"--asyncio-traps-report={path}" for path in paths),
    )

    finding = outcome.only()
    assert finding["location"]["line"] == suite.line_of("here")
    assert [line["line"] for line in finding["waits"]] == [
        suite.line_of("here"),
        suite.line_of("inner"),
    ]
    terminal = outcome.result.stdout.str()
    texts = [terminal, "\n".join(finding["notes"])]
    texts += [Path(path).read_text() for path in paths]
    for text in texts:
        for part in ("waits for Lock.acquire()", "a cycle", "reader", "Queue.get() (0 items)"):
            assert part in text, text
    outcome.result.stdout.fnmatch_lines(["test_it.py:*: deadlock", "FAILED *deadlock: 'test_it'*"])


@pytest.mark.parametrize("value", ["soon", "-1"])
def test_a_bad_duration(suite: Suite, value: str) -> None:
    outcome = suite.test("def test_it(): pass", f"--asyncio-deadlock-duration={value}")

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines([f"*--asyncio-deadlock-duration*{value}*"])
