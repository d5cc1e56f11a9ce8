"""A watched loop reads as one in debug mode to user code only: see `loops.debug`."""

from __future__ import annotations

import sys
from asyncio import coroutines
from collections.abc import Callable
from types import CodeType
from typing import Any

from ...compat import asyncio as private
from ...core.objects import put
from ...core.stacks import module_of
from ...core.watch import Watch
from .. import debug
from ..debug import MAKING, QUIET

_getframe = sys._getframe
_reads_module_names = hasattr(sys, "_getframemodulename")  # from Python 3.12 on


def make_get_debug(watch: Watch, original: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """asyncio asks for each future, task and handle: the way to False is the shortest possible."""
    if _reads_module_names:

        def get_debug(self: Any) -> bool:
            if self._debug:
                return True
            if MAKING[0]:
                return False
            try:
                return module_of(1) not in QUIET and watch.active and debug.shown(self)
            except Exception as exc:
                watch.faults.record("loops", exc)
                return False

    else:

        def get_debug(self: Any) -> bool:
            if self._debug:
                return True
            if MAKING[0]:
                return False
            try:
                # `module_of` would be one more call here.
                name = _getframe(1).f_globals.get("__name__")
                return name not in QUIET and watch.active and debug.shown(self)
            except Exception as exc:
                watch.faults.record("loops", exc)
                return False

    return get_debug


def make_set_debug(
    watch: Watch, original: Callable[..., None], init_code: CodeType | None
) -> Callable[..., None]:
    """``init_code`` is the code of the loop's constructor, which sets debug mode itself."""
    switches = vars(coroutines)
    switch = switches.get(private.DEBUG_SWITCH)

    def set_debug(self: Any, enabled: bool) -> None:
        by_init = False
        try:
            by_init = sys._getframe(1).f_code is init_code
            if enabled or by_init or not watch.active:
                pass
            elif debug.by_harness(sys._getframe(1)):
                return
        except Exception as exc:
            watch.faults.record("loops", exc)
        original(self, enabled)
        try:
            # The constructor sets what the environment says, which the code under test did not
            # ask for, unless that code has replaced asyncio's switch.
            if watch.active and (not by_init or switches.get(private.DEBUG_SWITCH) is not switch):
                put(self, debug.EXPLICIT, bool(enabled))
        except Exception as exc:
            watch.faults.record("loops", exc)

    return set_debug
