"""Finds, in an exception, that asyncio refused to use an object of one loop in another.

The errors name no loop. These are found in the frames of the traceback, which still have them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from ..compat import asyncio as private
from .objects import (
    ask,
    class_path,
    is_a,
    is_any,
    is_closed,
    is_done,
    loop_of,
    related_to,
    traceback_of,
)
from .paths import ASYNCIO, HARNESS
from .reprs import text_of
from .stacks import KINDS

_REFUSED = (private.ATTACHED_ELSEWHERE, private.BOUND_ELSEWHERE, private.BELONGS_ELSEWHERE)
#: How many values of a frame, and how many frames, are looked at.
_MOST = 100
_DEEPEST = 8


class Refusal(NamedTuple):
    """``error`` was raised since ``obj`` belongs to ``loop``, while ``running`` ran.

    ``closed`` says that ``loop`` is closed, and that ``obj`` is this loop. What is unknown is None.
    """

    error: BaseException
    obj: Any
    loop: Any
    running: Any
    closed: bool


def refusals_in(exc: BaseException) -> Iterator[Refusal]:
    """The refusals among ``exc`` and the exceptions to which it is related."""
    if not private.ELSEWHERE.holds:
        return
    outer = _running(_frames(exc))
    seen: set[int] = set()
    waiting: list[BaseException | None] = [exc]
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen or len(seen) > _MOST:
            continue
        seen.add(id(error))
        if is_any(error, RuntimeError, ValueError):
            refusal = _refusal(error, outer)
            if refusal is not None:
                yield refusal
        waiting += related_to(error)


def _refusal(error: BaseException, outer: Any) -> Refusal | None:
    """``outer`` is the loop that ran what raised the exception to which ``error`` belongs."""
    text = text_of(error) or ""
    closed = text == private.CLOSED
    if not closed and not any(words in text for words in _REFUSED):
        return None
    frames = _frames(error)
    running = _running(frames) or outer
    if closed:
        for frame in reversed(frames):
            loop = _own_loop(frame)
            if loop is not None and is_closed(loop):
                return Refusal(error, loop, loop, running, True) if _differ(loop, running) else None
        return None
    # What raises is asyncio's own function, or C code that the innermost frame awaits. The latter
    # leaves no frame, and is known by its words.
    attached = private.ATTACHED_ELSEWHERE in text and text.startswith(private.TASK_GOT)
    if not frames or not (attached or KINDS[frames[-1].f_code.co_filename] == ASYNCIO):
        return None
    if running is None and attached:
        return Refusal(error, None, None, None, False)  # cannot tell which of several futures
    for frame in reversed(frames[-_DEEPEST:]):
        for obj in _objects(frame):
            loop = _loop(obj)
            if loop is not None and loop is not running:
                obj = obj if is_a(obj, asyncio.Future) else _outermost(frames, obj)
                return Refusal(error, obj, loop, running, False)
    return Refusal(error, None, None, running, False)


def _outermost(frames: list[FrameType], obj: Any) -> Any:
    """``obj``, or the object of asyncio's that has it for its own use, as a barrier a condition."""
    for frame in reversed(frames):
        if KINDS[frame.f_code.co_filename] != ASYNCIO:
            break
        own = frame.f_locals.get("self")
        if own is not None and class_path(own).startswith("asyncio."):
            obj = own
    return obj


def _differ(loop: Any, running: Any) -> bool:
    return running is not None and loop is not running


def _frames(error: BaseException) -> list[FrameType]:
    """The frames through which ``error`` went, outermost first."""
    frames = []
    traceback = traceback_of(error)
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return frames


def _running(frames: list[FrameType]) -> Any:
    """The loop that ran the code in ``frames``, or None."""
    for frame in reversed(frames):
        code = frame.f_code
        if KINDS[code.co_filename] in (ASYNCIO, HARNESS) and code.co_name.startswith("run"):
            own = frame.f_locals.get("self")
            loop = ask(own, private.LOOP) if is_a(own, asyncio.Runner) else own
            if is_any(loop, asyncio.AbstractEventLoop):
                return loop
    return None


def _own_loop(frame: FrameType) -> Any:
    """The loop of which ``frame`` runs a method of asyncio's or of this plugin's."""
    if KINDS[frame.f_code.co_filename] not in (ASYNCIO, HARNESS):
        return None
    own = frame.f_locals.get("self")
    return own if is_any(own, asyncio.AbstractEventLoop) else None


def _objects(frame: FrameType) -> Iterator[Any]:
    """Futures among the variables of ``frame``, and in what these hold.

    In a frame of asyncio's, also the object of which it runs a method.
    """
    values = list(frame.f_locals.values())[:_MOST]
    for value in values:
        # asyncio refuses pending futures only.
        if is_a(value, asyncio.Future) and not is_done(value):
            yield value
    if KINDS[frame.f_code.co_filename] == ASYNCIO and "self" in frame.f_locals:
        yield frame.f_locals["self"]
    for value in values:
        parts = ask(value, "__dict__") if type(value) not in (dict, list, tuple) else value
        if type(parts) is dict:
            parts = list(parts.values())
        if type(parts) in (list, tuple):
            for part in parts[:_MOST]:
                if is_a(part, asyncio.Future) and not is_done(part):
                    yield part


def _loop(obj: Any) -> Any:
    loop = loop_of(obj) if is_a(obj, asyncio.Future) else ask(obj, private.LOOP)
    return loop if is_any(loop, asyncio.AbstractEventLoop) else None
