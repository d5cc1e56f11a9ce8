"""Which objects of interest are alive, and who made them.

Coroutines, bare futures and async generators carry no owner, and no hook tells
when one is made. But the collector keeps its youngest generation in the order
of allocation. So a small marker, allocated whenever the responsible test or
fixture changes, parts the list into stretches: what stands after a marker was
made in that tenure. The list is read when a test ends, and just before the
collector reorders it, so each object is read about once in its life. As long as one tenure
lasts, a collection of the youngest generation alone leaves nothing to be sorted
out: what survives it goes to the end of the next generation, and is read there,
all of that tenure, when the tenure or that generation ends.

What is remembered is a weak reference and the tenure. A destructor comes after
weak references are cleared; so the tenure of a remembered object that dies is
kept for the hook in its destructor to ask for: during a collection until that
ends, else (as the destructor follows at once) until the next one dies.

Most objects come at a fraction of that price. A task, or a future of the loop's,
says itself whose it is, and is only looked for while it lives. A coroutine has
its origin, a tuple that is made for it alone and dies with it: whoever keeps
that tuple knows the coroutine by it, even while it is being destroyed.
"""

from __future__ import annotations

import _thread
import gc
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, compress, count, repeat
from operator import call, is_
from typing import Any

from .clock import KNOWS_WAITING, REAL, WORKED
from .faults import Faults
from .objects import ask
from .ownership import Ownership, Tenure

Keep = Callable[[Any], bool]

#: issubclass() the other way round, by no code of a metaclass.
_is_subclass = type.__subclasscheck__
#: How many references there are to a tuple that stands in nothing but the list.
_OURS = next(sys.getrefcount(listed[0]) for listed in [(tuple(iter((1,))),)])
#: How many weak references to the dead are tolerated, beside as many as to the living.
_MANY = 1_000


_hash_of_types: Any = type.__hash__
_eq_of_types: Any = type.__eq__
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_subclasses: Any = type.__subclasses__


def _is_plain(metaclass: Any) -> bool:
    """Whether to hash and compare the classes of ``metaclass`` runs no code of the user's."""
    if type(metaclass) is not type:
        return False
    hash_ = metaclass.__hash__
    if getattr(hash_, "__module__", None) == "typing_extensions":
        return True  # does as type's own
    return hash_ is _hash_of_types and metaclass.__eq__ is _eq_of_types


def _always(obj: object) -> bool:
    return True


def _behind(marker: object, objects: list[Any]) -> int:
    """How many of ``objects`` stand before what follows ``marker``; none where it is missing."""
    found = compress(count(1), map(is_, objects, repeat(marker)))
    return next(found, 0)


def _is_generational() -> bool:
    """Whether what survives a collection of the youngest stands at the end of the next.

    Not so in Python 3.14 up to 3.14.4, which collects in increments.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        first, second = [object], [object]
        gc.collect(0)
        third = [object]
        older = gc.get_objects(generation=1)[-_MANY:]
        behind = _behind(first, older)
        return bool(behind) and _behind(second, older) > behind and not _behind(third, older)
    finally:
        if enabled:
            gc.enable()


class _Marker(list[Tenure]):
    """Stands in the collector's list where a tenure begins, which is its one item."""

    # A list, since that is made without a frame of Python's.
    __slots__ = ()


_MARKERS = {weakref.ref(_Marker)}


