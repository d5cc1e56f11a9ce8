"""A watched loop reads as one in debug mode to user code only: see `loops.debug`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ...core.objects import put
from ...core.watch import Watch
from .. import debug
from .runner import runner_of


def make_get_debug(watch: Watch, original: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def get_debug(self: Any) -> bool:
        if original(self):
            return True
        try:
            return watch.active and debug.shown(self)
        except Exception as exc:
            watch.faults.record("uvloop", exc)
            return False

    return get_debug


def make_set_debug(watch: Watch, original: Callable[..., None]) -> Callable[..., None]:
    guarded = watch.faults.guard("uvloop")

    def set_debug(self: Any, enabled: bool) -> None:
        with guarded:
            if not enabled and watch.active and debug.by_harness(sys._getframe(1)):
                return
        original(self, enabled)
        with guarded:
            runner_of(self).debug = bool(enabled)
            if watch.active:
                put(self, debug.EXPLICIT, bool(enabled))

    return set_debug
