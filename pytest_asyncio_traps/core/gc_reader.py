"""Finds out which objects are new, and in whose tenure each was created.

No hook reports the creation of an object. But the garbage collector keeps its youngest generation
in the order of allocation. The reader allocates a small marker whenever the owner changes: what
follows a marker in that list was created in the marker's tenure. The list is read when a test
ends, and just before a collection reorders it, so each object is read about once in its life.

Within one tenure, a collection of the youngest generation needs no reading. Its survivors move to
the end of the next generation, all of that tenure, and the next reading finds them there.

Measured with an async test that uses five fixtures (1,900 µs, 30 changes of owner, 140 new
objects; 950 objects in the youngest generation on Python 3.13, 400 on 3.11):

* Reading at each change of owner, instead of placing markers, adds 30 readings of 20 to 40 µs:
  30 to 60 % of the test.
* Reading at every collection adds nothing to that test. But it adds 20 % (7 % on Python 3.13) to
  one that runs hundreds of tasks at a time, and 15 to 25 % to one that creates many reference
  cycles, because objects are read that would have died unread.
* Searching for the last marker from where the list ended at the last reading, instead of guessing
  how many objects before it have died, adds 4 µs. Starting at the end of the list would add 40 ns
  per new object, twice the price of reading one.
"""

from __future__ import annotations

import _thread
import gc
import sys
from collections.abc import Callable
from itertools import compress, count, repeat
from operator import is_
from typing import Any

from ..compat import cpython
from .clock import KNOWS_WAITING, REAL, WORKED
from .faults import Faults
from .ownership import Tenure


def _up_to(marker: object, objects: list[Any]) -> int:
    """How many objects there are up to and including ``marker``; 0 if it is missing."""
    length = len(objects)
    behind = compress(count(), map(is_, reversed(objects), repeat(marker)))
    return length - next(behind, length)


class Marker(list[Tenure]):
    """Stands where a tenure begins. The tenure is its only item."""

    # A list, because creating one runs no Python frame.
    __slots__ = ()


