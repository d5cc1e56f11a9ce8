"""Tasks that are still pending when their owner ends."""

from __future__ import annotations

import asyncio
import sys
from asyncio import runners
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from ..compat import asyncio as private
from ..core.awaits import await_chain, unawaited
from ..core.contexts import DESTROYED, subject
from ..core.coroutines import is_unstarted
from ..core.creation import LIBRARYS
from ..core.harness import is_harness, user_has_handler
from ..core.holders import is_held
from ..core.objects import (
    ask,
    call,
    cancel_requests,
    code_of,
    coroutine_of,
    extra_of,
    frame_of,
    is_a,
    is_any,
    is_done,
    task_name,
    waits_for,
)
from ..core.ownership import Tenure
from ..core.paths import LIBRARY
from ..core.places import codes_of, name_of, waits_at
from ..core.reported import is_reported, set_reported
from ..core.reprs import shown
from ..core.stacks import KINDS, is_user
from ..core.tasks import pending_tasks
from ..core.trap import BuiltinTrap
from ..core.watch import Watch
from ..model.finding import Finding


class PendingTask(BuiltinTrap):
    """A runner has to cancel the task, its loop closes, or it is destroyed while pending.

    asyncio.run, pytest-asyncio, unittest and anyio all use `asyncio.Runner`, which cancels
    the pending tasks in one function. On a loop that outlives the test, that moment comes
    only when the loop itself ends. A task that ended before, in a fixture's teardown for
    example, is no leak.
    """

    kind = "pending-task"
    title = "a task was left pending"
    advice = (
        "Await the task, or cancel it and await it, before the test or fixture that created it "
        "ends; or start it in an asyncio.TaskGroup."
    )

    # -- the moments at which a task counts as left ------------------------

    def arm(self) -> None:
        if private.RUNNERS.holds:
            self.watch.patches.wrap(runners, private.CANCEL_ALL, self._make_cancel_all)

    def _make_cancel_all(self, original: Callable[..., None]) -> Callable[..., None]:
        watch = self.watch

        def _cancel_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
            if watch.active and not watch.faults.is_off(self.kind):
                with watch.faults.guard(self.kind):
                    self._check_abandoned(loop)
            original(loop)

        return _cancel_all_tasks

    def loop_abandoned(self, loop: asyncio.AbstractEventLoop) -> None:
        # A library's test case cancels the library's own tasks by design.
        self._check_abandoned(loop, by_user=True)

    def loop_cut_short(self, loop: asyncio.AbstractEventLoop) -> None:
        # A test that timed out, for example: its tasks, including the one that runs the test,
        # had no chance to end.
        for task in pending_tasks(loop):
            set_reported(task)

    def loop_closing(self, loop: asyncio.AbstractEventLoop) -> None:
        left = [task for task in self._users_tasks(loop) if not _is_closed(task)]
        if left:
            self._report_all(left, "Its loop was closed while it was pending: it never ends.", True)

    def exception_handler_called(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        task = context.get("task")
        if (
            task is None
            or subject(context) != DESTROYED
            or is_reported(task)
            or user_has_handler(loop)
        ):
            return
        if self._is_users(task):
            self._report_all([task], "Garbage-collected while still pending.", True)

    def _check_abandoned(self, loop: asyncio.AbstractEventLoop, by_user: bool = False) -> None:
        """The pending tasks of ``loop`` are about to be cancelled.

        ``by_user`` limits the check to tasks that a line of the user's made.
        """
        exc = sys.exception()
        if exc is not None and is_any(exc, SystemExit, KeyboardInterrupt):
            return  # the run was cut short: no task had a chance to end
        left = self._users_tasks(loop)
        if not left:
            return
        if by_user:
            left = [task for task in left if is_user(self.watch.creation_mark(task))]
        ending = {task for task in left if _is_ending(task)}
        if ending:
            # One more turn of the loop may end these. But a task that has not begun would begin
            # in that turn, which it never does without the plugin. If there is one, the tasks
            # that may end are not judged.
            if any(_is_unstarted(task) for task in left):
                left = [task for task in left if task not in ending]
            else:
                loop.call_soon(loop.stop)
                loop.run_forever()
                left = [task for task in left if not is_done(task)]
        self._report_all(
            left, "Still pending when its loop was shut down; the runner cancelled it."
        )

    # -- whose a task is ---------------------------------------------------

    def _users_tasks(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
        left = pending_tasks(loop)
        return [task for task in left if self._is_users(task)] if left else left

    def _is_users(self, task: asyncio.Task[Any]) -> bool:
        return is_a(task, asyncio.Future) and not is_harness(
            coroutine_of(task), self.watch.creation_mark(task)
        )

    def _serves_open_client(self, task: asyncio.Task[Any]) -> bool:
        """Whether asyncio started ``task`` for a connection whose other end is left open, too.

        The task would end with that other end, which is the cause and has its own finding.
        """
        creation = self.watch.created_at(task)
        frame = frame_of(coroutine_of(task))
        if creation is None or creation[0] is not None or frame is None:
            return False
        for value in frame.f_locals.values():
            if not is_a(value, asyncio.StreamWriter):
                continue
            peer = extra_of(ask(value, private.WRITER_TRANSPORT), "peername")
            for other in list(self.watch.transports) if peer else ():
                if self.watch.creation_mark(other) is None:
                    continue
                if call(other, "is_closing", True) is not False:
                    continue
                if extra_of(other, "sockname") == peer:
                    return True
        return False

    # -- reports -----------------------------------------------------------

    def _report_all(self, tasks: list[asyncio.Task[Any]], how: str, last: bool = False) -> None:
        """Report the causes among ``tasks``. ``last``: none of them takes another step."""
        watch = self.watch
        kept: set[int] = set()
        for task in _causes(tasks, watch):
            if is_reported(task):
                continue
            if _is_kept_from_the_user(task, tasks):
                kept.add(id(task))
                continue
            part_of = "unclosed-transport" if self._serves_open_client(task) else ""
            self._report(task, how, part_of)
        for task in tasks:
            set_reported(task)
            if id(task) not in kept:
                watch.reported.add_task(watch.tenure_of(task), coroutine_of(task))
            if last and _is_unstarted(task):
                # Python will warn that its coroutine was never awaited: the same cause.
                watch.reported.add_coroutine(coroutine_of(task))

    def _report(self, task: asyncio.Task[Any], how: str, part_of: str) -> None:
        coroutine = coroutine_of(task)
        started = not _is_unstarted(task)
        location = waits_at(coroutine) if started else None
        where = "" if started else ", without having taken its first step"
        tenure: Tenure = self.watch.tenure_of(task)
        notes: tuple[str, ...] = (how,)
        name = task_name(task)
        if name and not name.startswith("Task-"):
            notes = (f"Its name is {shown(name)}.", how)
        origin, label = self.watch.origin_of_task(task)
        trace = self.watch.trace_of(task)
        self.watch.report(
            Finding(
                self.kind,
                f"task running {name_of(coroutine)!r} was left pending{where}",
                self.advice,
                tenure.owner,
                origin=origin,
                origin_label=label,
                location=location,
                location_label="waiting at",
                notes=notes,
                subject=name_of(coroutine),
                part_of=part_of,
                trace=trace,
                waits=await_chain(task) if started else (),
            )
        )


def _causes(tasks: list[asyncio.Task[Any]], watch: Watch) -> list[asyncio.Task[Any]]:
    """Of ``tasks``, those that neither wait for the end of another one nor were made by one.

    The task that made another one has to end it.
    """
    codes = {id(task): codes_of(coroutine_of(task)) for task in tasks}
    owners = {id(task): watch.tenure_of(task).owner for task in tasks}
    causes = []
    for task in unawaited(tasks):
        mark = watch.creation_mark(task)
        if mark is not None and any(
            mark[0] in running
            and key != id(task)
            and owners[key] == owners[id(task)]
            and mark[0] not in codes[id(task)]
            for key, running in codes.items()
        ):
            continue
        causes.append(task)
    return causes or tasks


def _is_kept_from_the_user(task: Any, tasks: list[Any]) -> bool:
    """Whether installed code made ``task``, which runs installed code, and keeps it to itself.

    Then the user has no means to end it: nothing refers to it, or only the library's globals.
    """
    if ask(task, LIBRARYS) is not True:
        return False
    code = code_of(coroutine_of(task))
    if code is None or KINDS[code.co_filename] != LIBRARY:
        return False
    return not is_held(task, (tasks, task))


def _is_unstarted(task: asyncio.Task[Any]) -> bool:
    coroutine = coroutine_of(task)
    return type(coroutine) is CoroutineType and is_unstarted(coroutine)


def _is_closed(task: asyncio.Task[Any]) -> bool:
    """Whether the coroutine of a pending task was closed: nothing is left to run.

    This is how to get rid of a task whose loop does not run again.
    """
    coroutine = coroutine_of(task)
    return type(coroutine) is CoroutineType and coroutine.cr_frame is None


def _is_ending(task: asyncio.Task[Any]) -> bool:
    """Whether a task has been cancelled, or its next step is due."""
    if _is_unstarted(task):
        return False
    waiter = waits_for(task)
    return bool(cancel_requests(task)) or waiter is None or is_done(waiter)
