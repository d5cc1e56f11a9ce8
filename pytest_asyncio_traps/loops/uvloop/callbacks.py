"""What uvloop's queue contains in place of a callback: it times the callback."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from ...core.clock import REAL
from ...core.creation import scheduled_mark
from ...core.ownership import TENURE
from ...core.stacks import STEP_CODES, add_step
from ...core.watch import Watch
from .runner import Runner

_running_loop: Callable[[], Any] = asyncio.get_running_loop


class Step(functools.partial[None]):
    """The function of `make_step` with its arguments; in every text, the callback itself.

    uvloop shows it: in the ``repr()`` of a handle, in its log, to the exception handler.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.args[-1], name)  # __qualname__, or the task as __self__

    def __repr__(self) -> str:
        return repr(self.args[-1])

    def __str__(self) -> str:
        return str(self.args[-1])

    def __format__(self, spec: str) -> str:
        return format(self.args[-1], spec)


def make_step(watch: Watch) -> Callable[..., None]:
    """The function that runs one step of a loop: called by uvloop, through a `Step`."""
    now = REAL[0]
    due = watch.due
    step_listeners = watch.events.listening["step_ended"]

    # `Watch.scheduled_in` reads ``code`` and ``lasti`` from the frame.
    def step(runner: Runner, code: Any, lasti: int, callback: Any, *args: Any) -> None:
        __tracebackhide__ = True
        try:
            runner._asyncio_traps_step = began = now()
            if watch.shared:
                runner._asyncio_traps_last = TENURE.get()
            if began >= due[0]:
                watch.events.step_due(_running_loop(), began)
        except Exception as exc:
            watch.faults.record("uvloop", exc)
        try:
            callback(*args)
        except BaseException:
            try:
                # For the exception handler, which is called next: uvloop's handles do not show
                # where they were scheduled.
                failed = scheduled_mark(code, lasti), watch.ownership.now()
                _running_loop()._asyncio_traps_failed = failed
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            raise
        finally:
            try:
                if now() - began >= watch.slow_after and runner._asyncio_traps_step is began:
                    watch.events.slow_step(_running_loop(), None, callback, began, now())
                runner._asyncio_traps_step = 0.0
                if step_listeners:
                    watch.events.step_ended(callback)
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            # The traceback of an exception in a task reaches this frame through f_back. If the
            # frame referred to the task, that cycle would keep the task alive.
            callback = args = None  # type: ignore[assignment]

    add_step(step.__code__)
    watch.at_end.append(lambda: STEP_CODES.remove(step.__code__))
    return step
