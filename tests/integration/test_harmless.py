"""The watched code behaves as if nobody watched."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ..run import Suite

SNAPSHOT = """
import asyncio, gc, logging, os, sys, threading, warnings
import pytest
from asyncio import (base_events, base_subprocess, coroutines, events, proactor_events, runners,
                     selector_events, sslproto, streams)
import _thread

CLASSES = [
    base_events.BaseEventLoop, base_events.Server, events.Handle, streams.StreamWriter,
    base_subprocess.BaseSubprocessTransport, selector_events._SelectorTransport,
    sslproto._SSLProtocolTransport, proactor_events._ProactorBasePipeTransport,
]
try:
    import uvloop
    CLASSES.append(uvloop.Loop)
except ImportError:
    pass

def snapshot():
    state = {(cls, name): value for cls in CLASSES for name, value in vars(cls).items()
             if not name.startswith("__weakref") and name not in ("__abstractmethods__", "_abc_impl")}
    for module in (warnings, sys, gc, runners, coroutines, logging, os):
        state.update({(module, name): value for name, value in vars(module).items()
                      if callable(value)})
    logger = logging.getLogger("asyncio")
    state["logger"] = (logger.level, list(logger.filters), list(logger.handlers))
    state["gc"] = (list(gc.callbacks), gc.isenabled(), gc.get_threshold())
    state["meta_path"] = list(sys.meta_path)
    state["depth"] = sys.get_coroutine_origin_tracking_depth()
    state["threads"] = threading.active_count()
    return state
"""


def run_script(suite: Suite, script: str) -> None:
    """Run a script that asserts by itself, in a process of its own."""
    path = suite.pytester.makepyfile(script=SNAPSHOT + textwrap.dedent(script))
    result = suite.pytester.run(sys.executable, str(path), timeout=60)
    assert result.ret == 0, result.outlines + result.errlines


TRAPS = """
import asyncio
async def work(): pass
async def test_a(): work()
async def test_b(): task = asyncio.create_task(asyncio.sleep(100))
def test_c(): asyncio.new_event_loop()
"""


def test_everything_is_put_back(suite: Suite) -> None:
    """Twice in one process, and after a usage error."""
    suite.write(test_it=TRAPS)
    run_script(
        suite,
        """
        ARGS = ["-q", "-p", "no:cacheprovider", "-p", "asyncio", "-p", "asyncio_traps", "test_it.py"]
        import pytest_asyncio.plugin
        pytest.main([*ARGS, "-p", "no:asyncio_traps"])
        before = snapshot()
        for _ in range(2):
            assert pytest.main(ARGS) == 1
            after = snapshot()
            changed = {key: (before.get(key), after.get(key)) for key in before.keys() | after.keys()
                       if before.get(key) != after.get(key)}
            assert not changed, changed
        assert pytest.main([*ARGS, "--asyncio-traps=what"]) == 4
        assert snapshot() == before
        """,
    )


def test_a_nested_run_does_not_disturb_the_outer_one(suite: Suite) -> None:
    """A plugin's own tests run pytest within pytest: each run has its own findings."""
    outcome = suite.test(
        """
        import asyncio, pytest
        pytest_plugins = ["pytester"]

        async def work(): pass

        def test_nested(pytester):
            pytester.makepyfile('''
                import asyncio
                async def work(): pass
                async def test_inner(): work()
            ''')
            args = ("-p", "asyncio", "-p", "asyncio_traps", "--asyncio-mode=auto")
            pytester.runpytest_inprocess(*args).assert_outcomes(failed=1)

        async def test_after():
            work()  # here
        """,
        plugins=("pytester",),
    )

    finding = outcome.only()
    assert finding["nodeid"].endswith("test_after")
    assert finding["origin"]["line"] == suite.line_of("here")


