"""Hooks into the implementations of event loops, one file for each."""

from __future__ import annotations

import asyncio
from asyncio import base_events

from ..core.objects import ask, class_path
from ..core.text import clean
from ..core.watch import Watch
from . import stdlib, uvloop


def arm(watch: Watch) -> None:
    """Hook into every implementation that can be found; name those that cannot be watched."""
    stdlib.arm(watch)
    uvloop.arm(watch)

    def meet(loop: asyncio.AbstractEventLoop) -> bool:
        # A subclass of uvloop's lies in a module of its own.
        of_uvloop = any("uvloop" in str(ask(base, "__module__")) for base in type(loop).__mro__)
        if not isinstance(loop, base_events.BaseEventLoop) and not of_uvloop:
            watch.blind(
                clean(f"loops of {class_path(loop)}"),
                "only asyncio's loops, their subclasses and uvloop's have hooks",
            )
        return False

    watch.census.watch_type(asyncio.AbstractEventLoop, meet)
