"""Tests and fixtures that wait for something that can never happen."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple

from ..compat import asyncio as private
from ..compat.runners import ANYIO_RUNNER_TASK
from ..core.awaits import is_in_ring
from ..core.blocked import (
    completes,
    future_that_runs,
    future_whose_result,
    is_traced,
    joined_thread,
    runs_job_of,
)
from ..core.clock import KNOWS_WAITING
from ..core.harness import is_anyio_runner, is_harness
from ..core.objects import (
    ask,
    call_in_loop,
    children_of,
    code_of,
    coroutine_of,
    frame_of,
    is_a,
    is_done,
    put,
)
from ..core.places import name_of, place_of
from ..core.reported import is_reported, set_reported
from ..core.stacks import is_user_file
from ..core.task_tree import snapshot
from ..core.tasks import pending_tasks
from ..core.thread_stacks import frames_of, marks_of, stack_of, user_mark_of
from ..core.trap import BuiltinTrap
from ..core.watch import Watch
from ..model.finding import Finding, Place
from ..profiler.observation import observe
from ..profiler.stillness import Observation, proves, waker
from ..profiler.threads import SampledThread

#: For how many seconds a loop has to stand still, unless an option says otherwise.
DEFAULT: Final = 1.0
#: What the cancellation of a task that waits forever says.
MESSAGE: Final = "deadlock: nothing left in the process can end this wait"
#: How often a task is cancelled before its wait is ended in another way.
_PATIENCE: Final = 2
#: What is done about a finding; see `policy.rules`, which is above this layer.
FAIL, WARN, OFF = "fail", "warn", "off"


def is_ended(exc: BaseException | None) -> bool:
    """Whether ``exc`` is the cancellation with which the plugin has ended a deadlock."""
    return type(exc) is asyncio.CancelledError and exc.args == (MESSAGE,)


def is_from_ending(exc: BaseException | None) -> bool:
    """Whether ``exc`` can be what a test gets whose deadlock was ended: also in another thread."""
    return is_ended(exc) or type(exc) is concurrent.futures.CancelledError


class _Sleep:
    """For how long the loop of one thread has stood still, and what was seen meanwhile."""

    __slots__ = ("ends", "left_alone", "seen", "since", "turns")

    def __init__(self) -> None:
        self.since = 0.0
        self.turns = -1
        self.seen: Observation | None = None
        #: How often the wait that was reported last was ended.
        self.ends = 0
        #: `turns` when a deadlock was found and left alone.
        self.left_alone = -1


class _Wait(NamedTuple):
    """What waits forever: ``own``, a task or future of the loop, or None if the loop runs nothing.

    ``runner`` is anyio's test runner, if ``own`` is its task. ``future`` is the concurrent future
    of ``own`` for which the test's thread waits, if that is another one than the loop's; ``line``
    is where. ``runs_at`` is where the test's thread runs the loop, if the user's code does.
    """

    own: Any
    runner: Any = None
    future: Any = None
    line: Place | None = None
    runs_at: Place | None = None


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
        #: The thread in which tests run.
        self._tests = _thread.get_ident()
        #: Whether a debugger was entered in the test that runs.
        self.stands_down: bool = False

    def arm(self) -> None:
        if not KNOWS_WAITING:
            self.watch.blind("deadlock", "this system does not tell which threads sleep")
        elif private.WAKERS.holds and self.watch.sampler is not None:
            self._tests = _thread.get_ident()
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
        elif turns == sleep.left_alone:
            pass
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
        running = watch.sampler.running()
        later = observe(thread, [t for t in running if t.thread_id != thread.thread_id])
        if earlier is None and not waker(later):
            sleep.seen = later
            return
        sleep.since, sleep.seen = now, None
        if not later.loop.readable:
            watch.blind("deadlock: loops whose queue cannot be read", "uvloop is one of them")
        elif earlier is not None and proves(earlier, later):
            wait = self._wait(loop, thread.thread_id)
            if wait is not None:
                self._found(loop, wait, sleep)

    # -- what was found ------------------------------------------------------

    def _wait(self, loop: Any, thread_id: int) -> _Wait | None:
        """Who waits forever for ``loop``; None if the test's thread does not wait for it."""
        frames = frames_of(thread_id)
        tests = frames if thread_id == self._tests else frames_of(self._tests)
        if not frames or not tests or is_traced(frames) or is_traced(tests):
            return None
        running = future_that_runs(frames)
        if tests is frames:
            runner = _anyio_runner(running)
            own = ask(runner, ANYIO_RUNNER_TASK) if runner is not None else running
            return _Wait(own, runner, runs_at=_user_line(thread_id))
        line = _user_line(self._tests)
        future = future_whose_result(tests)
        if joined_thread(tests) == thread_id or runs_job_of(frames, future):
            return _Wait(running, line=line)
        if future is None:
            return None
        own = next((task for task in pending_tasks(loop) if completes(task, future)), None)
        return _Wait(own, future=future, line=line) if own is not None else None

    def _found(self, loop: Any, wait: _Wait, sleep: _Sleep) -> None:
        """``loop`` and the test's thread stand still forever, in ``wait``."""
        watch, own = self.watch, wait.own
        tasks = self._tasks_of_test(loop)
        if is_a(own, asyncio.Task):
            tasks.append(own)
        if not tasks or not all(map(is_reported, tasks)):
            finding = self._finding(wait)
            action = watch.decide(finding)
            if action != OFF:
                watch.report(finding)
            if action == WARN:
                watch.tell(finding)
            if action != FAIL:
                sleep.left_alone = sleep.turns
                return
            # That they are left pending is part of this finding.
            for task in (*tasks, *chain.from_iterable(map(self._tasks_of_test, watch.loops()))):
                set_reported(task)
            sleep.ends = 0
        sleep.ends += 1
        self._end(loop, wait, firmly=sleep.ends > _PATIENCE)

    def _end(self, loop: Any, wait: _Wait, firmly: bool) -> None:
        """Cancel the task that waits or, where that has not helped or cannot, the wait for it."""
        own, future = wait.own, wait.future
        ring = own is not None and is_in_ring(own)
        if future is not None and ring:
            # Its cancellation would be passed on to the task.
            call_in_loop(loop, future, "set_exception", asyncio.CancelledError(MESSAGE))
        elif future is not None and firmly:
            call_in_loop(loop, future, "cancel")
        elif own is None or ring or firmly:
            call_in_loop(loop, loop, "stop")
        else:
            if wait.runner is not None:
                forget = partial(_forget_task, wait.runner, own)
                call_in_loop(loop, own, "add_done_callback", forget)
            call_in_loop(loop, own, "cancel", MESSAGE)

    def _tasks_of_test(self, loop: Any) -> list[Any]:
        """The pending tasks of ``loop`` that were made for the test that runs."""
        watch = self.watch
        nodeid = watch.ownership.running.owner.nodeid
        return [
            task
            for task in pending_tasks(loop)
            if (made := watch.created_at(task)) is None or made[1].owner.nodeid == nodeid
        ]

    def _finding(self, wait: _Wait) -> Finding:
        watch, own = self.watch, wait.own
        tenure = watch.ownership.running
        coroutine = coroutine_of(own) if is_a(own, asyncio.Task) else None
        name = name_of(coroutine) if coroutine is not None else ""
        if not name or wait.line is not None or is_harness(coroutine, watch.creation_mark(own)):
            name = tenure.owner.name.rpartition("::")[2] or "the loop"
        seen = snapshot(watch)
        inner = next((t for t in (own, *children_of(own)) if is_a(t, asyncio.Task)), None)
        waits = seen.waits_of(id(inner))
        users = [place for place in waits if is_user_file(place.path)]
        first = seen.tasks().get(id(inner))
        at = [place for place in (first.chain if first else ()) if is_user_file(place.path)]
        location = next(reversed(at or users), wait.runs_at or wait.line)
        if wait.future is not None:
            location = wait.line
        return Finding(
            self.kind,
            f"{name!r} waits forever: nothing left in the process can wake it",
            self.advice,
            tenure.owner,
            location=location,
            location_label="waiting at",
            at_location=True,
            notes=("Who waits for whom:", *(f"  {line}" for line in watch.describe(seen))),
            subject=name,
            waits=(*((wait.line,) if wait.line is not None else ()), *waits),
        )


def _user_line(thread_id: int) -> Place | None:
    """Where the thread is in the user's code, outside of the steps of loops."""
    return place_of(user_mark_of(marks_of(stack_of(thread_id))))


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
