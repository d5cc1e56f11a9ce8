"""Carries on an `asyncio.InvalidStateError` what is known of the future that was already done."""

from __future__ import annotations

from .objects import ask, put
from .ownership import Tenure
from .stacks import Mark

_ATTRIBUTE = "_asyncio_traps_double_completion"


class DoubleCompletion:
    """A future was completed twice: where both times, and in whose tenure the second time."""

    __slots__ = ("again", "before", "cancelled", "tenure")

    again: Mark | None
    before: Mark | None
    cancelled: bool
    tenure: Tenure

    def __init__(
        self, again: Mark | None, before: Mark | None, cancelled: bool, tenure: Tenure
    ) -> None:
        self.again = again
        self.before = before
        self.cancelled = cancelled
        self.tenure = tenure


def note_double_completion(exc: BaseException, completion: DoubleCompletion) -> None:
    """Note that ``exc`` is raised because of ``completion``."""
    put(exc, _ATTRIBUTE, completion)


def double_completion_of(exc: BaseException | None) -> DoubleCompletion | None:
    """What was noted on ``exc``, if anything."""
    completion = ask(exc, _ATTRIBUTE)
    return completion if isinstance(completion, DoubleCompletion) else None
