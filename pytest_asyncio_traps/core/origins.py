"""Where coroutines are made: Python notes it, once told how deep to look.

A depth of one is all that is needed, and costs little. To everybody else the
depth reads as if nobody had set it, and setting it to nothing (as asyncio does
when a loop stops to run) leaves one.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from .faults import Faults
from .patches import Patches

_DEPTH = 1


class OriginTracking:
    """Has `sys` track the origin of coroutines, at least one frame deep, thread by thread."""

    active: bool

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults if faults is not None else Faults()
        self._get = sys.get_coroutine_origin_tracking_depth
        self._set = sys.set_coroutine_origin_tracking_depth
        # What others have set in each thread in which we track.
        self._wishes = threading.local()
        self.active = False

    def arm(self, patches: Patches) -> None:
        """Track in the current thread, and hide that from others."""
        self._get = sys.get_coroutine_origin_tracking_depth
        self._set = sys.set_coroutine_origin_tracking_depth
        patches.wrap(sys, "get_coroutine_origin_tracking_depth", self._make_get)
        patches.wrap(sys, "set_coroutine_origin_tracking_depth", self._make_set)
        self.active = True
        self.track()

    def disarm(self) -> None:
        """In the current thread, go back to what others have set."""
        self.active = False
        self.untrack()

    def track(self) -> bool:
        """Track in the current thread. Returns whether it did not before."""
        if not self.active or hasattr(self._wishes, "depth"):
            return False
        self._wishes.depth = self._get()
        self._set(max(_DEPTH, self._wishes.depth))
        return True

    def untrack(self) -> None:
        """Stop to track in the current thread."""
        if hasattr(self._wishes, "depth"):
            self._set(self._wishes.depth)
            del self._wishes.depth

    def wished(self) -> int:
        """The depth that others have set in the current thread."""
        depth: int = getattr(self._wishes, "depth", -1)
        return depth if depth >= 0 else self._get()

    def _make_get(self, original: Any) -> Any:
        def get_coroutine_origin_tracking_depth() -> int:
            with self._faults.guard("origins"):
                return self.wished()
            depth = int(original())
            return 0 if self.active and depth == _DEPTH else depth

        return get_coroutine_origin_tracking_depth

    def _make_set(self, original: Any) -> Any:
        def set_coroutine_origin_tracking_depth(depth: int) -> None:
            if self.active and hasattr(self._wishes, "depth"):
                original(max(_DEPTH, depth) if isinstance(depth, int) and depth >= 0 else depth)
                self._wishes.depth = depth
            else:
                original(depth)

        return set_coroutine_origin_tracking_depth
