"""A fault of the plugin is the plugin's own: caught, kept, and told once."""

from __future__ import annotations

import traceback
from types import TracebackType


class Faults:
    """Exceptions of the plugin's own code, by the part in which they were raised.

    Use it around every piece of code that runs inside somebody else's::

        with faults.guard("never-awaited"):
            ...

    The first exception of each part is kept as text. A part that has failed is
    off from then on: ask `off` before doing more work in it.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._guards: dict[str, _Guard] = {}

    def off(self, part: str) -> bool:
        """Whether ``part`` has failed before."""
        return part in self.texts

    def guard(self, part: str) -> _Guard:
        """A context manager that keeps an exception of its block from leaving it."""
        guard = self._guards.get(part)
        if guard is None:
            guard = self._guards[part] = _Guard(self, part)
        return guard

    def note(self, part: str, exc: BaseException) -> None:
        """Keep ``exc`` as the fault of ``part``, if it is the first."""
        if part not in self.texts:
            try:
                text = "".join(traceback.format_exception(exc))
            except Exception:  # a traceback that cannot be rendered must not hide the fault
                text = f"{type(exc).__name__} (its traceback could not be rendered)\n"
            self.texts[part] = text


class _Guard:
    # It has no state of its own, so that one serves all blocks of its part, nested ones too.
    __slots__ = ("_faults", "_part")

    def __init__(self, faults: Faults, part: str) -> None:
        self._faults = faults
        self._part = part

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        if exc is None or not isinstance(exc, Exception):
            return False  # Ctrl-C and exits are for whoever they were sent to
        self._faults.note(self._part, exc)
        return True
