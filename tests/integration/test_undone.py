"""What the plugin has replaced is put back, and what others replace is theirs."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from ..run import Suite

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suites, too, take snapshots."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


PROLOGUE = """
import asyncio, contextlib, io, os, sys
import pytest
import pytest_asyncio.plugin
for name in ("sqlite3", "uvloop", "anyio._backends._asyncio", "tornado.testing"):
    try:
        __import__(name)
    except ImportError:
        pass
from tests.faulty.snapshot import changes, settled, snapshot

ALL = ["-q", "-p", "no:cacheprovider", "-p", "asyncio", "-p", "asyncio_traps"]

def run(*args):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = int(pytest.main([*ALL, *args]))
    text = out.getvalue()
    assert "a fault of pytest-asyncio-traps" not in text, text
    return status, text
"""

TRAPS = """
import asyncio
import pytest

async def work(): pass
async def test_a(): work()
async def test_b(): task = asyncio.create_task(asyncio.sleep(100))
def test_c(): asyncio.new_event_loop()
"""


def run_script(suite: Suite, script: str) -> None:
    """Run a script that asserts by itself, in a process of its own."""
    path = suite.pytester.makepyfile(script=PROLOGUE + textwrap.dedent(script))
    result = suite.pytester.run(sys.executable, str(path), timeout=120)
    assert result.ret == 0, "\n".join(result.outlines + result.errlines)


def test_whatever_way_a_run_ends(suite: Suite) -> None:
    """Runs in one process, one after another: after each, all is as if it had not been."""
    suite.write(
        test_it=TRAPS,
        test_broken="import nothing_of_this_name",
        test_stop="""
            import pytest
            def test_exit(): pytest.exit("enough")
        """,
        test_interrupt="""
            async def test_interrupt(): raise KeyboardInterrupt
        """,
        test_system_exit="""
            import pytest, sys
            @pytest.fixture
            def leaves(): sys.exit("enough")
            def test_system_exit(leaves): pass
        """,
    )
    run_script(
        suite,
        """
        every = [f"--asyncio-traps=fail:{kind}" for kind in
                 ("blocking-call", "lingering-timer", "swallowed-cancellation")]
        runs = {
            "plain": (["test_it.py"], 1),
            "again": (["test_it.py"], 1),
            "all that there is": (["test_it.py", "--asyncio-strict", *every], 1),
            "a bad rule": (["test_it.py", "--asyncio-traps=what"], 4),
            "no such option": (["test_it.py", "--no-such-option"], 4),
            "a file that cannot be imported": (["test_broken.py"], 2),
            "no tests": (["-k", "nothing"], 2),
            "the first failure": (["test_it.py", "-x"], 1),
            "pytest.exit": (["test_stop.py"], 2),
            "Ctrl-C": (["test_interrupt.py"], 2),
            "an exit in a fixture": (["test_system_exit.py"], 1),
            "collect only": (["test_it.py", "--collect-only"], 0),
            "explain": (["--asyncio-traps-explain"], 0),
            "version": (["--version"], 0),
            "help": (["--help"], 0),
        }
        pytest.main(["-q", "-p", "no:cacheprovider", "-p", "asyncio", "test_it.py"])
        before = snapshot()
        for name, (args, expected) in runs.items():
            status, text = run(*args)
            changed = changes(before, settled(before))
            assert not changed, (name, changed)
            assert status == expected, (name, status, text)
        """,
    )


def test_a_start_that_fails_half_way(suite: Suite) -> None:
    """At each of the steps of which arming consists, one after another."""
    suite.write(test_it=TRAPS)
    run_script(
        suite,
        """
        from pytest_asyncio_traps.core.patches import Patches

        class Failing:
            def __init__(self):
                self.left = self.steps = 0
                self.set = Patches.set

            def __call__(self, target, name, value):
                self.steps += 1
                self.left -= 1
                if self.left == 0:
                    raise OSError("half-way")

        failing = Failing()

        def set_(patches, target, name, value):
            failing.set(patches, target, name, value)
            failing(target, name, value)

        def start():
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                status = pytest.main([*ALL, "--collect-only", "--asyncio-strict",
                                      "--asyncio-traps=fail:blocking-call", "test_it.py"])
            return int(status), out.getvalue()

        start()
        before = snapshot()
        Patches.set = set_
        assert start()[0] == 0
        steps, failing.steps = failing.steps, 0
        assert steps > 100
        # Each step is much like its neighbours: every fifth, and the first and the last ones.
        for number in sorted({*range(1, steps, 5), *range(1, 8), *range(steps - 5, steps + 1)}):
            failing.left = number
            status, text = start()
            Patches.set = failing.set
            changed = changes(before, settled(before))
            Patches.set = set_
            assert not changed, (number, changed)
            # Strict: the run fails, unless what failed is a name that every run does without.
            assert status == 1 and text.count("a fault of pytest-asyncio-traps") == 1, text
            assert "OSError: half-way" in text, text
        """,
    )


def test_a_run_within_a_run(suite: Suite) -> None:
    """Whatever becomes of the inner one: the outer one has its hooks back, the very same."""
    outcome = suite.test(
        """
        import asyncio, contextlib, io, sqlite3
        import pytest
        from tests.faulty.snapshot import changes, settled, snapshot
        from pytest_asyncio_traps.core.ownership import TENURE

        INNER = '''
            import asyncio, pytest
            async def work(): pass
            async def test_inner(): work()
            def test_loop(): asyncio.new_event_loop()
            def test_deeper():
                if {deep}:
                    assert pytest.main(["-p", "asyncio", "-p", "asyncio_traps", "-p",
                                        "no:cacheprovider", "-k", "not deeper", __file__]) == 1
        '''

        async def work(): pass

        @pytest.mark.parametrize("args, expected", [
            ((), 1), (("--asyncio-traps=what",), 4), (("-x",), 1), (("--maxfail=1",), 1),
            (("--asyncio-strict", "--asyncio-traps=fail:blocking-call"), 1),
        ])
        @pytest.mark.parametrize("deep", [False, True])
        def test_nested(tmp_path, monkeypatch, args, expected, deep):
            path = tmp_path / f"test_{tmp_path.name}.py"
            path.write_text(__import__("textwrap").dedent(INNER.format(deep=deep)))
            monkeypatch.chdir(tmp_path)
            before, tenure = snapshot(), TENURE.get()
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                status = pytest.main(["-p", "asyncio", "-p", "asyncio_traps", "-q",
                                      "--asyncio-mode=auto", "-p", "no:cacheprovider",
                                      "--import-mode=importlib", "--rootdir", str(tmp_path), *args, str(path)])
            after = settled(before)
            assert (status, "a fault of" in out.getvalue()) == (expected, False), out.getvalue()
            assert changes(before, after) == {}
            assert TENURE.get() is tenure is not None

        def test_with_a_fault(tmp_path, monkeypatch):
            from pytest_asyncio_traps.core.object_tracker import ObjectTracker
            path = tmp_path / "test_with_a_fault.py"
            path.write_text("def test_inner(): pass")
            monkeypatch.chdir(tmp_path)
            before = snapshot()
            out = io.StringIO()
            with monkeypatch.context() as patch, contextlib.redirect_stdout(out):
                patch.setattr(ObjectTracker, "arm", lambda self: 1 / 0)
                status = pytest.main(["-p", "asyncio", "-p", "asyncio_traps", "-q", "-p",
                                      "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(tmp_path), str(path)])
            assert (status, out.getvalue().count("a fault of")) == (0, 1)
            assert not changes(before, settled(before)), changes(before, settled(before))

        async def test_after():
            work()  # here
        """,
    )

    finding = outcome.only()
    assert finding["nodeid"].endswith("test_after")
    assert finding["origin"]["line"] == suite.line_of("here")
    outcome.result.assert_outcomes(passed=11, failed=1)
    outcome.no_fault()


def test_patches_of_others(suite: Suite) -> None:
    """``mock.patch`` of each name that is hooked: begun before, within or after, and ended so.

    What is begun within a run and ended after it puts back what stood there when it began:
    that has nothing to do any more, and does what the original does.
    """
    suite.write(
        test_it="""
        import asyncio
        import sys

        async def work(): pass
        async def test_plain(): await work()
        def test_run(): asyncio.run(work())
        def test_patches():
            hook = getattr(sys, "_patches_of_others", None)
            if hook is not None:
                hook()
        async def test_after(): await asyncio.create_task(work())
        """
    )
    run_script(
        suite,
        """
        import functools, inspect, types
        from unittest import mock
        from pytest_asyncio_traps.core.patches import Patches

        def sound():
            status, text = run("--asyncio-mode=auto", "--asyncio-strict",
                               "--asyncio-traps=fail:blocking-call", "test_it.py")
            assert status == 0, text

        pytest.main(["-q", "-p", "no:cacheprovider", "-p", "asyncio", "test_it.py"])
        hooked = []
        put = Patches.set
        Patches.set = lambda self, target, name, value: (
            hooked.append((target, name)), put(self, target, name, value))[1]
        sound()
        Patches.set = put
        assert len(set(hooked)) > 100
        sys._patches_of_others = None
        before = snapshot()

        def patched(target, name):
            # One that does what stood there does, as a spy does: the tests need it.
            old = vars(target)[name]
            if isinstance(old, type):
                new = type(name, (old,), {"__slots__": ()})
            elif isinstance(old, types.BuiltinFunctionType) or not hasattr(old, "__get__"):
                new = lambda *args, **kwargs: old(*args, **kwargs)
            else:
                @functools.wraps(old)
                def new(*args, **kwargs):
                    return old(*args, **kwargs)
                new.theirs = True
            return mock.patch.object(target, name, new), new

        def all_patches():
            found = []
            for target, name in dict.fromkeys(hooked):
                if isinstance(target, type) and name in ("__init__", "__del__") or name not in vars(target):
                    continue
                if name.endswith("Handle") or name == "_asyncio_traps_failed":
                    continue  # classes that others are derived from
                if name in ("_showwarnmsg", "_warn_unawaited_coroutine", "isEnabledFor"):
                    continue
                if name in ("unraisablehook", "excepthook"):
                    continue  # pytest has its own there, and puts back what it has found
                patch, new = patched(target, name)
                patch.start()
                assert vars(target)[name] is new
                found.append((patch, target, name, new))
            assert len(found) > 40, len(found)
            return found

        def end(found):
            for patch, target, name, new in reversed(found):
                assert vars(target)[name] is new, (target, name)
                patch.stop()

        # Begun before, ended after.
        found = all_patches()
        sound()
        end(found)
        assert not changes(before, settled(before)), changes(before, settled(before))

        # Begun before, ended within.
        found = all_patches()
        def end_them():
            for patch, target, name, new in reversed(found):
                patch.stop()
        sys._patches_of_others = end_them
        sound()
        sys._patches_of_others = None
        assert not changes(before, settled(before)), changes(before, settled(before))

        # Begun within, ended within.
        sys._patches_of_others = lambda: end(all_patches())
        sound()
        sys._patches_of_others = None
        assert not changes(before, settled(before)), changes(before, settled(before))

        # Begun within, ended after: they survive the run.
        kept = []
        sys._patches_of_others = lambda: kept.extend(all_patches())
        sound()
        end(kept)
        sys._patches_of_others = None
        asyncio.run(asyncio.sleep(0))
        sound()
        assert asyncio.run(asyncio.sleep(0, "x")) == "x"
        after = settled(before)
        inherited = {
            f"{target.__module__}.{target.__qualname__}.{name}": vars(base)[name]
            for _, target, name, _ in kept
            if isinstance(target, type)
            for base in reversed(target.__mro__[1:])
            if name in vars(base)
        }
        for name in changes(before, after):
            left = getattr(after[name], "__func__", after[name])
            original = before[name] if name in before else inherited[name]
            assert inspect.unwrap(left) is original, (name, left)
        """,
    )


def test_loops_that_override_what_is_hooked(suite: Suite) -> None:
    """In a subclass, and on an instance: each override is called, and none twice."""
    outcome = suite.test(
        """
        import asyncio, functools, inspect
        from asyncio import base_events
        import pytest

        LOOPS = [asyncio.SelectorEventLoop]
        try:
            import uvloop
            LOOPS.append(uvloop.Loop)
        except ImportError:
            pass

        def hooked(cls):
            base = base_events.BaseEventLoop if issubclass(cls, base_events.BaseEventLoop) else cls
            return [name for name, value in vars(base).items()
                    if hasattr(value, "__wrapped__") and name not in ("__init__", "__del__")]

        def counting(calls, name, function):
            @functools.wraps(function)
            def method(*args, **kwargs):
                calls.append(name)
                return function(*args, **kwargs)
            return method

        async def count():
            for number in range(2):
                yield number

        async def work():
            loop = asyncio.get_running_loop()
            loop.set_debug(loop.get_debug())
            loop.set_debug(False)
            future = loop.create_future()
            loop.call_later(0, future.set_result, 1)
            assert await future == 1
            assert await loop.create_task(asyncio.sleep(0, 2)) == 2
            assert await loop.run_in_executor(None, len, "abc") == 3
            assert [number async for number in count()] == [0, 1]
            return "done"

        def once_each(calls):
            for name in ("close", "run_in_executor"):
                assert calls.count(name) == 1, (name, calls)
            assert {"create_task", "create_future", "set_debug", "get_debug", "call_soon"} <= {*calls}

        @pytest.mark.parametrize("cls", LOOPS)
        def test_subclass(cls):
            names = hooked(cls)
            assert len(names) > 10
            calls = []
            Loop = type("Loop", (cls,), {
                name: counting(calls, name, getattr(cls, name)) for name in [*names, "run_in_executor"]
            })
            with asyncio.Runner(loop_factory=Loop) as runner:
                assert runner.run(work()) == "done"
            once_each(calls)

        @pytest.mark.parametrize("cls", LOOPS)
        def test_instance(cls):
            calls = []
            loop = cls()
            for name in {*hooked(cls), "run_in_executor"}:
                setattr(loop, name, counting(calls, name, getattr(loop, name)))
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                assert runner.run(work()) == "done"
            once_each(calls)
        """,
    )

    outcome.clean()


def test_policies_factories_and_reentrant_loops(suite: Suite) -> None:
    """What the test, or a tool like nest_asyncio, has installed is in force and stays so."""
    outcome = suite.test(
        """
        import asyncio, sys, warnings
        from asyncio import base_events, events, tasks
        import pytest

        async def work(): return "done"

        class Loop(asyncio.SelectorEventLoop):
            pass

        @pytest.mark.skipif(sys.version_info >= (3, 16), reason="policies are gone")
        def test_policy():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                class Policy(asyncio.DefaultEventLoopPolicy):
                    _loop_factory = Loop
                before = asyncio.get_event_loop_policy()
                asyncio.set_event_loop_policy(Policy())
                try:
                    async def kind(): return type(asyncio.get_running_loop())
                    assert asyncio.run(kind()) is Loop
                    assert type(asyncio.get_event_loop_policy()) is Policy
                finally:
                    asyncio.set_event_loop_policy(before)

        @pytest.mark.skipif(sys.version_info >= (3, 16), reason="policies are gone")
        def test_uvloop_install():
            uvloop = pytest.importorskip("uvloop")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                before = asyncio.get_event_loop_policy()
                uvloop.install()
                try:
                    async def kind(): return type(asyncio.get_running_loop())
                    assert asyncio.run(kind()) is uvloop.Loop
                finally:
                    asyncio.set_event_loop_policy(before)

        @pytest.mark.skipif(sys.version_info < (3, 12), reason="came with Python 3.12")
        @pytest.mark.parametrize("make", [
            lambda: asyncio.eager_task_factory,
            lambda: asyncio.create_eager_task_factory(type("Task", (asyncio.Task,), {})),
        ])
        async def test_eager(make):
            factory = make()
            loop = asyncio.get_running_loop()
            loop.set_task_factory(factory)
            task = asyncio.create_task(work())
            assert task.done() and await task == "done"
            assert loop.get_task_factory() is factory

        async def test_factory_of_tasks():
            class Task(asyncio.tasks._PyTask):
                __slots__ = ()
            loop = asyncio.get_running_loop()
            loop.set_task_factory(lambda loop, coro, **kwargs: Task(coro, loop=loop, **kwargs))
            assert type(loop.create_task(work())) is Task
            await asyncio.sleep(0)

        def test_reentrant(monkeypatch):
            # As nest_asyncio does: a loop that may be run while it runs.
            run_until_complete = base_events.BaseEventLoop.run_until_complete

            def nested(self, future):
                if not self.is_running():
                    return run_until_complete(self, future)
                task = asyncio.ensure_future(future, loop=self)
                current = tasks.current_task(self)
                if current is not None:
                    tasks._leave_task(self, current)
                try:
                    while not task.done():
                        self._run_once()
                finally:
                    if current is not None:
                        tasks._enter_task(self, current)
                return task.result()

            monkeypatch.setattr(base_events.BaseEventLoop, "run_until_complete", nested)
            seen = []

            async def inner():
                await asyncio.sleep(0)
                seen.append(1)
                return "inner"

            async def outer():
                loop = asyncio.get_running_loop()
                assert loop.run_until_complete(inner()) == "inner"
                await asyncio.sleep(0)
                return "outer"

            loop = asyncio.SelectorEventLoop()
            assert loop.run_until_complete(outer()) == "outer"
            loop.close()
            assert seen == [1]
            assert base_events.BaseEventLoop.run_until_complete is nested
        """,
    )

    outcome.clean()
