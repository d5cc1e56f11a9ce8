"""Reads the stack of another thread, and finds the user's line in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import accumulate, chain, compress, repeat, starmap
from operator import attrgetter, methodcaller
from types import CodeType, FrameType
from typing import Final, cast

from ..compat import cpython
from .paths import ASYNCIO, BOUNDARY, HARNESS, LIBRARY, STDLIB, USER
from .stacks import KINDS, Mark, is_step

#: Code objects and instruction offsets in turn, innermost frame first. A flat list is one object
#: to the garbage collector, a list of pairs would be many.
Stack = list[CodeType | int]


def stack_of(thread_id: int) -> Stack:
    """The stack of another thread, innermost frame first; empty if there is no such thread.

    All frames are read and released within one call in C, during which no other thread runs. If
    this thread held a frame while the other thread continued, it would keep objects of the user's
    alive, and a collection that the user's code runs would miss them.

    The result is also empty while the process has a second interpreter: its frames would become
    objects of this interpreter, which would free them, and the process would crash.
    """
    stack: Stack = []
    alone = map((1).__eq__, map(len, starmap(_interpreters, ((),))))
    innermost = map(
        methodcaller("get", thread_id), starmap(_current_frames, compress(((),), alone))
    )
    frames = accumulate(chain(innermost, repeat("f_back", _DEEPEST)), getattr)
    try:
        stack.extend(chain.from_iterable(map(_AS_MARK, frames)))
    except AttributeError:
        pass  # None follows the outermost frame
    return stack


def frames_of(thread_id: int) -> list[FrameType]:
    """The frames of another thread, innermost first, or none, under the terms of `stack_of`.

    They keep the objects of the thread alive: this is for a thread that is known to stand still.
    """
    frames: list[FrameType] = []
    if len(_interpreters()) == 1:
        frame: FrameType | None = _current_frames().get(thread_id)
        while frame is not None and len(frames) < _DEEPEST:
            frames.append(frame)
            frame = frame.f_back
    return frames


def thread_ids() -> list[int]:
    """The threads that run Python code; empty while the process has a second interpreter."""
    alone = map((1).__eq__, map(len, starmap(_interpreters, ((),))))
    frames = starmap(_current_frames, compress(((),), alone))
    return list(chain.from_iterable(frames))  # in one call in C, as in `stack_of`


def marks_of(stack: Stack) -> list[Mark]:
    """The frames of ``stack`` as marks."""
    return cast("list[Mark]", list(zip(stack[::2], stack[1::2], strict=True)))


_interpreters = cpython.find_interpreters()
_current_frames: Callable[[], dict[int, FrameType]] = getattr(sys, cpython.CURRENT_FRAMES, dict)
_AS_MARK: Callable[[object], Mark] = attrgetter("f_code", "f_lasti")
_DEEPEST = 2_000


def user_mark_of(stack: Iterable[Mark]) -> Mark | None:
    """Like `stacks.user_mark`, for the marks of a whole stack."""
    library: Mark | None = None
    for mark in stack:
        code = mark[0]
        kind = KINDS[code.co_filename]
        if kind == USER:
            return mark
        if kind == LIBRARY:
            library = library or mark
        elif kind == BOUNDARY or is_step(code):
            break
    return library


def within_step(stack: Iterable[Mark]) -> list[Mark]:
    """The part of a stack that the running step of a loop has called, innermost frame first.

    Frames of asyncio and of test runners are left out.
    """
    inner = []
    for mark in stack:
        code = mark[0]
        kind = KINDS[code.co_filename]
        if kind == BOUNDARY or is_step(code):
            break
        if kind not in (ASYNCIO, HARNESS):
            inner.append(mark)
    return inner


#: Work that a process does only once. Each entry is the end of a file name in whose code that work
#: is done, and its description.
_FIRST_TIME: Final = (
    ("<frozen importlib._bootstrap>", "importing a module"),
    ("/re/_compiler.py", "compiling a regular expression"),
    ("/re/_parser.py", "compiling a regular expression"),
)


def first_time(stack: Iterable[Mark]) -> str:
    """Describes work on ``stack`` that a process does only once; empty if there is none."""
    for code, _ in stack:
        kind = KINDS[code.co_filename]
        if kind == STDLIB:
            name = code.co_filename.replace("\\", "/")
            for end, what in _FIRST_TIME:
                if name.endswith(end):
                    return what
        elif kind == BOUNDARY or is_step(code):
            break
    return ""
