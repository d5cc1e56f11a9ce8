"""The user's line out of a stack.

A mark, ``(code, instruction offset)``, is what is kept while tests run: taking
one costs far less than a line number, and unlike a frame it keeps none of the
user's objects alive. `place_of` turns it into a `Place` when there is something
to report.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import sys
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Callable, Iterable, Sequence, Sized
from itertools import accumulate, chain, compress, repeat, starmap
from operator import attrgetter, methodcaller
from types import CodeType, FrameType, TracebackType
from typing import Final, cast

from ..model.finding import Place
from ..model.text import LIMIT, shorten
from .objects import ask, awaited_by, class_name, code_of, frame_of, function_code, is_a
from .paths import ASYNCIO, BOUNDARY, HARNESS, HERE, LIBRARY, STDLIB, USER
from .reprs import text_of

Mark = tuple[CodeType, int]
#: Marks, one after another: to the collector, one object.
Stack = list[CodeType | int]


def _outside_of_a_loop(look: Callable[[str], str], filename: str) -> str:
    """What ``look`` says of it: some tools forbid to look at files in the thread of a loop."""
    loop = _get_running_loop()
    _set_running_loop(None)
    try:
        return look(filename)
    finally:
        _set_running_loop(loop)


def classify(filename: str) -> int:
    """What kind of code ``filename`` holds: one of the constants of `paths`.

    The user's own code is whatever lies neither in the standard library nor
    among installed packages. CPython's own test suite counts as a user's.
    """
    if filename.startswith("<"):
        # What a person types; not code that was generated or frozen.
        return USER if filename.startswith(("<doctest", "<stdin", "<ipython")) else STDLIB
    if not os.path.isabs(filename) and filename.endswith((".pyx", ".pxd", ".pxi")):
        return STDLIB if filename.startswith("uvloop/") else LIBRARY  # compiled by Cython
    try:
        path = _outside_of_a_loop(os.path.realpath, filename)
    except (OSError, ValueError):
        path = filename  # no name of a file, or the current folder is gone
    return HERE.classify(path)


class _Kinds(dict[str, int]):
    def __missing__(self, filename: str) -> int:
        kind = self[filename] = classify(filename)
        if kind in (ASYNCIO, STDLIB, HARNESS) and filename not in _files_of_steps():
            PASSED_BY.add(filename)
            _BEYOND.add(filename)
        elif kind == LIBRARY:
            _BEYOND.add(filename)
        return kind


#: From a code object's file name to its kind, worked out once for each file.
KINDS: Final = _Kinds()

#: Where one step of a loop begins: a frame below it belongs to whoever runs the
#: loop, not to whoever scheduled the step. Others come in by `add_step`.
STEP_CODES: Final[list[CodeType]] = [
    code for code in (function_code(asyncio.Handle._run),) if code is not None
]

#: Files of frames that are neither the user's nor where a search for those ends, nor a library's.
PASSED_BY: Final[set[str]] = set()
#: ... or a library's, once one of those was met.
_BEYOND: Final[set[str]] = set()


def _files_of_steps() -> set[str]:
    return {code.co_filename for code in STEP_CODES}


def add_step(code: CodeType) -> None:
    """A function of ``code`` runs a step of a loop, from now on."""
    STEP_CODES.append(code)
    PASSED_BY.discard(code.co_filename)
    _BEYOND.discard(code.co_filename)


def is_step(code: CodeType) -> bool:
    """Whether ``code`` is of a function that runs a step of a loop."""
    # By identity: hashing or comparing code objects reads all their instructions.
    for step in STEP_CODES:  # noqa: SIM110 - any() makes a generator
        if code is step:
            return True
    return False


def user_mark(frame: FrameType | None) -> Mark | None:
    """The innermost frame of the user's code from ``frame`` outwards, as a mark.

    Falls back on the innermost frame of an installed library, and on None when
    only the standard library or a test runner stands in the stack. Never looks
    beyond the step of the loop that is running.
    """
    library: Mark | None = None
    passed_by = PASSED_BY
    while frame is not None:
        code = frame.f_code
        if code.co_filename not in passed_by:
            kind = KINDS[code.co_filename]
            if kind == USER:
                return code, frame.f_lasti
            if kind == LIBRARY:
                if library is None:
                    library = code, frame.f_lasti
                    passed_by = _BEYOND
            elif kind == BOUNDARY or is_step(code):
                break
        frame = frame.f_back
    return library


def user_stack(frame: FrameType | None) -> tuple[CodeType | int, ...]:
    """The user's frames from ``frame`` outwards, but for the innermost, in pairs as in a `Mark`.

    Up to the step of the loop that is running, or to the test runner.
    """
    found: list[CodeType | int] = []
    while frame is not None and len(found) < _DEEPEST_TRACE:
        code = frame.f_code
        if code.co_filename not in PASSED_BY:
            kind = KINDS[code.co_filename]
            if kind == USER:
                found += (code, frame.f_lasti)
            elif kind == BOUNDARY or is_step(code):
                break
        frame = frame.f_back
    return tuple(found[2:])


#: Twice as many as the lines that a trace has at the most.
_DEEPEST_TRACE: Final = 64


def places_of(pairs: Sequence[CodeType | int]) -> list[Place]:
    """The places that code objects and offsets, in turn, stand for."""
    marks = cast("list[Mark]", list(zip(pairs[::2], pairs[1::2], strict=True)))
    return [place for mark in marks if (place := place_of(mark)) is not None]


def is_librarys(frame: FrameType | None, own: str = "") -> bool:
    """Whether installed code, and not the user's, has asked for what is made in ``frame``.

    The innermost frame counts that is neither Python's nor a test runner's, nor of the package
    ``own``: that of the class of what is made, which makes it for its caller.
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


