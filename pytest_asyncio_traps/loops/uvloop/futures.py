"""``create_future``, which returns a future that notes where it is completed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.watch import Watch
from ..futures import make_future_class
from .runner import runner_of


def make_create_future(watch: Watch, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Also in uvloop's own debug mode, which takes no tracebacks of futures worth keeping."""
    future_class = make_future_class(watch, "_loop._asyncio_traps_runner")

    def create_future(self: Any) -> Any:
        if not watch.active:
            return original(self)
        try:
            runner_of(self)
        except Exception as exc:
            watch.faults.record("uvloop", exc)
        else:
            return future_class(loop=self)
        return original(self)

    return create_future
