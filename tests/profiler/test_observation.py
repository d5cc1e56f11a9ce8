"""What else the process shows: signals, timers, children, debuggers."""

from __future__ import annotations

import asyncio
import bdb
import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType, ModuleType

import pytest

from pytest_asyncio_traps.core.blocked import is_traced
from pytest_asyncio_traps.profiler import observation
from pytest_asyncio_traps.profiler.observation import is_debugged, observe_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")


@pytest.fixture
def restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR2)
    yield
    signal.signal(signal.SIGUSR2, before)


def test_handlers_of_the_user(restored: None) -> None:
    assert signal.SIGUSR2 not in observe_process(()).handlers

    signal.signal(signal.SIGUSR2, lambda *_: None)
    assert signal.SIGUSR2 in observe_process(()).handlers

    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    assert signal.SIGUSR2 not in observe_process(()).handlers


def test_handlers_in_c(restored: None) -> None:
    """Python does not know them."""
    with open(os.devnull, "w") as null:
        faulthandler.register(signal.SIGUSR2, null)
        assert signal.SIGUSR2 in observe_process(()).handlers
        faulthandler.unregister(signal.SIGUSR2)
    assert signal.SIGUSR2 not in observe_process(()).handlers


def test_handlers_that_wake_nothing(restored: None) -> None:
    """Python's own of SIGINT, that of asyncio.Runner, and those that report a crash."""
    crashes = {signal.SIGSEGV, signal.SIGABRT}
    faulthandler.enable()

    async def main() -> set[int]:
        return {*observe_process(()).handlers}

    assert not {*observe_process(()).handlers} & {signal.SIGINT, *crashes}
    assert not asyncio.run(main()) & {signal.SIGINT, *crashes}


def test_timers() -> None:
    assert not observe_process(()).timers

    signal.setitimer(signal.ITIMER_VIRTUAL, 60)
    try:
        assert observe_process(()).timers
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _no_child(*_: object) -> None:
    raise ChildProcessError


def _refused(*_: object) -> None:
    raise PermissionError


def test_children(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["true"]) as process:
        assert observe_process(()).children
        assert process.wait() == 0  # it was not reaped

    for answer, children in ((_no_child, False), (_refused, True), (None, True)):
        monkeypatch.setattr(observation, "_waitid", answer)
        assert observe_process(()).children is children


def test_debuggers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_debugged()

    with monkeypatch.context() as patch:
        patch.setattr(observation, "read_proc", lambda name: b"Name:\tpython\nTracerPid:\t17\n")
        assert is_debugged()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pydevd", ModuleType("pydevd"))
        assert is_debugged()
    if sys.version_info >= (3, 12):
        sys.monitoring.use_tool_id(sys.monitoring.DEBUGGER_ID, "a debugger")
        try:
            assert is_debugged()
        finally:
            sys.monitoring.free_tool_id(sys.monitoring.DEBUGGER_ID)
    assert not is_debugged()


def test_a_debugger_runs_the_code() -> None:
    def frames() -> list[FrameType]:
        found, frame = [], sys._getframe()
        while frame is not None:
            found.append(frame)
            frame = frame.f_back  # type: ignore[assignment]
        return found

    assert not is_traced(frames())
    debugger = bdb.Bdb()
    debugger.reset()
    found: list[list[FrameType]] = []
    debugger.runcall(lambda: found.append(frames()))
    assert is_traced(found[0])
