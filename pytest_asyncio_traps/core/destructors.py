"""Destructors that complain: of which classes, about what, and what their objects hold.

A destructor cannot await. That of an object which has to be closed by a coroutine can only say that
nobody did. Python hides what most of them say: it ignores a ResourceWarning by default.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import warnings
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from .objects import ask, ask_text, class_name, function_code, is_a, is_any
from .ownership import Tenure
from .paths import LIBRARY
from .stacks import KINDS, Mark

_DICT: Final = type.__dict__["__dict__"].__get__
_MRO: Final = type.__dict__["__mro__"].__get__
_QUALNAME: Final = type.__dict__["__qualname__"].__get__
_names_of: Final[Any] = vars(ModuleType)["__dict__"].__get__

_is_subclass: Final = type.__subclasscheck__

#: Methods that close an object, the ones to recommend first.
_METHODS: Final = ("aclose", "close", "ensure_closed", "disconnect")


class Closing(NamedTuple):
    """How objects of a class are closed."""

    #: The class, as its users import it.
    public_name: str
    #: The coroutine function that closes an object; empty if only ``async with`` does.
    method: str
    #: Whether ``async with`` closes an object, too.
    is_context_manager: bool


# -- classes -------------------------------------------------------------------------------------


def definer(cls: type, name: str) -> type | None:
    """The class in the MRO of ``cls`` that defines ``name``, or None. Runs no code of theirs."""
    for base in _MRO(cls):
        if name in _DICT(base):
            found: type = base
            return found
    return None


def member(cls: type, name: str) -> Any:
    """What `definer` has under ``name``, as it is; None if there is none."""
    base = definer(cls, name)
    return _DICT(base)[name] if base is not None else None


def is_librarys(function: object) -> bool:
    """Whether ``function`` is written in Python, and neither Python's own nor a test runner's."""
    code = function_code(function) if is_a(function, FunctionType) else None
    return code is not None and KINDS[code.co_filename] >= LIBRARY


def _is_async(cls: type, name: str) -> bool:
    """Whether ``name`` is a coroutine function of ``cls``, or says that it returns an awaitable."""
    function = member(cls, name)
    for _ in range(10):  # decorators that wrap one another
        if not is_a(function, FunctionType):
            return False
        if inspect.iscoroutinefunction(function) or _returns_awaitable(function):
            return True
        function = vars(function).get("__wrapped__")
    return False


def _returns_awaitable(function: object) -> bool:
    annotations = ask(function, "__annotations__")
    returned = annotations.get("return") if type(annotations) is dict else None
    name = returned if type(returned) is str else ask_text(returned, "__qualname__")
    return any(awaitable in name for awaitable in ("Awaitable", "Coroutine", "Future"))


def closing_of(cls: type) -> Closing | None:
    """How objects of ``cls`` are closed; None without a destructor, or if nothing is to be awaited.

    A base class may have the destructor of a connection that only a subclass closes by a coroutine.
    """
    if not is_librarys(member(cls, "__del__")):
        return None
    method = next((name for name in _METHODS if _is_async(cls, name)), "")
    is_context_manager = _is_async(cls, "__aexit__")
    if not method and not is_context_manager:
        return None
    if method in ("", "aclose") and _has_plain_close(cls):
        return None  # anyio's memory streams, aiohttp's responses: close() is enough
    return Closing(_public_name(cls), method, is_context_manager)


def _has_plain_close(cls: type) -> bool:
    return is_a(member(cls, "close"), FunctionType) and not _is_async(cls, "close")


def _public_name(cls: type) -> str:
    """The shortest path under which the packages around ``cls`` export it."""
    module, name = ask_text(cls, "__module__"), _QUALNAME(cls)
    parts = module.split(".")
    for length in range(1, len(parts)):
        package = sys.modules.get(".".join(parts[:length]))
        if is_a(package, ModuleType) and _names_of(package).get(name) is cls:
            return ".".join([*parts[:length], name])
    return f"{module}.{name}" if module else name


class LibraryClasses:
    """The classes of imported modules whose objects a coroutine closes: see `closing_of`."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        # By id, since hashing a class may run code of its metaclass.
        self._closings: dict[int, tuple[weakref.ref[type], Closing | None]] = {}

    def find_new(self) -> list[type]:
        """The classes in modules that were imported since the last call.

        A module whose import is under way is searched as far as it has come.
        """
        found: list[type] = []
        for name in [name for name in list(sys.modules) if name not in self._seen]:
            self._seen.add(name)
            if name.partition(".")[0] in _NOT_SEARCHED:
                continue
            module = sys.modules.get(name)
            if is_a(module, ModuleType):
                found += self._in_module(name, module)
        return found

    def _in_module(self, name: str, module: ModuleType) -> list[type]:
        found = []
        for value in list(_names_of(module).values()):
            metaclass = type(value)
            if metaclass is not type and not _is_subclass(type, metaclass):
                continue
            # Imported names are found in the module that defines them.
            if _DICT(value).get("__module__") == name and self.closing_of(value) is not None:
                found.append(value)
        return found

    def closing_of(self, cls: type) -> Closing | None:
        """The same as the function `closing_of`, from a cache."""
        ref, closing = self._closings.get(id(cls), (None, None))
        if ref is None or ref() is not cls:
            closing = closing_of(cls)
            self._closings[id(cls)] = weakref.ref(cls), closing
        return closing


