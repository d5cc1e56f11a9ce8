"""What tasks wait for: the lines at which they are suspended, and the tasks that end first."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from ..compat import asyncio as private
from ..model.finding import Place
from .objects import (
    ask,
    awaited_by,
    callbacks_of,
    children_of,
    coroutine_of,
    frame_of,
    is_a,
    is_done,
    owner_of_method,
    task_name,
    waits_for,
)
from .places import chain_of

#: The length at which a search gives up: chains of awaits built by hand may be cyclic.
_DEEPEST = 100


def await_chain(task: Any) -> tuple[Place, ...]:
    """The lines at which ``task``, and the tasks that it waits for, are suspended.

    The outermost line comes first. Of several tasks that it waits for, the first pending one
    counts.
    """
    chain: list[Place] = []
    seen: set[int] = set()
    while task is not None and id(task) not in seen and len(chain) < _DEEPEST:
        seen.add(id(task))
        chain += chain_of(coroutine_of(task))
        waiter = waits_for(task)
        inner = [waiter, *children_of(waiter), *_group_members(task)]
        task = next((t for t in inner if is_a(t, asyncio.Task) and not is_done(t)), None)
    return tuple(chain)


def _group_members(task: Any) -> list[Any]:
    """The tasks of the TaskGroup that ``task`` waits for, if it waits for one."""
    coroutine = coroutine_of(task)
    for _ in range(_DEEPEST):
        frame = frame_of(coroutine)
        if frame is None:
            break
        group = frame.f_locals.get("self")
        if is_a(group, asyncio.TaskGroup):
            members = ask(group, private.GROUP_TASKS)
            return sorted(members, key=task_name) if type(members) is set else []
        coroutine = awaited_by(coroutine)
    return []


def unawaited(tasks: list[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Of ``tasks``, those that none of the others waits for."""
    alive = {id(task) for task in tasks}
    awaited: set[int] = set()
    for task in tasks:
        awaiters = private.awaiters_of(task)
        if awaiters and not alive.isdisjoint(map(id, awaiters)):
            awaited.add(id(task))
        waiter = waits_for(task)
        if waiter is not None:
            awaited.add(id(waiter))
            awaited.update(map(id, children_of(waiter)))
    return [
        task
        for task in tasks
        if id(task) not in awaited
        and _group_parent(task) not in alive
        and not awaited & _wakes(task)
    ]


def _wakes(task: asyncio.Task[Any]) -> set[int]:
    """The ids of the futures that the end of ``task`` completes, as in ``asyncio.wait()``."""
    woken: set[int] = set()
    for callback in callbacks_of(task):
        if is_a(callback, functools.partial):
            woken.update(id(arg) for arg in callback.args)
        # In asyncio.wait() and shield(), the future is a variable of the callback's closure.
        cells = ask(callback, "__closure__")
        for cell in cells if type(cells) is tuple else ():
            try:
                woken.add(id(cell.cell_contents))
            except ValueError:  # empty
                pass
    return woken


def _group_parent(task: asyncio.Task[Any]) -> int | None:
    """The id of the task whose TaskGroup ``task`` is in."""
    for callback in callbacks_of(task):
        group = owner_of_method(callback)
        if is_a(group, asyncio.TaskGroup):
            return id(ask(group, private.GROUP_PARENT))
    return None


def is_in_ring(future: Any) -> bool:
    """Whether ``future`` waits for something that waits for itself: cancel() would not return.

    A task passes its cancellation on to what it waits for.
    """
    path: set[int] = set()
    stack: list[tuple[Any, bool]] = [(future, False)]
    done: set[int] = set()
    while stack:
        current, left = stack.pop()
        key = id(current)
        if left:
            path.discard(key)
            done.add(key)
        elif key in path:
            return True
        elif key not in done and current is not None and not is_done(current):
            path.add(key)
            stack.append((current, True))
            stack += [(inner, False) for inner in (waits_for(current), *children_of(current))]
    return False