class GcReader:
    """Reads new objects from the collector's lists. A subclass implements `_remember`.

    With ``blind``, nothing is read, since the youngest generation is not in the order of
    allocation. Without ``generational``, every collection is preceded by a reading.
    """

    blind: bool
    generational: bool
    #: Whether a collection is in progress.
    collecting: bool
    #: The tenure in which objects are created now.
    current: Tenure
    #: Returns the seconds for which the collector has stopped the current thread: see `GcPauses`.
    paused: Callable[[], float]

    def __init__(self, current: Tenure, faults: Faults) -> None:
        self._faults = faults
        self.blind = not cpython.ALLOCATION_ORDER.holds
        self.generational = not self.blind and cpython.SURVIVORS_MOVE_UP.holds
        self.current = current
        # The first one stands where the last reading ended. The others are unread.
        self._markers = [Marker((current,))]
        # The collector's generation that holds this marker.
        self._generation = 0
        # How long the list was at the last reading. As long as the marker is there, it stands
        # before that index, and the search starts there.
        self._length = sys.maxsize
        #: Returns the id of the sampler's thread. No reading precedes a collection that starts
        #: there, as gc.collect() in another thread would do nothing for as long as it takes.
        self.sampler_thread: Callable[[], int | None] = lambda: None
        # Reading was deferred for a collection, whose survivors may be of several tenures. This
        # is the tenure at that time.
        self._deferred: Tenure | None = None
        self.collecting = False
        # A collection is in progress that no reading has preceded, since all unread objects are of
        # one tenure.
        self._unread_dying = False
        self._pauses = GcPauses()
        self.paused = self._pauses.total

    def arm(self) -> None:
        """Begin."""
        gc.callbacks.append(self._on_collection)

    def disarm(self) -> None:
        """End, and release everything."""
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)
        del self._markers[1:]

    def suspend(self) -> None:
        """A debugger is about to open: no collection may run code that it would step into.

        The next reading takes account of collections until `resume`.
        """
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)
            self._deferred = self.current

    def resume(self) -> None:
        """The debugger has been left."""
        if self._on_collection not in gc.callbacks:
            gc.callbacks.append(self._on_collection)

    def mark(self, tenure: Tenure) -> None:
        """Charge what is created from here on to ``tenure``."""
        if tenure is not self.current:
            # Assigned first, for a collection that starts when the marker is allocated: the reading
            # then charges what comes before to the old tenure and what follows to the new one.
            self.current = tenure
            if not self.blind:
                self._markers.append(Marker((tenure,)))

    @property
    def pending_owner(self) -> Tenure:
        """The tenure of unread objects that stand before the first unread marker."""
        return self._markers[0][0]

    def scan(self) -> None:
        """Read what was created since the last reading."""
        if self.blind:
            return
        self._forget_dead()
        last, markers = self._markers[0], len(self._markers)
        # Before the list is made, so that what other threads create during the reading follows it.
        marker = Marker((self.current,))
        young = gc.get_objects(generation=0)
        if self._markers[0] is not last:
            return  # a collection has begun just now, and everything was read
        deferred, self._deferred = self._deferred, None
        tenure = last[0]
        start = _up_to(last, young[: self._length]) if self._generation == 0 else 0
        if not start:  # a collection has moved the marker and what followed it
            if deferred is not None:
                # It may have changed the order, and moved them to either of the old generations.
                older = [obj for n in (2, 1) for obj in gc.get_objects(generation=n)]
                self._remember(older, tenure)
                tenure = deferred
            elif self.generational:
                older = gc.get_objects(generation=1)
                if self._generation < 2:  # else a collection has emptied it, and all is unread
                    del older[: _up_to(last, older)]
                self._remember(older, tenure)
        del young[:start]
        self._remember(young, tenure)
        if self._markers[0] is last:  # else a collection has begun during this reading
            self._markers[:markers] = [marker]
            self._generation, self._length = 0, start + len(young)

    def _remember(self, objects: list[Any], tenure: Tenure) -> None:
        """Take new objects, in order; those before the first `Marker` are of ``tenure``.

        An object may be taken twice. The first time counts.
        """
        raise NotImplementedError

    def _forget_dead(self) -> None:
        """Release what is known of dead objects. Called before readings, and around collections."""

    def _may_stay_unread(self) -> bool:
        """Whether all unread objects are of one tenure, and remain so in a young collection."""
        return (
            self.generational
            and len(self._markers) == 1
            and self.current is self.pending_owner
            and self._deferred is None
        )

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        with self._faults.guard("tracker"):
            if phase == "start":
                self._pauses.begin()
                self._forget_dead()
                if _thread.get_ident() == self.sampler_thread():
                    self._deferred = self.current
                elif info["generation"] == 0 and self._may_stay_unread():
                    self._unread_dying = True
                elif not self._faults.is_off("tracker"):
                    self.scan()
                self.collecting = True
            else:
                self.collecting = self._unread_dying = False
                if self._generation <= info["generation"]:
                    self._generation = info["generation"] + 1
                self._forget_dead()
                self._pauses.end()


class GcPauses:
    """How long the collector has stopped each thread."""

    def __init__(self) -> None:
        self._now = REAL[0]
        self._worked = WORKED[0]
        # Seconds of finished pauses, and the start of the current one. They are in one tuple, as
        # another thread may read between two assignments.
        self._pauses: tuple[float, float | None] = 0.0, None
        # The processor time at the start of the current pause.
        self._worked_before = 0.0
        # By thread, the seconds of waiting for a processor during collections that it ran.
        self._waits: dict[int, float] = {}

    def total(self) -> float:
        """Seconds for which the collector has stopped the current thread so far.

        During a collection in another thread, the current thread may run again before `end` is
        called. During its own collections, time spent waiting for a processor is left out: it
        counts as waiting already.
        """
        past, began = self._pauses
        paused = past if began is None else past + self._now() - began
        return paused - self._waits.get(_thread.get_ident(), 0.0)

    def begin(self) -> None:
        """A collection starts in the current thread."""
        self._worked_before = self._worked()
        self._pauses = self._pauses[0], self._now()

    def end(self) -> None:
        """The collection is over."""
        past, began = self._pauses
        if began is None:
            return
        pause = self._now() - began
        if KNOWS_WAITING:
            me = _thread.get_ident()
            waited = pause - (self._worked() - self._worked_before)
            self._waits[me] = self._waits.get(me, 0.0) + max(0.0, waited)
        self._pauses = past + pause, None
