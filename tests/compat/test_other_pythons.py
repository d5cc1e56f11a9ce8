"""A Python whose private parts differ costs a blind spot: no fault, and nobody is blamed wrongly.

Each case breaks one assumption of `compat` in the process of a suite, before the plugin starts.
Constants that name an attribute are changed to a name that does not exist, which is what the plugin
sees of a Python that has renamed the attribute.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from pytest_asyncio_traps.compat.assumptions import ASSUMPTIONS, Assumption

from ..run import Outcome, Suite

#: One test for each trap that depends on an assumption, and near misses that stay silent.
SUITE = """
import asyncio
import functools
import threading

import pytest

KEPT = []

async def work(): pass

async def poll(): await asyncio.sleep(3600)

async def boom(): raise ValueError("lost")

def test_first(): pass

def test_never_awaited():
    work()

def test_in_a_cycle():
    cycle = [work()]
    cycle.append(cycle)

def test_after_the_cycle():
    assert [[n] for n in range(1000)]

def test_given_to_an_executor():
    async def main():
        await asyncio.get_running_loop().run_in_executor(None, work)
    asyncio.run(main())

def test_pending():
    async def main():
        KEPT.append(asyncio.create_task(poll()))
        await asyncio.sleep(0)
    asyncio.run(main())

def test_one_waits_for_another():
    async def wait(task): await asyncio.wait([task])
    async def main():
        task = asyncio.create_task(poll())
        KEPT.extend([task, asyncio.create_task(wait(task))])
        await asyncio.sleep(0)
    asyncio.run(main())

