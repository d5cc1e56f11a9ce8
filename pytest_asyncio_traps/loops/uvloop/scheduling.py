"""``call_soon`` and its like, which note the line that schedules a callback.

In place of the callback they put a `Step` into uvloop's queue. Each of them is in one piece, for
speed: see `loops.stdlib`.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable
from types import FrameType
from typing import Any

from ...core.creation import scheduled_mark
from ...core.watch import Watch
from ..debug import hide_frame
from .callbacks import Step
from .runner import runner_of

_getframe = sys._getframe


def make_call_soon(
    watch: Watch,
    original: Callable[..., Any],
    step: Callable[..., None],
    is_debug: Callable[[Any], bool],
) -> Callable[..., Any]:
    """``is_debug`` is uvloop's own ``get_debug``, ``step`` the function of `make_step`."""

    def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if not watch.active:
            return original(self, callback, *args, context=context)
        try:
            try:
                runner = self._asyncio_traps_runner
            except AttributeError:  # a loop that was made before the plugin was armed
                runner = runner_of(self)
            frame = _getframe(1)
            thread = runner._thread_id
            refuses = False
            if thread is None:
                if watch.several:
                    watch.idle_loop_called(self, "loop.call_soon", frame, callback)
            elif thread != get_ident():
                refuses = _touch(watch, is_debug, self, "loop.call_soon", frame, callback)
            shown = Step(step, runner, frame.f_code, frame.f_lasti, callback)
        except Exception as exc:
            watch.faults.record("uvloop", exc)
        else:
            try:
                # A call without arguments to unpack is considerably faster.
                if context is not None:
                    handle = original(self, shown, *args, context=context)
                elif args:
                    handle = original(self, shown, *args)
                else:
                    handle = original(self, shown)
            except RuntimeError as exc:
                __tracebackhide__ = True
                if refuses:
                    with watch.faults.guard("uvloop"):
                        watch.events.wrong_thread_error(self, "loop.call_soon", frame, exc)
                raise
            if runner.debug:
                with watch.faults.guard("uvloop"):
                    hide_frame(handle)
            return handle
        return original(self, callback, *args, context=context)

    return call_soon


def make_call_soon_threadsafe(
    watch: Watch, original: Callable[..., Any], step: Callable[..., None]
) -> Callable[..., Any]:
    """``step`` is the function of `make_step`."""
    guarded = watch.faults.guard("uvloop")

    def call_soon_threadsafe(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if not watch.active:
            return original(self, callback, *args, context=context)
        try:
            frame = _getframe(1)
            runner = runner_of(self)
            shown = Step(step, runner, frame.f_code, frame.f_lasti, callback)
        except Exception as exc:
            watch.faults.record("uvloop", exc)
        else:
            handle = original(self, shown, *args, context=context)
            if runner.debug:
                with guarded:
                    hide_frame(handle)
            return handle
        return original(self, callback, *args, context=context)

    return call_soon_threadsafe


def make_call_later(
    watch: Watch,
    original: Callable[..., Any],
    step: Callable[..., None],
    is_debug: Callable[[Any], bool],
) -> Callable[..., Any]:
    """``is_debug`` is uvloop's own ``get_debug``, ``step`` the function of `make_step`."""
    guarded = watch.faults.guard("uvloop")

    def call_later(self: Any, delay: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if not watch.active:
            return original(self, delay, callback, *args, context=context)
        try:
            frame = _getframe(1)
            runner = runner_of(self)
            thread = runner._thread_id
            refuses = False
            if thread is None:
                if watch.several:
                    watch.idle_loop_called(self, "loop.call_later", frame, callback)
            elif thread != get_ident():
                refuses = _touch(watch, is_debug, self, "loop.call_later", frame, callback)
            code, lasti = frame.f_code, frame.f_lasti
            shown = Step(step, runner, code, lasti, callback)
        except Exception as exc:
            watch.faults.record("uvloop", exc)
        else:
            try:
                handle = original(self, delay, shown, *args, context=context)
            except RuntimeError as exc:
                __tracebackhide__ = True
                if refuses:
                    with guarded:
                        watch.events.wrong_thread_error(self, "loop.call_later", frame, exc)
                raise
            try:
                if runner.debug:
                    hide_frame(handle)
                if watch.events.listening["timer_created"]:
                    watch.events.timer_created(self, handle, scheduled_mark(code, lasti), callback)
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            return handle
        return original(self, delay, callback, *args, context=context)

    return call_later


def _touch(
    watch: Watch,
    is_debug: Callable[[Any], bool],
    loop: Any,
    what: str,
    frame: FrameType,
    callback: Any,
) -> bool:
    """Report that another thread calls a method of a running loop.

    Returns whether the method itself refuses that, as in uvloop's own debug mode: then it reports
    nothing.
    """
    if is_debug(loop):
        return True
    watch.events.wrong_thread_call(loop, what, frame, callback)
    return False
