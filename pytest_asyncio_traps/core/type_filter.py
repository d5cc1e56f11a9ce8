"""Picks the instances of watched types out of many objects, without running code of a metaclass.

Hashing or comparing a class runs ``__hash__`` or ``__eq__`` of its metaclass, which may be the
user's. Classes are therefore hashed only while no metaclass in the process defines either;
otherwise they are compared by address. Per object, hashing takes 21 ns and the address 90 ns
(Python 3.13).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat
from operator import is_
from typing import Any, Final

Keep = Callable[[Any], bool]

#: ``issubclass(cls, base)`` as ``_is_subclass(base, cls)``, without ``__subclasscheck__`` of a
#: metaclass.
_is_subclass: Final = type.__subclasscheck__
_subclasses: Final[Any] = type.__subclasses__
_hash: Final[Any] = type.__hash__
_eq: Final[Any] = type.__eq__


def always(obj: object) -> bool:
    """The `Keep` of classes of which every instance is of interest."""
    return True


def _with_subclasses(base: type) -> list[type]:
    """``base`` and its living subclasses, direct and indirect; one may be listed twice."""
    found: list[type] = []
    level = [base]
    while level:
        found += level
        level = list(chain(*map(_subclasses, level)))
    return found


def _is_plain(metaclass: Any) -> bool:
    """Whether hashing and comparing the classes of ``metaclass`` runs no code of the user's."""
    if type(metaclass) is not type:
        return False
    hash_ = metaclass.__hash__
    if getattr(hash_, "__module__", None) == "typing_extensions":
        return True  # its methods do what type's do
    return hash_ is _hash and metaclass.__eq__ is _eq


def are_classes_hashable() -> bool:
    """Whether every metaclass in the process is plain.

    Determined again for each reading: the process has about ten metaclasses, and a cached answer
    would have to notice new, dead and changed ones.
    """
    for meta in _with_subclasses(type):
        # Written out, as it is true of nearly all, and calls nothing.
        if type(meta) is type and meta.__hash__ is _hash and meta.__eq__ is _eq:
            continue
        if not _is_plain(meta):
            return False
    return True


class TypeFilter:
    """The types of which instances are of interest.

    ``exact`` holds classes of which every instance is of interest, subclasses excluded. ``marker``
    is one more such class. Its instances only separate others.
    """

    exact: set[type]

    def __init__(self, marker: type) -> None:
        self._marker = marker
        self._only_markers = {marker}
        self._watched: list[tuple[type, Keep]] = []
        self.exact = set()

    def watch(self, cls: type, keep: Keep) -> None:
        """Find instances of ``cls`` and its subclasses, and return ``keep`` with them.

        A class that is watched through two of its bases has the ``keep`` that was given first.
        """
        self._watched.append((cls, keep))

    def is_watched(self, cls: type) -> bool:
        """Whether instances of ``cls`` are of interest."""
        # Not `cls in self.exact`, which hashes the class.
        if any(map(is_, self.exact, repeat(cls))):
            return True
        return any(_is_subclass(base, cls) for base, _ in self._watched)

    def find(self, objects: list[Any]) -> list[tuple[Any, Keep]]:
        """The instances of watched types among ``objects``, in order, each with its ``keep``.

        Empty if it would contain nothing but markers.
        """
        # In this order: a class that another thread makes after the check might be of a metaclass
        # that the check has not seen.
        classes: list[tuple[type, Keep]] = []
        for base, keep in reversed(self._watched):
            classes += zip(_with_subclasses(base), repeat(keep))
        classes += [*zip(self.exact, repeat(always)), (self._marker, always)]
        if not are_classes_hashable():
            # ``objects`` and ``classes`` keep the classes alive, so no address is reused.
            by_id = {id(cls): keep for cls, keep in classes}
            return [(obj, by_id[id(type(obj))]) for obj in objects if id(type(obj)) in by_id]
        wanted = dict(classes)  # the last one counts
        # Every new object of the test run passes here, and hardly any is of a watched type.
        found = {type(obj) for obj in objects} & set(wanted)
        if found <= self._only_markers:
            return []
        return [(obj, wanted[type(obj)]) for obj in objects if type(obj) in found]
