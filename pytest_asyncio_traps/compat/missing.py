"""Private names that this Python or pytest lacks: blind spots of every run.

A private name of another project may disappear in its next version. The plugin looks up some while
it is imported, and a missing one must not keep pytest from starting.
"""

from __future__ import annotations

from typing import Final

#: What cannot be watched, and the reason.
MISSING: Final[dict[str, str]] = {}


def missing(what: str, reason: str) -> None:
    """Note that this process cannot watch ``what``, because of ``reason``."""
    MISSING.setdefault(what, reason)
