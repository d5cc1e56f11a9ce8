"""Distinguishes exceptions that interrupt the plugin's code from faults of that code.

A signal handler, a trace function or another thread (through ``PyThreadState_SetAsyncExc``) can
raise at any instruction, even while the plugin's code is on the stack. pytest-timeout and a suite's
own watchdogs end a test this way. Such an exception must propagate as it would without the plugin.
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
    """Whether ``exc``, raised from within the plugin's code, interrupted that code.

    Call this in the function that catches ``exc``. Pass ``in_user_code=True`` if the block called
    user code. C code leaves no frame when it raises, so an exception without an inner frame may
    then come from that call, and only an exception that a handler raised counts as an interruption.
    """
    traceback = exc.__traceback__
    caught_in = traceback.tb_frame if traceback is not None else None
    outer: FrameType | None = None
    while traceback is not None:
        inner = traceback.tb_frame
        if outer is not None and _is_handler(inner, outer):
            return True
        outer, traceback = inner, traceback.tb_next
    # Otherwise, exc is an interruption if its innermost frame is the plugin's, so that no call
    # raised it, and its class is not one that Python itself raises there.
    return (
        outer is not None
        and not (in_user_code and outer is caught_in)
        and (outer is caught_in or outer.f_code.co_filename.startswith(PLUGIN))
        and not _is_pythons(type(exc))
    )


def _is_handler(inner: FrameType, outer: FrameType) -> bool:
    """Whether Python called ``inner`` between two instructions of ``outer``."""
    # Python passes the interrupted frame to a signal handler or trace function, and the code object
    # to a sys.monitoring callback. The plugin itself never passes its own frame or code to a call.
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
        for _ in range(10):  # such as a partial of a bound method
            inner = _inner(handler)
            if inner is None:
                break
            if type(inner) is CodeType:
                yield inner
                break
            handler = inner


def _inner(handler: object) -> object:
    """What calling ``handler`` runs: a code object or another callable."""
    for name in ("__code__", "__func__", "func"):
        try:
            inner: object = getattr(handler, name, None)
        except Exception:  # a property of the user's may raise
            continue
        if inner is not None:
            return inner
    return getattr(type(handler), "__call__", None)  # noqa: B004 - the method itself is needed


def _is_pythons(cls: type) -> bool:
    """Whether ``cls`` is defined by Python, its standard library or the plugin."""
    module = _MODULE(cls).get("__module__", "builtins")
    top = module.partition(".")[0] if type(module) is str else ""
    return top in ("builtins", "pytest_asyncio_traps") or top in sys.stdlib_module_names