#: Packages with no class of interest: Python's own, and those that run tests.
_NOT_SEARCHED: Final = sys.stdlib_module_names | {
    "pytest", "_pytest", "pluggy", "pytest_asyncio", "pytest_asyncio_traps", "xdist", "execnet",
    "uvloop",
}  # fmt: skip


class Constructor:
    """Stands in for ``__init__`` in a class: calls ``tell`` when it is looked up on an object.

    A wrapper would put a frame between the constructor and its caller, at whom libraries look: for
    the ``stacklevel`` of a warning, or for a ``_source_traceback``.
    """

    __slots__ = ("_original", "_tell")

    def __init__(self, original: Any, tell: Callable[[Any, FrameType | None], None]) -> None:
        self._original = original
        self._tell = tell

    def __get__(self, obj: Any, cls: type | None = None) -> Any:
        if obj is not None:
            self._tell(obj, sys._getframe(1))
        return self._original.__get__(obj, cls)


def instance_of(frame: FrameType) -> Any:
    """The object whose constructor runs in ``frame``, or None."""
    code = frame.f_code
    if code.co_name != "__init__" or not code.co_argcount:
        return None
    return frame.f_locals.get(code.co_varnames[0])


def is_blank(obj: object) -> bool:
    """Whether ``obj`` has no attributes: its constructor raised before it did anything."""
    attributes = ask(obj, "__dict__")
    return type(attributes) is dict and not attributes


# -- what a destructor says ----------------------------------------------------------------------


class Made(NamedTuple):
    """Where an object was made, in whose tenure, and on whose behalf."""

    mark: Mark
    #: The frames of user code that led to ``mark``: see `user_stack`.
    outer: tuple[Any, ...]
    tenure: Tenure
    #: Whether a function of an installed library, called by the user's code, made it.
    by_library: bool
    #: Whether the constructor of another watched object made it.
    is_part: bool


class Destructor:
    """A destructor of ``obj`` that runs."""

    __slots__ = ("complained", "consented", "delivery", "made", "obj", "text", "transports")

    delivery: Any

    def __init__(self, obj: Any, made: Made, transports: list[Any]) -> None:
        self.obj = obj
        self.made = made
        #: What ``obj`` held before the destructor ran.
        self.transports = transports
        #: Whether it has said that the object was not closed.
        self.complained = False
        #: Whether the user has dealt with that.
        self.consented = False
        #: The message of the latest warning.
        self.text = ""

    def warned(self, category: type) -> None:
        """A warning of ``category`` is about to pass the filters."""
        if not type.__subclasscheck__(ResourceWarning, category):
            return
        self.complained = True
        self.consented = self.consented or _is_ignored(category, self.text)


