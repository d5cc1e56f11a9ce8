"""``_start_serving``, with which a server's connections begin to belong to its owner."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...compat import asyncio as private
from ...core.watch import Watch


def arm(watch: Watch) -> None:
    """Replace ``_start_serving`` of the classes that this system has."""
    for cls in private.serving_loops():
        watch.patches.wrap(cls, private.START_SERVING, partial(_make_start_serving, watch))


def _make_start_serving(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    guarded = watch.faults.guard("loops")

    def _start_serving(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not watch.active:
            return original(self, *args, **kwargs)
        before: Any = None
        with guarded:
            before = watch.ownership.begin_serving("a server")
        try:
            return original(self, *args, **kwargs)
        finally:
            with guarded:
                watch.ownership.end_serving(before)

    return _start_serving