def test_gathered():
    async def gather(): await asyncio.gather(poll(), poll())
    async def main():
        KEPT.append(asyncio.create_task(gather()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    asyncio.run(main())

def test_destroyed():
    loop = asyncio.new_event_loop()
    async def forever(): await loop.create_future()
    task = loop.create_task(forever())
    loop.call_soon(loop.stop)
    loop.run_forever()
    del task, forever
    import gc
    gc.collect()
    loop.close()

def test_unretrieved():
    async def main():
        asyncio.create_task(boom())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    asyncio.run(main())

def test_unretrieved_and_kept():
    async def main():
        KEPT.append(asyncio.create_task(boom()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    asyncio.run(main())

def test_callback():
    def fail(): raise ValueError("in a callback")
    async def main():
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)
    asyncio.run(main())

def test_completed_twice():
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, 1)
        loop.call_soon(future.set_result, 2)
        await asyncio.sleep(0)
    asyncio.run(main())

def test_wrong_thread():
    async def main():
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=loop.call_soon, args=(functools.partial(int),))
        thread.start()
        await asyncio.to_thread(thread.join)
    asyncio.run(main())

def test_wrong_loop():
    async def make(): return asyncio.get_running_loop().create_future()
    async def wait(future): await future
    with asyncio.Runner() as runner:
        future = runner.run(make())
        asyncio.run(wait(future))

def test_asyncgen():
    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
    async def main():
        async for number in numbers():
            break
    asyncio.run(main())

def test_server():
    async def main():
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        KEPT.extend([server, reader, writer])
    asyncio.run(main())

def test_loop():
    KEPT.append(asyncio.new_event_loop())

def test_swallowed():
    async def stubborn():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
    async def main():
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        task.cancel()
        await task
    asyncio.run(main())

def test_sound():
    async def fail(): raise ValueError("expected")
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                group.create_task(poll())
        async with asyncio.timeout(60):
            await asyncio.gather(work(), asyncio.to_thread(int))
        task = loop.create_task(poll())
        done, pending = await asyncio.wait([task], timeout=0)
        task.cancel()
        await asyncio.wait([task])
        async def numbers():
            yield 1
        assert [n async for n in numbers()] == [1]
        with pytest.raises(asyncio.InvalidStateError):
            loop.create_future().result()
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
    asyncio.run(main())

def test_last(): pass
"""

_PRIVATE = "import pytest_asyncio_traps.compat.asyncio as private\n"

#: Renames a function or method of asyncio everywhere, as its authors would.
_RENAME = """
import sys, types
import asyncio

def rename(old, new):
    for module in [m for name, m in sys.modules.items() if name.startswith("asyncio")]:
        for owner in [module, *(c for c in vars(module).values() if isinstance(c, type))]:
            if old in vars(owner) and getattr(owner, "__module__", "asyncio").startswith("asyncio"):
                setattr(owner, new, vars(owner)[old])
                delattr(owner, old)
            for function in list(vars(owner).values()):
                if isinstance(function, types.FunctionType):
                    code = function.__code__
                    names = tuple(new if name == old else name for name in code.co_names)
                    if names != code.co_names:
                        function.__code__ = code.replace(co_names=names)

"""

#: How a Python differs, by the name of the assumption.
DIFFERENT = {
    "order of the youngest generation": (
        "import gc\nreal = gc.get_objects\ngc.get_objects = lambda *a, **k: real(*a, **k)[::-1]"
    ),
    "survivors of a young collection": (
        "from pytest_asyncio_traps.compat import cpython\n"
        "cpython.SURVIVORS_MOVE_UP.probe = lambda: False"
    ),
    "finalizers run when the last reference goes": (
        "from pytest_asyncio_traps.compat import cpython\n"
        "cpython.FINALIZERS_RUN_AT_ONCE.probe = lambda: False"
    ),
    "cr_origin is unique to a coroutine": (
        "from pytest_asyncio_traps.compat import cpython\n"
        "cpython.UNIQUE_ORIGINS.probe = lambda: False"
    ),
    "warnings._warn_unawaited_coroutine": "import warnings\ndel warnings._warn_unawaited_coroutine",
    "warnings._showwarnmsg": "import warnings\ndel warnings._showwarnmsg",
    "warnings.filters": (
        "from pytest_asyncio_traps.compat import cpython\n"
        "cpython.FILTERS_ASKED.probe = lambda: False"
    ),
    "threading._active": (
        "from pytest_asyncio_traps.compat import cpython\ncpython.ACTIVE_THREADS = '_running'"
    ),
    "concurrent.futures.thread._WorkItem": (
        "import concurrent.futures.thread as t\n"
        "t._Job = t._WorkItem\ndel t._WorkItem\n"
        "class Executor(t.ThreadPoolExecutor):\n"
        "    def submit(self, fn, /, *args, **kwargs):\n"
        "        import concurrent.futures._base as base\n"
        "        future = base.Future()\n"
        "        self._work_queue.put(t._Job(future, fn, args, kwargs))\n"
        "        self._adjust_thread_count()\n"
        "        return future\n"
        "t.ThreadPoolExecutor.submit = Executor.submit"
    ),
    "what wakes a loop": _PRIVATE + "private.LOOP_SIGNALS = '_handlers'",
    "sys._current_frames": "import sys\nsys._current_frames = lambda: {}",
    "slots and constructors of handles": (
        "import asyncio.events as e\n"
        "class Handle(e.Handle):\n    __slots__ = ('more',)\n"
        "e.Handle.__slots__ = ()"
    ),
    "Handle._run is written in Python": (
        "import asyncio.events as e\n"
        "run = e.Handle._run\n"
        "class Run:\n"
        "    def __get__(self, handle, cls): return self if handle is None else lambda: run(handle)\n"
        "e.Handle._run = Run()"
    ),
    "what Handle._run does": (
        "import asyncio.events as e\n"
        "run = e.Handle._run\n"
        "def _run(self): return run(self)\n"
        "e.Handle._run = _run"
    ),
    "attributes of asyncio's loops": (
        "from pytest_asyncio_traps.compat import asyncio as private\n"
        "private.LOOPS.probe = lambda: False"
    ),
    "what call_soon() and call_at() do": (
        "import asyncio.base_events as b\n"
        "soon = b.BaseEventLoop._call_soon\n"
        "b.BaseEventLoop._call_soon = lambda self, *args: soon(self, *args)"
    ),
    "BaseEventLoop._run_once": _RENAME + "rename('_run_once', '_turn')",
    "asyncio.coroutines._is_debug_mode": _RENAME + "rename('_is_debug_mode', '_debug_is_on')",
    "hooks for async generators": _RENAME + "rename('_asyncgen_firstiter_hook', '_asyncgen_began')",
    "BaseEventLoop._check_thread": _RENAME + "rename('_check_thread', '_verify_thread')",
    "the method _start_serving of loops": _RENAME + "rename('_start_serving', '_serve')",
    "asyncio.runners._cancel_all_tasks": _RENAME + "rename('_cancel_all_tasks', '_cancel_tasks')",
    "asyncio.Runner._on_sigint": _RENAME + "rename('_on_sigint', '_on_interrupt')",
    "attributes of futures": _PRIVATE + "private.FUTURE_UNRETRIEVED = '_complains'",
    "attributes of tasks": _PRIVATE + "private.TASK_WAITER = '_awaits'",
    "closure of asyncio.wait()": _PRIVATE + "private.WAIT_CELL = 'awaited'",
    "children of gather()": _PRIVATE + "private.GATHERED = '_futures'",
    "attributes of asyncio.TaskGroup": _PRIVATE + "private.GROUP_CANCELS_PARENT = '_cancels'",
    "messages of tasks and futures": (
        _PRIVATE + "private.DESTROYED = 'A task was lost'\nprivate.UNRETRIEVED = 'was never read'"
    ),
    "texts about objects of another loop": _PRIVATE + "private.ELSEWHERE.probe = lambda: False",
    "text of InvalidStateError": _PRIVATE + "private.COMPLETION_ERRORS.probe = lambda: False",
    "selector of asyncio's loops": _PRIVATE + "private.LOOP_WAKE_UP = '_woken_by'",
    "callback of run_until_complete()": _PRIVATE + "private.RUN_CALLBACKS = ('_ended',)",
    "iterator of as_completed()": _PRIVATE + "private.AS_COMPLETED = ('_next_one',)",
    "attributes of transports and streams": _PRIVATE + "private.SERVER = '_listener'",
}

Found = Counter[tuple[str, str]]

#: What is found on this Python as it is.
USUAL: Found = Counter(
    {
        ("test_never_awaited", "never-awaited"): 1,
        ("test_in_a_cycle", "never-awaited"): 1,
        ("test_given_to_an_executor", "never-awaited"): 1,
        ("test_pending", "pending-task"): 1,
        ("test_one_waits_for_another", "pending-task"): 1,
        ("test_gathered", "pending-task"): 1,
        ("test_destroyed", "pending-task"): 1,
        ("test_unretrieved", "unretrieved-exception"): 1,
        ("test_unretrieved_and_kept", "unretrieved-exception"): 1,
        ("test_callback", "callback-exception"): 1,
        ("test_completed_twice", "invalid-state"): 1,
        ("test_wrong_thread", "wrong-thread"): 1,
        ("test_wrong_loop", "wrong-loop"): 1,
        ("test_asyncgen", "unclosed-asyncgen"): 1,
        # From Python 3.13 on, the connection that the server has accepted is one of them.
        ("test_server", "unclosed-transport"): 3 if sys.version_info >= (3, 13) else 2,
        ("test_loop", "unclosed-loop"): 1,
        ("test_swallowed", "swallowed-cancellation"): 1,
    }
)


def run(suite: Suite, different: str) -> tuple[Outcome, Found]:
    suite.write(test_it=SUITE)
    # As code of asyncio's: what a user's own code puts in the place of a function is the user's.
    Path(suite.pytester.path, "different.py").write_text(
        "import asyncio.events\n"
        f"exec(compile({different!r}, asyncio.events.__file__, 'exec'), globals())\n"
    )
    outcome = suite.run(
        *("-v", "--asyncio-strict", "-o", "asyncio_slow_callback_duration=60"),
        plugins=("different", "pytest_asyncio.plugin", "asyncio_traps"),
    )
    outcome.no_fault()
    assert outcome.report["faults"] == []
    found = Counter((f["nodeid"].rpartition("::")[2], f["kind"]) for f in outcome.findings)
    return outcome, found


def test_this_python(suite: Suite) -> None:
    _, found = run(suite, "")

    assert found == USUAL


def test_every_assumption_has_a_case() -> None:
    assert set(DIFFERENT) == {assumption.name for assumption in ASSUMPTIONS}


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda a: str(a.name))
def test_a_python_that_differs(suite: Suite, assumption: Assumption, every_case: bool) -> None:
    """It is said once what cannot be watched; what is found is found in the tests that did it."""
    if not every_case and ASSUMPTIONS.index(assumption) % 5:
        pytest.skip("a quick run takes every fifth: --all takes all of them")
    outcome, found = run(suite, DIFFERENT[assumption.name])

    spots = {spot["what"]: spot["reason"] for spot in outcome.report["blind_spots"]}
    if assumption.lost:
        assert spots.get(assumption.lost) == assumption.reason
        outcome.result.stdout.fnmatch_lines([f"Not watched: {assumption.lost}: *"])
        assert set(found) <= set(USUAL)
    else:
        assert spots == {}
        assert found == USUAL
