"""Replace attributes of classes and modules, and put every one of them back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_ABSENT = object()


class Patches:
    """What was replaced, undone in reverse.

    An attribute that somebody else has replaced meanwhile is left to them:
    putting the old one back would undo their work, not only ours.
    """

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, object, object]] = []

    def set(self, target: Any, name: str, value: object) -> None:
        """Set ``target.name``, remembering what stood there (or that nothing did)."""
        old = vars(target).get(name, _ABSENT)
        self._undo.append((target, name, old, value))
        setattr(target, name, value)

    def wrap(self, target: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace the function ``target.name`` by ``make(original)``, under its name."""
        original = getattr(target, name)
        wrapper = make(original)
        functools.update_wrapper(wrapper, original)
        self.set(target, name, wrapper)

    @property
    def depth(self) -> int:
        """How many attributes are replaced."""
        return len(self._undo)

    def undo(self, down_to: int = 0) -> None:
        """Put back, the newest first, what was replaced; the first ``down_to`` stay as they are.

        What cannot be put back keeps nothing else from it; its exception is raised at the end.
        """
        failed: Exception | None = None
        while len(self._undo) > down_to:
            target, name, old, ours = self._undo.pop()
            try:
                if vars(target).get(name, _ABSENT) is not ours:
                    continue
                if old is _ABSENT:
                    delattr(target, name)
                else:
                    setattr(target, name, old)
            except Exception as exc:
                failed = failed or exc
        if failed is not None:
            raise failed
