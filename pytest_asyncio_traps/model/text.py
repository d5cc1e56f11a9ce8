"""Text that users have written, made fit to be shown.

Names, messages and texts of objects are whatever somebody chose: they may steer a
terminal, be endless, or raise when they are asked for.
"""

from __future__ import annotations

import re
from re import sub as _sub  # tests may replace it
from typing import IO, Final

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
