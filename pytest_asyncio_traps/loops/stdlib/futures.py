"""``create_future``, which returns a future that notes where it is completed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ...core.stacks import module_of
from ...core.threads import ALONE
from ...core.watch import Watch
from ..debug import KEEPS_ITS_FUTURES, MAKING
from ..futures import make_future_class

_Future: Any = asyncio.Future


def make_create_future(watch: Watch, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    future_class = make_future_class(watch, "_loop")

    def create_future(self: Any) -> Any:
        if self._debug:
            slow: Any = original(self)
            with watch.faults.guard("loops"):
                if slow._source_traceback:
                    del slow._source_traceback[-2]
            return slow
        try:
            cls = _Future if module_of(1) in KEEPS_ITS_FUTURES else future_class
        except Exception as exc:
            watch.faults.record("loops", exc)
            cls = _Future
        # The constructor asks for debug mode: the shortest way to say no.
        MAKING[0] = ALONE[0]
        try:
            return cls(loop=self)
        finally:
            MAKING[0] = False

    return create_future
