"""Hooks into the implementations of event loops, one package for each.

`stdlib` is for asyncio's own loops, `uvloop` for uvloop. The modules beside them hold what both
use.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from asyncio import base_events
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ..core.faults import Faults
from ..core.objects import ask, class_path, is_a
from ..core.watch import Watch
from ..model.text import clean
from . import stdlib


def arm(watch: Watch) -> None:
    """Hook into each implementation that is installed; report loops of others as a blind spot."""
    stdlib.arm(watch)
    _arm_for_uvloop(watch)

    def check(loop: asyncio.AbstractEventLoop) -> bool:
        # A subclass of uvloop's loop may be in any module.
        of_uvloop = any("uvloop" in str(ask(base, "__module__")) for base in type(loop).__mro__)
        if not is_a(loop, base_events.BaseEventLoop) and not of_uvloop:
            watch.blind(
                clean(f"loops of {class_path(loop)}"),
                "only asyncio's loops, their subclasses and uvloop's have hooks",
            )
        return False

    watch.tracker.watch_type(asyncio.AbstractEventLoop, check)


def _arm_for_uvloop(watch: Watch) -> None:
    """Hook in now if uvloop is imported, otherwise when it is. The plugin never imports it."""

    def ready(module: ModuleType) -> None:
        with watch.faults.guard("uvloop"):
            from . import uvloop  # most runs do not need it

            uvloop.hook(watch, module.Loop)

    if "uvloop" in sys.modules:
        ready(sys.modules["uvloop"])
    else:
        finder = _ImportHook(ready, watch.faults)
        sys.meta_path.insert(0, finder)
        watch.at_end.append(finder.remove)


class _ImportHook:
    """A finder that calls ``ready`` with the module after the first import of uvloop."""

    def __init__(self, ready: Callable[[ModuleType], None], faults: Faults) -> None:
        self._ready = ready
        self._guarded = faults.guard("uvloop")

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "uvloop" or path is not None:
            return None
        removed = False
        with self._guarded:
            self.remove()
            removed = True
        if not removed:
            return None  # the next finder is asked
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        with self._guarded:
            self._wrap(spec.loader)
        return spec

    def _wrap(self, loader: Any) -> None:
        execute, ready, guarded = loader.exec_module, self._ready, self._guarded

        def exec_module(module: ModuleType) -> None:
            execute(module)
            with guarded:
                ready(module)

        loader.exec_module = exec_module

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
