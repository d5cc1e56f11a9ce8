"""What a thread that stands still waits for, read from its frames, the innermost first."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from types import FrameType
from typing import Any, Final

from ..compat import asyncio as private
from ..compat import cpython
from .links import links_of
from .objects import ask, ask_text, coroutine_of, function_code, is_a, owner_of_method
from .stacks import is_step
from .waits import fed_by

_RUN: Final = function_code(asyncio.BaseEventLoop.run_until_complete)
_WAIT: Final = function_code(threading.Condition.wait)
_JOIN: Final = function_code(threading.Thread.join)
_RESULTS: Final = (
    function_code(concurrent.futures.Future.result),
    function_code(concurrent.futures.Future.exception),
)
_JOB: Final = function_code(ask(cpython.executor_job_class(), "run"))


def future_that_runs(frames: list[FrameType]) -> Any:
    """The future that the loop runs until it is complete; None if it runs until it is stopped."""
    for frame in frames:
        if frame.f_code is _RUN:
            return frame.f_locals.get(private.RUN_FUTURE)
        if is_step(frame.f_code):
            break  # an outer run of a loop, which called the one that waits
    return None


def future_whose_result(frames: list[FrameType]) -> Any:
    """The concurrent future for whose result the thread waits, or None."""
    if len(frames) > 1 and frames[0].f_code is _WAIT and frames[1].f_code in _RESULTS:
        return frames[1].f_locals.get("self")
    return None


def joined_thread(frames: list[FrameType]) -> int | None:
    """The identity of the thread for whose end the thread waits, or None."""
    for frame in frames[:2]:
        if frame.f_code is _JOIN:
            ident = ask(frame.f_locals.get("self"), "ident")
            return ident if type(ident) is int else None
    return None


def runs_job_of(frames: list[FrameType], future: Any) -> bool:
    """Whether the thread runs the job of an executor that completes ``future``."""
    return future is not None and any(
        frame.f_code is _JOB and ask(frame.f_locals.get("self"), "future") is future
        for frame in frames
    )


def completes(task: Any, future: Any) -> bool:
    """Whether ``task`` can complete the concurrent ``future``: one of its coroutines has it."""
    if id(future) in fed_by(task):
        return True
    links = links_of(coroutine_of(task))
    return any(value is future for link in links for value in link.referents)


def is_traced(frames: list[FrameType]) -> bool:
    """Whether a debugger steps through one of ``frames``, or runs the program."""
    module = sys.modules.get("bdb")
    debugger, path = getattr(module, "Bdb", None), ask_text(module, "__file__")
    return debugger is not None and any(
        frame.f_code.co_filename == path or is_a(owner_of_method(frame.f_trace), debugger)
        for frame in frames
    )
