"""Handles that remember the line which scheduled them.

asyncio's debug mode takes a traceback for each handle. Here one instruction is
noted, in a slot of a subclass. It passes for the original in every text.
"""

from __future__ import annotations

import asyncio
import dis
import sys
from asyncio import events
from contextvars import copy_context
from types import BuiltinFunctionType, CodeType, FrameType, MethodType
from typing import Any, Final

from ..core.faults import Faults
from ..core.objects import ask, function_code
from ..core.paths import ASYNCIO, HARNESS, LIBRARY, USER
from ..core.stacks import KINDS, Mark, user_mark

#: asyncio's own class, of which every handle is one.
BASE: Final = events.Handle

_BASE_SLOTS: Final = {
    "_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "__weakref__",
    "_context",
}  # fmt: skip
_INIT_NAMES: Final = (
    "contextvars", "copy_context", "_context", "_loop", "_callback", "_args", "_cancelled",
    "_repr", "get_debug", "format_helpers", "extract_stack", "sys", "_getframe",
    "_source_traceback",
)  # fmt: skip
_RUN_NAMES: Final = (
    "_context", "run", "_callback", "_args", "SystemExit", "KeyboardInterrupt", "BaseException",
    "format_helpers", "_format_callback_source",
    *(("_source_traceback", "_loop") if sys.version_info < (3, 13) else
      ("_loop", "get_debug", "_source_traceback")),
    "call_exception_handler",
)  # fmt: skip
_getframe = sys._getframe

#: Whether the constructors of this Python's handles are those that the classes here stand in for.
KNOWN: Final = (
    set(ask(events.Handle, "__slots__", ())) == _BASE_SLOTS
    and set(ask(events.TimerHandle, "__slots__", ())) == {"_scheduled", "_when"}
    and ask(function_code(events.Handle.__init__), "co_names") == _INIT_NAMES
)


#: Where the faults of handles go, which know no watch: to the run that began last.
FAULTS: Final[list[Faults]] = []


def _note(exc: Exception) -> None:
    for faults in FAULTS[-1:]:
        faults.record("loops", exc)


def mark_of(frame: FrameType) -> Mark | None:
    """The line that asks for a callback; None where asyncio asks on its own behalf."""
    code: CodeType = frame.f_code
    kind = KINDS[code.co_filename]
    if kind == USER:
        return code, frame.f_lasti
    if kind == LIBRARY:
        return user_mark(frame)
    return None


def _asker() -> Mark | None:
    """`mark_of` whoever called the method of a loop that is making a handle."""
    frame: FrameType | None = _getframe(2)
    while frame is not None:
        kind = KINDS[frame.f_code.co_filename]
        if kind != HARNESS and not (kind == ASYNCIO and frame.f_code.co_name in _PASSED_ON):
            return mark_of(frame)
        frame = frame.f_back
    return None


#: Methods of loops that make a handle for their caller.
_PASSED_ON: Final = frozenset(
    {
        "call_soon", "_call_soon", "call_soon_threadsafe", "call_later", "call_at", "_add_reader",
        "_add_writer", "add_reader", "add_writer", "add_signal_handler", "__init__",
    }
)  # fmt: skip


def _fill(handle: Any, callback: Any, args: Any, loop: Any, context: Any) -> None:
    """What the constructor does without debug mode; it would ask the loop for it."""
    handle._context = copy_context() if context is None else context
    handle._loop = loop
    handle._callback = callback
    handle._args = args
    handle._cancelled = False
    handle._repr = None
    handle._source_traceback = None


def _step_types() -> frozenset[type]:
    """What a task of asyncio's hands to ``call_soon`` to have its next step."""

    class Loop:
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> None:
            types.add(type(callback))

        def get_debug(self) -> bool:
            return False

    async def nothing() -> None:
        pass

    types: set[type] = {BuiltinFunctionType}
    coroutine = nothing()
    task = asyncio.Task(coroutine, loop=Loop())  # type: ignore[arg-type]
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine.close()
    # A task in Python has bound methods, like anybody.
    return frozenset(types - {MethodType})


#: The types of what a task's next step is called by.
STEP_TYPES: Final = _step_types()


def is_known_run(run: Any) -> bool:
    """Whether ``run`` is the ``Handle._run`` that this package can stand in for."""
    code = function_code(run)
    return code is not None and code is _RUN and code.co_names == _RUN_NAMES


#: What it is before anybody has replaced it.
_RUN: Final = function_code(events.Handle._run)


def failure(handle: Any, exc: BaseException, faults: Faults) -> dict[str, Any]:
    """What ``Handle._run`` tells the loop when the callback of ``handle`` has raised ``exc``.

    Raises what the user's own objects raise when they are asked what they look like.
    """
    debug = {"debug": handle._loop.get_debug()} if "get_debug" in _RUN_NAMES else {}
    source = events.format_helpers._format_callback_source  # type: ignore[attr-defined]
    with faults.user_code:
        text = source(handle._callback, handle._args, **debug)
    context = {"message": f"Exception in callback {text}", "exception": exc, "handle": handle}
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    return context


