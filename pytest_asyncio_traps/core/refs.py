"""Weak references for objects that may not be hashable."""

from __future__ import annotations

import weakref
from typing import Any


class IdKeyedRef(weakref.ref[Any]):
    """A weak reference kept in a dictionary under the ``id()`` of its object.

    A `weakref.WeakKeyDictionary` would call ``__hash__`` and ``__eq__`` of the user's class.
    """

    __slots__ = ("key", "within")
    key: int
    within: Any

    @classmethod
    def add(cls, obj: object, within: Any) -> None:
        """Add a reference to ``obj`` to the dictionary ``within``, for as long as ``obj`` lives."""
        ref = cls(obj, _forget)
        ref.key = id(obj)
        ref.within = within
        within[ref.key] = ref


def _forget(ref: weakref.ref[Any]) -> None:
    assert isinstance(ref, IdKeyedRef)
    ref.within.pop(ref.key, None)
