"""Test runners whose context does not say which test is running."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from .core.ownership import TENURE
from .core.watch import Watch


def arm_harness(watch: Watch) -> None:
    """Hook into anyio's runner, if its plugin is loaded."""
    if "anyio" not in sys.modules:
        return
    with watch.faults.guard("anyio"):
        try:
            backend = importlib.import_module("anyio._backends._asyncio")
        except ImportError:
            return
        runner = getattr(backend, "TestRunner", None)
        if runner is not None and hasattr(runner, "_call_in_runner_task"):
            watch.patches.wrap(runner, "_call_in_runner_task", _make_call(watch))


def _make_call(watch: Watch) -> Callable[[Any], Any]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        # One task runs all tests and fixtures of anyio's runner, each inheriting the
        # context of the first: so each has to be told anew whose time it is.
        async def _call_in_runner_task(self: Any, func: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not watch.active:
                return await original(self, func, *args, **kwargs)
            tenure = watch.ownership.running

            @functools.wraps(func)
            async def owned(*args: Any, **kwargs: Any) -> Any:
                TENURE.set(tenure)
                return await func(*args, **kwargs)

            return await original(self, owned, *args, **kwargs)

        return _call_in_runner_task

    return make
