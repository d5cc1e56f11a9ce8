"""What a loop does at this moment: it runs a step, sleeps, or does not run."""

from __future__ import annotations

import threading
from asyncio import base_events
from collections import deque
from types import FunctionType, MethodType
from typing import Any, Final

from ..compat import asyncio as private
from ..compat import cpython
from ..model.task_tree import LoopRecord
from ..model.text import clean
from .clock import REAL
from .objects import (
    ask,
    ask_text,
    call,
    class_name,
    function_code,
    is_a,
    is_running,
    owner_of_method,
)
from .paths import ASYNCIO
from .places import name_of, place_of
from .stacks import KINDS, is_step
from .thread_stacks import marks_of, stack_of, user_mark_of
from .waits import module_of_class, now_of, peer_of
from .watch import Watch

#: The most descriptors that are named.
_MOST: Final = 20


def describe_loop(watch: Watch, loop: Any) -> LoopRecord:
    """The record of ``loop``, without its tasks."""
    shown = is_a(loop, base_events.BaseEventLoop)
    source = loop if shown else ask(loop, "_asyncio_traps_runner", loop)
    thread = ask(source, private.LOOP_THREAD)
    began = ask(source, "_asyncio_traps_step", 0.0)
    stack = marks_of(stack_of(thread)) if type(thread) is int else []
    state, since, place = "stopped", None, None
    if type(thread) is int or is_running(loop):
        state = "asleep"
        # Without a stack (a second interpreter), the loop's own note has to do.
        if any(is_step(code) for code, _ in stack) or (began and not stack):
            state, place = "step", place_of(user_mark_of(stack))
            if type(began) is float and began:
                since = max(0.0, REAL[0]() - began)
    creation = watch.created_at(loop)
    timer, timer_text = next_timer(loop) if shown else (None, "")
    return LoopRecord(
        key=id(loop),
        name=clean(class_name(loop)),
        owner=creation[1].owner if creation is not None else None,
        thread=thread_name(thread) if type(thread) is int else "",
        state=state,
        since=since,
        place=place,
        ready=ready_count(loop) if shown else 0,
        timer=timer,
        timer_text=timer_text,
        descriptors=descriptors(loop) if shown else (),
        tasks=(),
        hidden="" if shown else "its timers and descriptors",
    )


def ready_count(loop: Any) -> int:
    """How many callbacks ``loop`` runs next."""
    ready = ask(loop, private.LOOP_READY)
    return len(ready) if type(ready) is deque else 0


def next_timer(loop: Any) -> tuple[float | None, str]:
    """The seconds until the next timer of ``loop``, and its callback; None and "" without one.

    The callback is named unless it is asyncio's own.
    """
    timers = ask(loop, private.LOOP_TIMERS)
    alive = [
        (when, timer)
        for timer in (list(timers) if type(timers) is list else ())
        if is_a(timer, private.TIMER_BASE)
        and not call(timer, "cancelled")
        and type(when := call(timer, "when")) in (int, float)
    ]
    if not alive:
        return None, ""
    when, timer = min(alive, key=lambda pair: pair[0])
    now = now_of(loop)
    left = max(0.0, when - now) if now is not None else None
    callback = ask(timer, private.HANDLE_CALLBACK)
    code = function_code(callback) if type(callback) in (FunctionType, MethodType) else None
    if code is not None and KINDS[code.co_filename] == ASYNCIO:
        return left, ""  # such as that of asyncio.sleep(), whose task is shown
    return left, clean(name_of(callback))


def descriptors(loop: Any) -> tuple[str, ...]:
    """The descriptors that ``loop`` waits on, without the one that wakes it up."""
    selector = ask(loop, private.LOOP_SELECTOR)
    if module_of_class(selector) != "selectors":
        return ()
    keys = call(selector, "get_map")
    own = call(ask(loop, private.LOOP_WAKE_UP), "fileno")
    found = []
    for key in list(keys.values()) if keys is not None else ():
        if key.fd != own:
            found.append(_descriptor_text(key.fd, key.data))
    if len(found) > _MOST:
        found[_MOST:] = [f"and {len(found) - _MOST} more"]
    return tuple(found)


def _descriptor_text(fd: int, handles: Any) -> str:
    for handle in handles if type(handles) is tuple else ():
        callback = ask(handle, private.HANDLE_CALLBACK)
        peer = peer_of(owner_of_method(callback)) if callback is not None else ""
        if peer:
            return clean(f"{fd} ({peer})")
    return f"{fd}"


def thread_name(thread_id: int) -> str:
    """The name of a thread; its id where C code has started it."""
    active = getattr(threading, cpython.ACTIVE_THREADS, None)
    thread = active.get(thread_id) if type(active) is dict else None
    return clean(ask_text(thread, "name")) or f"{thread_id}"
