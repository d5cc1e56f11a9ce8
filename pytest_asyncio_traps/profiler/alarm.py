"""A thread that calls a function when a time has passed, whatever the main thread does."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import Final

from ..core.clock import REAL
from ..core.faults import Faults
from .gc_reserve import gc_reserve
from .waiting import current_native_id, own_threads

#: The name under which a fault of this thread is reported, see `Faults`.
PART: Final = "hang timer"

#: Detectors of blocking calls replace the method, and would take the calls here for the user's.
_acquire = _thread.LockType.acquire


class Alarm:
    """Calls ``ring`` with the index of each time that was `set`, once it has passed.

    A thread that sleeps until an earlier time is not woken for a later one, so that tests which
    end in time cost an assignment each. The thread is parked while no time is set.
    """

    def __init__(self, ring: Callable[[int], None], faults: Faults) -> None:
        self._ring = ring
        self._faults = faults
        self._now = REAL[0]
        #: The times that have not passed yet, each with its index, the next one first.
        self._times: tuple[tuple[float, int], ...] = ()
        self._wake_up = _thread.allocate_lock()
        self._ended = _thread.allocate_lock()
        self._parked = False
        self._stopping = False
        self._started = False

    def set(self, *seconds: float) -> None:
        """Ring after each of ``seconds``, which are in order, in the place of earlier times."""
        now = self._now()
        self._times = tuple((now + each, index) for index, each in enumerate(seconds))
        if not self._started:
            self._start()
        elif self._parked:
            self._wake()

    def clear(self) -> None:
        """Ring no more, until times are set again."""
        self._times = ()

    # -- the life of the thread -------------------------------------------

    def _start(self) -> None:
        self._stopping = self._parked = False
        self._wake_up = _thread.allocate_lock()
        _acquire(self._wake_up)
        self._ended = _thread.allocate_lock()
        _acquire(self._ended)
        self._started = True
        gc_reserve.fill()
        try:
            _thread.start_new_thread(self._run, (self._wake_up, self._ended))
        except RuntimeError as exc:  # the system allows no more threads
            self._started = False
            self._faults.record(PART, exc)

    def stop(self) -> None:
        """End the thread and wait for its end. Called before a fork and at the end of the run."""
        if self._started:
            self._stopping = True
            self._wake()
            _acquire(self._ended, timeout=5)
            self._started = False

    def resume(self) -> None:
        """Start the thread again, if a time is set."""
        if self._times and not self._started:
            self._start()

    def forget_other_threads(self) -> None:
        """In a forked child, the test does not go on."""
        self._times = ()

    def _wake(self) -> None:
        try:
            self._wake_up.release()
        except RuntimeError:
            pass  # the thread is awake

    def _run(self, wake_up: _thread.LockType, ended: _thread.LockType) -> None:
        native_id = current_native_id()
        own_threads.add(native_id)
        try:
            while not self._stopping and not self._faults.is_off(PART):
                gc_reserve.make_room()
                times = self._times
                if not times:
                    self._parked = True
                    # Times that were set just before this found `_parked` false.
                    if not self._times and not self._stopping:
                        _acquire(wake_up)
                    self._parked = False
                    continue
                (at, index), *_ = times
                left = at - self._now()
                if left > 0:
                    # At most a day: a lock accepts no more than some hundred years.
                    _acquire(wake_up, timeout=min(left, 86_400))
                elif self._times is times:
                    self._times = times[1:]
                    with self._faults.guard(PART):
                        self._ring(index)
        finally:
            own_threads.discard(native_id)
            ended.release()
