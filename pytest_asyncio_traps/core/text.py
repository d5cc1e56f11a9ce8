"""Text that users have written, made fit to be shown.

Names, messages and texts of objects are whatever somebody chose: they may steer a
terminal, be endless, or raise when they are asked for.
"""

from __future__ import annotations

import re
from re import sub as _sub  # tests may replace it
from typing import IO, Final

from .interruptions import is_interruption
from .objects import class_name

#: How much of a text that stands for one thing is shown.
LIMIT: Final = 1_000

#: Control characters (a tab is harmless), lone surrogates, what breaks a line, and what
#: changes the direction in which a line is read.
# No pattern until there is one to be cleaned: it takes long to be compiled.
_UNFIT: Final = (
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)


def clean(text: str) -> str:
    """``text`` without what could steer a terminal, or make one line look like another."""
    return text if text.isprintable() else _sub(_UNFIT, _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "backslashreplace").decode("ascii")


def as_writable(text: str, stream: IO[str]) -> str:
    """``text`` with escapes in place of what the encoding of ``stream`` does not have."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def shorten(text: str, limit: int = LIMIT) -> str:
    """``text``, cut off where it is longer than ``limit``."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def shown(obj: object, limit: int = 200) -> str:
    """The ``repr`` of ``obj`` on one line, even where its ``__repr__`` raises."""
    try:
        # Not more of it than may be shown: there may be megabytes.
        return shorten(clean(str.__str__(repr(obj))[: limit + 1]), limit)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # an exit, or a failure of pytest's, is none of ours here
        if is_interruption(exc, foreign=True):
            raise
        return f"<{shorten(clean(class_name(obj)), limit)} whose repr() fails>"


def text_of(obj: object) -> str | None:
    """``str(obj)``, without methods of its own, or None where its ``__str__`` raises."""
    try:
        return str.__str__(str(obj))
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        if is_interruption(exc, foreign=True):
            raise
        return None
