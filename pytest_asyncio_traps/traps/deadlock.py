"""Tests and fixtures that wait for something that can never happen."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from types import FrameType
from typing import Any, Final

from ..compat import asyncio as private
from ..compat.runners import ANYIO_RUNNER_TASK
from ..core.clock import KNOWS_WAITING
from ..core.harness import is_anyio_runner, is_harness
from ..core.objects import (
    ask,
    call_in_loop,
    children_of,
    code_of,
    coroutine_of,
    frame_of,
    function_code,
    is_a,
    is_done,
    owner_of_method,
    put,
    waits_for,
)
from ..core.places import name_of
from ..core.reported import is_reported, set_reported
from ..core.stacks import is_step, is_user_file
from ..core.task_tree import snapshot
from ..core.tasks import pending_tasks
from ..core.thread_stacks import frames_of
from ..core.trap import BuiltinTrap
from ..core.watch import Watch
from ..model.finding import Finding, Place
from ..model.task_tree import Snapshot, TaskRecord
from ..profiler.observation import observe
from ..profiler.stillness import Observation, proves, waker
from ..profiler.threads import SampledThread

#: For how many seconds a loop has to stand still, unless an option says otherwise.
DEFAULT: Final = 1.0
#: What the cancellation of a task that waits forever says.
MESSAGE: Final = "deadlock: nothing left in the process can end this wait"
#: How often a task is cancelled before its loop is stopped.
_PATIENCE: Final = 2
#: What is done about a finding; see `policy.rules`, which is above this layer.
FAIL, WARN, OFF = "fail", "warn", "off"
_RUN: Final = function_code(asyncio.BaseEventLoop.run_until_complete)


def is_ended(exc: BaseException | None) -> bool:
    """Whether ``exc`` is the cancellation with which the plugin has ended a deadlock."""
    return type(exc) is asyncio.CancelledError and exc.args == (MESSAGE,)


class _Sleep:
    """For how long the loop of one thread has stood still, and what was seen meanwhile."""

    __slots__ = ("ends", "loop_id", "run", "seen", "since", "turns")

    def __init__(self) -> None:
        self.since = 0.0
        self.turns = -1
        self.seen: Observation | None = None
        #: The ids of the loop and of the future that it ran when a deadlock was found in it.
        self.run = 0, 0
        #: How often that run was ended; none if it was left alone.
        self.ends = 0


class Deadlock(BuiltinTrap):
    """The sampler thread sees a loop stand still, and proves that nothing can wake it.

    See `stillness` for the proof.
    """

    kind = "deadlock"
    title = "a test waits for something that can never happen"
    advice = (
        "Something has to complete what is awaited: put the item, set the event, release the "
        "lock. asyncio.timeout() bounds a wait that may fail."
    )

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._sleeps: dict[int, _Sleep] = {}
        #: Whether a debugger was entered in the test that runs.
        self.stands_down = False

    def arm(self) -> None:
        if not KNOWS_WAITING:
            self.watch.blind("deadlock", "this system does not tell which threads sleep")
        elif private.WAKERS.holds and self.watch.sampler is not None:
            self.watch.sampler.sampled = self.sampled

    def stand_down(self) -> None:
        """A debugger was entered: look for nothing until the next test begins."""
        if not self.stands_down:
            self.stands_down = True
            self.watch.at_next_test.append(self._debugger_left)

    def _debugger_left(self) -> None:
        self.stands_down = False

    # -- in the sampler thread ---------------------------------------------

    def sampled(self, thread: SampledThread, step: float, turns: int, now: float) -> None:
        """``thread`` was sampled: its loop is in ``step``, or in none, and may stand still."""
        sleep = self._sleeps.get(thread.thread_id)
        if sleep is None:
            sleep = self._sleeps[thread.thread_id] = _Sleep()
        if step or turns != sleep.turns or turns < 0:
            sleep.since, sleep.turns, sleep.seen = now, turns, None
        elif now - sleep.since >= self.watch.still_after * (0.5 if sleep.seen is None else 1.0):
            with self.watch.faults.guard(self.kind):
                self._check(thread, sleep, now)

    def _check(self, thread: SampledThread, sleep: _Sleep, now: float) -> None:
        """The loop of ``thread`` has not run for half of the time of the proof, or all of it."""
        watch, loop, earlier = self.watch, thread.loop, sleep.seen
        off = not watch.active or watch.faults.is_off(self.kind)
        if loop is None or off or self.stands_down:
            sleep.since = now
            return
        later = observe(loop, thread.thread_id)
        if earlier is None and not waker(later):
            sleep.seen = later
            return
        sleep.since, sleep.seen = now, None
        if not later.loop.readable:
            watch.blind("deadlock: loops whose queue cannot be read", "uvloop is one of them")
        elif earlier is not None and proves(earlier, later):
            self._found(loop, frames_of(thread.thread_id), sleep)

    # -- what was found ------------------------------------------------------

    def _found(self, loop: Any, frames: list[FrameType], sleep: _Sleep) -> None:
        """``loop`` waits forever, in the innermost of ``frames``."""
        if not frames or _is_traced(frames):
            return
        future = _what_runs(frames)
        tasks = pending_tasks(loop)
        run = id(loop), id(future)
        if run != sleep.run:
            sleep.run, sleep.ends = run, 0
        elif not sleep.ends:
            return  # it was left alone before
        runner = _anyio_runner(future)
        own = ask(runner, ANYIO_RUNNER_TASK) if runner is not None else future
        if not all(map(is_reported, tasks)) or not tasks:
            finding = self._finding(own)
            action = self.watch.decide(finding)
            if action != OFF:
                self.watch.report(finding)
            if action == WARN:
                self.watch.tell(finding)
            if action != FAIL:
                return
            for task in tasks:
                set_reported(task)  # that they are left pending is part of this finding
        sleep.ends += 1
        if own is None or sleep.ends > _PATIENCE or _is_in_ring(own):
            call_in_loop(loop, loop, "stop")
            return
        if runner is not None:
            call_in_loop(loop, own, "add_done_callback", partial(_forget_task, runner, own))
        call_in_loop(loop, own, "cancel", MESSAGE)

    def _finding(self, own: Any) -> Finding:
        """The finding for a loop that runs ``own`` until that is complete."""
        watch = self.watch
        tenure = watch.ownership.running
        coroutine = coroutine_of(own) if is_a(own, asyncio.Task) else None
        name = name_of(coroutine) if coroutine is not None else ""
        if not name or is_harness(coroutine, watch.creation_mark(own)):
            name = tenure.owner.name.rpartition("::")[2] or "the loop"
        seen = snapshot(watch)
        inner = next((t for t in (own, *children_of(own)) if is_a(t, asyncio.Task)), None)
        chain = _chain(seen, id(inner))
        users = [place for place in chain if is_user_file(place.path)]
        first = _records(seen).get(id(inner))
        at = [place for place in (first.chain if first else ()) if is_user_file(place.path)]
        return Finding(
            self.kind,
            f"{name!r} waits forever: nothing left in the process can wake it",
            self.advice,
            tenure.owner,
            location=next(reversed(at or users), None),
            location_label="waiting at",
            at_location=True,
            notes=("Who waits for whom:", *(f"  {line}" for line in watch.describe(seen))),
            subject=name,
            waits=tuple(chain),
        )


def _records(seen: Snapshot) -> dict[int, TaskRecord]:
    return {task.key: task for loop in seen.loops for task in loop.tasks}


def _chain(seen: Snapshot, key: int) -> list[Place]:
    """The lines at which the task ``key`` and those that it waits for are suspended."""
    records = _records(seen)
    chain: list[Place] = []
    met: set[int] = set()
    while key in records and key not in met:
        met.add(key)
        chain += records[key].chain
        key = next(iter(records[key].wait.awaits), 0)
    return chain


def _what_runs(frames: list[FrameType]) -> Any:
    """The future that the loop runs until it is complete; None if it runs until it is stopped."""
    for frame in frames:
        if frame.f_code is _RUN:
            return frame.f_locals.get(private.RUN_FUTURE)
        if is_step(frame.f_code):
            break  # an outer run of a loop, which called the one that waits
    return None


def _is_traced(frames: list[FrameType]) -> bool:
    """Whether a debugger steps through one of ``frames``."""
    debugger = getattr(sys.modules.get("bdb"), "Bdb", None)
    return debugger is not None and any(
        is_a(owner_of_method(frame.f_trace), debugger) for frame in frames
    )


def _anyio_runner(future: Any) -> Any:
    """anyio's test runner, if ``future`` is the task in which it waits for its other task."""
    coroutine = coroutine_of(future) if is_a(future, asyncio.Task) else None
    code, frame = code_of(coroutine), frame_of(coroutine)
    if code is None or frame is None or not is_anyio_runner(code):
        return None
    runner = frame.f_locals.get("self")
    task = ask(runner, ANYIO_RUNNER_TASK)
    return runner if is_a(task, asyncio.Task) and not is_done(task) else None


def _forget_task(runner: Any, task: Any, _: object) -> None:
    """Have anyio's ``runner`` make a new task for its next call, as ``task`` has ended."""
    if ask(runner, ANYIO_RUNNER_TASK) is task:
        put(runner, ANYIO_RUNNER_TASK, None)


def _is_in_ring(future: Any) -> bool:
    """Whether ``future`` waits for something that waits for itself: cancel() would not return.

    A task passes its cancellation on to what it waits for.
    """
    path: set[int] = set()
    stack: list[tuple[Any, bool]] = [(future, False)]
    done: set[int] = set()
    while stack:
        current, left = stack.pop()
        key = id(current)
        if left:
            path.discard(key)
            done.add(key)
        elif key in path:
            return True
        elif key not in done and current is not None and not is_done(current):
            path.add(key)
            stack.append((current, True))
            stack += [(inner, False) for inner in (waits_for(current), *children_of(current))]
    return False
