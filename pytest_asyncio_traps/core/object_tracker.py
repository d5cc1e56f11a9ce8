"""Which coroutines, futures and tasks are alive, and which test or fixture created them.

They carry no owner, or only some of them do. `GcReader` finds the new ones in the collector's
lists, with their tenures. The tracker remembers a weak reference and the tenure of each.

Python clears weak references before it calls finalizers, and the finalizer is where asyncio and
Python complain. So the tenure of an object that dies is kept for the hook in its finalizer: until
the end of the collection if one destroys the object, otherwise until the next tracked object dies.

Most objects cost less. A task, and a future of a watched loop, carries its own owner, and is
tracked only so that it can be found while it lives. A coroutine has its ``cr_origin``, a tuple that
Python makes for each coroutine: the tracker keeps the tuple, and recognizes the coroutine by it
even while the coroutine is being destroyed.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Iterator
from types import CoroutineType
from typing import Any

from ..compat import cpython
from .faults import Faults
from .gc_reader import GcReader, Marker
from .objects import ask, put
from .ownership import Ownership, Tenure
from .type_filter import Keep, TypeFilter, always

#: A weak reference to an object of interest, its tenure, and the ``cr_origin`` of a coroutine.
Entry = tuple[weakref.ref[Any], Tenure, object]

#: How many entries of dead objects are tolerated, besides as many as there are of living ones.
_DEAD_ENTRIES = 1_000


class _TrackedRef(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to a tracked object, with its address, tenure and tag (see `_tag`)."""

    __slots__ = ("key", "tag", "tenure")
    key: int
    tag: object
    tenure: Tenure


