"""Collects the facts from which `stillness` proves that a loop waits forever."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures.thread as executors
import dis
import functools
import os
import signal
import sys
import threading
from collections import deque
from types import CodeType
from typing import Any, Final

from ..compat import asyncio as private
from ..compat import cpython
from ..core.objects import ask, ask_text, call, class_path, function_code, is_a
from ..core.paths import ASYNCIO, HARNESS, LIBRARY, STDLIB
from ..core.places import line_of
from ..core.stacks import KINDS, Mark
from ..core.thread_stacks import marks_of, stack_of, thread_ids
from .stillness import Activity, LoopFacts, Observation, ProcessFacts
from .waiting import asleep, waited

#: Tests replace these functions, by those of a fake file system or clock, for example.
_listdir, _open, _read, _close = os.listdir, os.open, os.read, os.close
_waitid: Any = getattr(os, "waitid", None)  # Windows has none of these
_getitimer: Any = getattr(signal, "getitimer", None)
_getsignal, _valid_signals = signal.getsignal, signal.valid_signals

#: Where the plugin's own threads run. Elsewhere, its code may be on the stack of any thread.
_OWN: Final = os.path.dirname(__file__) + os.sep
#: Packages and modules whose threads listen to other processes of the test runner.
_LISTENERS: Final = frozenset({"execnet", "pytest_rerunfailures.py"})
#: The module of pytest-timeout, which ends a test by a timer of the system or of a thread.
_TIMEOUT: Final = frozenset({"pytest_timeout.py"})
#: The modules of debuggers that work from a thread of their own.
_DEBUGGERS: Final = ("pydevd", "debugpy")
_RUN_ONCE: Final = function_code(getattr(asyncio.BaseEventLoop, private.RUN_ONCE, None))
_WORKER: Final = function_code(getattr(executors, cpython.WORKER, None))
_UNREADABLE: Final = LoopFacts(False, False, 0, 0, 0, 0)


def observe(loop: Any, thread_id: int) -> Observation:
    """The facts about ``loop``, which the thread ``thread_id`` runs, and its process, now."""
    stack = marks_of(stack_of(thread_id))
    loop_facts = observe_loop(loop, stack)
    process = observe_process(thread_id)
    return Observation(loop_facts, process, observe_threads())


# -- the loop --------------------------------------------------------------------------------------


def observe_loop(loop: Any, stack: list[Mark]) -> LoopFacts:
    """The facts about ``loop``, whose thread is at ``stack``, innermost frame first."""
    selector, ready = ask(loop, private.LOOP_SELECTOR), ask(loop, private.LOOP_READY)
    timers, signals = ask(loop, private.LOOP_TIMERS), ask(loop, private.LOOP_SIGNALS)
    if (
        not private.WAKERS.holds
        or not is_a(loop, asyncio.SelectorEventLoop)
        or not class_path(selector).startswith("selectors.")
        or type(ready) is not deque
        or type(timers) is not list
        or type(signals) is not dict
    ):
        return _UNREADABLE
    # The frames say that the loop waits in asyncio's own way: a subclass may do otherwise.
    select = function_code(ask(selector, "select"))
    waits = [mark[0] for mark in stack[:2]]
    return LoopFacts(
        readable=True,
        asleep=len(waits) == 2 and waits[0] is select and waits[1] is _RUN_ONCE,
        ready=len(ready),
        timers=sum(ask(timer, private.HANDLE_CANCELLED) is not True for timer in list(timers)),
        descriptors=_descriptors(loop, selector),
        signals=len(signals),
    )


def _descriptors(loop: Any, selector: Any) -> int:
    """The number of descriptors that ``loop`` watches, besides its wake-up socket."""
    wake_up = call(ask(loop, private.LOOP_WAKE_UP), "fileno")
    try:
        keys = list(selector.get_map().values())
    except Exception:  # it is closed, or changes at this moment
        return 1
    others = sum(key.fd != wake_up for key in keys)
    return others if len(keys) > others else 1  # without that socket, this is no known loop


# -- the process -----------------------------------------------------------------------------------


def observe_process(thread_id: int) -> ProcessFacts:
    """The facts about the process, for a loop that the thread ``thread_id`` runs."""
    here = _thread.get_ident()
    ids = thread_ids()
    threads = tuple(
        what for other in ids if other not in (here, thread_id) and (what := _describe(other))
    )
    return ProcessFacts(
        threads=threads if thread_id in ids else ("the loop's thread has ended", *threads),
        native=max(0, len(_tasks()) - len(ids)),
        children=_has_children(),
        handlers=_handled_signals(),
        timers=_has_timers(),
        debugger=is_debugged(),
    )


def _tasks() -> list[str]:
    """The system's ids of the threads of this process; empty where the system has no list."""
    try:
        return _listdir("/proc/self/task")
    except OSError:
        return []