def stack_of(thread_id: int) -> Stack:
    """The stack of another thread, innermost first; empty if there is no such thread.

    A frame that one thread holds while another goes on keeps the user's objects
    alive, and a collection that the user asks for would not find them. So the frames
    are read by one call in C, within which no other thread runs, and let go of.

    Empty, too, while there is a second interpreter in the process: its frames would
    be made into objects of this one, which it would free, and the process would end.
    """
    stack: Stack = []
    alone = map((1).__eq__, map(len, starmap(_interpreters, ((),))))
    innermost = map(
        methodcaller("get", thread_id), starmap(sys._current_frames, compress(((),), alone))
    )
    frames = accumulate(chain(innermost, repeat("f_back", _DEEPEST)), getattr)
    try:
        stack.extend(chain.from_iterable(map(_AS_MARK, frames)))
    except AttributeError:
        pass  # None comes after the outermost frame
    return stack


def marks_of(stack: Stack) -> list[Mark]:
    """The marks of which `stack_of` has made one list."""
    return cast("list[Mark]", list(zip(stack[::2], stack[1::2], strict=True)))


def _find_interpreters() -> Callable[[], Sized]:
    """What lists the interpreters of this process."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # as of 3.13, and before
        try:
            return cast("Callable[[], Sized]", importlib.import_module(name).list_all)
        except (ImportError, AttributeError):
            pass
    return lambda: (None,)  # a build without the means to make a second one


_interpreters = _find_interpreters()
_AS_MARK: Callable[[object], Mark] = attrgetter("f_code", "f_lasti")
_DEEPEST = 2_000


def user_mark_of(stack: Iterable[Mark]) -> Mark | None:
    """What `user_mark` says, of the marks of a whole stack."""
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
    """What the step of a loop has called, of a stack that was taken with `stack_of`.

    Neither asyncio's own frames nor a test runner's, the innermost first.
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


#: What is done once in the life of a process, by the end of the files' names in which it is done.
_FIRST_TIME: Final = (
    ("<frozen importlib._bootstrap>", "importing a module"),
    ("/re/_compiler.py", "compiling a regular expression"),
    ("/re/_parser.py", "compiling a regular expression"),
)


def first_time(stack: Iterable[Mark]) -> str:
    """What a stack is at that is done for the first time only; empty if it is nothing of that."""
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


def is_user(mark: Mark | None) -> bool:
    """Whether ``mark`` lies in the user's own code."""
    return mark is not None and KINDS[mark[0].co_filename] == USER


