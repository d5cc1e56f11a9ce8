"""Replacements of functions of test runners that hide from the plugin what it needs to know.

anyio runs all tests in one task, whose context does not say which test is running. aiohttp's
plugin records the warnings of each test. tornado's test case, not `asyncio.Runner`, cancels the
tasks that a test leaves behind.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from ..compat import runners
from ..core.objects import ask, is_closed
from ..core.ownership import TENURE
from ..core.watch import Watch


class RunnerHooks:
    """Replaces functions of test runners, each once the user's code has imported its module."""

    #: How many modules were imported when `refresh` last looked for runners.
    known: int

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._waiting = list(_REPLACEMENTS)
        self.known = -1

    def refresh(self) -> None:
        """Before a test or fixture: replace functions of modules imported since the last call."""
        self.known = len(sys.modules)
        self._watch.events.modules_imported()
        for replacement in tuple(self._waiting):
            function, make = replacement
            target: Any = sys.modules.get(function.module)
            if function.cls is not None:
                target = getattr(target, function.cls, None)
            if target is None:
                if function.module in sys.modules:
                    self.known = -1  # the import of the module is under way: look again
                continue
            self._waiting.remove(replacement)
            with self._watch.faults.guard(function.module):
                if hasattr(target, function.name):
                    self._watch.patches.wrap(target, function.name, make(self._watch))
                else:
                    reason = f"this version has no {function.module}.{function.qualname}"
                    self._watch.blind(function.lost, reason)


def _in_context_of_owner(watch: Watch) -> Callable[[Any], Any]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        # One task runs all tests and fixtures of anyio's runner, and each inherits the context of
        # the first. So the context is set anew before each of them.
        # (`original` is a coroutine function on asyncio and a plain one on trio; what it returns
        # is passed on unchanged.)
        def call_in_runner_task(self: Any, func: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not watch.active:
                return original(self, func, *args, **kwargs)
            tenure = watch.ownership.running

            @functools.wraps(func)
            async def owned(*args: Any, **kwargs: Any) -> Any:
                TENURE.set(tenure)
                return await func(*args, **kwargs)

            return original(self, owned, *args, **kwargs)

        return call_in_runner_task

    return make


def _with_warnings_shown(watch: Watch) -> Callable[[Any], Any]:
    # No test asserts the warnings that aiohttp's plugin records: they count as shown.
    def make(original: Callable[[], AbstractContextManager[None]]) -> Callable[..., Any]:
        @contextmanager
        def warning_context() -> Iterator[None]:
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

        return warning_context

    return make


def _after_a_look_at_tasks(watch: Watch) -> Callable[[Any], Any]:
    # The test case is about to cancel the tasks that are left.
    def make(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def tear_down(self: Any) -> None:
            __tracebackhide__ = True
            with watch.faults.guard(runners.TORNADO_TEAR_DOWN.module):
                loop = ask(ask(self, "io_loop"), "asyncio_loop")
                if watch.active and loop is not None and not is_closed(loop):
                    watch.events.loop_abandoned(loop)
            original(self)

        return tear_down

    return make


#: What is replaced, and by the result of which function.
_REPLACEMENTS: Final = (
    (runners.ANYIO_ON_ASYNCIO, _in_context_of_owner),
    (runners.ANYIO_ON_TRIO, _in_context_of_owner),
    (runners.AIOHTTP_WARNINGS, _with_warnings_shown),
    (runners.TORNADO_TEAR_DOWN, _after_a_look_at_tasks),
)
