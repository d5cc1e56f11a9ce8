"""Steps of a loop that take too long."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Iterable
from types import CodeType
from typing import Any

from ..core.creation import LIBRARYS
from ..core.events import Handler
from ..core.harness import is_harness
from ..core.objects import ask, code_of, coroutine_of, function_code, is_a, owner_of_method
from ..core.ownership import Tenure
from ..core.places import name_of, place_of, place_of_code
from ..core.stacks import is_user_file
from ..core.trap import BuiltinTrap
from ..core.watch import Watch
from ..model.finding import Finding, Place
from ..profiler.forks import register, unregister
from ..profiler.sampler import PART, StepSampler

#: The default threshold in seconds, which is asyncio's own.
DEFAULT = 0.1


class SlowCallback(BuiltinTrap):
    """Each step is timed where it runs, and samples show which line took the time.

    Only the time in which the step could run counts. Pauses of the garbage collector and the wait
    for a processor are subtracted.
    """

    sampler: StepSampler
    exempted: bool

    kind = "slow-callback"
    steady = False
    title = "a step of the loop took too long"
    advice = (
        "While it runs, nothing else on the loop does. Move blocking work to a thread (await "
        "asyncio.to_thread(...)), use an async library, or yield with await asyncio.sleep(0)."
    )

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.sampler = StepSampler(watch.tracker.paused, watch.faults, watch.due)
        #: Whether a debugger is active in the step that runs, which then takes a person's time.
        self.exempted = False

    def arm(self) -> None:
        watch = self.watch
        watch.slow_after = DEFAULT
        watch.sampler = self.sampler
        register(self.sampler)
        watch.tracker.sampler_thread = lambda: self.sampler.thread_id
        watch.at_end.append(lambda: unregister(self.sampler))
        self.sampler.start()

    def handlers(self) -> dict[str, Handler]:
        # The sampler's own methods, since a call that passes through this class would be counted.
        return {
            **super().handlers(),
            "loop_enters": self.sampler.enter,
            "loop_leaves": self.sampler.leave,
            "step_due": self.sampler.renew,
        }

    def exempt(self) -> None:
        """Do not report the next slow step of this test: a debugger is active in it."""
        if not self.exempted:
            self.exempted = True
            self.watch.at_next_test.append(self._end_exemption)

    def _end_exemption(self) -> None:
        self.exempted = False

    def slow_step(self, loop: Any, handle: Any, callback: Any, began: float, ended: float) -> None:
        watch = self.watch
        thread = self.sampler.current_thread()
        if thread is None or thread.loop is not loop or self._debugged():
            return
        if watch.faults.is_off(PART):
            return  # it is unknown for how long the thread was kept from running
        threshold = self._threshold(loop)
        waited, paused = self.sampler.kept_from_running(thread, began)
        duration = ended - began - (waited + paused)
        if duration < threshold:
            return
        if self.sampler.is_unconfirmed(thread, began, duration):
            return
        samples = thread.samples_of(began)
        lines = samples.lines()
        location: Place | None = None
        if lines:
            location = lines.most_common(1)[0][0]
            watch.withdraw("blocking-call", location)  # the same call, which did take long
        task, code, name = _describe_callback(callback)
        if ask(loop, LIBRARYS) is True and not _runs_users_code(code, lines):
            return  # a loop that a library keeps for itself: no code of the user's has to wait
        tenure, origin, label, name = self._attribute(handle, task, code, name)
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
                notes=_first_time_note(samples.first_time()) + _kept_note(waited + paused),
                duration=round(duration, 6),
                subject=name if origin is not None else "",
                timeline=samples.to_timeline(began, ended, threshold, waited, paused),
            )
        )

    def _attribute(
        self, handle: Any, task: asyncio.Task[Any] | None, code: CodeType | None, name: str
    ) -> tuple[Tenure, Place | None, str, str]:
        """Whose the step is, its origin with a label for it, and its name in the report."""
        watch = self.watch
        created = watch.created_at(task) if task is not None else None
        mark = created[0] if created is not None else None
        if task is not None and is_harness(coroutine_of(task), mark):
            # The test runner runs all tests in one task, so its origin says nothing.
            tenure = watch.ownership.running
            return tenure, None, "created at", tenure.owner.name.rpartition("::")[2]
        if created is not None:
            tenure = created[1]
        else:
            tenure = watch.tenure_of_handle(handle) or watch.ownership.now()
        origin = place_of(mark)
        if origin is None and code is not None:
            return tenure, place_of_code(code), "defined at", name
        if origin is None and task is None:
            return tenure, place_of(watch.scheduled_at(handle)), "scheduled at", name
        return tenure, origin, "created at", name

    def _threshold(self, loop: Any) -> float:
        own = ask(loop, "slow_callback_duration", DEFAULT)
        if type(own) in (int, float) and own != DEFAULT:
            return float(max(own, self.watch.slow_after))
        return self.watch.slow_after

    def _debugged(self) -> bool:
        if self.exempted:
            self.exempted = False
            return True
        return sys.gettrace() is not None and "pydevd" in sys.modules


def _runs_users_code(code: CodeType | None, lines: Iterable[Place]) -> bool:
    """Whether a step of ``code`` that was sampled at ``lines`` runs code of the user's."""
    if code is not None and is_user_file(code.co_filename):
        return True
    return any(is_user_file(place.path) for place in lines)


def _first_time_note(what: str) -> tuple[str, ...]:
    if not what:
        return ()
    return (
        f"Most of that went into {what}, which is done once: have it done before the loop runs, "
        "where tests and service start.",
    )


def _kept_note(seconds: float) -> tuple[str, ...]:
    if seconds < 0.01:
        return ()
    return (f"The {seconds:.3f} s in which its thread was kept from running do not count.",)


def _describe_callback(callback: Any) -> tuple[asyncio.Task[Any] | None, Any, str]:
    """The task that ``callback`` is a step of, if any, the code that it runs, and a name for it."""
    owner = owner_of_method(callback)
    if is_a(owner, asyncio.Task):
        coroutine = coroutine_of(owner)
        return owner, code_of(coroutine), name_of(coroutine)
    while is_a(callback, functools.partial):
        callback = callback.func
    return None, function_code(callback), name_of(ask(callback, "__func__", callback))