def test_a_fault_of_the_plugin_is_told_as_such(suite: Suite) -> None:
    """The tests keep their outcomes, the part is off, and the terminal says so once."""
    suite.pytester.makeconftest(
        """
        from pytest_asyncio_traps.traps.pending_task import PendingTask

        def broken(*args):
            raise ZeroDivisionError("a fault")

        PendingTask._users_tasks = broken
        """
    )
    outcome = suite.test(
        """
        import asyncio
        async def work(): pass
        async def test_a(): await work()
        async def test_b(): await work()
        async def test_c(): work()
        """
    )

    outcome.result.assert_outcomes(passed=2, failed=1)
    assert outcome.kinds == ["never-awaited"]
    text = outcome.result.stdout.str()
    assert text.count("a fault of pytest-asyncio-traps") == 1
    assert "ZeroDivisionError: a fault" in text
    assert "'pending-task' failed. Off since test_it.py::test_a: 'pending-task' only." in text


def test_a_report_that_cannot_be_written_loses_no_test(suite: Suite) -> None:
    suite.pytester.makeconftest(
        """
        import pathlib, shutil
        def pytest_runtest_teardown():
            shutil.rmtree("reports", ignore_errors=True)
        """
    )
    suite.pytester.mkdir("reports")
    outcome = suite.test("def test_it(): pass", "--asyncio-traps-report=reports/more.json")

    outcome.result.assert_outcomes(passed=1)
    outcome.result.stdout.fnmatch_lines(["*a fault of pytest-asyncio-traps*"])


def test_destructors_run_when_they_would(suite: Suite) -> None:
    """No hook keeps a task, an exception or a coroutine alive."""
    outcome = suite.test(
        """
        import asyncio, gc, sys, weakref

        async def boom(): raise ValueError("x")

        async def test_task_dies_at_once():
            gc.disable()
            seen = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(1))
            task = asyncio.Task(boom())
            ref = weakref.ref(task)
            del task
            await asyncio.sleep(0)
            assert (ref(), seen) == (None, [1])
            gc.enable()

        async def test_refcount():
            future = asyncio.get_running_loop().create_future()
            assert sys.getrefcount(future) <= 2
            task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
            plain = asyncio.Task(asyncio.sleep(0), loop=asyncio.get_running_loop())
            assert sys.getrefcount(task) == sys.getrefcount(plain)
            await task
            await plain

        def test_depth_reads_as_if_nobody_had_set_it():
            assert sys.get_coroutine_origin_tracking_depth() == 0
            sys.set_coroutine_origin_tracking_depth(3)
            assert sys.get_coroutine_origin_tracking_depth() == 3
            sys.set_coroutine_origin_tracking_depth(0)
            assert sys.get_coroutine_origin_tracking_depth() == 0

        async def test_future_passes_for_the_original():
            future = asyncio.get_running_loop().create_future()
            assert isinstance(future, asyncio.Future)
            assert repr(future) == "<Future pending>"
            future.cancel()
            assert repr(future) == "<Future cancelled>"
        """
    )

    outcome.clean()


def test_the_warning_is_the_one_that_python_gives(suite: Suite) -> None:
    """Same text, same file and line, with the plugin and without."""
    text = """
        import warnings

        async def work(): pass

        def test_it():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                work()  # here
            (warning,) = caught
            assert str(warning.message) == "coroutine 'work' was never awaited"
            assert (warning.filename, warning.lineno) == (__file__, 8)
        """

    outcome = suite.test(text)
    without = suite.run(plugins=("asyncio",))

    outcome.clean()
    without.result.assert_outcomes(passed=1)
    assert suite.line_of("here") == 8


def test_fork_is_not_warned_about(suite: Suite) -> None:
    """No thread of ours runs when the user's code forks."""
    if not hasattr(sys, "getswitchinterval") or sys.platform == "win32":
        pytest.skip("there is no fork")
    outcome = suite.test(
        """
        import asyncio, os, warnings

        async def test_it():
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            await asyncio.sleep(0.05)

        async def test_loops_still_run():
            await asyncio.sleep(0.05)
        """
    )

    outcome.clean()


