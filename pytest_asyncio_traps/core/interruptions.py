"""Tells an exception that interrupts the plugin from one that the plugin causes.

A signal handler, a trace function or another thread (by ``PyThreadState_SetAsyncExc``) may raise at
any instruction, so also while the plugin's code is on the stack. Such an exception is the user's,
and goes where it would go without the plugin: pytest-timeout and watchdogs of a suite's own end a
test in this way.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, Final

from .paths import PLUGIN

_MODULE: Final = type.__dict__["__dict__"].__get__


def is_interruption(exc: BaseException, in_user_code: bool = False) -> bool:
    """Whether ``exc``, which has come out of the plugin's code, interrupted that code.

    To be asked where the exception is caught. ``in_user_code`` says that the plugin's code had
    called into the user's there. That may be code in C, which leaves no frame when it raises: only
    what a handler has raised is then known to be an interruption.
    """
    traceback = exc.__traceback__
    caught_in = traceback.tb_frame if traceback is not None else None
    outer: FrameType | None = None
    while traceback is not None:
        inner = traceback.tb_frame
        if outer is not None and _is_handler(inner, outer):
            return True
        outer, traceback = inner, traceback.tb_next
    # No call has raised it: the innermost frame is the plugin's, and the class is not one of those
    # that Python raises there.
    return (
        outer is not None
        and not (in_user_code and outer is caught_in)
        and (outer is caught_in or outer.f_code.co_filename.startswith(PLUGIN))
        and not _is_pythons(type(exc))
    )


def _is_handler(inner: FrameType, outer: FrameType) -> bool:
    """Whether Python called ``inner`` between two instructions of ``outer``."""
    # A signal handler and a trace function are given the frame that they interrupt, a callback of
    # sys.monitoring its code. No call that the plugin makes hands on either.
    for value in _arguments(inner):
        if value is outer or value is outer.f_code:
            return True
    return any(inner.f_code is code for code in _codes_of_handlers())


def _arguments(frame: FrameType) -> Iterator[object]:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)  # *args, **kwargs
    values = frame.f_locals
    for name in code.co_varnames[:count]:
        value = values.get(name)
        yield value
        if type(value) is tuple:
            yield from value


def _codes_of_handlers() -> Iterator[CodeType]:
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        if not callable(handler):
            continue
        for _ in range(10):  # a partial of a method of an object, say
            inner = _inner(handler)
            if inner is None:
                break
            if type(inner) is CodeType:
                yield inner
                break
            handler = inner


def _inner(handler: object) -> object:
    """What a call of ``handler`` runs: a code object, or another callable."""
    for name in ("__code__", "__func__", "func"):
        try:
            inner: object = getattr(handler, name, None)
        except Exception:  # whatever the object does when it is asked
            continue
        if inner is not None:
            return inner
    return getattr(type(handler), "__call__", None)  # noqa: B004 - the method, not whether it is there


def _is_pythons(cls: type) -> bool:
    """Whether ``cls`` is of Python, of its standard library or of the plugin."""
    module = _MODULE(cls).get("__module__", "builtins")
    top = module.partition(".")[0] if type(module) is str else ""
    return top in ("builtins", "pytest_asyncio_traps") or top in sys.stdlib_module_names
