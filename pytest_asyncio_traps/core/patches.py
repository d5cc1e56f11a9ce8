"""Replace attributes of classes and modules, and put every one of them back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_ABSENT = object()


class _Kept:
    __slots__ = ("again", "depth", "name", "names", "value")

    def __init__(self, names: Any, name: str, again: Callable[[], None], depth: int) -> None:
        #: How many attributes were replaced before this one.
        self.depth = depth
        self.names = names
        self.name = name
        self.again = again
        self.value = names.get(name)


class Patches:
    """What was replaced, undone in reverse.

    An attribute that somebody else has replaced meanwhile is left to them:
    putting the old one back would undo their work, not only ours.
    """

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, object, object]] = []
        #: What `keep` has put: the names of its target, its own, what stands there, and how
        #: to put it there anew.
        self.kept: list[_Kept] = []

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

    def keep(
        self,
        target: Any,
        name: str,
        make: Callable[[Any], Any],
        over: Callable[[Any], bool] = lambda other: True,
    ) -> None:
        """As `wrap`; and do so once more when `renew` is called, if somebody has replaced it.

        What somebody has put there is left alone where ``over`` of it is false.
        """

        def again() -> None:
            if over(getattr(target, name)):
                self.wrap(target, name, make)

        depth = self.depth
        self.wrap(target, name, make)
        self.kept.append(_Kept(vars(target), name, again, depth))

    def renew(self) -> None:
        """Look after what is to be kept in its place."""
        for kept in self.kept:
            if kept.names.get(kept.name) is not kept.value:
                kept.again()
                kept.value = kept.names.get(kept.name)

    @property
    def depth(self) -> int:
        """How many attributes are replaced."""
        return len(self._undo)

    def undo(self, down_to: int = 0) -> None:
        """Put back, the newest first, what was replaced; the first ``down_to`` stay as they are.

        What cannot be put back keeps nothing else from it; its exception is raised at the end.
        """
        failed: Exception | None = None
        self.kept = [kept for kept in self.kept if kept.depth < down_to]
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
