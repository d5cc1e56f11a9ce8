"""Replaces attributes of classes and modules, and restores every one of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_ABSENT = object()


class _Kept:
    __slots__ = ("depth", "name", "namespace", "put_again", "value")

    def __init__(
        self, namespace: Any, name: str, put_again: Callable[[], None], depth: int
    ) -> None:
        #: The number of attributes that were replaced before this one.
        self.depth = depth
        #: The ``vars()`` of the target.
        self.namespace = namespace
        self.name = name
        #: Replaces the attribute once more.
        self.put_again = put_again
        #: The attribute as `Patches.keep` or `Patches.renew` left it.
        self.value = namespace.get(name)


class Patches:
    """Replaced attributes. `undo` restores them in reverse order.

    An attribute that other code has replaced in the meantime is left alone: restoring it would
    undo the replacement of that code as well.
    """

    def __init__(self) -> None:
        #: Target, name, old value and new value of each replacement.
        self._undo: list[tuple[Any, str, object, object]] = []
        #: The replacements that `renew` checks.
        self.kept: list[_Kept] = []

    def set(self, target: Any, name: str, value: object) -> None:
        """Set ``target.name``, and remember the old value or that there was none."""
        old = vars(target).get(name, _ABSENT)
        self._undo.append((target, name, old, value))
        setattr(target, name, value)

    def wrap(self, target: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace the function ``target.name`` with ``make(original)``.

        The replacement takes over the name and the docstring of the original.
        """
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
        """Like `wrap`, and wrap again on `renew` if other code has replaced the function.

        A replacement for which ``over(replacement)`` is false is left alone.
        """

        def put_again() -> None:
            if over(getattr(target, name)):
                self.wrap(target, name, make)

        depth = self.depth
        self.wrap(target, name, make)
        self.kept.append(_Kept(vars(target), name, put_again, depth))

    def renew(self) -> None:
        """Wrap the functions again that `keep` wrapped and other code has replaced since."""
        for kept in self.kept:
            if kept.namespace.get(kept.name) is not kept.value:
                kept.put_again()
                kept.value = kept.namespace.get(kept.name)

    @property
    def depth(self) -> int:
        """The number of replacements, to be passed to `undo`."""
        return len(self._undo)

    def undo(self, down_to: int = 0) -> None:
        """Restore all attributes but the ``down_to`` first ones, newest first.

        An attribute that cannot be restored does not keep the others from being restored. The
        first exception is raised at the end.
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
