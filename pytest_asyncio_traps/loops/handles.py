"""Handles that note the line which scheduled their callback.

asyncio's debug mode takes a traceback for each handle. These classes note one instruction, in a
slot. They have the names of asyncio's classes in every text.
"""

from __future__ import annotations

import sys
from asyncio import base_events, events
from contextvars import copy_context
from types import CodeType, FrameType
from typing import Any, Final

from ..compat import asyncio as private
from ..core.faults import Faults
from ..core.objects import ask, function_code
from ..core.paths import ASYNCIO, HARNESS, LIBRARY, USER
from ..core.stacks import KINDS, Mark, user_mark

# -- private parts of asyncio, which the classes and functions of this package replace -------------

#: asyncio's own class, the base of all handles.
BASE: Final = events.Handle

#: Whether ``Handle._run`` asks the loop for debug mode when a callback fails (Python 3.13).
RUN_ASKS_FOR_DEBUG: Final = "get_debug" in private.HANDLE_RUN

_RUN: Final = function_code(events.Handle._run)
_CALL_SOON: Final = function_code(base_events.BaseEventLoop.call_soon)


def is_known_run(run: Any) -> bool:
    """Whether ``run`` is asyncio's own ``Handle._run``, and does what this package expects."""
    code = function_code(run)
    return code is not None and code is _RUN and private.KNOWN_STEP.holds


def known_call_soon(loop_class: Any) -> Any:
    """asyncio's own ``_call_soon``, if this package can make the handles in its place; else None.

    Looks at ``call_soon`` and ``call_at`` of ``loop_class``: call it before these are replaced.
    """
    known = private.HANDLES.holds and private.LOOPS.holds and private.SCHEDULING.holds
    plain_call_soon: Any = vars(loop_class).get("_call_soon")
    known = known and function_code(loop_class.call_soon) is _CALL_SOON is not None
    return plain_call_soon if known else None


# -- where a callback was scheduled ----------------------------------------------------------------

_getframe = sys._getframe

#: The faults of each run that is watched. A handle knows no watch: its faults go to the last run.
FAULTS: Final[list[Faults]] = []


def _note(exc: Exception) -> None:
    for faults in FAULTS[-1:]:
        faults.record("loops", exc)


def mark_of(frame: FrameType) -> Mark | None:
    """The line that schedules a callback from ``frame``; None where asyncio does so for itself."""
    code: CodeType = frame.f_code
    kind = KINDS[code.co_filename]
    if kind == USER:
        return code, frame.f_lasti
    if kind == LIBRARY:
        return user_mark(frame)
    return None


#: Methods of loops that make a handle for their caller.
_MAKERS: Final = frozenset(
    {
        "call_soon", "_call_soon", "call_soon_threadsafe", "call_later", "call_at", "_add_reader",
        "_add_writer", "add_reader", "add_writer", "add_signal_handler", "__init__",
    }
)  # fmt: skip


def _scheduled_at() -> Mark | None:
    """`mark_of` the frame that called the method of a loop which is making a handle."""
    frame: FrameType | None = _getframe(2)
    while frame is not None:
        kind = KINDS[frame.f_code.co_filename]
        if kind != HARNESS and not (kind == ASYNCIO and frame.f_code.co_name in _MAKERS):
            return mark_of(frame)
        frame = frame.f_back
    return None


def _fill(handle: Any, callback: Any, args: Any, loop: Any, context: Any) -> None:
    """Do what the constructor does outside of debug mode, without asking the loop for that."""
    handle._context = copy_context() if context is None else context
    handle._loop = loop
    handle._callback = callback
    handle._args = args
    handle._cancelled = False
    handle._repr = None
    handle._source_traceback = None


# -- the classes -----------------------------------------------------------------------------------


class _ReplacementType(type):
    """The type of a class that replaces one of asyncio's: instances of both count as its own.

    asyncio compares timers by ``isinstance``, with the name that is replaced.
    """

    def __instancecheck__(cls, instance: Any, /) -> bool:
        original = _ORIGINALS.get(cls)
        return isinstance(instance, original) if original else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type, /) -> bool:
        original = _ORIGINALS.get(cls)
        return issubclass(subclass, original) if original else super().__subclasscheck__(subclass)


