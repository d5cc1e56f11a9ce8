"""Stand-ins for the constructors and destructors of classes, which add no frame."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

from .library_classes import LibraryClasses, definer, is_librarys, member
from .objects import ask, is_a
from .patches import Patches

Guard = AbstractContextManager[object]
#: Called with an object and the frame that constructs it.
Tell = Callable[[Any, FrameType | None], None]
#: Called with an object and its destructor, which is about to run. What it returns is called when
#: the destructor has run.
Begin = Callable[[Any, Any], Callable[[], None] | None]


class Constructor:
    """Stands in for ``__init__`` in a class: calls ``tell`` when it is looked up on an object.

    A wrapper would put a frame between the constructor and its caller, at whom libraries look: for
    the ``stacklevel`` of a warning, or for a ``_source_traceback``.
    """

    __slots__ = ("_guard", "_original", "_tell")

    def __init__(self, original: Any, tell: Tell, guard: Guard) -> None:
        self._original = original
        self._tell = tell
        self._guard = guard

    def __get__(self, obj: Any, cls: type | None = None) -> Any:
        if obj is not None:
            with self._guard:
                self._tell(obj, sys._getframe(1))
        return self._original.__get__(obj, cls)


class DestructorHook:
    """Stands in for ``__del__`` in a class: calls ``begin`` when it is looked up on an object.

    There is no frame in between, as for `Constructor`.
    """

    __slots__ = ("_begin", "_guard", "_original")

    def __init__(self, original: Any, begin: Begin, guard: Guard) -> None:
        self._original = original
        self._begin = begin
        self._guard = guard

    def __get__(self, obj: Any, cls: type | None = None) -> Any:
        bound = self._original.__get__(obj, cls)
        if obj is None:
            return bound
        with self._guard:
            end = self._begin(obj, self._original)
            if end is not None:
                call = _Call(bound)
                call.end = end
                call.guard = self._guard
                return call
        return bound


class _Call(functools.partial[Any]):
    """A destructor to be called. Python drops it as soon as it has returned."""

    end: Callable[[], None]
    guard: Guard

    def __del__(self) -> None:
        with self.guard:
            self.end()

    def __repr__(self) -> str:
        # As in the text about an exception in the destructor.
        return repr(ask(self.func, "__func__", self.func))


class ClassHooks:
    """Replaces the constructors and destructors of the classes of imported modules.

    ``constructed`` is called for objects that a coroutine has to close, and ``destructed`` for
    these and for objects of user code with a destructor, both in ``guard``.
    """

    def __init__(
        self,
        patches: Patches,
        classes: LibraryClasses,
        constructed: Tell,
        destructed: Begin,
        guard: Guard,
    ) -> None:
        self._guard = guard
        self._patches = patches
        self._classes = classes
        self._constructed = constructed
        self._destructed = destructed
        #: The ids of the classes in which a constructor or destructor was replaced, with its name.
        self._replaced: set[tuple[int, str]] = set()

    def find_new(self) -> None:
        """Replace those of modules that were imported since the last call."""
        for cls in self._classes.find_new():
            constructor = member(cls, "__init__")
            try:
                if self._classes.closing_of(cls) is None:
                    self._replace(cls, "__del__")
                elif is_librarys(constructor) or is_a(constructor, Constructor):
                    self._replace(cls, "__init__")
                    self._replace(cls, "__del__")
            except Exception:  # its metaclass refuses
                pass

    def _replace(self, cls: type, name: str) -> None:
        """Replace the function ``name`` of ``cls`` where it is defined."""
        target = definer(cls, name)
        if target is None or (id(target), name) in self._replaced:
            return
        original = member(cls, name)
        if name == "__del__":
            hook: Any = DestructorHook(original, self._destructed, self._guard)
        else:
            hook = Constructor(original, self._constructed, self._guard)
        self._patches.set(target, name, hook)
        self._replaced.add((id(target), name))
