"""The methods of a loop that see async generators begin and end; uvloop's have the same names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..compat import asyncio as private
from ..core.watch import Watch


def _make_firstiter(watch: Watch, original: Callable[..., None]) -> Callable[..., None]:
    guarded = watch.faults.guard("loops")

    def _asyncgen_firstiter_hook(self: Any, agen: Any) -> None:
        with guarded:
            watch.events.asyncgen_begun(self, agen, sys._getframe(1))
        original(self, agen)

    return _asyncgen_firstiter_hook


def _make_finalizer(watch: Watch, original: Callable[..., None]) -> Callable[..., None]:
    guarded = watch.faults.guard("loops")

    def _asyncgen_finalizer_hook(self: Any, agen: Any) -> None:
        with guarded:
            watch.events.asyncgen_dropped(self, agen)
        original(self, agen)

    return _asyncgen_finalizer_hook


def _make_shutdown(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    async def shutdown_asyncgens(self: Any) -> None:
        try:
            watch.events.asyncgens_shut(self)
        except Exception as exc:
            watch.faults.record("loops", exc)
        await original(self)

    return shutdown_asyncgens


def makers() -> dict[str, Callable[..., Any]]:
    """By the name of a method, the function that makes its replacement."""
    if not private.ASYNCGEN_HOOKS.holds:
        return {}
    return {
        private.ASYNCGEN_BEGINS: _make_firstiter,
        private.ASYNCGEN_DROPPED: _make_finalizer,
        "shutdown_asyncgens": _make_shutdown,
    }
