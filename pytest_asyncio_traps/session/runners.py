"""Test runners that do not leave alone what the plugin goes by.

anyio's context does not say which test is running; aiohttp's plugin records
the warnings of each test; tornado's test case cancels what a test has left by
itself, not by `asyncio.Runner`.
"""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from ..core.objects import ask, is_closed
from ..core.ownership import TENURE
from ..core.watch import Watch


class RunnerHooks:
    """Hooks into test runners, each as soon as somebody has imported it."""

    #: How many modules were known when the hooks were last looked for.
    known: int

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._missing = list(_HOOKS)
        self.known = -1

    def refresh(self) -> None:
        """A test or fixture is about to begin: hook into what has been imported meanwhile."""
        self.known = len(sys.modules)
        for hook in self._missing:
            target: Any = sys.modules.get(hook.module)
            if hook.cls is not None:
                target = getattr(target, hook.cls, None)
            if target is None:
                if hook.module in sys.modules:
                    self.known = -1  # not imported to the end: look again
                continue
            self._missing = [other for other in self._missing if other is not hook]
            if hasattr(target, hook.name):
                with self._watch.faults.guard(hook.module):
                    self._watch.patches.wrap(target, hook.name, hook.make(self._watch))


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


def _make_warning_context(watch: Watch) -> Callable[[Any], Any]:
    # The warnings that aiohttp's plugin records pass for shown: no test asserts them.
    def make(original: Callable[[], AbstractContextManager[None]]) -> Callable[..., Any]:
        @contextmanager
        def _runtime_warning_context() -> Iterator[None]:
            __tracebackhide__ = True
            with original():
                before = None
                with watch.faults.guard("warnings"):
                    before = watch.warning_monitor.harness_begins()
                try:
                    yield
                finally:
                    with watch.faults.guard("warnings"):
                        watch.warning_monitor.harness_ends(before)

        return _runtime_warning_context

    return make


def _make_tear_down(watch: Watch) -> Callable[[Any], Any]:
    # The case is about to cancel the tasks that are left.
    def make(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def tearDown(self: Any) -> None:
            __tracebackhide__ = True
            with watch.faults.guard("tornado.testing"):
                loop = ask(ask(self, "io_loop"), "asyncio_loop")
                if watch.active and loop is not None and not is_closed(loop):
                    watch.events.loop_abandoned(loop)
            original(self)

        return tearDown

    return make


class _Hook(NamedTuple):
    """A function ``name`` of a module, or of a class in it, and what takes its place."""

    module: str
    cls: str | None
    name: str
    make: Callable[[Watch], Callable[[Any], Any]]


_HOOKS = (
    _Hook("anyio._backends._asyncio", "TestRunner", "_call_in_runner_task", _make_call),
    _Hook("anyio._backends._trio", "TestRunner", "_call_in_runner_task", _make_call),
    _Hook("aiohttp.pytest_plugin", None, "_runtime_warning_context", _make_warning_context),
    _Hook("tornado.testing", "AsyncTestCase", "tearDown", _make_tear_down),
)
