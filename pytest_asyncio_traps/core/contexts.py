"""Classifies the contexts that asyncio passes to a loop's exception handler.

The subject of a context decides which kind reports it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from re import match as _match  # tests may replace it
from typing import Any, Final

from .objects import is_a

DESTROYED: Final = "a pending task was destroyed"
UNRETRIEVED: Final = "an exception was never retrieved"
TOO_LATE: Final = "a future was completed twice"
RAISED: Final = "something that the loop called raised"
OTHER: Final = "a message without an exception"

_args: Final = BaseException.__dict__["args"].__get__
#: Message of `asyncio.InvalidStateError` when a future that is already done is completed. Matches
#: futures in C and in Python. Reading a result too early, or user code, gives other messages.
_TOO_LATE: Final = r"invalid state$|(FINISHED|CANCELLED): "


def is_too_late(exc: object) -> bool:
    """Whether ``exc`` was raised because a future that was already done was completed again."""
    if not is_a(exc, asyncio.InvalidStateError):
        return False
    args = _args(exc)
    return len(args) == 1 and type(args[0]) is str and _match(_TOO_LATE, args[0]) is not None


def subject(context: Mapping[str, Any]) -> str:
    """The subject of ``context``: one of the constants of this module."""
    message = context.get("message")
    text = str.__str__(message) if is_a(message, str) else ""
    if text.startswith("Task was destroyed"):
        return DESTROYED
    if text.endswith("exception was never retrieved"):
        return UNRETRIEVED
    exc = context.get("exception")
    if not is_a(exc, BaseException):
        return OTHER
    return TOO_LATE if is_too_late(exc) else RAISED
