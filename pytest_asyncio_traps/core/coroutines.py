"""Coroutine objects that have not begun, and where they were made."""

from __future__ import annotations

from collections.abc import Iterable
from types import CoroutineType, FrameType
from typing import Any

from ..model.finding import Place
from .paths import LIBRARY, USER
from .places import coroutine_origin, place_of_code, user_place
from .stacks import KINDS


def is_unstarted(coro: Any) -> bool:
    """Whether no line of ``coro``, one of Python's coroutines, has run, and it is not closed."""
    # As inspect.getcoroutinestate() does, but without making a frame object for each.
    return not (coro.cr_suspended or coro.cr_running or coro.cr_frame is None)


def unstarted_arguments(coro: Any) -> list[Any]:
    """The unstarted coroutines among the arguments of ``coro``, which has not begun."""
    frame = coro.cr_frame
    if frame is None:
        return []
    found: list[Any] = []
    for value in frame.f_locals.values():
        values: Iterable[Any] = (value,)
        if type(value) in (tuple, list):
            values = value
        elif type(value) is dict:
            values = list(value.values())
        found += [v for v in values if type(v) is CoroutineType and is_unstarted(v)]
    return found


def origin_of_coroutine(coro: Any, dropped: FrameType | None) -> tuple[Place | None, Place | None]:
    """The user's line that made ``coro``, and the library's line if a library did for the user.

    Where Python did not note the user's line, it is the one in ``dropped``, the frame that ran
    when ``coro`` was destroyed, or the one that defines ``coro``.
    """
    library = None
    place = coroutine_origin(coro)
    if place is not None:
        kind = KINDS[place.path]
        if kind == USER:
            return place, None
        if kind == LIBRARY:
            library = place
    place_dropped = user_place(dropped)
    if place_dropped is not None and KINDS[place_dropped.path] == USER:
        return place_dropped, library
    if KINDS[coro.cr_code.co_filename] == USER:
        return place_of_code(coro.cr_code), library
    return library or place_dropped, None
