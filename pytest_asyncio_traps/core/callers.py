"""Who called an object of asyncio's, and who waits for it: what the kinds of wrong calls report."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ..model.finding import Place
from .objects import callbacks_of, code_of, coroutine_of, is_a, owner_of_method, task_name
from .paths import ASYNCIO, HARNESS, USER
from .stacks import KINDS
from .watch import Watch


def called(method: str, frame: FrameType | None) -> str:
    """The method of asyncio's that the user called, which in turn called ``method``."""
    while frame is not None:
        code = frame.f_code
        kind = KINDS[code.co_filename]
        if kind == ASYNCIO:
            method = code.co_qualname
        elif kind != HARNESS:
            break
        frame = frame.f_back
    return method.replace("BaseEventLoop.", "loop.")


def owner_of(watch: Watch, loop: Any, obj: Any) -> tuple[Place | None, str]:
    """The line that made the object, or the task that waits for it, else the loop."""
    for task in _tasks(obj):
        if (place := watch.origin_of(task)) is not None:
            return place, "it belongs to the task created at"
    if (place := watch.origin_of(obj)) is not None:
        return place, "it was created at"
    place = watch.origin_of(loop)
    if place is None:
        # A runner made the loop, for the task that runs in it.
        place = _main_task_of(loop)
        return place, "its loop runs what is defined at"
    return place, "its loop was created at"


def _tasks(obj: Any) -> Iterator[asyncio.Task[Any]]:
    """The tasks that ``obj``, a callback or a future, wakes."""
    owner = owner_of_method(obj)
    if is_a(owner, asyncio.Task):
        yield owner
    if is_a(obj, asyncio.Future):
        for callback in callbacks_of(obj):
            owner = owner_of_method(callback)
            if is_a(owner, asyncio.Task):
                yield owner


def _main_task_of(loop: Any) -> Place | None:
    """Where the first of the loop's tasks that runs the user's code is defined."""
    try:
        tasks = sorted(asyncio.all_tasks(loop), key=task_name)
    except RuntimeError:  # the set of all tasks changed meanwhile, in the loop's thread
        return None
    for task in tasks:
        code = code_of(coroutine_of(task))
        if code is not None and KINDS[code.co_filename] == USER:
            return Place(code.co_filename, code.co_firstlineno, code.co_name)
    return None
