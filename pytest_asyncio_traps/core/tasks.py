"""The pending tasks of a loop."""

from __future__ import annotations

import asyncio
import sys
import weakref
from itertools import compress, repeat
from operator import call, is_
from typing import Any

from ..compat import asyncio as private
from .objects import is_done, loop_of, task_name


def _find_registers() -> tuple[Any, set[Any]] | None:
    """Where asyncio keeps its tasks up to Python 3.13. Later, `asyncio.all_tasks` is quick."""
    scheduled: Any = getattr(
        asyncio.tasks, private.SCHEDULED_TASKS, getattr(asyncio.tasks, private.ALL_TASKS, 0)
    )
    eager: Any = getattr(asyncio.tasks, private.EAGER_TASKS, set())
    if sys.version_info < (3, 14) and type(scheduled) is weakref.WeakSet and type(eager) is set:
        return scheduled, eager
    return None


_registers = _find_registers()


def pending_tasks(loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
    """The tasks of ``loop`` that are not done, in a stable order."""
    if _registers is None:
        tasks = [task for task in asyncio.all_tasks(loop) if not is_done(task)]
    else:
        # As all_tasks() does, but in C throughout: most tasks are those of other loops.
        scheduled, eager = _registers
        if not (scheduled.data or eager):
            return []
        known = [task for task in map(call, list(scheduled.data)) if task is not None]
        known += list(eager)
        try:
            loops: list[object] = list(map(asyncio.Task.get_loop, known))
        except (TypeError, RuntimeError):  # not asyncio's class, or its constructor failed
            loops = list(map(loop_of, known))
        own = {id(task): task for task in compress(known, map(is_, loops, repeat(loop)))}
        tasks = [task for task in own.values() if not is_done(task)]
    return sorted(tasks, key=task_name) if tasks else tasks
