"""Which objects of interest are alive, and who made them.

Coroutines, bare futures and async generators carry no owner, and no hook tells
when one is made. But the collector keeps its youngest generation in the order
of allocation. So a small marker, allocated whenever the responsible test or
fixture changes, parts the list into stretches: what stands after a marker was
made in that tenure. The list is read when a test ends, and just before the
collector reorders it, so each object is read about once in its life.

What is remembered is a weak reference and the tenure. A destructor comes after
weak references are cleared; so the tenure of a remembered object that dies is
kept for the hook in its destructor to ask for: during a collection until that
ends, else (as the destructor follows at once) until the next one dies.
"""

from __future__ import annotations

import _thread
import gc
import sys
import weakref
from abc import ABCMeta
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from typing import Any

from .clock import REAL
from .faults import Faults
from .ownership import Ownership, Tenure

Keep = Callable[[Any], bool]

#: issubclass() the other way round, by no code of a metaclass.
_is_subclass = type.__subclasscheck__
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE


#: Metaclasses whose classes are hashed and compared by C code alone.
_PLAIN = frozenset({type, ABCMeta})


def _is_plain(metaclass: Any) -> bool:
    if type(metaclass) is not type:
        return False
    hash_: Any = metaclass.__hash__
    eq: Any = metaclass.__eq__
    return hash_ is object.__hash__ and eq is object.__eq__


class _Marker:
    """Stands in the collector's list where a tenure begins."""

    __slots__ = ("tenure",)

    def __init__(self, tenure: Tenure) -> None:
        self.tenure = tenure