def is_users(path: str) -> bool:
    """Whether the file ``path`` holds the user's own code."""
    return KINDS[path] == USER


def line_of(code: CodeType, offset: int) -> int:
    """The line number of the instruction at ``offset`` (in bytes) of ``code``."""
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


def place_of(mark: Mark | None) -> Place | None:
    """The place that ``mark`` stands for."""
    if mark is None:
        return None
    code, offset = mark
    return Place(_absolute(code.co_filename), line_of(code, offset), code.co_name)


def place_of_code(code: CodeType) -> Place:
    """Where ``code`` is defined."""
    return Place(_absolute(code.co_filename), code.co_firstlineno, code.co_name)


def user_place(frame: FrameType | None) -> Place | None:
    """`user_mark` and `place_of` in one."""
    return place_of(user_mark(frame))


def raised_at(traceback: TracebackType | None) -> Place | None:
    """The innermost line of the user's code in a traceback, else of a library's."""
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
    """The outermost line of the user's code in a traceback."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if KINDS[code.co_filename] == USER:
            return Place(_absolute(code.co_filename), traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next
    return None


def coroutine_origin(coroutine: object) -> Place | None:
    """The line whose call made ``coroutine``, if Python noted it."""
    origin = ask(coroutine, "cr_origin")
    if type(origin) is not tuple or not origin:
        return None
    path, line, function = origin[0]
    return Place(_absolute(path), line, function)


def name_of(coroutine: object) -> str:
    """What a reader knows ``coroutine``, or a callback, as."""
    while is_a(coroutine, functools.partial):
        coroutine = coroutine.func
    for attribute in ("__qualname__", "__name__"):
        name = ask(coroutine, attribute)
        if is_a(name, str) and (plain := str.__str__(name)):
            return shorten(plain, 200)
    return shorten(class_name(coroutine), 200)


def describe(exc: BaseException | None) -> str:
    """``exc`` on one line, whatever its ``__str__`` does."""
    name = shorten(class_name(exc), 200)
    text = text_of(exc)
    if text is None:
        return name
    text = shorten(" ".join(text[:LIMIT].split()), 200)
    return f"{name}: {text}" if text else name


def codes_of(coroutine: object) -> list[CodeType]:
    """The code of a suspended coroutine and of those that it awaits, the user's and libraries'."""
    codes: list[CodeType] = []
    for _ in range(100):
        code = code_of(coroutine)
        if code is None:
            break
        if KINDS[code.co_filename] >= LIBRARY:
            codes.append(code)
        coroutine = awaited_by(coroutine)
    return codes


def chain_of(coroutine: object) -> list[Place]:
    """The lines at which a suspended coroutine and those that it awaits wait, the outermost first.

    The user's and libraries' lines; asyncio's own are left out.
    """
    chain: list[Place] = []
    for _ in range(100):  # a chain of awaits that was built by hand may be a ring
        code, frame = code_of(coroutine), frame_of(coroutine)
        if code is None or frame is None:
            break
        if KINDS[code.co_filename] >= LIBRARY and frame.f_lineno is not None:
            chain.append(Place(_absolute(code.co_filename), frame.f_lineno, code.co_name))
        coroutine = awaited_by(coroutine)
    return chain


def waits_at(coroutine: object) -> Place | None:
    """The innermost line of the user's code at which a suspended coroutine waits.

    An async generator stands where it has yielded.
    """
    best: Place | None = None
    best_kind = -1
    for _ in range(1000):  # a chain of awaits that was built by hand may be a ring
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


def _absolute(filename: str) -> str:
    if filename.startswith("<"):
        return filename
    if os.path.isabs(filename):
        return os.path.normpath(filename)
    try:
        return _outside_of_a_loop(os.path.abspath, filename)
    except (OSError, ValueError):
        return filename  # no name of a file, or the current folder is gone


#: ``module_of(1)`` is the ``__name__`` of the module whose code called the caller.
module_of: Callable[[int], str | None]
if sys.version_info >= (3, 12):
    module_of = sys._getframemodulename
else:

    def module_of(depth: int = 0) -> str | None:
        return sys._getframe(depth + 1).f_globals.get("__name__")
