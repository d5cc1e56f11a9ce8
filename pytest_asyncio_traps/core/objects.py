"""Asks objects of the user's, whatever they do when they are asked.

A property or ``__getattr__`` may raise, ``__class__`` may lie, and a metaclass may do as it
likes with its classes. None of that is a fault of the plugin's, nor a reason to miss a trap.
"""

from __future__ import annotations

import weakref
from typing import Any, Final, TypeGuard, TypeVar

T = TypeVar("T")

_NAME: Final = type.__dict__["__name__"].__get__
_QUALNAME: Final = type.__dict__["__qualname__"].__get__


def ask(obj: object, name: str, default: Any = None) -> Any:
    """The attribute of ``obj``; ``default`` where it has none, or raises."""
    try:
        return getattr(obj, name, default)
    except Exception:
        return default


def is_a(obj: object, cls: type[T]) -> TypeGuard[T]:
    """Whether ``obj`` is of ``cls``, whatever it says itself."""
    return type.__subclasscheck__(cls, type(obj))


def class_name(obj: object) -> str:
    """The name of the class of ``obj``."""
    return str(_NAME(type(obj)))


def class_path(obj: object) -> str:
    """The module and qualified name of the class of ``obj``."""
    cls = type(obj)
    module = ask(cls, "__module__")
    module = f"{str.__str__(module)}." if is_a(module, str) else ""
    return f"{module}{_QUALNAME(cls)}"


class Keyed(weakref.ref[Any]):
    """A weak reference in a dictionary that is keyed by the address of what it refers to."""

    __slots__ = ("key", "within")
    key: int
    within: Any

    @classmethod
    def add(cls, obj: object, within: Any) -> None:
        """Put ``obj`` into ``within``, for as long as it lives."""
        ref = cls(obj, _forget)
        ref.key = id(obj)
        ref.within = within
        within[ref.key] = ref


def _forget(ref: weakref.ref[Any]) -> None:
    assert isinstance(ref, Keyed)
    ref.within.pop(ref.key, None)
