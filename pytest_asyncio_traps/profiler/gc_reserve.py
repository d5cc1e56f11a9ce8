"""Keeps garbage collections out of the plugin's own thread.

A collection starts in the thread that allocates one object too many. If that is the plugin's
thread, destructors of the user's objects run in a thread in which they never run without the
plugin. A ``gc.collect()`` of the user's meanwhile returns at once and collects nothing.

The collector counts allocations minus deallocations. So the plugin's thread keeps a reserve of
objects and destroys some of them before it allocates others, which keeps the count below the
threshold. ``gc.disable()`` is no alternative: user code can see it, and enabling the collector
again could undo what user code has switched in the meantime.
"""

from __future__ import annotations

import gc
from typing import Final

#: Python keeps no freed tuples of this size for reuse, so that destroying one lowers the count. The
#: contents need no collecting, so `gc.get_objects()` does not list the tuples after a collection.
_CONTENTS: Final = [None] * 24


class GCReserve:
    """Objects to destroy before other objects are allocated."""

    #: How many objects can be allocated after `make_room`.
    ROOM = 60
    #: How many objects a full reserve holds.
    SIZE = 300

    def __init__(self) -> None:
        self._objects: list[object] = []

    def fill(self) -> None:
        """Fill the reserve. This may start a collection."""
        self._add(self.SIZE)

    def make_room(self) -> None:
        """Make sure that `ROOM` objects can be allocated without a collection.

        The room is there until another thread runs. Other threads run whenever the current thread
        waits for a file or a lock.
        """
        objects, threshold = self._objects, gc.get_threshold()[0]
        room = threshold - gc.get_count()[0] - self.ROOM
        if room > 0:
            if len(objects) < self.SIZE:
                self._add(room // 2)
        elif threshold:  # a threshold of 0 means that there are no collections
            while room < 0 and objects:
                objects.pop()
                room += 1

    def _add(self, count: int) -> None:
        for _ in range(min(count, self.SIZE - len(self._objects))):
            self._objects.append(tuple(_CONTENTS))


#: The reserve of this process.
gc_reserve: Final = GCReserve()