class _Sighting(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to an object of interest, with its key and its tenure."""

    __slots__ = ("key", "tenure", "told", "trait")
    key: int
    tenure: Tenure
    #: What tells the object from another one at the same address.
    trait: object
    #: For the traps: whether they have looked at the object when its test ended.
    told: bool


def _trait(obj: object) -> object:
    return type(obj), getattr(obj, "cr_origin", None)


class Census:
    """The living objects of interest.

    `watch_type` says what is of interest; `tenure_of` whose it is; `living`
    goes through those alive. Where the collector does not keep its youngest
    objects in order (a free-threaded build), `blind` says so and nothing is
    read.
    """

    def __init__(self, ownership: Ownership, faults: Faults) -> None:
        self._faults = faults
        self._interests: list[tuple[type, Keep]] = []
        #: Types of which nothing is of interest.
        self._dull: set[type] = set()
        self._now = REAL[0]
        # Whose the objects are that stand before the first marker.
        self._carry = ownership.session
        self._scans = 0
        #: The watchdog's thread. While a collection reads objects in it, the user's own
        #: gc.collect() would do nothing: so there, reading is put off to the next time.
        self.bystander: Callable[[], int | None] = lambda: None
        #: If so, the tenure in which the collection took place.
        self._put_off: Tenure | None = None
        #: Whether there was a collection since the last reading.
        self._collected = False
        self._marker = _Marker(ownership.session)
        self._markers: list[_Marker] = [self._marker]
        self._last = self._marker
        # Seconds of pauses that are over, and when the one began that is not. In one
        # place, as another thread may read between any two assignments.
        self._pauses: tuple[float, float | None] = 0.0, None
        self.seen: dict[int, _Sighting] = {}
        self._fallen: dict[int, _Sighting] = {}
        self.collecting = False
        gil = getattr(sys, "_is_gil_enabled", None)
        self.blind = gil is not None and not gil()

    def watch_type(self, cls: type, keep: Keep) -> None:
        """Remember instances of ``cls`` (and of subclasses) for which ``keep(obj)`` is true."""
        self._interests.append((cls, keep))
        self._dull.clear()

    def arm(self) -> None:
        """Begin."""
        gc.callbacks.append(self._collector)

    def disarm(self) -> None:
        """End, and let go of everything."""
        if self._collector in gc.callbacks:
            gc.callbacks.remove(self._collector)
        self.seen.clear()
        self._fallen.clear()
        self._markers.clear()
        self._dull.clear()

    @property
    def current(self) -> Tenure:
        """The tenure in which objects are made now."""
        return self._marker.tenure

    def mark(self, tenure: Tenure) -> None:
        """From here on, objects are made in ``tenure``."""
        if tenure is not self._marker.tenure:
            scans = self._scans
            self._marker = marker = _Marker(tenure)
            self._markers.append(marker)
            if scans != self._scans:
                # A collection began while the marker was being made, and has put it away.
                self._carry = tenure

    def tenure_of(self, obj: object) -> Tenure | None:
        """Whose ``obj`` is, if the census has met it; also while it is being destroyed."""
        key = id(obj)
        sighting = self.seen.get(key)
        if sighting is not None and sighting() is obj:
            return sighting.tenure
        sighting = self._fallen.get(key)
        # The address may be another object's by now: what can be compared has to match.
        if sighting is not None and sighting.trait == _trait(obj):
            return sighting.tenure
        return None

    def paused(self) -> float:
        """Seconds that the collector has stopped everything for, so far.

        When another thread collects, this one goes on before that one is told of the end.
        """
        past, began = self._pauses
        return past if began is None else past + self._now() - began

    def living(self) -> Iterator[tuple[Any, Tenure]]:
        """Each remembered object that is still alive, with its tenure."""
        for sighting in list(self.seen.values()):
            obj = sighting()
            if obj is not None:
                yield obj, sighting.tenure

    def scan(self) -> None:
        """Read what was made since the last reading."""
        if self.blind:
            return
        put_off, self._put_off = self._put_off, None
        tenure = self._carry
        if put_off is not None:
            # What that collection moved is among the old ones: markers and all, in an order
            # that it may have changed.
            self._read([o for n in (2, 1) for o in gc.get_objects(generation=n)], tenure)
            tenure = put_off
        objects = gc.get_objects(generation=0)
        # What stands before the marker of the last reading has been read. A collection moves
        # the marker away, and everything is new.
        if not self._collected:
            start = len(objects)
            last = self._last
            while start and objects[start - 1] is not last:
                start -= 1
            del objects[:start]
        self._collected = False
        self._read(objects, tenure)
        del objects
        # The markers that were read have done their work.
        self._scans += 1
        self._carry = self._marker.tenure
        self._last = self._marker = _Marker(self._carry)
        self._markers = [self._marker]

    def _read(self, objects: list[Any], tenure: Tenure) -> None:
        """Remember those of ``objects`` that are of interest; the first are of ``tenure``."""
        seen = self.seen
        for obj, keep in self._of_interest(objects):
            if keep is bool:
                # A marker. One that is being made this very moment has no tenure yet.
                tenure = getattr(obj, "tenure", tenure)
            elif id(obj) not in seen and keep(obj):
                self._remember(obj, tenure)

    def _of_interest(self, objects: list[Any]) -> Iterator[tuple[Any, Keep]]:
        """Those of ``objects`` whose type is of interest, by as few steps of Python's as can be."""
        # To hash or compare a class may run its metaclass's code: not within a collection.
        metaclasses = set(map(type, map(type, objects)))
        if not all(map(_is_plain, metaclasses - _PLAIN)):
            by_id = {id(cls): keep for cls, keep in self._classify_all(map(type, objects))}
            for obj in objects:
                keep = by_id.get(id(type(obj)))
                if keep is not None:
                    yield obj, keep
            return
        types = set(map(type, objects))
        wanted = dict(self._classify_all(types - self._dull))
        if wanted:
            mine = compress(objects, map(wanted.__contains__, map(type, objects)))
            for obj in mine:
                yield obj, wanted[type(obj)]

    def _classify_all(self, types: Iterable[type]) -> Iterator[tuple[type, Keep]]:
        for cls in types:
            keep = self._classify(cls)
            if keep is not None:
                yield cls, keep
            elif type(cls) is type and not cls.__flags__ & _HEAP_TYPE:
                self._dull.add(cls)  # it never dies

    def _classify(self, cls: type) -> Keep | None:
        if cls is _Marker:
            return bool
        for interest, keep in self._interests:
            if _is_subclass(interest, cls):
                return keep
        return None

    def _remember(self, obj: object, tenure: Tenure) -> None:
        try:
            sighting = _Sighting(obj, self._forget)
        except TypeError:  # no weak references to it
            return
        sighting.key = id(obj)
        sighting.tenure = tenure
        sighting.trait = _trait(obj)
        sighting.told = False
        self.seen[sighting.key] = sighting

    def _forget(self, sighting: weakref.ref[Any]) -> None:
        assert isinstance(sighting, _Sighting)
        if self.seen.get(sighting.key) is sighting:
            del self.seen[sighting.key]
            if not self.collecting:
                self._fallen.clear()
            self._fallen[sighting.key] = sighting

    def _collector(self, phase: str, info: dict[str, int]) -> None:
        with self._faults.guard("census"):
            if phase == "start":
                self._pauses = self._pauses[0], self._now()
                if _thread.get_ident() == self.bystander():
                    self._put_off = self._marker.tenure
                elif not self._faults.off("census"):
                    self.scan()
                self.collecting = True
            else:
                self.collecting = False
                self._collected = True
                self._fallen.clear()
                self._pauses = self.paused(), None
