"""Where a loop is made, runs, is stopped, is told of errors and is closed."""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from ...compat import asyncio as private
from ...core.objects import ask, is_a, is_running, traceback_of
from ...core.threads import ALONE
from ...core.watch import Watch


def make_init(
    watch: Watch, original: Callable[..., None], plain_call_soon: Any
) -> Callable[..., None]:
    """``plain_call_soon`` is asyncio's own ``_call_soon``; None if its handles are unknown."""
    known = plain_call_soon is not None

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            # Not defaults of the class: those would make each access several times slower.
            self._asyncio_traps_step = 0.0
            self._asyncio_traps_plain = known and type(self)._call_soon is plain_call_soon
            if watch.active:
                watch.loop_created(self, sys._getframe(1))
        except Exception as exc:
            watch.faults.record("loops", exc)

    return __init__


def make_run_forever(watch: Watch, original: Callable[[Any], None]) -> Callable[[Any], None]:
    guarded = watch.faults.guard("loops")

    def run_forever(self: Any) -> None:
        __tracebackhide__ = True
        if not watch.active:
            return original(self)
        tracked = False
        try:
            self._asyncio_traps_ran = ALONE[0] or get_ident()
            tracked = watch.loop_enters(self)
        except Exception as exc:
            watch.faults.record("loops", exc)
        try:
            return original(self)
        except BaseException as exc:
            # An exception of a step stays in its task or goes to the exception handler; only
            # exits get here.
            with guarded:
                if not _has_not_run(exc):
                    watch.events.loop_cut_short(self)
            raise
        finally:
            try:
                watch.loop_leaves(self, tracked)
            except Exception as exc:
                watch.faults.record("loops", exc)

    return run_forever


def _has_not_run(exc: BaseException) -> bool:
    """Whether a loop raised ``exc`` instead of running: it was closed, or ran already."""
    if not private.LOOP_RUNS.holds or not is_a(exc, RuntimeError):
        return False
    traceback = traceback_of(exc)
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == private.RUN_ONCE:
            return False
        traceback = traceback.tb_next
    return True


def make_stop(watch: Watch, original: Callable[[Any], None]) -> Callable[[Any], None]:
    def stop(self: Any) -> None:
        try:
            thread = self._thread_id
            if thread is not None and thread != get_ident():
                watch.events.wrong_thread_call(self, "loop.stop", sys._getframe(1))
        except Exception as exc:
            watch.faults.record("loops", exc)
        original(self)

    return stop


def make_close(watch: Watch, original: Callable[[Any], None]) -> Callable[[Any], None]:
    def close(self: Any) -> None:
        if watch.active:
            try:
                if not self._closed and not is_running(self):
                    watch.loop_closing(self)
            except Exception as exc:
                watch.faults.record("loops", exc)
        original(self)
        try:
            watch.loop_closed(self)
        except Exception as exc:
            watch.faults.record("loops", exc)

    return close


def make_call_exception_handler(watch: Watch, original: Callable[..., None]) -> Callable[..., None]:
    guarded = watch.faults.guard("loops")

    def call_exception_handler(self: Any, context: Any) -> None:
        if watch.active:
            with guarded:
                watch.events.exception_handler_called(self, context)
        original(self, context)

    return call_exception_handler


def note(watch: Watch, loop: Any, exc: Exception) -> None:
    """Record a fault of a replaced method of ``loop``, or of one of its steps."""
    # A loop that was made before the plugin was armed lacks the attributes that `make_init` gives.
    if type(exc) is not AttributeError or ask(loop, "_asyncio_traps_plain") is not None:
        watch.faults.record("loops", exc)
