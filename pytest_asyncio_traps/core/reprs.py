"""Texts of the user's objects, whatever ``__repr__`` and ``__str__`` do."""

from __future__ import annotations

from ..model.text import clean, shorten
from .interruptions import is_interruption
from .objects import class_name


def shown(obj: object, limit: int = 200) -> str:
    """The ``repr`` of ``obj`` on one line, even where its ``__repr__`` raises."""
    try:
        # Not more of it than may be shown: there may be megabytes.
        return shorten(clean(str.__str__(repr(obj))[: limit + 1]), limit)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # an exit, or a failure of pytest's, is none of ours here
        if is_interruption(exc, in_user_code=True):
            raise
        return f"<{shorten(clean(class_name(obj)), limit)} whose repr() fails>"


def text_of(obj: object) -> str | None:
    """``str(obj)``, without methods of its own, or None where its ``__str__`` raises."""
    try:
        return str.__str__(str(obj))
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        if is_interruption(exc, in_user_code=True):
            raise
        return None
