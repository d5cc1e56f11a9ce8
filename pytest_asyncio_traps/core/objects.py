"""Safe access to objects that belong to the user.

A property or ``__getattr__`` may raise, an overridden method may raise, ``__class__`` may lie, and
a metaclass may do anything. None of that is a fault of the plugin or a reason to miss a trap. So
outside of this module, no code reads an attribute of a task, future, loop, transport, coroutine,
callback or exception, calls a method of one, or tests its class. It calls the functions here
instead; ``tests/test_asking.py`` enforces this.

The functions here swallow every `Exception` of user code that is not an interruption (see
`interruptions`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, TypeGuard, TypeVar

from ..compat import asyncio as private
from .interruptions import is_interruption

T = TypeVar("T")

_NAME: Final = type.__dict__["__name__"].__get__
_QUALNAME: Final = type.__dict__["__qualname__"].__get__
_Future: Final = asyncio.Future
_Task: Final = asyncio.Task
_put: Final = object.__setattr__


def ask(obj: object, name: str, default: Any = None) -> Any:
    """``obj.name``; ``default`` if there is no such attribute, or reading it raises."""
    try:
        return getattr(obj, name, default)
    except Exception as exc:
        if is_interruption(exc, in_user_code=True):
            raise
        return default


def ask_text(obj: object, name: str) -> str:
    """``obj.name`` as a plain `str`; empty if it is not a string."""
    value = ask(obj, name)
    return str.__str__(value) if is_a(value, str) else ""


def call(obj: object, name: str, default: Any = None) -> Any:
    """``obj.name()``; ``default`` if there is no such method, or it raises."""
    try:
        return getattr(obj, name)()
    except Exception as exc:
        if is_interruption(exc, in_user_code=True):
            raise
        return default


def put(obj: object, name: str, value: object) -> bool:
    """Set an attribute of the plugin's on ``obj`` without running code of its class.

    Returns False if ``obj`` accepts no attributes: its class has slots or is implemented in C.
    """
    try:
        _put(obj, name, value)
    except Exception as exc:
        if is_interruption(exc, in_user_code=True):
            raise
        return False
    return True


def is_a(obj: object, cls: type[T]) -> TypeGuard[T]:
    """Whether ``obj`` is an instance of ``cls``, regardless of its ``__class__``."""
    return type.__subclasscheck__(cls, type(obj))


def is_any(obj: object, *classes: type) -> bool:
    """Whether ``obj`` is an instance of one of ``classes``, regardless of its ``__class__``."""
    own = type(obj)
    for cls in classes:  # noqa: SIM110 - any() makes a generator
        if type.__subclasscheck__(cls, own):
            return True
    return False


def class_name(obj: object) -> str:
    """The name of the class of ``obj``."""
    return str(_NAME(type(obj)))


def class_path(obj: object) -> str:
    """The module and qualified name of the class of ``obj``."""
    cls = type(obj)
    module = ask_text(cls, "__module__")
    return f"{module}.{_QUALNAME(cls)}" if module else str(_QUALNAME(cls))


# -- tasks and futures: through the methods of asyncio's own classes, not of a subclass ----------


def _asker(cls: type, name: str, default: Any) -> Any:
    """A function that calls the method ``name`` of asyncio's own ``cls`` on an object.

    On an object of another class, it calls that object's method of the same name.
    """
    method: Any = getattr(cls, name, None)

    def ask_method(obj: object) -> Any:
        try:
            return method(obj)
        except Exception as exc:  # an instance of another class, or one whose constructor failed
            if is_interruption(exc, in_user_code=True):
                raise
            return default if is_a(obj, cls) else call(obj, name, default)

    return ask_method


_is_done = _asker(_Future, "done", False)
_is_cancelled = _asker(_Future, "cancelled", False)
_loop_of = _asker(_Future, "get_loop", None)
_name_of = _asker(_Task, "get_name", "")
_cancelling = _asker(_Task, "cancelling", 0)

#: The context of a task, or None (always before Python 3.12).
context_of: Callable[[object], Any] = _asker(_Task, "get_context", None)


def is_done(future: object) -> bool:
    """Whether a task or future is done; False if that is unknown."""
    return _is_done(future) is True


def is_cancelled(future: object) -> bool:
    """Whether a task or future was cancelled."""
    return _is_cancelled(future) is True


def loop_of(future: object) -> Any:
    """The loop of a task or future, or None."""
    loop = _loop_of(future)
    return loop if loop is not None else ask(future, private.LOOP)


def exception_of(future: object) -> BaseException | None:
    """The exception of a task or future, without marking it as retrieved; None if there is none."""
    exc = ask(future, private.FUTURE_EXCEPTION)
    return exc if is_a(exc, BaseException) else None


def task_name(task: object) -> str:
    """The name of a task; empty if it has none."""
    name = _name_of(task)
    return str.__str__(name) if is_a(name, str) else ""


def cancel_requests(task: object) -> int:
    """The number of pending cancellation requests of a task."""
    count = _cancelling(task)
    return count if type(count) is int else 0


def coroutine_of(task: object) -> Any:
    """The coroutine that ``task`` runs, or None once the task has released it.

    Reads a private attribute, because ``get_coro()`` crashes Python 3.12.1 for a task that finished
    eagerly.
    """
    missing = object()
    coroutine = ask(task, private.TASK_COROUTINE, missing)
    return call(task, "get_coro") if coroutine is missing else coroutine


def waits_for(task: object) -> Any:
    """The future that ``task`` waits for, or None."""
    return ask(task, private.TASK_WAITER)


def children_of(future: object) -> list[Any]:
    """The futures that ``future``, the result of `asyncio.gather`, collects; else empty."""
    children = ask(future, private.GATHERED)
    return children if type(children) is list else []


def callbacks_of(future: object) -> list[Any]:
    """The done callbacks of ``future``."""
    callbacks = ask(future, private.FUTURE_CALLBACKS)
    entries = list(callbacks) if type(callbacks) in (list, tuple) else []
    return [entry[0] if type(entry) is tuple and entry else entry for entry in entries]


# -- coroutines, generators, functions -----------------------------------------------------------


def code_of(coroutine: object) -> CodeType | None:
    """The code of a coroutine or generator, or None."""
    code = coroutine_part(coroutine, "code")
    return code if type(code) is CodeType else None


def frame_of(coroutine: object) -> FrameType | None:
    """The frame of a coroutine or generator, or None if it has finished."""
    frame = coroutine_part(coroutine, "frame")
    return frame if type(frame) is FrameType else None


def coroutine_part(coroutine: object, name: str) -> Any:
    """``cr_NAME``, ``gi_NAME`` or ``ag_NAME`` of a coroutine or (async) generator, or None."""
    for prefix in ("cr_", "gi_", "ag_"):
        part = ask(coroutine, prefix + name)
        if part is not None:
            return part
    return None


def awaited_by(coroutine: object) -> Any:
    """The object that a suspended coroutine or generator awaits, or None."""
    return ask(coroutine, "cr_await") or ask(coroutine, "gi_yieldfrom")


def function_code(function: object) -> CodeType | None:
    """The code of a function or method, or None."""
    code = ask(ask(function, "__func__", function), "__code__")
    return code if type(code) is CodeType else None


def owner_of_method(callback: object) -> Any:
    """The object that ``callback`` is a bound method of, or None."""
    return ask(callback, "__self__")


# -- exceptions -----------------------------------------------------------------------------------

_traceback: Final = BaseException.__dict__["__traceback__"].__get__
_cause: Final = BaseException.__dict__["__cause__"].__get__
_context: Final = BaseException.__dict__["__context__"].__get__
_exceptions: Final = BaseExceptionGroup.__dict__["exceptions"].__get__


def traceback_of(exc: BaseException | None) -> TracebackType | None:
    """The traceback of ``exc``, read without running code of its class."""
    traceback: TracebackType | None = _traceback(exc) if exc is not None else None
    return traceback


def related_to(exc: BaseException) -> list[BaseException | None]:
    """Cause, context and group members of ``exc``, read without running code of its class."""
    members = _exceptions(exc) if is_a(exc, BaseExceptionGroup) else ()
    return [_cause(exc), _context(exc), *members]


# -- loops and transports -------------------------------------------------------------------------


def is_closed(loop: Any) -> bool:
    """Whether ``loop`` is closed; True if asking it raises."""
    try:
        return loop.is_closed() is not False
    except Exception as exc:
        if is_interruption(exc, in_user_code=True):
            raise
        return True


def is_running(loop: Any) -> bool:
    """Whether ``loop`` is running; False if asking it raises."""
    try:
        return loop.is_running() is True
    except Exception as exc:
        if is_interruption(exc, in_user_code=True):
            raise
        return False


def call_in_loop(loop: Any, obj: Any, method: str, *args: Any) -> None:
    """Have ``loop``, which runs in another thread, call ``obj.method(*args)``."""
    try:
        loop.call_soon_threadsafe(getattr(obj, method), *args)
    except Exception as exc:  # it has been closed
        if is_interruption(exc, in_user_code=True):
            raise


def extra_of(transport: Any, name: str) -> Any:
    """``transport.get_extra_info(name)``, such as its ``peername``; None if that raises."""
    try:
        return transport.get_extra_info(name)
    except Exception as exc:
        if is_interruption(exc, in_user_code=True):
            raise
        return None
