"""The living objects that a coroutine has to close: who made them, and what they hold."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from ..model.finding import Finding
from .library_classes import Closing, LibraryClasses
from .objects import ask, ask_text, class_name, is_a, is_any
from .ownership import Tenure
from .paths import LIBRARY, USER
from .places import place_of
from .stacks import KINDS, Mark

_MRO: Final = type.__dict__["__mro__"].__get__


class Resource:
    """What is known of one object. Refers to the object weakly, if its class allows that."""

    __slots__ = (
        "by_library", "closing", "finding", "is_direct", "is_maker", "is_part", "keepers", "makers",
        "mark", "outer", "ref", "reported", "tenure", "via",
    )  # fmt: skip

    by_library: bool
    closing: Closing
    finding: Finding | None
    is_direct: bool
    is_maker: bool
    is_part: bool
    keepers: list[Resource]
    makers: list[Resource]
    mark: Mark
    outer: tuple[Any, ...]
    ref: weakref.ref[Any] | None
    reported: bool
    tenure: Tenure
    via: Closing | None

    def __init__(
        self, obj: Any, closing: Closing, mark: Mark, outer: tuple[Any, ...], tenure: Tenure
    ) -> None:
        self.closing = closing
        #: The user's line that made the object, and the frames of user code that led to it: see
        #: `user_stack`.
        self.mark = mark
        self.outer = outer
        self.tenure = tenure
        self.ref = _ref(obj)
        #: The objects whose methods made this one, the innermost first.
        self.makers = []
        #: How to close the object of any class whose method made this one, the outermost of them.
        self.via = None
        #: Whether no function of an installed library made it, and whether one of another library
        #: than that of its class did.
        self.is_direct = True
        self.by_library = False
        #: Whether the constructor of another object made it, and whether it has made others.
        self.is_part = False
        self.is_maker = False
        #: What has held this object, and was destroyed before it.
        self.keepers = []
        #: Whether there is a finding about this object, or about one that it is part of.
        self.reported = False
        #: The finding about this object itself.
        self.finding = None

    def made_by(self, keepers: Iterable[Resource]) -> Resource | None:
        """The object to close if this one is open and ``keepers`` hold it. None if it is a part.

        An object that has made this one and keeps it is responsible: a client for a connection in
        its pool. Of several, it is the one that the user made, such as a pool for many clients.
        """
        held_by = list(keepers)
        makers = [maker for maker in self.makers if any(maker is each for each in held_by)]
        if makers:
            return next((each for each in makers if each.is_direct), makers[-1])
        return None if self.is_part else self

    def is_part_of(self, whole: Resource) -> bool:
        """Whether ``whole``, which holds this object, is what the user has to close."""
        if self.made_by([whole]) is whole:
            return True
        # Or this one was handed to the constructor of the other, in the same line.
        is_maker = any(self is maker for maker in whole.makers)
        return not is_maker and place_of(self.mark) == place_of(whole.mark)


def _ref(obj: Any) -> weakref.ref[Any] | None:
    try:
        return weakref.ref(obj)
    except TypeError:
        return None


class Resources:
    """The `Resource` of each living object, by ``id()``.

    A note on the object would show in its ``__dict__``, and some classes allow none.
    """

    def __init__(self, classes: LibraryClasses) -> None:
        self._classes = classes
        self._living: dict[int, Resource] = {}

    def __bool__(self) -> bool:
        return bool(self._living)

    def add(self, obj: Any, resource: Resource, maker: FrameType | None) -> None:
        """``obj`` is about to be constructed, for the call in ``maker``."""
        own = _package(type(obj))
        while maker is not None and (kind := KINDS[maker.f_code.co_filename]) != USER:
            if kind == LIBRARY:
                resource.is_direct = False
                module = maker.f_globals.get("__name__")
                is_own = type(module) is str and module.partition(".")[0] == own
                resource.by_library = resource.by_library or not is_own
                self._add_maker(resource, maker)
            maker = maker.f_back
        self._living[id(obj)] = resource

    def _add_maker(self, resource: Resource, frame: FrameType) -> None:
        made_by = first_argument(frame)
        known = self.of(made_by)
        if known is not None:
            resource.makers.append(known)
            known.is_maker = True
            resource.is_part = resource.is_part or frame.f_code.co_name == "__init__"
        closing = self._classes.closing_of(type(made_by)) if made_by is not None else None
        resource.via = closing or resource.via

    def of(self, obj: Any) -> Resource | None:
        """The resource of ``obj``, while it lives."""
        resource = self._living.get(id(obj))
        if resource is None or resource.ref is None:
            return resource
        # The reference is dead while the collector destroys the object.
        return resource if resource.ref() in (None, obj) else None

    def take(self, obj: Any) -> Resource | None:
        """The resource of ``obj``, which is about to be destroyed or constructed. Forgets it."""
        resource = self.of(obj)
        self._living.pop(id(obj), None)
        return resource

    def living(self) -> Iterator[tuple[Any, Resource]]:
        """The objects that are alive, in the order in which they were made."""
        for resource in list(self._living.values()):
            obj = resource.ref() if resource.ref is not None else None
            if obj is not None:
                yield obj, resource

    def holders_of(self, transports: list[Any]) -> dict[int, list[Resource]]:
        """By ``id()`` of each transport, the objects that hold it, the latest made last."""
        holders: dict[int, list[Resource]] = {id(transport): [] for transport in transports}
        for obj, resource in self.living():
            for held in held_by(obj):
                if id(held) in holders:
                    holders[id(held)].append(resource)
        return holders


def first_argument(frame: FrameType) -> Any:
    """The first argument of the function that runs in ``frame``, such as ``self``; or None."""
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None


def caller_of_constructors(frame: FrameType | None, obj: Any) -> FrameType | None:
    """From ``frame`` outwards, the first one that is none of a constructor of ``obj``."""
    while frame is not None and frame.f_code.co_name == "__init__" and first_argument(frame) is obj:
        frame = frame.f_back
    return frame


def is_blank(obj: object) -> bool:
    """Whether ``obj`` has no attributes: its constructor raised before it did anything."""
    attributes = ask(obj, "__dict__")
    return type(attributes) is dict and not attributes


# -- what an object holds ------------------------------------------------------------------------

#: How many objects a search looks at.
_MOST: Final = 1_000
_CONTAINERS: Final = (dict, list, set, tuple, deque)
_STREAMS: Final = (asyncio.StreamReader, asyncio.StreamWriter)
_OPAQUE: Final = (type, FunctionType, MethodType, ModuleType)

# What a search does with an object.
_SKIPPED: Final = 0
_CONTAINER: Final = 1
_PART: Final = 2
_TRANSPORT: Final = 3


def held_by(obj: Any) -> Iterator[Any]:
    """What ``obj`` holds through objects of its own package and streams, and all transports.

    Also while the collector destroys all of them, and weak references to them are gone.
    """
    packages = {_package(base) for base in _MRO(type(obj))} - {"builtins", "abc", "typing"}
    roles: dict[int, int] = {}  # by the id of the class
    seen, waiting = {id(obj)}, [obj]
    for holder in waiting:
        for held in gc.get_referents(holder):
            if not gc.is_tracked(held) or id(held) in seen:
                continue
            if len(seen) > _MOST:
                return
            seen.add(id(held))
            role = roles.get(id(type(held)))
            if role is None:
                role = roles[id(type(held))] = _role(held, packages)
            if role >= _PART:
                yield held
            if role in (_CONTAINER, _PART):
                waiting.append(held)


def _role(obj: Any, packages: set[str]) -> int:
    """What a search does with the objects of the class of ``obj``."""
    if is_transport(obj):
        return _TRANSPORT
    if is_any(obj, *_CONTAINERS):
        return _CONTAINER
    if is_any(obj, *_OPAQUE):
        return _SKIPPED
    return _PART if _package(type(obj)) in packages or is_any(obj, *_STREAMS) else _SKIPPED


def is_transport(obj: Any) -> bool:
    """Whether ``obj`` is a transport of asyncio or uvloop."""
    return is_a(obj, asyncio.BaseTransport) or (
        ask_text(type(obj), "__module__") == "uvloop.loop" and "Transport" in class_name(obj)
    )


def _package(cls: type) -> str:
    return ask_text(cls, "__module__").partition(".")[0]
