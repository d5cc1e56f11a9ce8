"""Keeps a fault of the plugin from the runs and tests of its user.

pytest calls a hook, and what the hook raises ends the run. So every hook of the plugin is guarded.
A hook that has failed does nothing from then on, as if it were not there, and the hooks that it
wraps do their work. The guard lets pass what is no fault: the outcomes of tests, what the user's
code has raised, and usage errors.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ..core.faults import Faults

#: The attribute that marks a hook as one that guards itself.
_WITHIN = "_asyncio_traps_guarded_within"

_Hook = TypeVar("_Hook", bound=Callable[..., Any])


class Guarded:
    """A plugin of which each hook is guarded, those of its subclasses included."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def __init_subclass__(cls) -> None:
        for name, function in list(vars(cls).items()):
            if name.startswith("pytest_") and not hasattr(function, _WITHIN):
                setattr(cls, name, guarded(function))


def guarded_within(function: _Hook) -> _Hook:
    """Mark the hook ``function`` as one that guards itself, in its own blocks."""
    setattr(function, _WITHIN, True)
    return function


def guarded(
    function: Callable[..., Any], faults_of: Callable[..., Faults] | None = None
) -> Callable[..., Any]:
    """The hook ``function``, a wrapper or a plain one, guarded against its faults.

    ``faults_of`` returns where the faults are noted, and is called with the arguments of the hook.
    Without it, ``function`` is a method, and its object has them as ``faults``. pytest calls hooks
    many times in each test, so the guards are written out here and call no helpers.
    """
    part = function.__name__

    def plain(*args: Any) -> Any:
        __tracebackhide__ = True
        faults = args[0].faults if faults_of is None else faults_of(*args)
        if part in faults.texts:
            return None
        try:
            return function(*args)
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record(part, exc)
            return None

    def wrapper(*args: Any) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        faults = args[0].faults if faults_of is None else faults_of(*args)
        inner = None
        if part not in faults.texts:
            try:
                inner = function(*args)
                next(inner)
            except Exception as exc:
                inner = None
                if not faults.is_ours(exc):
                    raise
                faults.record(part, exc)
        if inner is None:
            return (yield)
        try:
            result = yield
        except BaseException as theirs:
            try:
                inner.throw(theirs)
            except StopIteration as stop:
                return stop.value
            except Exception as exc:
                if exc is theirs or not faults.is_ours(exc):
                    raise
                faults.record(part, exc)
            raise  # what the wrapped hooks have raised
        try:
            inner.send(result)
        except StopIteration as stop:
            return stop.value
        except Exception as exc:
            if not faults.is_ours(exc):
                raise
            faults.record(part, exc)
        return result

    return functools.wraps(function)(wrapper if inspect.isgeneratorfunction(function) else plain)
