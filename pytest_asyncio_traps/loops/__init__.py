"""Hooks into the implementations of event loops, one file for each."""

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
    """Hook into every implementation that can be found; name those that cannot be watched."""
    stdlib.arm(watch)
    _arm_for_uvloop(watch)

    def meet(loop: asyncio.AbstractEventLoop) -> bool:
        # A subclass of uvloop's lies in a module of its own.
        of_uvloop = any("uvloop" in str(ask(base, "__module__")) for base in type(loop).__mro__)
        if not is_a(loop, base_events.BaseEventLoop) and not of_uvloop:
            watch.blind(
                clean(f"loops of {class_path(loop)}"),
                "only asyncio's loops, their subclasses and uvloop's have hooks",
            )
        return False

    watch.tracker.watch_type(asyncio.AbstractEventLoop, meet)


def _arm_for_uvloop(watch: Watch) -> None:
    """Hook in now, or as soon as uvloop is imported: importing it is not for us to do."""

    def ready(module: ModuleType) -> None:
        with watch.faults.guard("uvloop"):
            from . import uvloop  # most runs can do without

            uvloop.hook(watch, module.Loop)

    if "uvloop" in sys.modules:
        ready(sys.modules["uvloop"])
    else:
        finder = _WhenImported(ready, watch.faults)
        sys.meta_path.insert(0, finder)
        watch.at_end.append(finder.remove)


class _WhenImported:
    """Calls back once uvloop has been imported by whoever needs it."""

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
            return None  # the finders after this one go on
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        with self._guarded:
            self._attend(spec.loader)
        return spec

    def _attend(self, loader: Any) -> None:
        execute, ready, guarded = loader.exec_module, self._ready, self._guarded

        def exec_module(module: ModuleType) -> None:
            execute(module)
            with guarded:
                ready(module)

        loader.exec_module = exec_module

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