def test_a_detector_of_calls_that_block(suite: Suite) -> None:
    """It replaces what may block, and does not take the plugin's own calls for the user's."""
    if not hasattr(os, "fork"):
        pytest.skip("forks")
    outcome = suite.test(
        """
        import asyncio, ctypes, gc, os, time, threading, _thread

        async def test_it():
            real = _thread.LockType.acquire
            def acquire(lock, blocking=True, timeout=-1):
                if blocking and threading.current_thread() is threading.main_thread():
                    raise RuntimeError("blocking")
                return real(lock, blocking, timeout)
            await asyncio.sleep(0.1)
            # As blockbuster does, for a type of C.
            members = gc.get_referents(_thread.LockType.__dict__)[0]
            members["acquire"] = acquire
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(_thread.LockType))
            try:
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
            finally:
                members["acquire"] = real
                ctypes.pythonapi.PyType_Modified(ctypes.py_object(_thread.LockType))
            os.waitpid(pid, 0)
        """,
        "-W", "error", "-W", "ignore::DeprecationWarning",
    )  # fmt: skip

    outcome.result.assert_outcomes(passed=1)
    outcome.clean()


def test_records_of_a_run_within_a_run(suite: Suite) -> None:
    """What nobody asked for goes to nobody, however many are listening."""
    outcome = suite.test(
        """
        import logging
        pytest_plugins = ["pytester"]

        def test_it(pytester, caplog):
            pytester.makepyfile(test_inner="import asyncio\\ndef test_it(): asyncio.run(asyncio.sleep(0))")
            result = pytester.runpytest_inprocess("-p", "asyncio_traps")
            result.assert_outcomes(passed=1)
            logging.getLogger("asyncio").debug("not asked for")
            assert caplog.messages == []
            with caplog.at_level("DEBUG", "asyncio"):
                logging.getLogger("asyncio").debug("asked for")
            assert caplog.messages == ["asked for"]
        """
    )

    outcome.clean()


def test_other_interpreters(suite: Suite) -> None:
    """A step that runs code in one is slow, and the process lives on."""
    outcome = suite.test(
        """
        import time
        try:
            import _interpreters
        except ImportError:
            _interpreters = __import__("pytest").importorskip("_xxsubinterpreters")

        async def test_it():
            run = getattr(_interpreters, "exec", None) or _interpreters.run_string
            for _ in range(5):
                interpreter = _interpreters.create()
                run(interpreter, "import json, time; time.sleep(0.1); list(range(1_000_000))")
                _interpreters.destroy(interpreter)

        async def test_after():
            time.sleep(0.3)  # slow
        """,
        "--asyncio-traps=warn",
    )

    outcome.result.assert_outcomes(passed=2, warnings=2)
    assert outcome.kinds == ["slow-callback"] * 2
    assert outcome.findings[1]["location"]["line"] == suite.line_of("slow")
    outcome.no_fault()


#: Parts of CPython's own suite that touch every hook, and are quick.
#: Modules of CPython's tests, the ones of a quick run first.
CPYTHON = ("context", "futures2", "pep492", "runners", "timeouts", "waitfor",
           "eager_task_factory", "taskgroups", "unix_events", "base_events")  # fmt: skip
QUICK = 6


def test_cpythons_own_tests_keep_their_outcomes(suite: Suite, every_case: bool) -> None:
    """Test by test, with rule warn as without the plugin. All modules with ``--all``."""
    if importlib.util.find_spec("test.test_asyncio") is None:
        pytest.skip("this Python was installed without its test suite")
    names = [
        f"test.test_asyncio.test_{name}" for name in (CPYTHON if every_case else CPYTHON[:QUICK])
    ]
    names = [name for name in names if importlib.util.find_spec(name) is not None]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in a job that a shell runs in the background: some of these tests would wait for ever.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    suite.pytester.makeini("[pytest]\n")
    outcomes: list[dict[tuple[str | None, str | None], list[str]]] = []
    for plugins, args in (((), ()), (("asyncio", "asyncio_traps"), ("--asyncio-traps=warn",))):
        path = Path(suite.pytester.path, f"junit{len(outcomes)}.xml")
        run = suite.run("--pyargs", *names, f"--junitxml={path}", *args, plugins=plugins)
        run.no_fault()
        outcomes.append(
            {
                (case.get("classname"), case.get("name")): [child.tag for child in case]
                for case in ElementTree.parse(path).iter("testcase")
            }
        )

    without, with_ = outcomes
    changed = {key for key in without.keys() | with_.keys() if without.get(key) != with_.get(key)}
    assert len(without) > (200 if every_case else 60)
    assert changed == set()


