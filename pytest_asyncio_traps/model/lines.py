"""Reads lines of source files, tolerating any file name."""

from __future__ import annotations

import linecache
from collections.abc import Sequence

from .finding import Place


def lines_of(path: str) -> Sequence[str]:
    """The lines of the file ``path``; empty if it cannot be read or its name is not valid."""
    try:
        return linecache.getlines(path)
    except Exception:  # for example a name that cannot be encoded, up to Python 3.11
        return ()


def line_at(place: Place) -> str:
    """The text of the line at ``place``; empty if it cannot be read."""
    lines = lines_of(place.path)
    return lines[place.line - 1] if 0 < place.line <= len(lines) else ""
