"""Hooks into the implementations of event loops, one file for each."""

from __future__ import annotations

from ..core.watch import Watch
from . import stdlib, uvloop


def arm(watch: Watch) -> None:
    """Hook into every implementation that can be found."""
    stdlib.arm(watch)
    uvloop.arm(watch)