def test_the_warning_of_a_dropped_coroutine_points_to_the_same_line(suite: Suite) -> None:
    """Also where Python adds the lines that made it, as it does in debug mode."""
    outcome = suite.test("""
        import asyncio, sys, unittest, warnings
        import pytest

        async def work(): pass

        def drop():
            with pytest.warns(RuntimeWarning, match="never awaited") as caught:
                work()  # dropped
            return caught[0]

        def check(warning):
            assert warning.filename == __file__
            lines = open(__file__).read().splitlines()
            assert lines[warning.lineno - 1].endswith("# dropped")

        async def test_plain():
            check(drop())

        async def test_origin_tracking():
            sys.set_coroutine_origin_tracking_depth(5)
            try:
                warning = drop()
            finally:
                sys.set_coroutine_origin_tracking_depth(0)
            check(warning)
            assert "Coroutine created at" in str(warning.message)

        class TestUnittest(unittest.IsolatedAsyncioTestCase):
            async def test_debug_mode(self):
                warning = drop()
                check(warning)
                assert "Coroutine created at" in str(warning.message)
    """)

    outcome.clean()


def test_handles_are_what_they_were(suite: Suite) -> None:
    """Those of a loop, and those that somebody makes, by whichever name of the class."""
    outcome = suite.test("""
        import asyncio
        from asyncio import events

        def work(): pass

        async def test_classes():
            assert events.Handle is asyncio.Handle
            assert events.TimerHandle is asyncio.TimerHandle
            assert issubclass(events.TimerHandle, events.Handle)
            assert not issubclass(events.Handle, events.TimerHandle)
            assert not issubclass(int, events.Handle)

        async def test_instances():
            loop = asyncio.get_running_loop()
            soon, later = loop.call_soon(work), loop.call_later(60, work)
            later.cancel()
            assert isinstance(soon, events.Handle) and isinstance(later, events.Handle)
            assert isinstance(later, events.TimerHandle)
            assert not isinstance(soon, events.TimerHandle)

        async def test_originals():
            loop = asyncio.get_running_loop()
            plain = events.TimerHandle.__mro__[1]
            one, two = plain(1, work, (), loop), plain(1, work, (), loop)
            assert one == two and one <= two and one >= two
            assert two == events.TimerHandle(1, work, (), loop) == one

        async def test_subclass():
            class Mine(asyncio.Handle):
                pass

            loop = asyncio.get_running_loop()
            assert isinstance(Mine(work, (), loop), Mine)
            assert not isinstance(asyncio.Handle(work, (), loop), Mine)
    """)

    outcome.clean()


def test_a_handle_of_a_loop_that_allows_no_attributes(suite: Suite) -> None:
    """It runs its callback once, and what that raises has no other exception behind it."""
    outcome = suite.test("""
        import asyncio

        class Loop:
            __slots__ = ("contexts",)

            def __init__(self): self.contexts = []
            def get_debug(self): return False
            def call_exception_handler(self, context): self.contexts.append(context)

        def test_it():
            loop, calls = Loop(), []

            def fail():
                calls.append(1)
                raise LookupError("the test's own")

            handle = asyncio.Handle(fail, (), loop)
            handle._run()
            assert calls == [1]
            (context,) = loop.contexts
            assert context["handle"] is handle
            assert isinstance(context["exception"], LookupError)
            assert context["exception"].__context__ is None
    """)

    outcome.clean()


def test_handles_of_another_make_are_left_alone(suite: Suite) -> None:
    """A Python whose handles are made in another way keeps its own; the run says so."""
    suite.write(
        earlier="""
        from pytest_asyncio_traps.compat import asyncio as private

        private.HANDLES.probe = lambda: False
        """,
        test_it="""
        import asyncio

        async def test_it():
            handle = asyncio.get_running_loop().call_later(0, print)
            assert type(handle).__mro__[1] is asyncio.Handle
        """,
    )
    outcome = suite.run(plugins=("earlier", "asyncio", "asyncio_traps"))

    outcome.clean()
    (spot,) = outcome.report["blind_spots"]
    assert "scheduled callbacks" in spot["what"]
