"""Tasks that were still pending when their owner's time was over."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from asyncio import runners
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from ..core.contexts import DESTROYED, subject
from ..core.holders import is_held
from ..core.objects import (
    ask,
    awaited_by,
    call,
    callbacks_of,
    cancel_requests,
    children_of,
    code_of,
    coroutine_of,
    extra_of,
    frame_of,
    is_a,
    is_any,
    is_done,
    owner_of_method,
    task_name,
    waits_for,
)
from ..core.ownership import Tenure
from ..core.paths import LIBRARY
from ..core.places import chain_of, codes_of, name_of, waits_at
from ..core.reprs import shown
from ..core.stacks import KINDS, is_user
from ..core.trap import Trap
from ..core.watch import LIBRARYS, Watch, is_harness, is_reported, pending, set_reported
from ..model.finding import Finding, Place


class PendingTask(Trap):
    """A task is left when a runner has to cancel it, when its loop closes, or when it is destroyed.

    `asyncio.Runner` is behind asyncio.run, pytest-asyncio, unittest and anyio
    alike, and cancels what is left in one function. On a loop that outlives the
    test, that moment comes when the loop's own time is over; a task that ended
    before, in a fixture's teardown say, was nobody's leak.
    """

    kind = "pending-task"
    title = "a task was left pending"
    advice = (
        "Await the task, or cancel it and await it, before the test or fixture that made it "
        "ends; or start it in an asyncio.TaskGroup."
    )

    def arm(self) -> None:
        self.watch.patches.wrap(runners, "_cancel_all_tasks", self._make_cancel_all)
        self.watch.on_loop_abandoned.append(self._given_up)
        self.watch.on_loop_closing.append(self._closing)
        self.watch.on_loop_cut_short.append(self._cut_short)
        self.watch.on_context.append(self._context)

    def _make_cancel_all(self, original: Callable[..., None]) -> Callable[..., None]:
        watch = self.watch

        def _cancel_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
            if watch.active and not watch.faults.is_off(self.kind):
                with watch.faults.guard(self.kind):
                    self._abandoned(loop)
            original(loop)

        return _cancel_all_tasks

    def _given_up(self, loop: asyncio.AbstractEventLoop) -> None:
        # A library's test case cancels by design what the library itself has begun.
        self._abandoned(loop, by_user=True)

    def _abandoned(self, loop: asyncio.AbstractEventLoop, by_user: bool = False) -> None:
        exc = sys.exception()
        if exc is not None and is_any(exc, SystemExit, KeyboardInterrupt):
            return  # the run was cut short: nothing in it had its time
        left = self._users(loop)
        if not left:
            return
        if by_user:
            made = self.watch.created_at
            left = [task for task in left if is_user((made(task) or (None,))[0])]
        ending = {task for task in left if _is_ending(task)}
        if ending:
            # The next turn of the loop may be the last of these. A task that has not
            # begun would begin in that turn, and do what it never does without us: then
            # those that may end go unjudged.
            if any(_is_unstarted(task) for task in left):
                left = [task for task in left if task not in ending]
            else:
                loop.call_soon(loop.stop)
                loop.run_forever()
                left = [task for task in left if not is_done(task)]
        self._report_all(left, "It was left for the runner to cancel.")

    def _cut_short(self, loop: asyncio.AbstractEventLoop) -> None:
        # A test that timed out, say: its tasks did not have their time, the one that runs
        # the test among them.
        for task in pending(loop):
            set_reported(task)

    def _closing(self, loop: asyncio.AbstractEventLoop) -> None:
        left = [task for task in self._users(loop) if not _is_over(task)]
        if left:
            self._report_all(left, "Its loop was closed while it was pending: it never ends.", True)

    def _context(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("task")
        if (
            task is None
            or subject(context) != DESTROYED
            or is_reported(task)
            or self.watch.user_has_handler(loop)
        ):
            return
        if self._is_users(task):
            self._report_all([task], "Nothing referred to it any more: it was destroyed.", True)

    def _users(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
        left = pending(loop)
        return [task for task in left if self._is_users(task)] if left else left

    def _is_users(self, task: asyncio.Task[Any]) -> bool:
        return is_a(task, asyncio.Future) and not is_harness(
            coroutine_of(task), (self.watch.created_at(task) or (None,))[0]
        )

    def _report_all(self, tasks: list[asyncio.Task[Any]], how: str, last: bool = False) -> None:
        kept: set[int] = set()
        for task in _roots(tasks, self.watch):
            if is_reported(task):
                continue
            if _is_kept_from_the_user(task, tasks):
                kept.add(id(task))
                continue
            whole = "unclosed-transport" if self._serves_open_client(task) else ""
            self._report(task, how, whole)
        for task in tasks:
            set_reported(task)
            if id(task) not in kept:
                self.watch.left_behind(self.watch.tenure_of(task), coroutine_of(task))
            if last and _is_unstarted(task):
                # Its coroutine will say that nobody awaited it: part of the same cause.
                self.watch.explain(coroutine_of(task))

    def _serves_open_client(self, task: asyncio.Task[Any]) -> bool:
        """Whether asyncio started ``task`` for a connection whose other end is left open, too.

        Then that end is the cause, which is reported by itself: the task would end with it.
        """
        made = self.watch.created_at(task)
        frame = frame_of(coroutine_of(task))
        if made is None or made[0] is not None or frame is None:
            return False
        for value in frame.f_locals.values():
            if not is_a(value, asyncio.StreamWriter):
                continue
            peer = extra_of(ask(value, "_transport"), "peername")
            for other in list(self.watch.transports) if peer else ():
                maker = self.watch.created_at(other)
                if (
                    maker is None
                    or maker[0] is None
                    or call(other, "is_closing", True) is not False
                ):
                    continue
                if extra_of(other, "sockname") == peer:
                    return True
        return False

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
                waits=_waits(task) if started else (),
            )
        )


def _is_kept_from_the_user(task: Any, tasks: list[Any]) -> bool:
    """Whether installed code has begun ``task``, which runs code of its own, and keeps it.

    Then the user has no means to end it: nothing refers to it, or the library's globals do.
    """
    if ask(task, LIBRARYS) is not True:
        return False
    code = code_of(coroutine_of(task))
    if code is None or KINDS[code.co_filename] != LIBRARY:
        return False
    return not is_held(task, (tasks, task))


def _waits(task: Any) -> tuple[Place, ...]:
    """Where ``task`` waits, the outermost line first; of what it gathers, the first that waits."""
    chain: list[Place] = []
    seen: set[int] = set()
    while task is not None and id(task) not in seen and len(chain) < 100:
        seen.add(id(task))
        chain += chain_of(coroutine_of(task))
        waiter = waits_for(task)
        inner = [waiter, *children_of(waiter), *_members(task)]
        tasks = (t for t in inner if is_a(t, asyncio.Task) and not is_done(t))
        task = next(tasks, None)
    return tuple(chain)


def _members(task: Any) -> list[Any]:
    """The tasks of the TaskGroup that ``task`` waits for, if it waits for one."""
    coroutine = coroutine_of(task)
    for _ in range(100):
        frame = frame_of(coroutine)
        if frame is None:
            break
        group = frame.f_locals.get("self")
        if is_a(group, asyncio.TaskGroup):
            members = ask(group, "_tasks")
            return sorted(members, key=task_name) if type(members) is set else []
        coroutine = awaited_by(coroutine)
    return []


def _is_unstarted(task: asyncio.Task[Any]) -> bool:
    coroutine = coroutine_of(task)
    return (
        type(coroutine) is CoroutineType
        and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    )


def _is_over(task: asyncio.Task[Any]) -> bool:
    """Whether somebody has closed the coroutine of a task that is pending: nothing is left to run.

    So does who gets rid of a task whose loop will not run again.
    """
    coroutine = coroutine_of(task)
    return type(coroutine) is CoroutineType and coroutine.cr_frame is None


def _is_ending(task: asyncio.Task[Any]) -> bool:
    """Whether a task has been cancelled, or its next step is due."""
    if _is_unstarted(task):
        return False
    waiter = waits_for(task)
    return bool(cancel_requests(task)) or waiter is None or is_done(waiter)


def _roots(tasks: list[asyncio.Task[Any]], watch: Watch) -> list[asyncio.Task[Any]]:
    """Of tasks that wait for one another, those that no other task waits for: the cause.

    A task that one of the others has made is that one's to end.
    """
    awaited: set[int] = set()
    for task in tasks:
        waiter = waits_for(task)
        if waiter is not None:
            awaited.add(id(waiter))
            awaited.update(map(id, children_of(waiter)))
    alive = {id(task) for task in tasks}
    codes = {id(task): codes_of(coroutine_of(task)) for task in tasks}
    whose = {id(task): watch.tenure_of(task).owner for task in tasks}
    roots = []
    for task in tasks:
        if id(task) in awaited or _group_parent(task) in alive or awaited & _wakes(task):
            continue
        maker = (watch.created_at(task) or (None,))[0]
        if maker is not None and any(
            maker[0] in running
            and key != id(task)
            and whose[key] == whose[id(task)]
            and maker[0] not in codes[id(task)]
            for key, running in codes.items()
        ):
            continue
        roots.append(task)
    return roots or tasks


def _wakes(task: asyncio.Task[Any]) -> set[int]:
    """The ids of what the end of ``task`` is to wake: asyncio.wait() and its like wait so."""
    woken: set[int] = set()
    for callback in callbacks_of(task):
        if is_a(callback, functools.partial):
            woken.update(id(arg) for arg in callback.args)
        cells = ask(callback, "__closure__")
        for cell in cells if type(cells) is tuple else ():
            try:
                woken.add(id(cell.cell_contents))
            except ValueError:  # empty
                pass
    return woken


def _group_parent(task: asyncio.Task[Any]) -> int | None:
    """The id of the task whose TaskGroup ``task`` is a child of."""
    for callback in callbacks_of(task):
        group = owner_of_method(callback)
        if is_a(group, asyncio.TaskGroup):
            return id(ask(group, "_parent_task"))
    return None
