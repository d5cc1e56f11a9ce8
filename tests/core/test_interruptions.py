"""Whose an exception is that comes out of the plugin's code."""

from __future__ import annotations

import ctypes
import functools
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from pytest_asyncio_traps.model.text import shown, text_of

from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.core.interruptions import is_interruption
from pytest_asyncio_traps.core.objects import ask, call, is_closed, is_done, put

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="there is no SIGALRM")


class TooLongError(Exception):
    """What a suite's own watchdog raises."""


def plain(number: int, frame: FrameType | None) -> None:
    raise TooLongError


def with_any_arguments(*args: Any) -> None:
    raise TooLongError


def forgetful(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TooLongError


class Watchdog:
    def method(self, number: int, frame: FrameType | None) -> None:
        del frame
        raise TooLongError

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise TooLongError


def deep(number: int, frame: FrameType | None) -> None:
    def inner() -> None:
        raise ValueError("of a class of Python's own")

    inner()


HANDLERS: list[Callable[..., None]] = [
    plain,
    with_any_arguments,
    forgetful,
    Watchdog().method,
    Watchdog(),
    functools.partial(functools.partial(plain)),
    lambda *args: plain(*args),
    deep,
]


def interrupted(handler: Callable[..., None], code: Callable[[], object]) -> BaseException:
    """The exception of ``handler``, which ``code`` lets out."""
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises((TooLongError, ValueError)) as caught:
            code()
        return caught.value
    finally:
        signal.signal(signal.SIGALRM, before)


def alarm() -> None:
    signal.raise_signal(signal.SIGALRM)


@pytest.mark.parametrize("handler", HANDLERS, ids=range(len(HANDLERS)))
def test_a_signal_handler(handler: Callable[..., None]) -> None:
    """Whatever the handler looks like, a guard lets its exception through, and has no fault."""
    faults = Faults()

    def code() -> None:
        with faults.guard("a part"):
            alarm()

    interrupted(handler, code)
    assert faults.texts == {}


class Raises:
    """An object during whose questions the alarm goes off."""

    @property
    def attribute(self) -> None:
        alarm()

    def method(self) -> None:
        alarm()

    is_closed = done = method

    def __str__(self) -> str:
        alarm()
        return ""

    __repr__ = __str__


@pytest.mark.parametrize(
    "question",
    [
        lambda obj: ask(obj, "attribute"),
        lambda obj: call(obj, "method"),
        is_closed,
        is_done,
        text_of,
        shown,
    ],
    ids=["ask", "call", "is_closed", "is_done", "text_of", "shown"],
)
def test_while_an_object_is_asked(question: Callable[[object], object]) -> None:
    """What an object raises by itself is no answer; what interrupts it goes on."""
    assert isinstance(interrupted(plain, lambda: question(Raises())), TooLongError)


def test_what_an_object_raises_by_itself_is_no_interruption() -> None:
    class Refuses:
        def __getattribute__(self, name: str) -> Any:
            raise TooLongError

        def __setattr__(self, name: str, value: object) -> None:
            raise TooLongError

    obj = Refuses()

    assert ask(obj, "name", 7) == 7
    assert call(obj, "name", 7) == 7
    assert put(obj, "name", 7)


def test_note_raises_what_is_no_fault() -> None:
    """Code that has no guard hands every exception to `note`, which sorts them."""
    faults = Faults()

    def code() -> None:
        try:
            alarm()
        except Exception as exc:
            faults.record("a part", exc)

    interrupted(plain, code)
    assert faults.texts == {}


def test_an_exception_of_the_plugins_own_code_is_a_fault() -> None:
    faults = Faults()
    with faults.guard("a part"):
        int("x")

    assert [*faults.texts] == ["a part"]


def test_a_trace_function() -> None:
    def trace(frame: FrameType, event: str, arg: object) -> None:
        if frame.f_code.co_name == "traced":
            raise TooLongError

    def traced() -> None:
        pass

    def code() -> None:
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            traced()
        finally:
            sys.settrace(before)

    with pytest.raises(TooLongError) as caught:
        code()
    assert is_interruption(caught.value)


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="came with Python 3.12")
def test_a_callback_of_sys_monitoring() -> None:
    monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]

    def callback(code: object, offset: int) -> None:
        raise TooLongError

    def watched() -> None:
        pass

    tool = monitoring.PROFILER_ID
    monitoring.use_tool_id(tool, "a test")
    try:
        monitoring.register_callback(tool, monitoring.events.PY_START, callback)
        monitoring.set_local_events(tool, watched.__code__, monitoring.events.PY_START)
        with pytest.raises(TooLongError) as caught:
            watched()
    finally:
        monitoring.set_local_events(tool, watched.__code__, 0)
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(tool)
    assert is_interruption(caught.value)


def test_an_exception_that_another_thread_sets() -> None:
    """As stopit and func_timeout do: it comes out of no call, and is of no class of Python's."""
    faults = Faults()
    caught: list[BaseException] = []
    stop: list[bool] = []
    ready = threading.Event()

    def work() -> None:
        try:
            with faults.guard("a part"):
                ready.set()
                while not stop:
                    time.sleep(0.001)
        except BaseException as exc:
            caught.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    assert thread.ident is not None
    number = ctypes.c_ulong(thread.ident)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(TooLongError))
    thread.join(10)
    stop.append(True)
    thread.join()

    assert [type(exc) for exc in caught] == [TooLongError]
    assert faults.texts == {}
