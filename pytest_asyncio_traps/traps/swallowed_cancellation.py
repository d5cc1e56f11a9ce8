"""Tasks that were cancelled and ended as if they had not been."""

from __future__ import annotations

import asyncio
import sys
from asyncio import tasks
from collections.abc import Callable
from typing import Any, ClassVar

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
from ..core.stacks import KINDS
from ..core.trap import Trap, When
from ..core.watch import is_harness, is_reported
from ..model.finding import Finding

#: On a task: how many requests to cancel it are not its own to answer.
_EXCUSED = "_asyncio_traps_excused"


class SwallowedCancellation(Trap):
    """A task counts the requests to cancel it; timeout() and TaskGroup take theirs back.

    So a task that returned while a request stands was cancelled from outside, and
    caught that.
    """

    kind = "swallowed-cancellation"
    enabled: ClassVar[When] = "strict"
    title = "a cancellation was swallowed"
    advice = (
        "Clean up in a finally block, or raise again at the end of except CancelledError: "
        "whoever cancelled the task relies on its end."
    )

    def arm(self) -> None:
        watch = self.watch
        watch.on_step_end.append(self._step_ended)
        # A group that cancelled its own task may forget to take that back: always before
        # Python 3.13, later when a child ends in SystemExit or KeyboardInterrupt.
        watch.patches.wrap(asyncio.TaskGroup, "__aexit__", self._make_aexit)
        if sys.version_info < (3, 12):
            # There, wait_for() cancels a task of its own; its timeout is the answer.
            watch.patches.wrap(tasks, "_cancel_and_wait", self._make_cancel_and_wait)

    def _step_ended(self, callback: Any) -> None:
        task = owner_of_method(callback)
        if (
            not is_a(task, asyncio.Task)
            or not is_done(task)
            or is_cancelled(task)
            or cancel_requests(task) <= (ask(task, _EXCUSED) or 0)
            or exception_of(task) is not None
            or is_reported(task)
        ):
            return
        watch = self.watch
        made = watch.created_at(task)
        coroutine = coroutine_of(task)
        code = code_of(coroutine)
        if code is None or KINDS[code.co_filename] == ASYNCIO:
            return  # asyncio's own ways to cancel and to be cancelled
        if is_harness(coroutine, made[0] if made else None):
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
                    _excuse(group)

        return __aexit__

    def _make_cancel_and_wait(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def _cancel_and_wait(future: Any, *args: Any, **kwargs: Any) -> Any:
            with self.watch.faults.guard(self.kind):
                if is_a(future, asyncio.Task):
                    put(future, _EXCUSED, cancel_requests(future) + 1)
            return await original(future, *args, **kwargs)

        return _cancel_and_wait


def _excuse(group: asyncio.TaskGroup) -> None:
    """The task that ``group`` is in does not answer for what the group has forgotten to undo."""
    task = ask(group, "_parent_task")
    if task is not None and ask(group, "_parent_cancel_requested") is True:
        forgotten = sys.version_info < (3, 13) or ask(group, "_base_error") is not None
        if forgotten:
            put(task, _EXCUSED, cancel_requests(task))
