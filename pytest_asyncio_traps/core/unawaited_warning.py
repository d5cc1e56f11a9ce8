"""Python's hook for coroutines that were never awaited, made to warn at the right line.

Python's own ``warnings._warn_unawaited_coroutine`` warns at the line of its caller. Once it is
called by a wrapper, it has to look one frame further.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

from ..compat import cpython
from .objects import ask
from .places import coroutine_origin, place_of_code


def is_pythons(hook: Any) -> bool:
    """Whether ``hook`` is Python's own."""
    # Not by __module__, which update_wrapper() copies.
    return ask(hook, "__globals__", {}).get("__name__") in cpython.WARNINGS_MODULES


def for_wrapper(hook: FunctionType) -> Callable[[Any], None]:
    """Python's own ``hook``, for a wrapper in its place: it warns at the same line."""
    return _with(hook, _warn_from_one_frame_further)


def at_creation(hook: FunctionType) -> Callable[[Any], None]:
    """Python's own ``hook``, warning at the line where the coroutine was made."""
    return _with(hook, warn_at_creation)


def warn_at_creation(message: Any, category: Any, stacklevel: int, source: Any) -> None:
    """As `warnings.warn`, but at the line where the coroutine ``source`` was made."""
    place = coroutine_origin(source) or place_of_code(source.cr_code)
    warnings.warn_explicit(message, category, place.path, place.line, source=source)


def _warn_from_one_frame_further(message: Any, category: Any, stacklevel: int, source: Any) -> None:
    warnings.warn(message, category, stacklevel + 2, source)


def _with(hook: FunctionType, warn: Callable[..., None]) -> Callable[[Any], None]:
    """Python's own ``hook``, which calls ``warn`` in the place of `warnings.warn`."""
    # Which of the two names it uses depends on Python's version.
    names = {"warn": warn, "_wm": SimpleNamespace(warn=warn)}
    return FunctionType(
        hook.__code__,
        {**hook.__globals__, **names},
        hook.__name__,
        hook.__defaults__,
        hook.__closure__,
    )
