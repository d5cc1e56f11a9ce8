"""Steps of a loop that kept it from everything else for too long."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Iterable
from types import CodeType
from typing import Any

from ..core.objects import ask, code_of, coroutine_of, function_code, is_a, owner_of_method
from ..core.ownership import Tenure
from ..core.places import name_of, place_of, place_of_code
from ..core.stacks import Mark, is_user_file
from ..core.trap import Trap
from ..core.watch import LIBRARYS, Watch, is_harness
from ..model.finding import Finding, Place
from ..profiler.sampler import Watchdog, dismiss, employ
from ..profiler.samples import SampleBuffer

#: asyncio's own threshold, in seconds.
DEFAULT = 0.1


class SlowCallback(Trap):
    """Each step is timed where it runs; the watchdog says which line took the time.

    What counts is the time in which the step could run: a collector's pause and
    the wait for a processor are taken off.
    """

    watchdog: Watchdog
    excused: bool

    kind = "slow-callback"
    steady = False
    title = "a step of the loop took too long"
    advice = (
        "While it runs, nothing else on the loop does. Move blocking work to a thread "
        "(await asyncio.to_thread(...)), use an async library, or give way with await now and then."
    )

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.watchdog = Watchdog(watch.tracker.paused, watch.faults, watch.due)
        #: True while somebody debugs: a person's time is not the code's.
        self.excused = False

    def arm(self) -> None:
        watch = self.watch
        watch.slow_after = DEFAULT
        watch.on_loop_enters.append(self.watchdog.enter)
        watch.on_loop_leaves.append(self.watchdog.leave)
        watch.on_step_due.append(self.watchdog.renew)
        watch.on_slow_step.append(self._slow)
        employ(self.watchdog)
        watch.tracker.bystander = lambda: self.watchdog.thread_id
        watch.on_disarm.append(lambda: dismiss(self.watchdog))
        self.watchdog.start()

    def excuse(self) -> None:
        """Somebody debugs, in the test that runs."""
        if not self.excused:
            self.excused = True
            self.watch.on_test_begins.append(self._end_excuse)

    def _end_excuse(self) -> None:
        self.watch.on_test_begins.remove(self._end_excuse)
        self.excused = False

    def _slow(self, loop: Any, handle: Any, callback: Any, began: float, ended: float) -> None:
        watch = self.watch
        sampler = self.watchdog.sampler()
        if sampler is None or sampler.loop is not loop or self._debugged():
            return
        if watch.faults.is_off("watchdog"):
            return  # nothing says how long the thread was kept from running
        threshold = self._threshold(loop)
        waited, paused = self.watchdog.kept(sampler, began)
        excused = waited + paused
        duration = ended - began - excused
        if duration < threshold:
            return
        if self.watchdog.is_doubtful(sampler, began, duration):
            return
        location: Place | None = None
        lines = sampler.lines() if sampler.step == began else None
        once = sampler.first_time() if sampler.step == began else ""
        # A step that no look has met has a timeline nevertheless, without lines.
        film = sampler.filmed() if sampler.step == began else SampleBuffer()
        if lines:
            location = lines.most_common(1)[0][0]
            watch.withdraw("blocking-call", location)  # the same call, which did take long
        task, code, name = _who(callback)
        if ask(loop, LIBRARYS) is True and not _is_any_users(code, lines):
            return  # a loop that a library keeps for itself: it keeps nothing of the user's waiting
        made = watch.created_at(task) if task is not None else None
        tenure = self._tenure(handle, made)
        origin, label = (place_of(made[0]) if made is not None else None), "made at"
        if task is not None and is_harness(coroutine_of(task), made[0] if made else None):
            # One task of the runner's runs everybody's tests: it says nothing.
            tenure = watch.ownership.running
            origin, name = None, tenure.owner.name.rpartition("::")[2]
        elif origin is None and code is not None:
            origin, label = place_of_code(code), "defined at"
        elif origin is None and task is None:
            origin, label = place_of(watch.scheduled_at(handle)), "scheduled at"
        watch.report(
            Finding(
                self.kind,
                f"a step of {name!r} kept the loop for {duration:.3f} s, threshold {threshold:g} s",
                self.advice,
                tenure.owner,
                origin=origin,
                origin_label=label,
                location=location,
                location_label="blocking at",
                at_location=True,
                notes=_once(once) + _excuse(excused),
                duration=round(duration, 6),
                subject=name if origin is not None else "",
                timeline=film.develop(began, ended, threshold, waited, paused),
            )
        )

    def _threshold(self, loop: Any) -> float:
        own = ask(loop, "slow_callback_duration", DEFAULT)
        if type(own) in (int, float) and own != DEFAULT:
            return float(max(own, self.watch.slow_after))
        return self.watch.slow_after

    def _tenure(self, handle: Any, made: tuple[Mark | None, Tenure] | None) -> Tenure:
        if made is not None:
            return made[1]
        return self.watch.tenure_of_handle(handle) or self.watch.ownership.now()

    def _debugged(self) -> bool:
        if self.excused:
            self.excused = False
            return True
        return sys.gettrace() is not None and "pydevd" in sys.modules


def _is_any_users(code: CodeType | None, lines: Iterable[Place] | None) -> bool:
    """Whether a step runs code of the user's, or was seen in it."""
    if code is not None and is_user_file(code.co_filename):
        return True
    return any(is_user_file(place.path) for place in lines or ())


def _once(what: str) -> tuple[str, ...]:
    if not what:
        return ()
    return (
        f"Most of that went into {what}, which is done once: have it done before the loop runs, "
        "where tests and service start.",
    )


def _excuse(excused: float) -> tuple[str, ...]:
    if excused < 0.01:
        return ()
    return (f"The {excused:.3f} s in which its thread was kept from running do not count.",)


def _who(callback: Any) -> tuple[asyncio.Task[Any] | None, Any, str]:
    """The task whose step ``callback`` is, the code it runs, and a name for it."""
    owner = owner_of_method(callback)
    if is_a(owner, asyncio.Task):
        coroutine = coroutine_of(owner)
        return owner, code_of(coroutine), name_of(coroutine)
    while is_a(callback, functools.partial):
        callback = callback.func
    return None, function_code(callback), name_of(ask(callback, "__func__", callback))