_ORIGINALS: Final[dict[type, type]] = {}


class Handle(events.Handle, metaclass=_ReplacementType):
    """A handle that notes which line scheduled its callback."""

    __slots__ = ("_asyncio_traps_asked",)
    _asyncio_traps_asked: Mark | None
    _source_traceback: Any

    def __init__(self, callback: Any, args: Any, loop: Any, context: Any = None) -> None:
        try:
            self._asyncio_traps_asked = _scheduled_at()
            if not ask(loop, "_debug", True):
                _fill(self, callback, args, loop, context)
                return
        except Exception as exc:
            _note(exc)
        super().__init__(callback, args, loop, context)
        if self._source_traceback:
            del self._source_traceback[-1]


class SoonHandle(events.Handle):
    """What the plugin's ``call_soon`` makes outside of debug mode, as cheaply as possible.

    ``call_soon`` calls no constructor, but fills in each slot, as `_fill` does. The caller's
    instruction is kept in two parts, which are looked at when a report needs them. A metaclass
    would make an instance several times slower to make.
    """

    __slots__ = ("_asyncio_traps_code", "_asyncio_traps_lasti")
    _asyncio_traps_code: CodeType | None
    _asyncio_traps_lasti: int
    _source_traceback: Any


class TimerHandle(events.TimerHandle, metaclass=_ReplacementType):
    """A timer that notes which line scheduled its callback."""

    __slots__ = ("_asyncio_traps_asked",)
    _asyncio_traps_asked: Mark | None
    _source_traceback: Any

    def __init__(
        self,
        when: float,
        callback: Any,
        args: Any,
        loop: Any,
        context: Any = None,
    ) -> None:
        try:
            self._asyncio_traps_asked = _scheduled_at()
            if not ask(loop, "_debug", True):
                _fill(self, callback, args, loop, context)
                self._when = when
                self._scheduled = False
                return
        except Exception as exc:
            _note(exc)
        super().__init__(when, callback, args, loop, context)
        if self._source_traceback:
            del self._source_traceback[-1]


class AtHandle(events.TimerHandle):
    """What the plugin's ``call_at`` makes outside of debug mode, and fills in slot by slot."""

    __slots__ = ("_asyncio_traps_asked", "_asyncio_traps_librarys")
    _asyncio_traps_asked: Mark | None
    #: Whether installed code scheduled the callback; not set if user code did so directly.
    _asyncio_traps_librarys: bool
    _source_traceback: Any
    _when: float
    _scheduled: bool

    def __lt__(self, other: Any) -> Any:
        # The loop's heap calls this. The original calls isinstance() with the class that
        # replaces TimerHandle, which is slow.
        if type(other) is AtHandle:
            return self._when < other._when
        return super().__lt__(other)


#: By the name of a class of `asyncio.events`, the class that replaces it.
CLASSES: Final[dict[str, type]] = {"Handle": Handle, "TimerHandle": TimerHandle}

_ThreadSafeHandle: Any = getattr(events, "_ThreadSafeHandle", None)
if _ThreadSafeHandle is not None:  # from Python 3.14 on

    class ThreadSafeHandle(_ThreadSafeHandle, metaclass=_ReplacementType):  # type: ignore[misc]
        """A handle of ``call_soon_threadsafe`` that notes which line scheduled its callback."""

        __slots__ = ("_asyncio_traps_asked",)
        _asyncio_traps_asked: Mark | None
        _source_traceback: Any

        def __init__(self, callback: Any, args: Any, loop: Any, context: Any = None) -> None:
            try:
                self._asyncio_traps_asked = _scheduled_at()
            except Exception as exc:
                _note(exc)
            super().__init__(callback, args, loop, context)
            if self._source_traceback:
                del self._source_traceback[-1]

    CLASSES["_ThreadSafeHandle"] = ThreadSafeHandle

_ORIGINALS.update({_cls: _cls.__mro__[1] for _cls in CLASSES.values()})
for _name, _cls in (*CLASSES.items(), ("Handle", SoonHandle), ("TimerHandle", AtHandle)):
    _cls.__module__ = "asyncio.events"
    _cls.__name__ = _cls.__qualname__ = _name
