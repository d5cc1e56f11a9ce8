"""Collects the facts from which `stillness` proves that a loop waits forever."""

from __future__ import annotations

import _thread
import asyncio
import functools
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from ..compat import asyncio as private
from ..core.objects import ask, call, class_path, function_code, is_a
from ..core.paths import ASYNCIO, HARNESS
from ..core.stacks import KINDS
from ..core.thread_stacks import stack_of
from .stillness import Activity, LoopFacts, Observation, ProcessFacts, waker_of
from .threads import SampledThread
from .waiting import asleep, own_threads, waited
from .wakers import TIMEOUT, count_wakers, is_in, read_proc, tasks

#: Tests replace these functions.
_waitid: Any = getattr(os, "waitid", None)  # Windows has none of these
_getitimer: Any = getattr(signal, "getitimer", None)
_getsignal, _valid_signals = signal.getsignal, signal.valid_signals

#: Signals that programs catch to report a crash, and what a terminal says of its size.
_BENIGN: Final = frozenset(
    int(getattr(signal, name))
    for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGWINCH")
    if hasattr(signal, name)
)
#: The modules of debuggers that work from a thread of their own.
_DEBUGGERS: Final = ("pydevd", "_pydevd_bundle", "debugpy")
_RUN_ONCE: Final = function_code(getattr(asyncio.BaseEventLoop, private.RUN_ONCE, None))
_UNREADABLE: Final = LoopFacts(False, False, 0, 0, 0, 0)


def observe(thread: SampledThread, others: Iterable[SampledThread]) -> Observation:
    """The facts about the loop that ``thread`` runs, and its process, now.

    ``others`` are further threads that run loops. They wake nothing while these loops sleep.
    """
    loop = observe_loop(thread)
    still = [thread.native_id]
    still += [other.native_id for other in others if not waker_of(observe_loop(other))]
    process = observe_process(still)
    return Observation(loop, process, observe_threads())


# -- the loop --------------------------------------------------------------------------------------


def observe_loop(thread: SampledThread) -> LoopFacts:
    """The facts about the loop that ``thread`` runs."""
    loop = thread.loop
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
    waits = stack_of(thread.thread_id)[:4:2]
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


def observe_process(loops: Iterable[int | None]) -> ProcessFacts:
    """The facts about the process; threads of the system's ids ``loops`` run loops that sleep."""
    return ProcessFacts(
        threads=count_wakers({_thread.get_native_id(), *own_threads, *loops}),
        children=_has_children(),
        handlers=_handled_signals(),
        timers=_has_timers(),
        debugger=is_debugged(),
    )


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
    caught = _caught_signals()
    return tuple(
        number
        for signum in _valid_signals()
        if (number := int(signum)) not in _BENIGN
        and (
            not _is_known_handler(handler)
            if callable(handler := _getsignal(signum))
            else caught >> (number - 1) & 1  # by code in C
        )
    )


def _is_known_handler(handler: Any) -> bool:
    """Whether a handler is Python's, asyncio's, or that of a test runner: they wake no loop."""
    if handler is signal.default_int_handler:
        return True
    while is_a(handler, functools.partial):
        handler = handler.func
    code = function_code(handler)
    if is_in(code, TIMEOUT):
        return True
    return code is not None and KINDS[code.co_filename] in (ASYNCIO, HARNESS)


def _caught_signals() -> int:
    """The signals for which the process has a handler, as a set of bits; none if unknown."""
    return int(_status_of("SigCgt") or "0", 16)


def _status_of(name: str) -> str:
    """A value from the system's summary of this process; empty where there is none."""
    for line in read_proc("status").splitlines():
        key, _, value = line.partition(b":")
        if key == name.encode():
            return value.strip().decode()
    return ""


def _has_timers() -> bool:
    """Whether a timer of the system runs that will send a signal, other than pytest-timeout's."""
    if _getitimer is None:
        return True  # unknown
    handler = function_code(_getsignal(signal.SIGALRM))
    if _getitimer(signal.ITIMER_REAL)[0] and not is_in(handler, TIMEOUT):
        return True
    if _getitimer(signal.ITIMER_VIRTUAL)[0] or _getitimer(signal.ITIMER_PROF)[0]:
        return True
    return bool(read_proc("timers"))


def is_debugged() -> bool:
    """Whether a debugger is attached, or has been started in this process."""
    if any(name in sys.modules for name in _DEBUGGERS) or _status_of("TracerPid") not in ("", "0"):
        return True
    monitoring: Any = getattr(sys, "monitoring", None)
    return monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None


# -- the threads -----------------------------------------------------------------------------------


def observe_threads() -> Activity:
    """What the system says of the threads of the process, except the current one."""
    here = _thread.get_native_id()
    ids = [task for task in tasks() if task != here]
    turns = {task: waited(task)[1] for task in ids}
    return Activity(all(map(asleep, ids)), turns)
