"""Classifies frames, and finds the user's line in the stack of the running thread.

While tests run, a line is kept as a mark, ``(code object, instruction offset)``: it costs far less
to take than a line number and, unlike a frame, keeps no object of the user's alive. `places` turns
marks into lines when there is something to report; `thread_stacks` reads the stacks of other
threads.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Final

from ..compat import asyncio as private
from .objects import function_code
from .paths import ASYNCIO, BOUNDARY, HARNESS, HERE, LIBRARY, STDLIB, USER

Mark = tuple[CodeType, int]

#: `user_stack` reads at most this many code objects and offsets: two for each line of a trace.
_DEEPEST_TRACE: Final = 64


def outside_of_loop(function: Callable[[str], str], filename: str) -> str:
    """Call ``function(filename)`` with no running loop set.

    Some tools, such as blockbuster, forbid access to the file system in the thread of a loop.
    """
    loop = _get_running_loop()
    _set_running_loop(None)
    try:
        return function(filename)
    finally:
        _set_running_loop(loop)


def classify(filename: str) -> int:
    """The kind of code in ``filename``: one of the constants of `paths`.

    Code is the user's own unless it lies in the standard library or in an installed package.
    CPython's own test suite counts as user code.
    """
    if filename.startswith("<"):
        # Typed by a person, as opposed to generated or frozen code.
        return USER if filename.startswith(("<doctest", "<stdin", "<ipython")) else STDLIB
    if not os.path.isabs(filename) and filename.endswith((".pyx", ".pxd", ".pxi")):
        return STDLIB if filename.startswith("uvloop/") else LIBRARY  # compiled by Cython
    try:
        path = outside_of_loop(os.path.realpath, filename)
    except (OSError, ValueError):
        path = filename  # not a valid file name, or the working directory is gone
    return HERE.classify(path)


class _Kinds(dict[str, int]):
    def __missing__(self, filename: str) -> int:
        kind = self[filename] = classify(filename)
        if kind in (ASYNCIO, STDLIB, HARNESS) and filename not in _files_of_steps():
            SKIPPED_FILES.add(filename)
            _SKIPPED_BEYOND_LIBRARY.add(filename)
        elif kind == LIBRARY:
            _SKIPPED_BEYOND_LIBRARY.add(filename)
        return kind


#: Maps the file name of a code object to its kind. Computed once for each file.
KINDS: Final = _Kinds()

#: Code of the functions that run a step of a loop. A search for the user's line ends there: frames
#: further out belong to the code that runs the loop, not to the code that scheduled the step.
#: `add_step` adds more. Where handles are run by C code, the function that calls them stands in.
STEP_CODES: Final[list[CodeType]] = [
    code
    for code in (
        function_code(getattr(asyncio.Handle, private.STEP, None))
        or function_code(getattr(asyncio.BaseEventLoop, private.RUN_ONCE, None)),
    )
    if code is not None
]

#: Files whose frames a search for the user's line skips: asyncio, the standard library and test
#: runners, but not files with a step function. `KINDS` adds each file when it first meets it.
SKIPPED_FILES: Final[set[str]] = set()
#: The same and libraries: files to skip once the search has met a frame of a library.
_SKIPPED_BEYOND_LIBRARY: Final[set[str]] = set()


def _files_of_steps() -> set[str]:
    return {code.co_filename for code in STEP_CODES}


def add_step(code: CodeType) -> None:
    """Register ``code`` as that of a function that runs a step of a loop."""
    STEP_CODES.append(code)
    SKIPPED_FILES.discard(code.co_filename)
    _SKIPPED_BEYOND_LIBRARY.discard(code.co_filename)


def is_step(code: CodeType) -> bool:
    """Whether ``code`` is that of a function that runs a step of a loop."""
    # By identity: hashing or comparing code objects reads all their instructions.
    for step in STEP_CODES:  # noqa: SIM110 - any() makes a generator
        if code is step:
            return True
    return False


def user_mark(frame: FrameType | None) -> Mark | None:
    """The innermost frame of user code from ``frame`` outwards, as a mark.

    If there is none, the innermost frame of an installed library; None if the stack holds only the
    standard library and test runners. The search ends at the running step of the loop.
    """
    library: Mark | None = None
    skipped = SKIPPED_FILES
    while frame is not None:
        code = frame.f_code
        if code.co_filename not in skipped:
            kind = KINDS[code.co_filename]
            if kind == USER:
                return code, frame.f_lasti
            if kind == LIBRARY:
                if library is None:
                    library = code, frame.f_lasti
                    skipped = _SKIPPED_BEYOND_LIBRARY
            elif kind == BOUNDARY or is_step(code):
                break
        frame = frame.f_back
    return library


def user_stack(frame: FrameType | None) -> tuple[CodeType | int, ...]:
    """The frames of user code from ``frame`` outwards, without the innermost one.

    A flat sequence of code objects and instruction offsets, in turn. It ends at the running step
    of the loop or at the test runner.
    """
    found: list[CodeType | int] = []
    while frame is not None and len(found) < _DEEPEST_TRACE:
        code = frame.f_code
        if code.co_filename not in SKIPPED_FILES:
            kind = KINDS[code.co_filename]
            if kind == USER:
                found += (code, frame.f_lasti)
            elif kind == BOUNDARY or is_step(code):
                break
        frame = frame.f_back
    return tuple(found[2:])


def is_made_by_library(frame: FrameType | None, own: str = "") -> bool:
    """Whether an installed library, not user code, creates the object that ``frame`` is creating.

    Decided by the innermost frame that belongs neither to Python nor to a test runner. ``own`` is
    the top-level package of the object's class. Frames of that package are skipped: it creates the
    object on behalf of its caller.
    """
    while frame is not None:
        code = frame.f_code
        kind = KINDS[code.co_filename]
        if kind in (USER, BOUNDARY, HARNESS) or is_step(code):
            return False
        if kind == LIBRARY:
            name = frame.f_globals.get("__name__")
            if type(name) is not str or name.partition(".")[0] != own:
                return True
        frame = frame.f_back
    return False


def is_user(mark: Mark | None) -> bool:
    """Whether ``mark`` lies in the user's own code."""
    return mark is not None and KINDS[mark[0].co_filename] == USER


def is_user_file(path: str) -> bool:
    """Whether the file ``path`` holds the user's own code."""
    return KINDS[path] == USER


#: ``module_of(1)`` is the ``__name__`` of the module whose code called the caller.
module_of: Callable[[int], str | None]
if sys.version_info >= (3, 12):
    module_of = sys._getframemodulename
else:

    def module_of(depth: int = 0) -> str | None:
        return sys._getframe(depth + 1).f_globals.get("__name__")
