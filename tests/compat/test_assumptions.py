"""What is assumed of CPython and asyncio holds on this Python, and each probe can fail."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import types
import warnings
from asyncio import base_events, coroutines, events, runners, selector_events, tasks
from collections.abc import Callable
from concurrent.futures import thread as executors
from typing import Any

import pytest

from pytest_asyncio_traps.compat import assumptions, cpython
from pytest_asyncio_traps.compat import asyncio as private_asyncio
from pytest_asyncio_traps.compat.assumptions import ASSUMPTIONS, Assumption

#: Python 3.14.0 to 3.14.4 collect in increments; a free-threaded build keeps no order.
FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()
MAY_FAIL = {"survivors of a young collection"} | (
    {"order of the youngest generation"} if FREE_THREADED else set()
)


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda a: str(a.name))
def test_it_holds_on_this_python(assumption: Assumption) -> None:
    if assumption.name in MAY_FAIL and not assumption.probe():
        pytest.skip("does not hold on this build, which the plugin knows")
    assert assumption.probe() is True


class Renamed:
    """Renames attributes for as long as a test runs, as another version of Python might."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.delete: Callable[..., None] = monkeypatch.delattr
        self.set: Callable[..., None] = monkeypatch.setattr


def _returns(value: object) -> Callable[..., object]:
    return lambda *args, **kwargs: value


