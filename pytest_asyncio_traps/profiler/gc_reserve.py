"""Keeps the collector from beginning its work in a thread of the plugin's own.

A collection begins in whichever thread makes the object that is one too many. In a
thread of the plugin's, the user's destructors would run where they never do without it;
and as long as it goes on there, a ``gc.collect()`` of the user's returns at once, and
leaves what it was to collect.

The collector counts the objects that are made, less those that are destroyed. So the
thread destroys some of a reserve of its own before it makes any, and the count stays
below the threshold. To switch the collector off instead would be seen by others, and
could undo what they have switched meanwhile.
"""

from __future__ import annotations

import gc
from typing import Final

#: Tuples of this size are returned to the collector's account, and not kept to be used again;
#: and as there is nothing in them to be collected, `gc.get_objects()` does not list them.
_ROW: Final = [None] * 24


class GCReserve:
    """A reserve of objects, to be destroyed when others have to be made."""

    #: How many objects may be made after a call of `make`, and how many there are to destroy.
    ROOM = 60
    RESERVE = 300

    def __init__(self) -> None:
        self._reserve: list[object] = []

    def fill(self) -> None:
        """Make the reserve anew. A collection may begin here."""
        self._add(self.RESERVE)

    def make(self) -> None:
        """See to it that `ROOM` objects can be made without a collection.

        It lasts until another thread has run: for as long as nothing waits for a file or a lock.
        """
        reserve, limit = self._reserve, gc.get_threshold()[0]
        room = limit - gc.get_count()[0] - self.ROOM
        if room > 0:
            if len(reserve) < self.RESERVE:
                self._add(room // 2)
        elif limit:  # else there is no collection at all
            while room < 0 and reserve:
                reserve.pop()
                room += 1

    def _add(self, count: int) -> None:
        for _ in range(min(count, self.RESERVE - len(self._reserve))):
            self._reserve.append(tuple(_ROW))
