"""Classifies the contexts that asyncio passes to a loop's exception handler.

The subject of a context decides which kind reports it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from re import match as _match  # tests may replace it
from typing import Any, Final

from ..compat import asyncio as private
from .objects import is_a

DESTROYED: Final = "a pending task was destroyed"
UNRETRIEVED: Final = "an exception was never retrieved"
TOO_LATE: Final = "a future was completed twice"
RAISED: Final = "something that the loop called raised"
OTHER: Final = "a message without an exception"

_args: Final = BaseException.__dict__["args"].__get__


def is_too_late(exc: object) -> bool:
    """Whether ``exc`` was raised because a future that was already done was completed again."""
    if not is_a(exc, asyncio.InvalidStateError):
        return False
    args = _args(exc)
    return (
        len(args) == 1
        and type(args[0]) is str
        and _match(private.COMPLETED_TWICE, args[0]) is not None
    )


def subject(context: Mapping[str, Any]) -> str:
    """The subject of ``context``: one of the constants of this module."""
    message = context.get("message")
    text = str.__str__(message) if is_a(message, str) else ""
    if private.MESSAGES.holds:
        if text.startswith(private.DESTROYED):
            return DESTROYED
        if text.endswith(private.UNRETRIEVED):
            return UNRETRIEVED
    elif "future" in context and "exception" in context:
        return UNRETRIEVED
    elif "task" in context and "exception" not in context:
        return DESTROYED
    exc = context.get("exception")
    if not is_a(exc, BaseException):
        return OTHER
    if is_a(exc, asyncio.InvalidStateError) and not private.COMPLETION_ERRORS.holds:
        return OTHER  # it may say that a future was completed twice, or something else
    return TOO_LATE if is_too_late(exc) else RAISED
