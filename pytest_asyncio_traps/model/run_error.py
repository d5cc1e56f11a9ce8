"""What fails a run without failing any of its tests."""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
from collections.abc import Callable
from typing import Final, NamedTuple

#: The values of `RunError.id`. Each never changes its meaning.
FINDING: Final = "finding-without-test"
UNUSED_RULE: Final = "unused-rule"
UNUSED_MARKER: Final = "unused-marker"
STALE: Final = "stale-baseline-entry"
NOT_WRITTEN: Final = "baseline-not-written"
FAULT: Final = "plugin-fault"


class RunError(NamedTuple):
    """An error that belongs to no test.

    ``path`` is absolute; ``line`` is 0 where no line is meant. ``subject`` stands for the place
    where there is no file: an option, a nodeid, the name of the plugin.
    """

    id: str
    text: str
    path: str = ""
    line: int = 0
    subject: str = ""

    def where(self, relative: Callable[[str], str]) -> str:
        """``path:line`` with a path that ``relative`` has shortened, or `subject`."""
        if not self.path:
            return self.subject
        name = relative(self.path)
        return f"{name}:{self.line}" if self.line else name
