"""``create_task``, which notes on the task the user's line and the tenure."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from ..core.ownership import TENURE, Tenure
from ..core.paths import BOUNDARY, LIBRARY, USER
from ..core.stacks import KINDS, SKIPPED_FILES
from ..core.watch import Watch
from .debug import hide_frame

# Globals, not variables of a closure, each of which Python copies at each call.
_getframe = sys._getframe
_tenure_here = TENURE.get
_parent: Any = asyncio.current_task
_Task: Any = asyncio.Task
_shows_context = hasattr(asyncio.Task, "get_context")  # from Python 3.12 on


def make_create_task(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    """For any loop. In one piece, since a call of another function costs more than most parts."""

    def create_task(self: Any, coro: Any, **kwargs: Any) -> Any:
        task: Any = original(self, coro, **kwargs)
        if watch.active:
            frame: Any = None
            try:
                # What nearly every call passes, written out: frames of others, then the user's.
                frame = _getframe(1)
                while frame is not None and (code := frame.f_code).co_filename in SKIPPED_FILES:
                    frame = frame.f_back
                kind = BOUNDARY if frame is None else KINDS[code.co_filename]
                tenure = _tenure_here()
                plain = type(task) is _Task and type(tenure) is Tenure
                if kind == USER and plain:
                    # The task's context holds its owner. The mark is stored in two parts, which
                    # the garbage collector need not look at.
                    task._asyncio_traps_code = code
                    task._asyncio_traps_lasti = frame.f_lasti
                    # The trace: what called the user's line, up to the step that runs, and then
                    # the trace of the task whose step that is.
                    outer: tuple[Any, ...] = ()
                    back = frame.f_back
                    while back is not None and len(outer) < 64:
                        code = back.f_code
                        if code.co_filename not in SKIPPED_FILES:
                            kind = KINDS[code.co_filename]
                            if kind == USER:
                                outer += (code, back.f_lasti)
                            elif kind != LIBRARY:
                                break
                        back = back.f_back
                    back = None
                    parent = _parent(self)
                    if type(parent) is _Task:
                        origin = getattr(parent, "_asyncio_traps_code", None)
                        if origin is not None:
                            outer += (origin, parent._asyncio_traps_lasti)
                            outer += getattr(parent, "_asyncio_traps_outer", ())[:64]
                        else:
                            origin = getattr(parent, "_asyncio_traps_made", None)
                            if type(origin) is tuple and origin[0] is not None:
                                behind = getattr(parent, "_asyncio_traps_outer", ())
                                outer += origin[0] + behind[:64]
                    elif parent is not None:  # a class of the user's, asked with care
                        outer += watch.creation_stack(parent)
                    parent = None
                    if outer:
                        task._asyncio_traps_outer = outer
                    if not _shows_context:
                        task._asyncio_traps_tenure = tenure
                    elif "context" in kwargs:
                        watch.remember(task, frame)
                elif kind == BOUNDARY and plain:
                    task._asyncio_traps_made = None, tenure  # a test runner's
                else:
                    watch.remember_task(task, frame)
                if task._source_traceback:
                    hide_frame(task)
            except AttributeError:
                pass  # a task class with slots of its own
            except Exception as exc:
                watch.faults.record("create_task", exc)
            finally:
                frame = None
        try:
            return task
        finally:
            # The traceback of an eager task that failed contains this frame.
            del task

    return create_task
