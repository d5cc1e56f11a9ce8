"""Turns on origin tracking: Python then notes in ``cr_origin`` where each coroutine is created.

The tracking depth is a setting of each thread. The plugin needs a depth of one, which costs little.
Other code does not see this: it reads the depth that it has set itself, and a depth that it sets
(asyncio sets zero when a loop stops) is raised to one at least.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from .faults import Faults
from .patches import Patches

_DEPTH = 1


class OriginTracking:
    """Keeps the origin tracking depth of threads at one or more."""

    active: bool

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults if faults is not None else Faults()
        self._get = sys.get_coroutine_origin_tracking_depth
        self._set = sys.set_coroutine_origin_tracking_depth
        # By thread, for those that are tracked: the depth that other code has set.
        self._visible = threading.local()
        self.active = False

    def arm(self, patches: Patches) -> None:
        """Track in the current thread, and hide that from other code."""
        self._get = sys.get_coroutine_origin_tracking_depth
        self._set = sys.set_coroutine_origin_tracking_depth
        patches.wrap(sys, "get_coroutine_origin_tracking_depth", self._make_get)
        patches.wrap(sys, "set_coroutine_origin_tracking_depth", self._make_set)
        self.active = True
        self.track()

    def disarm(self) -> None:
        """In the current thread, restore the depth that other code has set."""
        self.active = False
        self.untrack()

    def track(self) -> bool:
        """Track in the current thread. False if it was tracked already, or if tracking is off."""
        if not self.active or hasattr(self._visible, "depth"):
            return False
        self._visible.depth = self._get()
        self._set(max(_DEPTH, self._visible.depth))
        return True

    def untrack(self) -> None:
        """Stop tracking in the current thread."""
        if hasattr(self._visible, "depth"):
            self._set(self._visible.depth)
            del self._visible.depth

    def visible_depth(self) -> int:
        """The depth that other code has set in the current thread."""
        depth: int = getattr(self._visible, "depth", -1)
        return depth if depth >= 0 else self._get()

    def _make_get(self, original: Any) -> Any:
        def get_coroutine_origin_tracking_depth() -> int:
            with self._faults.guard("origins"):
                return self.visible_depth()
            depth = int(original())
            return 0 if self.active and depth == _DEPTH else depth

        return get_coroutine_origin_tracking_depth

    def _make_set(self, original: Any) -> Any:
        def set_coroutine_origin_tracking_depth(depth: int) -> None:
            if self.active and hasattr(self._visible, "depth"):
                original(max(_DEPTH, depth) if isinstance(depth, int) and depth >= 0 else depth)
                self._visible.depth = depth
            else:
                original(depth)

        return set_coroutine_origin_tracking_depth
