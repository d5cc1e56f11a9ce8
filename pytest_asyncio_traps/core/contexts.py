"""What a loop's exception handler is told about: pure classification of its contexts.

asyncio hands the handler a dict. Whatever it tells is one kind's to report.
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

#: What asyncio's futures, in C and in Python, say when they are done already. They say
#: other things when a result is read too early, and so may whoever raises the same error.
_args: Final = BaseException.__dict__["args"].__get__
_TOO_LATE: Final = r"invalid state$|(FINISHED|CANCELLED): "


def is_too_late(exc: object) -> bool:
    """Whether ``exc`` says that a future was done already when somebody completed it."""
    if not is_a(exc, asyncio.InvalidStateError):
        return False
    args = _args(exc)
    return len(args) == 1 and type(args[0]) is str and _match(_TOO_LATE, args[0]) is not None


def subject(context: Mapping[str, Any]) -> str:
    """What ``context`` is about: one of the constants of this module."""
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