def _reversed(get_objects: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    return lambda *args, **kwargs: get_objects(*args, **kwargs)[::-1]


async def _other_wait(fs: Any, timeout: Any, return_when: Any, loop: Any) -> None: ...


def _init(self: Any) -> None: ...


#: How to break each assumption: what another Python may do differently.
BREAKS: dict[str, Callable[[Renamed], None]] = {
    "order of the youngest generation": lambda r: r.set(
        gc, "get_objects", _reversed(gc.get_objects)
    ),
    "survivors of a young collection": lambda r: r.set(
        gc, "get_objects", _reversed(gc.get_objects)
    ),
    "finalizers run when the last reference goes": lambda r: r.set(
        cpython, "_Finalized", lambda: types.SimpleNamespace(cleared=[])
    ),
    "cr_origin is unique to a coroutine": lambda r: r.set(
        sys, "set_coroutine_origin_tracking_depth", _returns(None)
    ),
    "warnings._warn_unawaited_coroutine": lambda r: r.delete(warnings, "_warn_unawaited_coroutine"),
    "warnings._showwarnmsg": lambda r: r.delete(warnings, "_showwarnmsg"),
    "warnings.filters": lambda r: r.set(warnings, "warn_explicit", _returns(None)),
    "threading._active": lambda r: r.set(threading, "_active", {}),
    "concurrent.futures.thread._WorkItem": lambda r: r.delete(executors, "_WorkItem"),
    "what wakes a loop": lambda r: r.set(private_asyncio, "LOOP_SIGNALS", "_handlers"),
    "sys._current_frames": lambda r: r.set(sys, "_current_frames", _returns({})),
    "slots and constructors of handles": lambda r: r.set(events.Handle, "__slots__", ("_other",)),
    "Handle._run is written in Python": lambda r: r.set(events.Handle, "_run", len),
    "what Handle._run does": lambda r: r.set(events.Handle, "_run", _init),
    "attributes of asyncio's loops": lambda r: r.set(base_events.BaseEventLoop, "__init__", _init),
    "what call_soon() and call_at() do": lambda r: r.set(
        base_events.BaseEventLoop, "_call_soon", _init
    ),
    "BaseEventLoop._run_once": lambda r: r.set(private_asyncio, "RUN_ONCE", "_run_twice"),
    "asyncio.coroutines._is_debug_mode": lambda r: r.delete(coroutines, "_is_debug_mode"),
    "hooks for async generators": lambda r: r.delete(
        base_events.BaseEventLoop, "_asyncgen_firstiter_hook"
    ),
    "BaseEventLoop._check_thread": lambda r: r.delete(base_events.BaseEventLoop, "_check_thread"),
    "the method _start_serving of loops": lambda r: r.delete(
        selector_events.BaseSelectorEventLoop, "_start_serving"
    ),
    "asyncio.runners._cancel_all_tasks": lambda r: r.delete(runners, "_cancel_all_tasks"),
    "selector of asyncio's loops": lambda r: r.set(private_asyncio, "LOOP_WAKE_UP", "_woken_by"),
    "asyncio.Runner._on_sigint": lambda r: r.delete(asyncio.Runner, "_on_sigint"),
    "callback of run_until_complete()": lambda r: r.delete(base_events, "_run_until_complete_cb"),
    "iterator of as_completed()": lambda r: r.set(private_asyncio, "AS_COMPLETED", ("_next_one",)),
    "attributes of futures": lambda r: r.set(private_asyncio, "FUTURE_UNRETRIEVED", "_complains"),
    "attributes of tasks": lambda r: r.set(private_asyncio, "TASK_WAITER", "_awaits"),
    "closure of asyncio.wait()": lambda r: r.set(tasks, "_wait", _other_wait),
    "children of gather()": lambda r: r.set(private_asyncio, "GATHERED", "_futures"),
    "attributes of asyncio.TaskGroup": lambda r: r.set(asyncio.TaskGroup, "__init__", _init),
    "messages of tasks and futures": lambda r: r.set(private_asyncio, "UNRETRIEVED", "was lost"),
    "texts about objects of another loop": lambda r: r.set(
        private_asyncio, "BOUND_ELSEWHERE", "is of another loop"
    ),
    "text of InvalidStateError": lambda r: r.set(asyncio, "Future", _Completes),
    "attributes of transports and streams": lambda r: r.delete(
        selector_events, "_SelectorTransport"
    ),
}


class _Completes:
    """A future that says other words when it is completed twice."""

    def __init__(self, loop: object) -> None:
        self._done = False

    def set_result(self, result: object) -> None:
        if self._done:
            raise asyncio.InvalidStateError("the result has been set before")
        self._done = True


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda a: str(a.name))
def test_its_probe_fails_where_python_differs(
    assumption: Assumption, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patches:
        BREAKS[assumption.name](Renamed(patches))
        fresh = Assumption.__new__(Assumption)
        fresh.probe, fresh._holds = assumption.probe, None
        assert fresh.holds is False


def test_each_is_described() -> None:
    """With a name of its own, the modules that depend on it, and a reason."""
    names = [assumption.name for assumption in ASSUMPTIONS]
    assert len(set(names)) == len(names)
    assert set(names) == set(BREAKS)
    for assumption in ASSUMPTIONS:
        assert assumption.users
        assert assumption.reason
        assert not assumption.reason.endswith(".")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> list[Assumption]:
    """An empty registry."""
    fresh: list[Assumption] = []
    monkeypatch.setattr(assumptions, "ASSUMPTIONS", fresh)
    return fresh


def test_a_probe_runs_once(registry: list[Assumption]) -> None:
    calls: list[int] = []

    def probe() -> bool:
        calls.append(1)
        return True

    assumption = Assumption("it", "here", "all", "why", probe)

    assert assumption.holds
    assert assumption.holds
    assert calls == [1]


def test_an_exception_counts_as_a_failure(registry: list[Assumption]) -> None:
    Assumption("one", "here", "what is lost", "why", lambda: bool(1 / 0))
    Assumption("two", "here", "", "why", lambda: False)  # a slower way is taken
    Assumption("three", "here", "nothing", "why", lambda: True)

    assert list(assumptions.blind_spots()) == [("what is lost", "why")]


def _next_task_number(loop: asyncio.AbstractEventLoop) -> int:
    """The number in the default name of a task that is created now."""

    async def nothing() -> None: ...

    task = loop.create_task(nothing())
    loop.run_until_complete(task)
    return int(task.get_name().removeprefix("Task-"))


def test_probes_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message, no warning, no task and no change of the collector's state."""
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    loop = asyncio.new_event_loop()
    number = _next_task_number(loop)
    depth = sys.get_coroutine_origin_tracking_depth()
    try:
        for assumption in ASSUMPTIONS:
            assumption.probe()
        gc.collect()
        assert asyncio.all_tasks(loop) == set()
        assert _next_task_number(loop) == number + 1
    finally:
        loop.close()
    assert told == []
    assert gc.isenabled()
    assert sys.get_coroutine_origin_tracking_depth() == depth


needs_call_graph = pytest.mark.skipif(
    not hasattr(asyncio, "capture_call_graph"), reason="came with Python 3.14"
)


@needs_call_graph
def test_the_call_graph_says_who_awaits_a_task() -> None:
    async def inner() -> None:
        await asyncio.sleep(0)

    async def outer(task: asyncio.Task[None]) -> None:
        await asyncio.wait([task])

    async def main() -> list[Any] | None:
        task = asyncio.create_task(inner())
        waiter = asyncio.create_task(outer(task))
        await asyncio.sleep(0)
        awaiters = private_asyncio.awaiters_of(task)
        assert awaiters == [waiter]
        await waiter
        return awaiters

    assert asyncio.run(main())


def test_no_call_graph_of_something_else() -> None:
    assert private_asyncio.awaiters_of(object()) is None