def _is_ignored(category: type, text: str) -> bool:
    """Whether a filter of the user's, and not Python's own one, ignores that warning."""
    filters: list[Any] = [each for each in warnings.filters if type(each[2]) is not _Category]
    for number, (action, message, of, module, line) in enumerate(filters):
        if module is not None or line or not type.__subclasscheck__(of, category):
            continue  # where a destructor warns depends on who drops the object
        if type(message) is str:
            if message != text:
                continue
        elif message is not None and not message.match(text):
            continue
        is_default = (message, of) == (None, ResourceWarning) and number == len(filters) - 1
        return action == "ignore" and not is_default
    return False


class _Category(type):
    """The class of `_Probe`, a category of warnings that none is a subclass of."""

    _probe: WarningProbe

    def __subclasscheck__(cls, category: type) -> bool:
        cls._probe.passed(category)
        return False


class WarningProbe:
    """A filter that matches no warning, and notes which ones pass while a destructor runs.

    Filters are the only thing that Python asks about a warning which it then ignores. The filter is
    in place during the destructor only; it stands before all others. ``last`` returns the innermost
    destructor that runs in this thread; ``guard`` keeps faults from the code that warns.
    """

    def __init__(
        self, last: Callable[[], Destructor | None], guard: AbstractContextManager[object]
    ) -> None:
        self._last = last
        self._guard = guard
        category = _Category("_Probe", (Warning,), {"_probe": self})
        self._filter = ("ignore", self, category, None, 0)

    def match(self, text: Any) -> bool:
        """As the method of a compiled pattern: Python calls it with the message."""
        with self._guard:
            destructor = self._last()
            if destructor is not None:
                destructor.text = str.__str__(text) if is_a(text, str) else ""
        return True

    def passed(self, category: type) -> None:
        """A warning of ``category`` is about to pass the filters."""
        with self._guard:
            destructor = self._last()
            if destructor is not None:
                destructor.warned(category)

    def insert(self) -> None:
        """Put the filter in place."""
        # Without telling `warnings`: that would have Python show other warnings a second time.
        warnings.filters.insert(0, self._filter)  # type: ignore[attr-defined]

    def remove(self) -> None:
        """Take the filter away, once for each call of `insert`."""
        filters: list[Any] = warnings.filters  # type: ignore[assignment]
        for number, each in enumerate(filters):
            if each is self._filter:
                del filters[number]
                break


# -- what an object holds ------------------------------------------------------------------------

#: How many objects a search looks at.
_MOST: Final = 1_000
_CONTAINERS: Final = (dict, list, set, tuple, deque)


def transports_of(obj: Any) -> list[Any]:
    """The transports that ``obj`` holds through objects of its own package and streams.

    Also while the collector destroys all of them, and weak references to them are gone.
    """
    packages = {_package(base) for base in _MRO(type(obj))} - {"builtins", "abc", "typing"}
    seen, waiting, found = {id(obj)}, deque([obj]), []
    while waiting and len(seen) < _MOST:
        for held in gc.get_referents(waiting.popleft()):
            if id(held) in seen:
                continue
            seen.add(id(held))
            if _is_transport(held):
                found.append(held)
            elif is_any(held, *_CONTAINERS) or _is_within(held, packages):
                waiting.append(held)
    return found


def _is_transport(obj: Any) -> bool:
    return is_a(obj, asyncio.BaseTransport) or (
        ask_text(type(obj), "__module__") == "uvloop.loop" and "Transport" in class_name(obj)
    )


def _is_within(obj: Any, packages: set[str]) -> bool:
    if is_any(obj, type, FunctionType, ModuleType):
        return False
    streams = (asyncio.StreamReader, asyncio.StreamWriter)
    return _package(type(obj)) in packages or is_any(obj, *streams)


def _package(cls: type) -> str:
    return ask_text(cls, "__module__").partition(".")[0]
