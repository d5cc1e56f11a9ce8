"""Test runners that do not leave alone what the plugin goes by.

anyio's context does not say which test is running; aiohttp's plugin records
the warnings of each test; tornado's test case cancels what a test has left by
itself, not by `asyncio.Runner`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .core.ownership import TENURE
from .core.watch import Watch

_BACKENDS = ("anyio._backends._asyncio", "anyio._backends._trio")


class AnyioRunners:
    """Tells anyio's runners whose time it is, as soon as anyio has imported them."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._missing = list(_BACKENDS)

    def refresh(self) -> None:
        """A test or fixture is about to begin: hook into what has been imported meanwhile."""
        for name in self._missing:
            module = sys.modules.get(name)
            runner = getattr(module, "TestRunner", None)
            if runner is not None:
                self._missing = [other for other in self._missing if other != name]
                if hasattr(runner, "_call_in_runner_task"):
                    with self._watch.faults.guard("anyio"):
                        self._watch.patches.wrap(
                            runner, "_call_in_runner_task", _make_call(self._watch)
                        )


def _make_call(watch: Watch) -> Callable[[Any], Any]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        # One task runs all tests and fixtures of anyio's runner, each inheriting the
        # context of the first: so each has to be told anew whose time it is.
        # (A coroutine function on asyncio, a plain one on trio: handed on as it is.)
        def _call_in_runner_task(self: Any, func: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not watch.active:
                return original(self, func, *args, **kwargs)
            tenure = watch.ownership.running

            @functools.wraps(func)
            async def owned(*args: Any, **kwargs: Any) -> Any:
                TENURE.set(tenure)
                return await func(*args, **kwargs)

            return original(self, owned, *args, **kwargs)

        return _call_in_runner_task

    return make


class AiohttpRecords:
    """Has warnings that aiohttp's plugin records pass for shown: no test asserts them."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._hooked = False

    def refresh(self) -> None:
        """A test is about to begin: hook into the plugin, if it has been loaded meanwhile."""
        plugin = None if self._hooked else sys.modules.get("aiohttp.pytest_plugin")
        if plugin is not None:
            self._hooked = True
            if hasattr(plugin, "_runtime_warning_context"):
                with self._watch.faults.guard("aiohttp"):
                    self._watch.patches.wrap(
                        plugin, "_runtime_warning_context", _make_warning_context(self._watch)
                    )


def _make_warning_context(watch: Watch) -> Callable[[Any], Any]:
    def make(original: Callable[[], AbstractContextManager[None]]) -> Callable[..., Any]:
        @contextmanager
        def _runtime_warning_context() -> Iterator[None]:
            __tracebackhide__ = True
            with original(), watch.witness.harness_records():
                yield

        return _runtime_warning_context

    return make


class TornadoTests:
    """Has the tasks looked at that tornado's test case is about to cancel."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._hooked = False

    def refresh(self) -> None:
        """A test is about to begin: hook into the test case, if it was imported meanwhile."""
        module = None if self._hooked else sys.modules.get("tornado.testing")
        case = getattr(module, "AsyncTestCase", None)
        if case is not None:
            self._hooked = True
            if hasattr(case, "tearDown"):
                with self._watch.faults.guard("tornado"):
                    self._watch.patches.wrap(case, "tearDown", _make_tear_down(self._watch))


def _make_tear_down(watch: Watch) -> Callable[[Any], Any]:
    def make(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def tearDown(self: Any) -> None:
            __tracebackhide__ = True
            loop = getattr(getattr(self, "io_loop", None), "asyncio_loop", None)
            if watch.active and loop is not None and not loop.is_closed():
                watch.loop_abandoned(loop)
            original(self)

        return tearDown

    return make