class ObjectTracker(GcReader):
    """The living objects of interest and their tenures.

    `watch_type` says what is of interest. `tenure_of` returns the tenure of one object. `living`
    goes through those alive.

    With ``origins_unique`` false, several coroutines may have the same ``cr_origin``. Coroutines
    are then remembered as futures are, by weak reference, address and tag.
    """

    origins_unique: bool
    #: Classes whose direct instances are all of interest, but only while they live.
    while_they_live: set[type]

    def __init__(
        self, ownership: Ownership, faults: Faults, *, origins_unique: bool | None = None
    ) -> None:
        super().__init__(ownership.session, faults)
        if origins_unique is None:
            origins_unique = cpython.UNIQUE_ORIGINS.holds
        self.origins_unique = origins_unique
        self._types = TypeFilter(Marker)
        self.while_they_live = self._types.exact
        # By address, the objects that have to be recognized while they are destroyed, except for
        # coroutines with a unique origin.
        self.tracked: dict[int, _TrackedRef] = {}
        # Those of which the object has died lately, the latest last.
        self._recently_dead: deque[weakref.ref[Any]] = deque()
        self._entries: list[Entry] = []
        # How many of the entries `mark_judged` has covered.
        self._judged = 0
        self._most_entries = _DEAD_ENTRIES

    def disarm(self) -> None:
        """End, and release everything."""
        super().disarm()
        self.tracked.clear()
        self._recently_dead.clear()
        self._entries.clear()
        self._judged = 0

    def watch_type(self, cls: type, keep: Keep) -> None:
        """Remember instances of ``cls`` (and of subclasses) for which ``keep(obj)`` is true."""
        self._types.watch(cls, keep)

    def tenure_of(self, obj: object) -> Tenure | None:
        """The tenure of ``obj`` if it is tracked, also while it is being destroyed; or None."""
        key = id(obj)
        ref = self.tracked.get(key)
        if ref is not None and ref() is obj:
            return ref.tenure
        unread = self._unread_dying and self._types.is_watched(type(obj))
        default = self.pending_owner if unread else None
        origin = self._origin_of(obj)
        if origin is not None:
            # Not indexed, since each coroutine is asked for once in its life, if at all.
            return next((entry[1] for entry in self._entries if entry[2] is origin), default)
        # A collection clears all weak references before it calls the first finalizer. Without a
        # collection, the finalizer follows at once.
        dead: Any = list(self._recently_dead)
        for ref in dead if self.collecting else dead[-1:]:
            if ref.key == key and _has_tag(obj, ref.tag):
                tenure: Tenure = ref.tenure
                return tenure
        return default

    def _origin_of(self, obj: object) -> object:
        return ask(obj, "cr_origin") if self.origins_unique else None

    def living(self) -> Iterator[tuple[Any, Tenure]]:
        """Each remembered object that is still alive, with its tenure."""
        # A collection that begins during a reading adds second entries. The first ones count.
        met: set[int] = set()
        for ref, tenure, _ in list(self._entries):
            obj = ref()
            if obj is not None and id(obj) not in met:
                met.add(id(obj))
                yield obj, tenure

    def arrived(self) -> list[Entry]:
        """The entries since the last `mark_judged`.

        The object of an entry may have died. An object may have two entries.
        """
        return self._entries[self._judged :]

    def mark_judged(self) -> None:
        """From now on, leave out of `arrived` what it has returned so far."""
        self._judged = len(self._entries)

    def _remember(self, objects: list[Any], tenure: Tenure) -> None:
        tracked, remember, ref = self.tracked, self._entries.append, weakref.ref
        for obj, keep in self._types.find(objects):
            if type(obj) is Marker:
                # One that is being created at this moment is still empty.
                tenure = obj[0] if obj else tenure
            elif keep is always:
                remember((ref(obj), tenure, None))
            elif id(obj) not in tracked and keep(obj):
                origin = self._origin_of(obj)
                if origin is None:
                    self._track(obj, tenure)
                else:
                    remember((ref(obj), tenure, origin))

    def _track(self, obj: object, tenure: Tenure) -> None:
        try:
            # The callback is C code, so that a death costs next to nothing.
            ref = _TrackedRef(obj, self._recently_dead.append)
        except TypeError:  # the class allows no weak references
            return
        ref.key = id(obj)
        ref.tag = _tag(obj)
        ref.tenure = tenure
        self.tracked[ref.key] = ref
        # Not with ``ref`` itself: an entry may outlive the object, and the tag may be a class.
        self._entries.append((weakref.ref(obj), tenure, None))

    def _forget_dead(self) -> None:
        tracked, dead = self.tracked, self._recently_dead
        while dead:
            ref = dead.popleft()
            assert isinstance(ref, _TrackedRef)
            if tracked.get(ref.key) is ref:
                del tracked[ref.key]
        if len(self._entries) > self._most_entries:
            self._forget_dead_entries()

    def _forget_dead_entries(self) -> None:
        entries, many, judged = self._entries, len(self._entries), self._judged
        # A collection may begin meanwhile. Its reading appends entries, and may remove none.
        self._most_entries = sys.maxsize
        kept = [entry for entry in entries[:judged] if _is_needed(entry)]
        self._judged = len(kept)
        entries[:many] = kept + [entry for entry in entries[judged:many] if _is_needed(entry)]
        self._most_entries = 2 * len(entries) + _DEAD_ENTRIES


#: The reference count of a ``cr_origin`` that only an entry refers to: its coroutine is gone.
_UNSHARED = next(sys.getrefcount(entry[2]) for entry in [(None, None, tuple(iter((1,))))])


def _is_needed(entry: Entry) -> bool:
    # A coroutine that is being destroyed still has its origin.
    return entry[0]() is not None or (
        entry[2] is not None and sys.getrefcount(entry[2]) > _UNSHARED
    )


def _tag(obj: object) -> object:
    """Something that tells ``obj`` from a later object at the same address.

    For a coroutine, this is exact: the string in its ``__qualname__`` is replaced by an equal one
    that nothing else refers to. For other objects it is the class.
    """
    if type(obj) is not CoroutineType:
        return type(obj)
    # join() of two strings makes a new string even of a single character.
    name = "".join((ask(obj, "__qualname__"), ""))
    return name if name and put(obj, "__qualname__", name) else object()


def _has_tag(obj: object, tag: object) -> bool:
    return tag is (ask(obj, "__qualname__") if type(obj) is CoroutineType else type(obj))
