"""Samples the steps of running loops from another thread.

For each loop that runs, the sampler thread looks up about 40 times a second which step the loop is
in and where the stack of its thread stands. So a slow step is blamed on the line that blocks rather
than on the line at its end. The thread also reads how long the sampled thread has waited for a
processor, which is not the fault of the step (see `waiting`).
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from typing import Any, Final

from ..core.clock import KNOWS_WAITING, REAL, WORKED
from ..core.faults import Faults
from ..core.thread_stacks import stack_of
from .gc_reserve import gc_reserve
from .threads import NO_READING, Reading, SampledThread
from .waiting import (
    ASLEEP_BELOW,
    asleep,
    current_native_id,
    guess_waited,
    own_threads,
    waited,
)

#: The name under which a fault of this thread is reported, see `Faults`.
PART: Final = "watchdog"

#: Detectors of blocking calls replace the method, and would take the calls here for the user's.
_acquire = _thread.LockType.acquire

_NEVER: Final = float("inf")


class StepSampler:
    """The thread that samples. It is parked while no loop runs.

    ``paused`` returns for how many seconds the collector has paused the process so far. ``due`` is
    a list of one item: the time (of `clock.REAL`) from which on a step that begins has to call
    `renew`. The loops read it at each step, so they share the list.
    """

    #: Seconds between two samples.
    INTERVAL = 0.025
    #: After so many intervals without a running loop, the thread parks.
    IDLE_ROUNDS = 8
    #: For how many seconds a reading is used for the steps that begin.
    READING_LIFETIME = 0.01

    def __init__(
        self, paused: Callable[[], float], faults: Faults, due: list[float] | None = None
    ) -> None:
        self._due = due if due is not None else [_NEVER]
        self._paused = paused
        self._faults = faults
        self._now = REAL[0]
        self._worked = WORKED[0]
        self._knows_waiting = KNOWS_WAITING
        # By thread id: one entry for each loop that the thread runs, the innermost run last.
        self._threads: dict[int, list[SampledThread]] = {}
        # The main thread runs one loop after another, and reuses one object for all of them.
        self._main_id = threading.main_thread().ident
        self._spare: SampledThread | None = None
        self._last_reading = NO_READING
        # Released to wake the thread, and when the thread has ended.
        self._alarm = _thread.allocate_lock()
        self._ended = _thread.allocate_lock()
        #: Called in the sampler thread for each sample: the thread, when its step began (0 if its
        #: loop is in none), how often it was given a processor, and the time.
        self.sampled: Callable[[SampledThread, float, int, float], object] | None = None
        # Whether the thread has to be started or woken before it samples.
        self._parked = True
        self._stopping = False
        self._started = False
        #: The id of the thread, while it runs.
        self.thread_id: int | None = None

    # -- called in threads that run loops ---------------------------------

    def enter(self, loop: Any) -> None:
        """The current thread is about to run ``loop``."""
        thread_id = _thread.get_ident()
        thread = self._spare if thread_id == self._main_id else None
        if thread is None:
            thread = SampledThread(loop, thread_id, current_native_id())
        else:
            self._spare = None
            thread.enter(loop)
        # A test runner runs loops one after another. They can share a reading.
        thread.start_reading = reading = self._last_reading
        same_thread = reading.thread_id == thread_id
        thread.due = reading.at + self.READING_LIFETIME if same_thread else 0.0
        threads = self._threads
        if threads:
            threads.setdefault(thread_id, []).append(thread)
            self._set_due()
        else:
            threads[thread_id] = [thread]
            self._due[0] = thread.due
            if len(threads) > 1:  # another thread has entered a loop at the same time
                self._set_due()
        if self._parked:
            if self._started:
                self._wake()
            else:
                self.start()

    def renew(self, loop: Any, began: float) -> None:
        """A step of ``loop`` begins at ``began``, and the last reading is too old for it.

        Waiting between the reading and the step is counted as the step's: at most
        `READING_LIFETIME`.
        """
        thread = self.current_thread()
        if thread is not None and thread.loop is loop and began >= thread.due:
            seconds, turns = waited(thread.native_id) if self._knows_waiting else (0.0, -1)
            self._last_reading = thread.start_reading = Reading(
                began, thread.thread_id, seconds, self._paused(), turns, self._worked()
            )
            thread.due = began + self.READING_LIFETIME
            self._set_due()

    def _set_due(self) -> None:
        # With several loops, each step has to call `renew`: one item cannot serve them all.
        due = [thread.due for stack in list(self._threads.values()) for thread in stack]
        self._due[0] = due[0] if len(due) == 1 else 0.0 if due else _NEVER

    def leave(self, loop: Any = None) -> None:
        """The current thread no longer runs ``loop``, the last one that it has entered."""
        thread_id = _thread.get_ident()
        stack = self._threads.get(thread_id)
        if stack:
            thread = stack.pop()
            thread.leave()
            if not stack:
                del self._threads[thread_id]
                if thread_id == self._main_id:
                    self._spare = thread
            if self._threads:
                self._set_due()
            else:
                self._due[0] = _NEVER

    def current_thread(self) -> SampledThread | None:
        """What is known of the current thread, if it runs a loop."""
        stack = self._threads.get(_thread.get_ident())
        return stack[-1] if stack else None

    def running(self) -> list[SampledThread]:
        """What is known of the threads that run loops: of each, the loop that it entered last."""
        return [thread for stack in list(self._threads.values()) for thread in stack[-1:]]

    def kept_from_running(self, thread: SampledThread, step: float) -> tuple[float, float]:
        """For how many seconds the step begun at ``step`` waited for a processor, and was paused.

        To be called in ``thread`` when the step ends.
        """
        start = thread.start_reading
        if self._knows_waiting:
            seconds, _ = waited(thread.native_id)
            waiting = thread.waited_in(step, seconds, self._now() - step)
        else:
            waiting = max(0.0, guess_waited(self._now() - step, self._worked() - start.worked))
        return waiting, max(0.0, self._paused() - start.paused)

    def is_unconfirmed(self, thread: SampledThread, step: float, duration: float) -> bool:
        """Whether only the clock says that the step begun at ``step`` took ``duration`` seconds.

        Without a sample, the sampler thread did not run either. C code that holds the interpreter
        lock causes that, but uses the processor. If the step has hardly used it, the whole machine
        stood still.
        """
        if len(thread.samples_of(step)):
            return False
        return self._worked() - thread.start_reading.worked < ASLEEP_BELOW * duration

    # -- the life of the sampler thread -----------------------------------

    def start(self) -> None:
        """Start the thread.

        It is no `threading.Thread`: user code that counts threads does not see it.
        """
        self._stopping = False
        self._alarm = _thread.allocate_lock()
        _acquire(self._alarm)
        self._ended = _thread.allocate_lock()
        _acquire(self._ended)
        self._started = True
        self._parked = False  # last: if an exception interrupts this earlier, `enter` starts it
        gc_reserve.fill()
        try:
            _thread.start_new_thread(self._run, (self._alarm, self._ended))
        except RuntimeError as exc:  # the system allows no more threads
            self._started, self._parked = False, True
            self._faults.record(PART, exc)

    def stop(self) -> None:
        """End the thread and wait for its end. Called before a fork and at the end of the run."""
        if not self._started:
            return
        self._stopping = True
        self._wake()
        _acquire(self._ended, timeout=5)
        self._started, self._parked = False, True

    def resume(self) -> None:
        """Start the thread again, if loops are running."""
        if self._threads and not self._started:
            self.start()

    def forget_other_threads(self) -> None:
        """In a forked child, only the current thread exists."""
        current = _thread.get_ident()
        self._threads = {key: stack for key, stack in self._threads.items() if key == current}

    def _wake(self) -> None:
        try:
            self._alarm.release()
        except RuntimeError:
            pass  # the thread is awake

    # -- in the sampler thread --------------------------------------------

    def _run(self, alarm: _thread.LockType, ended: _thread.LockType) -> None:
        self.thread_id = _thread.get_ident()
        native_id = current_native_id()
        own_threads.add(native_id)
        try:
            idle_rounds = 0
            while not self._stopping and not self._faults.is_off(PART):
                gc_reserve.make_room()
                if self._threads:
                    idle_rounds = 0
                    with self._faults.guard(PART):
                        self._sample_threads()
                    _acquire(alarm, timeout=self.INTERVAL)
                    continue
                idle_rounds += 1
                if idle_rounds < self.IDLE_ROUNDS:
                    _acquire(alarm, timeout=self.INTERVAL)
                    continue
                self._parked = True
                # A loop that was entered just before this found `_parked` false, and did not wake
                # the thread.
                if not self._threads:
                    _acquire(alarm)
                self._parked = self._stopping
                idle_rounds = 0
        finally:
            own_threads.discard(native_id)
            self.thread_id = None
            ended.release()

    def _sample_threads(self) -> None:
        for stack in list(self._threads.values()):
            if not stack:
                continue
            thread = stack[-1]
            self._sample_thread(thread)
            # The thread went on while files were read, and may be in another step by now that has
            # held the interpreter lock since. This may be the only chance to sample it.
            step = thread.current_step()
            if step and step != thread.step and self._now() - step >= self.INTERVAL:
                self._sample_thread(thread)

    def _sample_thread(self, thread: SampledThread) -> None:
        step = thread.current_step()
        first = not step or step != thread.step
        if first:
            thread.begin_step(self._now(), step)
        # The stack comes first: reading a file lets other threads run, and the step may be over
        # then. A step that C code keeps from releasing the interpreter lock is sampled only once.
        if step:
            self._sample_stack(thread)
        # Ask before `waited` whether it sleeps, see `SampledThread.update_waiting`.
        sleeps = bool(step) and asleep(thread.native_id)
        seconds, turns = waited(thread.native_id)
        now = self._now()
        thread.update_waiting(first, sleeps, seconds, turns, now)
        if self.sampled is not None:
            self.sampled(thread, step, turns, now)

    def _sample_stack(self, thread: SampledThread) -> None:
        step = thread.step
        stack = stack_of(thread.thread_id)
        if thread.current_step() == step:
            thread.add_sample(self._now(), step, stack)
