"""``call_soon`` and ``call_at``, which note the line that schedules a callback.

Where asyncio's handles are known and a loop has asyncio's own ``_call_soon``, the handle is made
here. This saves more calls than noting the line costs.
"""

from __future__ import annotations

import asyncio
import sys
from _thread import get_ident
from asyncio import base_events
from collections.abc import Callable
from contextvars import copy_context
from heapq import heappush
from types import BuiltinFunctionType, MethodType
from typing import Any, Final

from ...core.objects import function_code
from ...core.paths import USER
from ...core.stacks import KINDS, is_made_by_library
from ...core.watch import Watch
from ..debug import hide_frame
from ..handles import AtHandle, SoonHandle, mark_of
from .lifecycle import note

_getframe = sys._getframe
_new: Any = object.__new__
_CALL_LATER: Final = function_code(base_events.BaseEventLoop.call_later)


def _step_types() -> frozenset[type]:
    """The types of the callables that asyncio's task gives to ``call_soon`` for its next step."""

    class Loop:
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> None:
            types.add(type(callback))

        def get_debug(self) -> bool:
            return False

    async def nothing() -> None:
        pass

    types: set[type] = {BuiltinFunctionType}
    coroutine = nothing()
    task = asyncio.Task(coroutine, loop=Loop(), name="probe")  # type: ignore[arg-type]
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine.close()
    # A task in Python gives a bound method, as other code does, too.
    return frozenset(types - {MethodType})


_STEP_TYPES: Final = _step_types()


def make_call_soon(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if self._debug:
            if self._thread_id is None and watch.several:
                with watch.faults.guard("loops"):
                    watch.idle_loop_called(self, "loop.call_soon", _getframe(1), callback)
            slow: Any = original(self, callback, *args, context=context)
            with watch.faults.guard("loops"):
                hide_frame(slow)
            return slow
        try:
            thread = self._thread_id
            if thread is None:
                if watch.several:
                    watch.idle_loop_called(self, "loop.call_soon", _getframe(1), callback)
            elif thread != get_ident():
                watch.events.wrong_thread_call(self, "loop.call_soon", _getframe(1), callback)
            if self._asyncio_traps_plain and not self._closed:
                handle: Any = _new(SoonHandle)
                if context is not None and type(callback) in _STEP_TYPES:
                    # The next step of a task, by far the most frequent callback. The task knows
                    # the line that created it.
                    handle._asyncio_traps_code = None
                    handle._context = context
                else:
                    frame = _getframe(1)
                    handle._asyncio_traps_code = frame.f_code
                    handle._asyncio_traps_lasti = frame.f_lasti
                    handle._context = copy_context() if context is None else context
                handle._loop = self
                handle._callback = callback
                handle._args = args
                handle._cancelled = False
                handle._repr = None
                handle._source_traceback = None
                self._ready.append(handle)
                return handle
        except Exception as exc:
            note(watch, self, exc)
        return original(self, callback, *args, context=context)

    return call_soon


def make_call_at(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    def call_at(self: Any, when: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if self._debug:
            if self._thread_id is None and watch.several:
                with watch.faults.guard("loops"):
                    watch.idle_loop_called(self, "loop.call_at", _getframe(1), callback)
            slow: Any = original(self, when, callback, *args, context=context)
            with watch.faults.guard("loops"):
                hide_frame(slow)
            return slow
        timer: Any = None
        try:
            frame: Any = _getframe(1)
            thread = self._thread_id
            if thread is None:
                if watch.several:
                    watch.idle_loop_called(self, "loop.call_at", frame, callback)
            elif thread != get_ident():
                watch.events.wrong_thread_call(self, "loop.call_at", frame, callback)
            if self._asyncio_traps_plain and not self._closed and when is not None:
                if frame.f_code is _CALL_LATER:
                    frame = frame.f_back
                handle = _new(AtHandle)
                code = frame.f_code
                if KINDS[code.co_filename] == USER:
                    handle._asyncio_traps_asked = code, frame.f_lasti
                else:
                    handle._asyncio_traps_asked = mark_of(frame)
                    handle._asyncio_traps_librarys = is_made_by_library(frame)
                handle._context = copy_context() if context is None else context
                handle._loop = self
                handle._callback = callback
                handle._args = args
                handle._cancelled = False
                handle._repr = None
                handle._source_traceback = None
                handle._when = when
                handle._scheduled = True
                timer = handle
        except Exception as exc:
            note(watch, self, exc)
        if timer is None:
            return original(self, when, callback, *args, context=context)
        # Outside of the try: the heap compares the user's values, whose errors are the user's.
        heappush(self._scheduled, timer)
        return timer

    return call_at
