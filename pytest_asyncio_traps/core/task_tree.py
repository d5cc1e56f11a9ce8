"""Takes a picture of the loops and tasks of the process, as plain records.

It may be taken in any thread, at any moment. No code of the user's runs meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from ..compat import asyncio as private
from ..model.finding import Place
from ..model.task_tree import LoopRecord, Snapshot, TaskRecord, Wait
from ..model.text import clean, shorten
from .clock import REAL
from .links import Link, held_by, links_of
from .loop_state import describe_loop
from .objects import (
    ask,
    ask_text,
    callbacks_of,
    coroutine_of,
    frame_of,
    is_a,
    is_closed,
    task_name,
    waits_for,
)
from .paths import LIBRARY
from .places import name_of, place_of
from .stacks import KINDS
from .tasks import pending_tasks
from .thread_stacks import marks_of, stack_of, user_mark_of
from .waits import fed_by, wait_of
from .watch import Watch

#: The most tasks that are read.
LIMIT: Final = 20_000
#: For how many seconds other threads have to wait, in the place of Python's 0.005. Where this
#: thread waits for a file, it may then wait as long for a thread that is busy.
_SWITCH_INTERVAL: Final = 0.25
_RUNNING: Final = Wait("running", "the end of its step")
#: The most lines of a chain of awaits.
_LONGEST_CHAIN: Final = 20


def snapshot(watch: Watch, progress: Progress | None = None) -> Snapshot:
    """The open loops and their pending tasks at this moment.

    With ``progress``, noted earlier, it is known which tasks have taken no step since.
    """
    with undisturbed():
        return _Reader(watch, progress).read()


class Progress:
    """What each task waits for at one moment, to be compared with a later one."""

    def __init__(self, watch: Watch) -> None:
        self._now = REAL[0]
        #: By the id of a task, the future that it waits for.
        self._waiters: dict[int, weakref.ref[Any]] = {}
        with undisturbed():
            for loop in watch.loops():
                for task in pending_tasks(loop)[:LIMIT]:
                    waiter = waits_for(task)
                    if waiter is not None and is_a(waiter, asyncio.Future):
                        self._waiters[id(task)] = weakref.ref(waiter)
        self._at = self._now()

    def idle(self, task: Any, waiter: Any) -> float | None:
        """For how many seconds at least ``task`` has waited for ``waiter``, if that is known."""
        ref = self._waiters.get(id(task))
        if ref is None or waiter is None or ref() is not waiter:
            return None
        return self._now() - self._at


@contextmanager
def undisturbed() -> Iterator[None]:
    """A block in which hardly any other thread runs Python code, and no collection begins.

    So the picture is that of one moment. And this thread, which holds the tasks meanwhile, does not
    hold the last reference to one: else their destructors would run in this thread.
    """
    interval, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(max(interval, _SWITCH_INTERVAL))
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        sys.setswitchinterval(interval)


class _Reader:
    """Reads living objects once, for one `Snapshot`."""

    def __init__(self, watch: Watch, progress: Progress | None) -> None:
        self._watch = watch
        self._progress = progress
        self._left = LIMIT
        self._omitted = 0
        self._places: dict[Any, Place | None] = {}
        #: By the id of a lock or semaphore, the tasks in whose ``async with`` block it is.
        self._holders: dict[int, list[int]] = {}
        #: By the id of what the end of tasks completes or fills, those tasks.
        self._feeds: dict[int, list[int]] = {}

    def read(self) -> Snapshot:
        loops = [loop for loop in self._watch.loops() if not is_closed(loop)]
        records = [
            describe_loop(self._watch, loop)._replace(tasks=self._tasks(loop)) for loop in loops
        ]
        keys = [task.key for record in records for task in record.tasks]
        order = {key: place for place, key in enumerate(keys)}
        records = [self._connected(record, order) for record in records]
        records = [record for record in records if record.tasks or record.state != "stopped"]
        return Snapshot(tuple(records), self._main_thread(records), self._omitted)

    def _main_thread(self, loops: list[LoopRecord]) -> Place | None:
        """Where the main thread is, if no loop runs in it."""
        main = threading.main_thread()
        if any(loop.thread == main.name for loop in loops):
            return None
        return place_of(user_mark_of(marks_of(stack_of(main.ident or 0))))

    # -- tasks ------------------------------------------------------------

    def _tasks(self, loop: Any) -> tuple[TaskRecord, ...]:
        tasks = pending_tasks(loop)
        self._omitted += max(0, len(tasks) - self._left)
        read = [self._task(task) for task in islice(tasks, self._left)]
        read.sort(key=lambda task: (len(task.name), task.name))  # Task-9 before Task-10
        self._left -= len(read)
        return tuple(read)

    def _task(self, task: Any) -> TaskRecord:
        coroutine, key, waiter = coroutine_of(task), id(task), waits_for(task)
        if ask(coroutine, "cr_running") is True:
            # What a running frame refers to is not known to the collector.
            links, wait = [], _RUNNING
        else:
            links = links_of(coroutine)
            wait = wait_of(task, links, waiter)
            for lock in held_by(links):
                if id(lock) != wait.subject:
                    self._holders.setdefault(id(lock), []).append(key)
        origin, label = self._origin(task)
        callbacks = callbacks_of(task)
        main = any(
            ask_text(callback, "__name__") in private.RUN_CALLBACKS for callback in callbacks
        )
        if len(callbacks) > main:
            for fed in fed_by(task):
                self._feeds.setdefault(fed, []).append(key)
        return TaskRecord(
            key=key,
            name=shorten(clean(task_name(task)), 200),
            coroutine=clean(name_of(coroutine)),
            origin=origin,
            origin_label=label,
            chain=self._chain(links),
            wait=wait,
            idle=self._progress.idle(task, waiter) if self._progress is not None else None,
            main=main,
        )

    def _origin(self, task: Any) -> tuple[Place | None, str]:
        mark = self._watch.creation_mark(task)
        if mark is None:
            origin, label = self._watch.origin_of_task(task)
            if origin is not None and KINDS[origin.path] < LIBRARY:
                origin = None  # a test runner's
            return origin, label
        # By identity: comparing code objects reads all their instructions.
        at = (id(mark[0]), mark[1])
        if at not in self._places:
            self._places[at] = place_of(mark)
        return self._places[at], "created at"

    def _chain(self, links: list[Link]) -> tuple[Place, ...]:
        chain = []
        for link in links:
            if KINDS[link.code.co_filename] < LIBRARY:
                continue
            frame = frame_of(link.coroutine)
            if frame is None:
                continue
            at = (id(link.code), frame.f_lasti)
            if at not in self._places:
                self._places[at] = place_of((link.code, frame.f_lasti))
            place = self._places[at]
            if place is not None:
                chain.append(place)
        return tuple(chain[:_LONGEST_CHAIN])

    def _connected(self, loop: LoopRecord, order: dict[int, int]) -> LoopRecord:
        """``loop`` with what is known once all tasks are read: who holds what, in any loop."""
        tasks = []
        for task in loop.tasks:
            wait = task.wait
            if wait.kind in ("executor", "tasks") and wait.subject in self._feeds:
                awaits = tuple(dict.fromkeys(self._feeds[wait.subject]))
                if wait.kind == "executor":
                    wait = wait._replace(kind="tasks", text="a task of another loop")
                wait = wait._replace(awaits=awaits)
            elif wait.subject in self._holders:
                holders = [key for key in self._holders[wait.subject] if key != task.key]
                wait = wait._replace(holders=tuple(dict.fromkeys(holders)))
            if len(wait.awaits) > 1:  # a TaskGroup has them in a set
                last = len(order)
                awaits = tuple(sorted(wait.awaits, key=lambda key: order.get(key, last)))
                wait = wait._replace(awaits=awaits)
            tasks.append(task if wait is task.wait else task._replace(wait=wait))
        return loop._replace(tasks=tuple(tasks))
