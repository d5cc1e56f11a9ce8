"""Tasks that were cancelled and returned as if they had not been."""

from __future__ import annotations

import asyncio
import sys
from asyncio import tasks
from collections.abc import Callable
from typing import Any, ClassVar

from ..compat import asyncio as private
from ..core.events import Handler
from ..core.harness import is_harness
from ..core.objects import (
    ask,
    cancel_requests,
    code_of,
    coroutine_of,
    exception_of,
    is_a,
    is_cancelled,
    is_done,
    owner_of_method,
    put,
)
from ..core.paths import ASYNCIO
from ..core.places import name_of
from ..core.reported import is_reported
from ..core.stacks import KINDS
from ..core.trap import BuiltinTrap, When
from ..model.finding import Finding

#: On a task: how many requests to cancel it do not count.
_EXEMPT = "_asyncio_traps_exempt"


class SwallowedCancellation(BuiltinTrap):
    """A task counts the requests to cancel it; timeout() and TaskGroup undo theirs.

    So if a request is left when the task returns, it was cancelled from outside, and caught
    that.
    """

    kind = "swallowed-cancellation"
    enabled: ClassVar[When] = "strict"
    title = "a cancellation was swallowed"
    advice = (
        "Clean up in a finally block, or raise again at the end of except CancelledError: "
        "the code that cancelled the task relies on its end."
    )

    def arm(self) -> None:
        watch = self.watch
        # A group that cancels its own task may fail to undo that: always before Python 3.13,
        # later if a child ends in SystemExit or KeyboardInterrupt.
        watch.patches.wrap(asyncio.TaskGroup, "__aexit__", self._make_aexit)
        if sys.version_info < (3, 12):
            # There, wait_for() cancels a task that it made; it answers by its timeout.
            watch.patches.wrap(tasks, private.CANCEL_AND_WAIT, self._make_cancel_and_wait)

    def handlers(self) -> dict[str, Handler]:
        # Without these attributes, a group's own cancellation would count as swallowed.
        return super().handlers() if private.TASK_GROUPS.holds else {}

    def step_ended(self, callback: Any) -> None:
        task = owner_of_method(callback)
        if (
            not is_a(task, asyncio.Task)
            or not is_done(task)
            or is_cancelled(task)
            or cancel_requests(task) <= (ask(task, _EXEMPT) or 0)
            or exception_of(task) is not None
            or is_reported(task)
        ):
            return
        watch = self.watch
        coroutine = coroutine_of(task)
        code = code_of(coroutine)
        if code is None or KINDS[code.co_filename] == ASYNCIO:
            return  # asyncio's own code knows what it cancels
        if is_harness(coroutine, watch.creation_mark(task)):
            return
        origin, label = watch.origin_of_task(task)
        watch.report(
            Finding(
                self.kind,
                f"task running {name_of(coroutine)!r} was cancelled, and returned as if it had "
                "not been",
                self.advice,
                watch.tenure_of(task).owner,
                origin=origin,
                origin_label=label,
                subject=name_of(coroutine),
            )
        )

    def _make_aexit(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def __aexit__(group: Any, *exc: Any) -> Any:
            try:
                return await original(group, *exc)
            finally:
                with self.watch.faults.guard(self.kind):
                    _exempt_task_of(group)

        return __aexit__

    def _make_cancel_and_wait(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def _cancel_and_wait(future: Any, *args: Any, **kwargs: Any) -> Any:
            with self.watch.faults.guard(self.kind):
                if is_a(future, asyncio.Task):
                    put(future, _EXEMPT, cancel_requests(future) + 1)
            return await original(future, *args, **kwargs)

        return _cancel_and_wait


def _exempt_task_of(group: asyncio.TaskGroup) -> None:
    """The request that ``group`` failed to undo does not count against the task that it is in."""
    task = ask(group, private.GROUP_PARENT)
    if task is not None and ask(group, private.GROUP_CANCELS_PARENT) is True:
        forgotten = sys.version_info < (3, 13) or ask(group, private.GROUP_BASE_ERROR) is not None
        if forgotten:
            put(task, _EXEMPT, cancel_requests(task))
