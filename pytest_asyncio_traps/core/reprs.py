"""``repr()`` and ``str()`` of user objects, safe even if ``__repr__`` or ``__str__`` raises."""

from __future__ import annotations

from ..model.text import clean, shorten
from .interruptions import is_interruption
from .objects import class_name


def shown(obj: object, limit: int = 200) -> str:
    """``repr(obj)`` on one line, at most ``limit`` characters; a substitute if it raises."""
    try:
        # Cut first: the text may have megabytes.
        return shorten(clean(str.__str__(repr(obj))[: limit + 1]), limit)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # swallow SystemExit and pytest's outcomes as well
        if is_interruption(exc, in_user_code=True):
            raise
        return f"<{shorten(clean(class_name(obj)), limit)} whose repr() fails>"


def text_of(obj: object) -> str | None:
    """``str(obj)`` as a plain `str`, or None if it raises."""
    try:
        return str.__str__(str(obj))
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        if is_interruption(exc, in_user_code=True):
            raise
        return None
