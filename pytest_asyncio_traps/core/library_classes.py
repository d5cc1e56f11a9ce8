"""Which classes have objects that a coroutine has to close, and a destructor that can complain."""

from __future__ import annotations

import inspect
import sys
import weakref
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from .objects import ask, ask_text, function_code, is_a
from .paths import LIBRARY, USER
from .stacks import KINDS

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
    #: Whether the method ``close()``, which is no coroutine function, is enough.
    has_plain_close: bool

    @property
    def name(self) -> str:
        """The name of the class, without its module."""
        return self.public_name.rpartition(".")[2]


def definer(cls: type, name: str) -> type | None:
    """The class in the MRO of ``cls`` that defines ``name``, or None. Runs no code of theirs."""
    # The MRO is None while a class is being made. Before Python 3.12, some classes in C have none.
    for base in _MRO(cls) or ():
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
    """How objects of ``cls`` are closed; None if nothing is to be awaited."""
    method = next((_own_name(cls, name) for name in _METHODS if _is_async(cls, name)), "")
    is_context_manager = _is_async(cls, "__aexit__")
    if not method and not is_context_manager:
        return None
    # anyio's memory streams, aiohttp's responses
    has_plain_close = (
        method in ("", "aclose")
        and is_a(member(cls, "close"), FunctionType)
        and not _is_async(cls, "close")
    )
    return Closing(_public_name(cls), method, is_context_manager, has_plain_close)


def _own_name(cls: type, name: str) -> str:
    """The name under which the method ``name`` was defined: ``aclose`` may be one for ``close``."""
    own = ask_text(member(cls, name), "__name__")
    return own if own in _METHODS else name


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
    """The classes of imported modules whose objects a coroutine closes, and how it does that."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        # By id, since hashing a class may run code of its metaclass.
        self._closings: dict[int, tuple[weakref.ref[type], Closing | None]] = {}

    def find_new(self) -> list[type]:
        """The classes in modules that were imported since the last call.

        Only those with a destructor: one of user code, or of objects that a coroutine has to close.
        A base class may have that of a connection which only a subclass closes by a coroutine. A
        module whose import is under way is searched as far as it has come.
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
            destructor = member(value, "__del__")
            if destructor is None or _DICT(value).get("__module__") != name:
                continue
            code = function_code(destructor) if is_librarys(destructor) else None
            if code is None:
                continue
            if KINDS[code.co_filename] == USER or self.closing_of(value) is not None:
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