def pass_for(run: Any, original: Any) -> Any:
    """Have ``run`` stand in tracebacks where ``original`` would: what users log stays the same."""
    code = run.__code__
    shift = _line_of_call(original.__code__) - _line_of_call(code)
    run.__code__ = code.replace(
        co_filename=original.__code__.co_filename, co_firstlineno=code.co_firstlineno + shift
    )
    return run


def _line_of_call(code: CodeType) -> int:
    """The line of ``code`` that calls ``context.run()``."""
    # Not by dis.get_instructions(), which takes a hundred times as long.
    run = code.co_names.index("run") if "run" in code.co_names else -1
    for position, (lineno, *_) in enumerate(code.co_positions()):
        opcode, name = code.co_code[2 * position : 2 * position + 2]
        if opcode in _LOADS and name >> _SHIFT == run and lineno is not None:
            return lineno
    return code.co_firstlineno


#: The instructions that look up an attribute or a method; since Python 3.12, it is one, and a bit
#: before the number of its name tells which.
_SHIFT: Final = int(sys.version_info >= (3, 12))
_LOADS: Final = [dis.opmap[name] for name in ("LOAD_ATTR", "LOAD_METHOD") if name in dis.opmap]


class _StandsIn(type):
    """Whatever is of the original class passes for one of the class that stands in for it.

    asyncio compares timers by ``isinstance``, with the name that is replaced.
    """

    def __instancecheck__(cls, instance: Any, /) -> bool:
        original = _ORIGINALS.get(cls)
        return isinstance(instance, original) if original else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type, /) -> bool:
        original = _ORIGINALS.get(cls)
        return issubclass(subclass, original) if original else super().__subclasscheck__(subclass)


_ORIGINALS: Final[dict[type, type]] = {}


class Handle(events.Handle, metaclass=_StandsIn):
    """A handle with the mark of whoever scheduled it."""

    __slots__ = ("_asyncio_traps_asked",)
    _asyncio_traps_asked: Mark | None
    _source_traceback: Any

    def __init__(self, callback: Any, args: Any, loop: Any, context: Any = None) -> None:
        try:
            self._asyncio_traps_asked = _asker()
            if not ask(loop, "_debug", True):
                _fill(self, callback, args, loop, context)
                return
        except Exception as exc:
            _note(exc)
        super().__init__(callback, args, loop, context)
        if self._source_traceback:
            del self._source_traceback[-1]


class SoonHandle(events.Handle):
    """What ``call_soon`` makes by itself, outside of debug mode: the shortest way there is.

    Nothing is called to make one: whoever makes it fills it in, as `_fill` does. The caller's
    instruction is kept in two parts, and looked at when somebody asks. A metaclass of its own
    would make it several times slower to make.
    """

    __slots__ = ("_asyncio_traps_code", "_asyncio_traps_lasti")
    _asyncio_traps_code: CodeType | None
    _asyncio_traps_lasti: int
    _source_traceback: Any


class TimerHandle(events.TimerHandle, metaclass=_StandsIn):
    """A timer with the mark of whoever scheduled it."""

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
            self._asyncio_traps_asked = _asker()
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
    """What ``call_at`` makes by itself, outside of debug mode, and fills in like the other."""

    __slots__ = ("_asyncio_traps_asked", "_asyncio_traps_librarys")
    _asyncio_traps_asked: Mark | None
    #: Set if installed code called ``call_later()``, directly.
    _asyncio_traps_librarys: bool
    _source_traceback: Any
    _when: float
    _scheduled: bool

    def __lt__(self, other: Any) -> Any:
        # What the loop's heap goes by: without isinstance(), which would ask the class that
        # stands in for TimerHandle.
        if type(other) is AtHandle:
            return self._when < other._when
        return super().__lt__(other)


#: What stands in for which class of `asyncio.events`.
CLASSES: Final[dict[str, type]] = {"Handle": Handle, "TimerHandle": TimerHandle}

_ThreadSafeHandle: Any = getattr(events, "_ThreadSafeHandle", None)
if _ThreadSafeHandle is not None:  # from Python 3.14 on

    class ThreadSafeHandle(_ThreadSafeHandle, metaclass=_StandsIn):  # type: ignore[misc]
        """What ``call_soon_threadsafe`` returns, with the mark of whoever called that."""

        __slots__ = ("_asyncio_traps_asked",)
        _asyncio_traps_asked: Mark | None
        _source_traceback: Any

        def __init__(self, callback: Any, args: Any, loop: Any, context: Any = None) -> None:
            try:
                self._asyncio_traps_asked = _asker()
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
