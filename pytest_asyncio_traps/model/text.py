"""Makes text that comes from user code safe to show.

Names, messages and reprs may contain terminal escape sequences or megabytes of text.
"""

from __future__ import annotations

import re
from re import sub as _sub  # tests may replace it
from typing import IO, Final

#: The longest text, in characters, that a report shows for one object.
LIMIT: Final = 1_000

#: Control characters except tab, lone surrogates, line separators, and characters that change the
#: direction of text. A string, compiled on first use: compiling it would slow down every start.
_UNFIT: Final = (
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)


def clean(text: str) -> str:
    """``text`` with escapes in place of characters that affect a terminal or disguise a line."""
    return text if text.isprintable() else _sub(_UNFIT, _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "backslashreplace").decode("ascii")


def as_writable(text: str, stream: IO[str]) -> str:
    """``text`` with escapes in place of characters that ``stream`` cannot encode."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def shorten(text: str, limit: int = LIMIT) -> str:
    """``text``, cut to ``limit`` characters, the last three of which are dots if it was longer."""
    return text if len(text) <= limit else text[: limit - 3] + "..."
