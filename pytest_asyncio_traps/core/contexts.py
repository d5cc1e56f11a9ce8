"""What a loop's exception handler is told about: pure classification of its contexts.

asyncio hands the handler a dict. Whatever it tells is one kind's to report.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

DESTROYED: Final = "a pending task was destroyed"
UNRETRIEVED: Final = "an exception was never retrieved"
TOO_LATE: Final = "a future was completed twice"
RAISED: Final = "something that the loop called raised"
OTHER: Final = "a message without an exception"

#: What `asyncio.InvalidStateError` says when a result is read too early: that is no
#: future completed twice.
_TOO_EARLY: Final = (
    "Result is not set.", "Result is not ready.", "Exception is not set.",
)  # fmt: skip


def is_too_late(exc: object) -> bool:
    """Whether ``exc`` says that a future was done already when somebody completed it."""
    return (
        isinstance(exc, asyncio.InvalidStateError)
        and len(exc.args) <= 1
        and (not exc.args or exc.args[0] not in _TOO_EARLY)
    )


def subject(context: Mapping[str, Any]) -> str:
    """What ``context`` is about: one of the constants of this module."""
    message = context.get("message")
    text = message if isinstance(message, str) else ""
    if text.startswith("Task was destroyed"):
        return DESTROYED
    if text.endswith("exception was never retrieved"):
        return UNRETRIEVED
    exc = context.get("exception")
    if not isinstance(exc, BaseException):
        return OTHER
    return TOO_LATE if is_too_late(exc) else RAISED
