"""Where a loop is made, runs, is stopped, is told of errors and is closed."""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable, Mapping
from typing import Any

from ...core.objects import is_closed, is_running
from ...core.watch import Watch
from .. import debug
from .runner import runner_of


def make_init(
    watch: Watch,
    original: Callable[..., None],
    is_debug: Callable[[Any], bool],
    blind_spots: Mapping[str, str],
) -> Callable[..., None]:
    """``is_debug`` is uvloop's own ``get_debug``."""
    guarded = watch.faults.guard("uvloop")

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if watch.active:
            with guarded:
                runner_of(self).debug = is_debug(self)
                # The constructor sets debug mode from the environment.
                vars(self).pop(debug.EXPLICIT, None)
                for what, reason in blind_spots.items():
                    watch.blind(what, reason)
                watch.loop_created(self, sys._getframe(1))

    return __init__


def make_run(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    """For ``run_forever`` and ``run_until_complete``.

    Which of these calls the other by name depends on uvloop's version. The outer call counts.
    """
    guarded = watch.faults.guard("uvloop")

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        runner, tracked = None, False
        if watch.active:
            with guarded:
                outer = runner_of(self)
                if outer._thread_id is None:
                    runner = outer
                    tracked = watch.loop_enters(self)
                    runner._thread_id = get_ident()
                    self._asyncio_traps_ran = runner._thread_id
        if runner is None:
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        except (SystemExit, KeyboardInterrupt):
            # Any other exception may be the result that run_until_complete() raises.
            with guarded:
                watch.events.loop_cut_short(self)
            raise
        finally:
            with guarded:
                runner._thread_id = None
                watch.loop_leaves(self, tracked)

    return run


def make_stop(watch: Watch, original: Callable[[Any], None]) -> Callable[[Any], None]:
    guarded = watch.faults.guard("uvloop")

    def stop(self: Any) -> None:
        with guarded:
            thread = runner_of(self)._thread_id
            if thread is not None and thread != get_ident():
                watch.events.wrong_thread_call(self, "loop.stop", sys._getframe(1))
        original(self)

    return stop


def make_close(watch: Watch, original: Callable[[Any], None]) -> Callable[[Any], None]:
    guarded = watch.faults.guard("uvloop")

    def close(self: Any) -> None:
        if watch.active:
            with guarded:
                if not is_closed(self) and not is_running(self):
                    watch.loop_closing(self)
        original(self)

    return close


def make_call_exception_handler(watch: Watch, original: Callable[..., None]) -> Callable[..., None]:
    guarded = watch.faults.guard("uvloop")

    def call_exception_handler(self: Any, context: Any) -> None:
        if watch.active:
            with guarded:
                watch.events.exception_handler_called(self, context)
                self._asyncio_traps_failed = None
        original(self, context)

    return call_exception_handler
