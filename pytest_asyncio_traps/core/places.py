"""Turns marks, tracebacks and coroutines into lines and names that a report can show."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from types import CodeType, FrameType, TracebackType
from typing import cast

from ..model.finding import Place
from ..model.text import LIMIT, shorten
from .objects import ask, awaited_by, class_name, code_of, frame_of, is_a
from .paths import LIBRARY, USER
from .reprs import text_of
from .stacks import KINDS, Mark, outside_of_loop, user_mark

# -- marks and code ------------------------------------------------------------------------------


def line_of(code: CodeType, offset: int) -> int:
    """The line number of the instruction at ``offset`` (in bytes) of ``code``."""
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


def place_of(mark: Mark | None) -> Place | None:
    """The line that ``mark`` stands for; None for None."""
    if mark is None:
        return None
    code, offset = mark
    return Place(_absolute(code.co_filename), line_of(code, offset), code.co_name)


def places_of(pairs: Sequence[CodeType | int]) -> list[Place]:
    """The lines for a flat sequence of code objects and instruction offsets in turn."""
    marks = cast("list[Mark]", list(zip(pairs[::2], pairs[1::2], strict=True)))
    return [place for mark in marks if (place := place_of(mark)) is not None]


def place_of_code(code: CodeType) -> Place:
    """The line on which ``code`` is defined."""
    return Place(_absolute(code.co_filename), code.co_firstlineno, code.co_name)


def user_place(frame: FrameType | None) -> Place | None:
    """The line of `stacks.user_mark`."""
    return place_of(user_mark(frame))


def _absolute(filename: str) -> str:
    if filename.startswith("<"):
        return filename
    if os.path.isabs(filename):
        return os.path.normpath(filename)
    try:
        return outside_of_loop(os.path.abspath, filename)
    except (OSError, ValueError):
        return filename  # not a valid file name, or the working directory is gone


# -- tracebacks ----------------------------------------------------------------------------------


def raised_at(traceback: TracebackType | None) -> Place | None:
    """The innermost line of user code in ``traceback``; if there is none, of a library's code."""
    best: Place | None = None
    best_kind = -1
    while traceback is not None:
        code = traceback.tb_frame.f_code
        kind = KINDS[code.co_filename]
        if kind >= LIBRARY and kind >= best_kind:
            best = Place(_absolute(code.co_filename), traceback.tb_lineno, code.co_name)
            best_kind = kind
        traceback = traceback.tb_next
    return best


def called_at(traceback: TracebackType | None) -> Place | None:
    """The outermost line of user code in ``traceback``, or None."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if KINDS[code.co_filename] == USER:
            return Place(_absolute(code.co_filename), traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next
    return None


# -- coroutines ----------------------------------------------------------------------------------


def coroutine_origin(coroutine: object) -> Place | None:
    """The line that created ``coroutine``, if Python tracked it (see ``cr_origin``)."""
    origin = ask(coroutine, "cr_origin")
    if type(origin) is not tuple or not origin:
        return None
    path, line, function = origin[0]
    return Place(_absolute(path), line, function)


def codes_of(coroutine: object) -> list[CodeType]:
    """The code of a suspended coroutine and of those that it awaits, outermost first.

    Only user code and libraries; asyncio's own is left out.
    """
    codes: list[CodeType] = []
    for _ in range(100):  # a hand-built chain of awaits may be a ring
        code = code_of(coroutine)
        if code is None:
            break
        if KINDS[code.co_filename] >= LIBRARY:
            codes.append(code)
        coroutine = awaited_by(coroutine)
    return codes


def chain_of(coroutine: object) -> list[Place]:
    """The lines at which a suspended coroutine and those that it awaits wait, outermost first.

    Only lines of user code and libraries; asyncio's own are left out.
    """
    chain: list[Place] = []
    for _ in range(100):  # a hand-built chain of awaits may be a ring
        code, frame = code_of(coroutine), frame_of(coroutine)
        if code is None or frame is None:
            break
        if KINDS[code.co_filename] >= LIBRARY and frame.f_lineno is not None:
            chain.append(Place(_absolute(code.co_filename), frame.f_lineno, code.co_name))
        coroutine = awaited_by(coroutine)
    return chain


def waits_at(coroutine: object) -> Place | None:
    """The innermost line of user code at which a suspended coroutine waits.

    If there is none, the innermost line of a library. For an async generator, the line of the
    ``yield`` at which it is suspended.
    """
    best: Place | None = None
    best_kind = -1
    for _ in range(1000):  # a hand-built chain of awaits may be a ring
        code, frame = code_of(coroutine), frame_of(coroutine)
        if code is None or frame is None:
            break
        kind = KINDS[code.co_filename]
        if kind >= LIBRARY and kind >= best_kind and frame.f_lineno is not None:
            best = Place(_absolute(code.co_filename), frame.f_lineno, code.co_name)
            best_kind = kind
        coroutine = awaited_by(coroutine)
        if coroutine is None:
            break
    return best


# -- names ---------------------------------------------------------------------------------------


def name_of(function: object) -> str:
    """The qualified name of a coroutine, function or callback; for a partial, of its function.

    An object without a name is called by the name of its class. At most 200 characters.
    """
    while is_a(function, functools.partial):
        function = function.func
    for attribute in ("__qualname__", "__name__"):
        name = ask(function, attribute)
        if is_a(name, str) and (plain := str.__str__(name)):
            return shorten(plain, 200)
    return shorten(class_name(function), 200)


def describe(exc: BaseException | None) -> str:
    """The class and message of ``exc`` on one line; the class alone if its ``__str__`` raises."""
    name = shorten(class_name(exc), 200)
    text = text_of(exc)
    if text is None:
        return name
    text = shorten(" ".join(text[:LIMIT].split()), 200)
    return f"{name}: {text}" if text else name
