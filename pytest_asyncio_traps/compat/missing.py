"""What the plugin looks for in Python and pytest and does not find: blind spots of every run.

A private name of another project may disappear in its next version. Where such a name is looked up
while the plugin is imported, its absence must not keep pytest from starting.
"""

from __future__ import annotations

from typing import Final

#: What cannot be watched, and why.
MISSING: Final[dict[str, str]] = {}


def missing(what: str, reason: str) -> None:
    """``what`` cannot be watched by this process, for ``reason``."""
    MISSING.setdefault(what, reason)