class _Sighting(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to an object of interest, with its key and its tenure."""

    __slots__ = ("cls", "key", "tenure")
    key: int
    tenure: Tenure
    #: What tells the object from another one at the same address, if only a little.
    cls: type


#: A weak reference to an object of interest, its tenure, and its origin if it is a coroutine.
Listed = tuple[weakref.ref[Any], Tenure, object]


class ObjectTracker:
    """The living objects of interest.

    `watch_type` says what is of interest; `tenure_of` whose it is; `living`
    goes through those alive. Where the collector does not keep its youngest
    objects in order (a free-threaded build), `blind` says so and nothing is
    read.
    """

    collecting: bool
    blind: bool
    #: The tenure in which objects are made now.
    current: Tenure

    def __init__(self, ownership: Ownership, faults: Faults) -> None:
        self._faults = faults
        self._interests: list[tuple[type, Keep]] = []
        # Types of which nothing is of interest. As long as one is held, CPython hands out the same
        # reference to a class each time: so they are found by identity, and none is found for a
        # class that has taken the place of a dead one.
        self._dull: set[weakref.ref[type]] = set()
        # ... and those that never die.
        self._dull_forever: set[type] = set()
        self._too_many_dull = _MANY
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
        self._marker = _Marker((ownership.session,))
        self.current = ownership.session
        self._markers: list[_Marker] = [self._marker]
        self._last = self._marker
        # Whether a collection has moved the marker, and what was made since, to the next
        # generation, unread: all of it of the tenure in `_carry`.
        self._passed_over = False
        # Whether a collection has, since the last reading, emptied that generation, so that the
        # marker is no more there, and all that is, is new.
        self._emptied = False
        # Whether a collection is at work that nothing was read for.
        self._passing = False
        # Whether what survives a collection goes to the end of the next generation.
        self._generational = False
        # The metaclasses that there are, with `type` itself; how many subclasses they have in all,
        # -1 if one of them has died; and the addresses of those with code of their own.
        self._metaclasses: list[weakref.ref[type]] = []
        self._metaclasses_in_all = -1
        self._odd: frozenset[int] = frozenset()
        # Where it stood, nearly, when it was new, and by how much it had moved at the next
        # reading: a guess for the one after.
        self._last_at = self._drift = 0
        # Seconds of pauses that are over, and when the one began that is not. In one
        # place, as another thread may read between any two assignments.
        self._pauses: tuple[float, float | None] = 0.0, None
        # The processor time at which the current pause began, and for how long each thread
        # has waited for a processor in the pauses that it caused.
        self._worked = WORKED[0]
        self._worked_before = 0.0
        self._waits: dict[int, float] = {}
        self.seen: dict[int, _Sighting] = {}
        # Those whose object has died since the last look, the latest last.
        self._fallen: deque[weakref.ref[Any]] = deque()
        self._index: dict[int, _Sighting] = {}
        self._listed: list[Listed] = []
        self._too_many = _MANY
        # Those that nobody has judged yet.
        self._arrived: list[Listed] = []
        self._too_many_arrived = _MANY
        self._sweeping = False
        #: Exact classes of which every object is of interest, but only while it lives.
        self.while_they_live: set[type] = set()
        self.collecting = False
        gil = getattr(sys, "_is_gil_enabled", None)
        self.blind = gil is not None and not gil()

    def watch_type(self, cls: type, keep: Keep) -> None:
        """Remember instances of ``cls`` (and of subclasses) for which ``keep(obj)`` is true."""
        self._interests.append((cls, keep))
        self._dull.clear()
        self._dull_forever.clear()

    def arm(self) -> None:
        """Begin."""
        self._generational = not self.blind and _is_generational()
        gc.callbacks.append(self._collector)

    def disarm(self) -> None:
        """End, and let go of everything."""
        if self._collector in gc.callbacks:
            gc.callbacks.remove(self._collector)
        self.seen.clear()
        self._fallen.clear()
        self._listed.clear()
        self._arrived.clear()
        self._markers.clear()
        self._metaclasses.clear()
        self._metaclasses_in_all = -1
        self._dull.clear()
        self._dull_forever.clear()

    def stand_aside(self) -> None:
        """A debugger is about to open: a collection must not lead into the plugin's code.

        What collections do until `stand_back` is called is sorted out at the next reading.
        """
        if self._collector in gc.callbacks:
            gc.callbacks.remove(self._collector)
            self._put_off = self.current

    def stand_back(self) -> None:
        """The debugger has been left."""
        if self._collector not in gc.callbacks:
            self._collected = True
            gc.callbacks.append(self._collector)

    def mark(self, tenure: Tenure) -> None:
        """From here on, objects are made in ``tenure``."""
        if self.blind:
            self.current = tenure  # no reading follows, so there is nothing to mark
        elif tenure is not self.current:
            if self._passed_over:
                with self._faults.guard("tracker"):
                    self.scan()
            # First of all, so that a collection which begins while the marker is being made may not
            # pass over. What it has read then is the old tenure's, and all that comes is the new
            # one's.
            self.current = tenure
            self._marker = marker = _Marker((tenure,))
            self._markers.append(marker)

    def tenure_of(self, obj: object) -> Tenure | None:
        """Whose ``obj`` is, if the tracker has met it; also while it is being destroyed."""
        key = id(obj)
        sighting = self.seen.get(key)
        if sighting is not None and sighting() is obj:
            return sighting.tenure
        origin = ask(obj, "cr_origin")
        if origin is not None:
            # It is asked for once in its life, if at all: no need of an index.
            unread = self._carry if self._passing else None
            return next((listed[1] for listed in self._listed if listed[2] is origin), unread)
        sighting = self._fallen_at(key)
        # The address may be another object's by now: what can be compared has to match.
        if sighting is not None and sighting.cls is type(obj):
            return sighting.tenure
        return self._carry if self._is_unread(obj) else None

    def _is_unread(self, obj: object) -> bool:
        """Whether ``obj`` is of interest and dies in a collection that nothing was read for."""
        return self._passing and self._classify(type(obj)) is not None

    def _fallen_at(self, key: int) -> _Sighting | None:
        """The sighting of what has died at an address, if its destructor may be at work."""
        fallen: Any = self._fallen
        if not fallen:
            return None
        if not self.collecting:
            # The destructor follows at once on what clears the weak references.
            return fallen[-1] if fallen[-1].key == key else None
        # A collection clears those of all that it has found first.
        if len(self._index) != len(fallen):
            self._index = {sighting.key: sighting for sighting in list(fallen)}
        return self._index.get(key)

    def paused(self) -> float:
        """Seconds that the collector has kept the current thread from its work, so far.

        When another thread collects, this one goes on before that one is told of the end.
        When it collects by itself, and waits for a processor meanwhile, that time is no pause,
        as it counts as waiting.
        """
        past, began = self._pauses
        paused = past if began is None else past + self._now() - began
        return paused - self._waits.get(_thread.get_ident(), 0.0)

    def living(self) -> Iterator[tuple[Any, Tenure]]:
        """Each remembered object that is still alive, with its tenure."""
        for sighting in list(self.seen.values()):
            obj = sighting()
            if obj is not None:
                yield obj, sighting.tenure
        # A collection that begins during a reading has the same objects read twice.
        met: set[int] = set()
        for ref, tenure, _ in list(self._listed):
            obj = ref()
            if obj is not None and id(obj) not in met:
                met.add(id(obj))
                yield obj, tenure

    def arrived(self) -> list[Listed]:
        """References to the objects that were met since `settle` was called, with their tenures.

        Some of them may have died, and one may stand there twice.
        """
        return self._arrived

    def settle(self) -> None:
        """What has arrived was judged. So the next judgement need not look at all that lives."""
        if self._arrived:
            self._arrived = []
        self._too_many_arrived = _MANY

    def scan(self) -> None:
        """Read what was made since the last reading."""
        if self.blind:
            return
        self._sweep()
        self._sweep_lists()
        put_off, self._put_off = self._put_off, None
        passed_over, self._passed_over = self._passed_over, False
        tenure = self._carry
        if put_off is None and passed_over:
            older = gc.get_objects(generation=1)
            if not self._emptied:
                del older[: self._find_last(older, len(older))]
            self._read(older, tenure)
            del older
        if put_off is not None:
            # What that collection moved is among the old ones: markers and all, in an order
            # that it may have changed.
            self._read([o for n in (2, 1) for o in gc.get_objects(generation=n)], tenure)
            tenure = put_off
        objects = gc.get_objects(generation=0)
        # What stands before the marker of the last reading has been read. A collection moves
        # the marker away, and everything is new.
        start = 0
        if not self._collected:
            start = self._find_last(objects, self._last_at - self._drift)
            self._drift = self._last_at - start
        self._collected = False
        del objects[:start]
        self._read(objects, tenure)
        self._last_at = start + len(objects)
        del objects
        # The markers that were read have done their work.
        self._scans += 1
        self._carry = self.current
        self._last = self._marker = _Marker((self._carry,))
        self._emptied = False
        self._markers = [self._marker]

    def _find_last(self, objects: list[Any], guess: int) -> int:
        """How many of ``objects`` were there when the last reading ended, in all likelihood some
        ``guess``.
        """
        for reach in (5, 60, 2_000, max(guess, len(objects))):
            start = max(0, guess - reach)
            found = _behind(self._last, objects[start : guess + reach])
            if found:
                return start + found
        return 0

    def _read(self, objects: list[Any], tenure: Tenure) -> None:
        """Remember those of ``objects`` that are of interest; the first are of ``tenure``."""
        seen, listed, arrived, ref = self.seen, self._listed, self._arrived, weakref.ref
        entry: Listed
        for obj, keep in self._of_interest(objects):
            if keep is bool:
                # A marker. One that is being made this very moment has no tenure yet.
                tenure = obj[0] if obj else tenure
            elif keep is _always:
                entry = ref(obj), tenure, None
                listed.append(entry)
                arrived.append(entry)
            elif id(obj) not in seen and keep(obj):
                origin = ask(obj, "cr_origin")
                if origin is None:
                    self._remember(obj, tenure)
                else:
                    entry = ref(obj), tenure, origin
                    listed.append(entry)
                    arrived.append(entry)

    def _of_interest(self, objects: list[Any]) -> list[tuple[Any, Keep]]:
        """Those of ``objects`` whose type is of interest, by as few steps of Python's as can be."""
        if not self._may_be_hashed(objects):
            return self._of_interest_by_address(objects)
        # All objects that are made come by here, and hardly any is of interest.
        types = {type(obj) for obj in objects}
        types -= self._dull_forever
        new = set(map(weakref.ref, types)).difference(self._dull)
        if new <= _MARKERS:
            return []  # nothing for them to part
        wanted: dict[type, Keep] = {}
        for ref in new:
            cls = ref()
            assert cls is not None
            keep = self._classify(cls)
            if keep is not None:
                wanted[cls] = keep
            elif type(cls) is type and not cls.__flags__ & _HEAP_TYPE:
                self._dull_forever.add(cls)
            else:
                self._note_dull(ref)
        if wanted.keys() <= {_Marker}:
            return []
        return [(obj, wanted[type(obj)]) for obj in objects if type(obj) in wanted]

    def _of_interest_by_address(self, objects: list[Any]) -> list[tuple[Any, Keep]]:
        """The same, where to hash or compare a class may run code of its metaclass."""
        types = {id(cls): cls for cls in map(type, objects)}
        by_id = {key: keep for key, cls in types.items() if (keep := self._classify(cls))}
        return [(obj, by_id[id(type(obj))]) for obj in objects if id(type(obj)) in by_id]

    def _may_be_hashed(self, objects: list[Any]) -> bool:
        """Whether to hash and compare the classes of ``objects`` runs no code of the user's."""
        try:
            in_all = sum(map(len, map(_subclasses, map(call, self._metaclasses))))
        except TypeError:  # one has died
            in_all = -1
        if in_all < 0 or in_all != self._metaclasses_in_all:
            self._look_at_metaclasses()
        return not self._odd or self._odd.isdisjoint(map(id, map(type, map(type, objects))))

    def _look_at_metaclasses(self) -> None:
        """One was made, or has died."""
        level: list[type] = [type]
        metaclasses: list[type] = []
        while level:
            metaclasses += level
            level = list(chain.from_iterable(map(_subclasses, level)))
        self._odd = frozenset(id(meta) for meta in metaclasses[1:] if not _is_plain(meta))
        self._metaclasses = [weakref.ref(meta, self._look_again) for meta in metaclasses]
        # As many as were looked at, `type` apart: one that was made meanwhile makes a difference.
        self._metaclasses_in_all = len(metaclasses) - 1

    def _look_again(self, _: object) -> None:
        self._metaclasses_in_all = -1

    def _note_dull(self, ref: weakref.ref[type]) -> None:
        dull = self._dull
        dull.add(ref)
        if len(dull) > self._too_many_dull:
            # By a copy: a reading that begins meanwhile, by a collection, may add to it.
            dull.difference_update([ref for ref in tuple(dull) if ref() is None])
            self._too_many_dull = 2 * len(dull) + _MANY

    def _classify(self, cls: type) -> Keep | None:
        if cls is _Marker:
            return bool
        for own in self.while_they_live:  # no hashing here: it may be the user's metaclass's
            if cls is own:
                return _always
        for interest, keep in self._interests:
            if _is_subclass(interest, cls):
                return keep
        return None

    def _remember(self, obj: object, tenure: Tenure) -> None:
        try:
            # The callback is C's: a death costs next to nothing.
            sighting = _Sighting(obj, self._fallen.append)
        except TypeError:  # no weak references to it
            return
        sighting.key = id(obj)
        sighting.tenure = tenure
        sighting.cls = type(obj)
        self.seen[sighting.key] = sighting
        self._arrived.append((sighting, tenure, None))

    def _sweep(self) -> None:
        """Forget those who have died."""
        seen, fallen = self.seen, self._fallen
        self._index = {}
        while fallen:
            sighting = fallen.popleft()
            assert isinstance(sighting, _Sighting)
            if seen.get(sighting.key) is sighting:
                del seen[sighting.key]

    def _sweep_lists(self) -> None:
        """The same, of what keeps no count of them."""
        # A reading may begin meanwhile, by a collection, and add to the ends of the lists.
        if self._sweeping:
            return
        self._sweeping = True
        try:
            listed, arrived, refs = self._listed, self._arrived, sys.getrefcount
            if len(listed) > self._too_many:
                many = len(listed)
                # A coroutine that is being destroyed still has its origin.
                listed[:many] = [
                    entry
                    for entry in listed[:many]
                    if entry[0]() is not None or (entry[2] is not None and refs(entry[2]) > _OURS)
                ]
                self._too_many = 2 * len(listed) + _MANY
            if len(arrived) > self._too_many_arrived:
                many = len(arrived)
                arrived[:many] = [entry for entry in arrived[:many] if entry[0]() is not None]
                self._too_many_arrived = 2 * len(arrived) + _MANY
        finally:
            self._sweeping = False

    def _resume(self) -> None:
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

    def _may_pass_over(self) -> bool:
        """Whether everything that was made since the last reading is of one tenure."""
        return (
            self.current is self._carry
            and len(self._markers) == 1
            and self._generational
            and self._put_off is None
        )

    def _collector(self, phase: str, info: dict[str, int]) -> None:
        with self._faults.guard("tracker"):
            if phase == "start":
                self._worked_before = self._worked()
                self._pauses = self._pauses[0], self._now()
                if _thread.get_ident() == self.bystander():
                    self._put_off = self.current
                elif info["generation"] == 0 and self._may_pass_over():
                    self._passed_over = self._passing = True
                elif not self._faults.is_off("tracker"):
                    self.scan()
                self.collecting = True
            else:
                self.collecting = self._passing = False
                self._collected = True
                if info["generation"]:
                    self._emptied = True
                self._sweep()
                self._resume()
