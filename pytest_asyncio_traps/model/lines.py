"""Lines of source, whatever the file that they are said to stand in is called."""

from __future__ import annotations

import linecache
from collections.abc import Sequence

from .finding import Place


def lines_of(path: str) -> Sequence[str]:
    """The lines of the file ``path``; none where it has none, or its name is no name of a file."""
    try:
        return linecache.getlines(path)
    except Exception:  # up to Python 3.11, for what cannot be encoded, for example
        return ()


def line_at(place: Place) -> str:
    """The text of the line of ``place``; empty where it cannot be read."""
    lines = lines_of(place.path)
    return lines[place.line - 1] if 0 < place.line <= len(lines) else ""