def _describe(thread_id: int) -> str:
    """Describes the thread if it could wake a loop; empty if it could not."""
    stack = marks_of(stack_of(thread_id))
    if not stack:
        return "a thread whose stack is unknown"
    if _is_idle_worker(stack) or _is_runners(thread_id, stack):
        return ""
    return stack[0][0].co_qualname


def _is_idle_worker(stack: list[Mark]) -> bool:
    """Whether the thread at ``stack`` is a worker of an executor, and waits for work.

    A worker that waits gets work from another thread or from the loop's, so that it is asleep
    unless one of these has run.
    """
    code, offset = stack[0]
    if code is _WORKER and cpython.IDLE_WORKERS.holds:
        return line_of(code, offset) in _lines_of_get(code)
    names = [mark[0].co_qualname for mark in stack[:3]]
    return (
        names == ["Condition.wait", "Queue.get", "WorkerThread.run"]
        and KINDS[code.co_filename] == KINDS[stack[1][0].co_filename] == STDLIB
        and ask_text(sys.modules.get("anyio._backends._asyncio"), "__file__")
        == stack[2][0].co_filename
    )


@functools.cache
def _lines_of_get(code: CodeType) -> frozenset[int]:
    """The lines of the function of workers that wait for work."""
    return frozenset(
        line_of(code, found.offset)
        for found in dis.get_instructions(code)
        if found.argval == cpython.WORKER_WAITS
    )


def _is_runners(thread_id: int, stack: list[Mark]) -> bool:
    """Whether the thread belongs to a test runner, which wakes no loop.

    It is a thread of this package, the one in which a worker of pytest-xdist listens to its
    controller, the one in which pytest-rerunfailures counts for these workers, or the timer of
    pytest-timeout.
    """
    others = [code for code, _ in stack if KINDS[code.co_filename] != STDLIB]
    if all(code.co_filename.startswith(_OWN) for code, _ in stack):
        return True
    if others:
        return all(_is_in(code, _LISTENERS) for code in others)
    active = getattr(threading, cpython.ACTIVE_THREADS, None)
    thread = active.get(thread_id) if type(active) is dict else None
    if not is_a(thread, threading.Timer):
        return False
    function = ask(thread, "function")
    while is_a(function, functools.partial):
        function = function.func
    return _is_in(function_code(function), _TIMEOUT)


def _is_in(code: CodeType | None, names: frozenset[str]) -> bool:
    """Whether ``code`` is in an installed package or module of one of ``names``."""
    if code is None or KINDS[code.co_filename] not in (HARNESS, LIBRARY):
        return False
    return not names.isdisjoint(code.co_filename.replace("\\", "/").split("/"))


def _has_children() -> bool:
    """Whether there is a child process. It is not reaped."""
    if _waitid is None:
        return True  # unknown
    try:
        _waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except OSError:
        pass
    return True


def _handled_signals() -> tuple[int, ...]:
    """The signals for which the user's code or a library has installed a handler."""
    return tuple(
        int(number)
        for number in _valid_signals()
        if callable(handler := _getsignal(number))
        and handler is not signal.default_int_handler
        and not _is_known_handler(handler)
    )


def _is_known_handler(handler: Any) -> bool:
    """Whether a handler is asyncio's, or that of a test runner: neither wakes a loop."""
    while is_a(handler, functools.partial):
        handler = handler.func
    code = function_code(handler)
    if _is_in(code, _TIMEOUT):
        return True
    return code is not None and KINDS[code.co_filename] in (ASYNCIO, HARNESS)


def _has_timers() -> bool:
    """Whether a timer of the system runs that will send a signal, other than pytest-timeout's."""
    if _getitimer is None:
        return True  # unknown
    handler = function_code(_getsignal(signal.SIGALRM))
    if _getitimer(signal.ITIMER_REAL)[0] and not _is_in(handler, _TIMEOUT):
        return True
    if _getitimer(signal.ITIMER_VIRTUAL)[0] or _getitimer(signal.ITIMER_PROF)[0]:
        return True
    try:
        descriptor = _open("/proc/self/timers", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # a kernel without that file
        return False
    try:
        return bool(_read(descriptor, 1))
    finally:
        _close(descriptor)


def is_debugged() -> bool:
    """Whether a debugger is attached, or has been started in this process."""
    if any(name in sys.modules for name in _DEBUGGERS):
        return True
    monitoring: Any = getattr(sys, "monitoring", None)
    return monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None


# -- the threads -----------------------------------------------------------------------------------


def observe_threads() -> Activity:
    """What the system says of the threads of the process, except the current one."""
    here = _thread.get_native_id()
    ids = [number for name in _tasks() if (number := int(name)) != here]
    turns = {number: waited(number)[1] for number in ids}
    return Activity(all(map(asleep, ids)), turns)
