"""Timers that are still scheduled when their loop closes."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable
from typing import Any, ClassVar

from ..compat import asyncio as private
from ..core.creation import LIBRARYS
from ..core.objects import ask, call, is_cancelled
from ..core.ownership import Tenure
from ..core.places import name_of, place_of
from ..core.stacks import Mark, is_user
from ..core.trap import BuiltinTrap, When
from ..model.finding import Finding


class LingeringTimer(BuiltinTrap):
    """A timer that is still scheduled when its loop closes has outlived its owner.

    asyncio's own timers, as of sleep() and timeout(), were scheduled by no line of the user's:
    the task that waits for them is the leak. The user cannot cancel those that a library
    schedules on its own behalf, and other kinds report what the user can close.
    """

    kind = "lingering-timer"
    enabled: ClassVar[When] = "strict"
    title = "a timer was left scheduled"
    advice = (
        "Keep what call_later() or call_at() returns, and cancel() it when the test or fixture "
        "that scheduled it ends."
    )

    def arm(self) -> None:
        #: Timers of loops that do not list theirs.
        self._timers: weakref.WeakKeyDictionary[Any, tuple[Any, Mark, str, Tenure]] = (
            weakref.WeakKeyDictionary()
        )

    def timer_created(self, loop: Any, handle: Any, mark: Mark | None, callback: Any) -> None:
        if mark is not None and is_user(mark):
            tenure = self.watch.ownership.now()
            self._timers[handle] = weakref.ref(loop), mark, name_of(callback), tenure

    def loop_closing(self, loop: asyncio.AbstractEventLoop) -> None:
        watch = self.watch
        for handle in _scheduled(loop):
            mark = watch.scheduled_at(handle)
            if mark is None or not is_user(mark) or ask(handle, LIBRARYS) is True:
                continue
            if not is_cancelled(handle):
                tenure = watch.tenure_of_handle(handle) or watch.ownership.now()
                self._report(
                    loop, handle, mark, name_of(ask(handle, private.HANDLE_CALLBACK)), tenure
                )
        for handle, (owner, mark, name, tenure) in list(self._timers.items()):
            if owner() is loop:
                del self._timers[handle]
                if not is_cancelled(handle) and _due_in(loop, handle) > 0:
                    self._report(loop, handle, mark, name, tenure)

    def _report(self, loop: Any, handle: Any, mark: Mark, name: str, tenure: Tenure) -> None:
        due = max(0.0, _due_in(loop, handle))
        self.watch.report(
            Finding(
                self.kind,
                f"a timer for {name!r} was left scheduled",
                self.advice,
                tenure.owner,
                origin=place_of(mark),
                origin_label="scheduled at",
                subject=name,
                notes=(f"Due in {due:.3f} s when its loop was closed.",),
            )
        )


def _scheduled(loop: Any) -> Iterable[Any]:
    timers = ask(loop, private.LOOP_TIMERS)
    return sorted(timers, key=_when) if type(timers) is list else ()


def _when(timer: object) -> float:
    when = call(timer, "when", 0.0)
    return float(when) if type(when) in (int, float) else 0.0


def _due_in(loop: object, timer: object) -> float:
    """Seconds until ``timer`` is due, by the clock of ``loop``."""
    now = call(loop, "time", 0.0)
    return _when(timer) - (now if type(now) in (int, float) else 0.0)
