"""Destructors that complain.

A destructor cannot await. That of an object which has to be closed by a coroutine can only say that
nobody did. Python hides what most of them say: it ignores a ResourceWarning by default.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from re import Pattern
from types import FrameType
from typing import Any, Final

from ..compat import cpython
from .objects import function_code, is_a
from .paths import LIBRARY
from .resources import Resource, first_argument
from .stacks import KINDS

#: How the warnings of objects in C begin, which an object may hold and drop in its destructor.
_WARNINGS_OF_PARTS: Final = (
    "unclosed file <_io.",
    "unclosed <socket.",
    "unclosed <ssl.",
    "unclosed database in <sqlite3.",
    "unclosed scandir iterator <",
    "unclosed resource <",  # uvloop
)


class Destructor:
    """A destructor that runs: of ``obj``, by the function ``function``.

    ``note_held`` is called with the destructor, once, when it complains. By its end, the object may
    hold nothing any more.
    """

    __slots__ = (
        "_code", "_is_noted", "_note_held", "complained", "consented", "delivery", "kept",
        "modules", "obj", "resource", "text", "told_loop", "transports",
    )  # fmt: skip

    complained: bool
    consented: bool
    delivery: Any
    kept: list[Resource]
    modules: list[str]
    obj: Any
    resource: Resource
    text: str
    told_loop: bool
    transports: list[Any]

    def __init__(
        self,
        obj: Any,
        function: Any,
        resource: Resource,
        note_held: Callable[[Destructor], None],
    ) -> None:
        self._note_held = note_held
        self.obj = obj
        self._code = function_code(function)
        self.resource = resource
        #: What ``obj`` holds, as far as it was noted.
        self.transports = []
        self.kept = []
        self._is_noted = False
        #: Whether it has said that the object was not closed, by a warning and to its loop.
        self.complained = False
        self.told_loop = False
        #: Whether the user has dealt with that.
        self.consented = False
        #: The message of the latest warning, and the modules that it is said to come from.
        self.text = ""
        self.modules = []

    def warned(self, category: type, frame: FrameType | None, filters: list[Any]) -> None:
        """A warning of ``category`` from ``frame`` is about to pass ``filters``."""
        if not type.__subclasscheck__(ResourceWarning, category) or not self._is_own(frame):
            return
        self.complained = True
        self.consented = self.consented or is_ignored(filters, category, self.text, self.modules)
        self.note_held()

    def note_held(self) -> None:
        """Note what the object holds, unless that is done."""
        if not self._is_noted:
            self._is_noted = True
            self._note_held(self)

    def _is_own(self, frame: FrameType | None) -> bool:
        """Whether the latest warning is about the object, and not about one that it drops.

        The collector may also run in a destructor, and destroy unrelated objects.
        """
        if self.text.startswith(_WARNINGS_OF_PARTS):
            return False
        if frame is None or KINDS[frame.f_code.co_filename] < LIBRARY:
            return False  # of a subprocess, a transport or a temporary folder
        while frame is not None:
            code = frame.f_code
            if code is self._code or code.co_name == "__del__":
                if first_argument(frame) is not self.obj:
                    return False
                if code is self._code:
                    return True
            frame = frame.f_back
        return False


class RunningDestructors(threading.local):
    """The destructors that run in this thread."""

    def __init__(self) -> None:
        self._running: list[Destructor] = []

    def add(self, destructor: Destructor) -> None:
        """``destructor`` is about to run."""
        self._running.append(destructor)

    def remove(self, destructor: Destructor) -> None:
        """``destructor`` has run."""
        self._running.remove(destructor)

    def last(self) -> Destructor | None:
        """The innermost of them."""
        return self._running[-1] if self._running else None


def is_ignored(filters: list[Any], category: type, text: str, modules: list[str]) -> bool:
    """Whether one of ``filters`` of the user's ignores that warning from one of ``modules``.

    One that ignores all warnings of any kind is no consent.
    """
    for action, message, of, module, line in filters:
        if line or not type.__subclasscheck__(of, category):
            continue
        is_any = not type.__subclasscheck__(ResourceWarning, of)
        if is_any and action == "ignore" and message is None and module is None:
            continue
        if _matches(message, [text]) and _matches(module, modules):
            return bool(action == "ignore")
    return False


def _matches(wanted: Any, texts: list[str]) -> bool:
    """Whether ``wanted``, the text or pattern of a filter, matches one of ``texts``."""
    if wanted is None:
        return True
    if type(wanted) is str:
        return wanted in texts
    return is_a(wanted, Pattern) and any(wanted.match(text) for text in texts)


class _Category(type):
    """The class of a category of warnings that none is a subclass of."""

    _probe: WarningProbe

    def __subclasscheck__(cls, category: type) -> bool:
        cls._probe.passed(category, sys._getframe(1))
        return False


class _Module:
    """Stands for the pattern that the module of a warning has to match."""

    __slots__ = ("_probe",)

    def __init__(self, probe: WarningProbe) -> None:
        self._probe = probe

    def match(self, name: Any) -> bool:
        self._probe.came_from(name)
        return True


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
        self._filter = ("ignore", self, category, _Module(self), 0)
        # Python's own filter, if it has one. A filter that the user adds is another, equal object.
        default = ("ignore", None, ResourceWarning, None, 0)
        self._default = next((each for each in reversed(_filters()) if each == default), None)

    def match(self, text: Any) -> bool:
        """As the method of a compiled pattern: Python calls it with the message."""
        with self._guard:
            destructor = self._last()
            if destructor is not None:
                destructor.text = str.__str__(text) if is_a(text, str) else ""
                destructor.modules = []
        return True

    def came_from(self, module: Any) -> None:
        """The latest warning is one from ``module``."""
        with self._guard:
            destructor = self._last()
            if destructor is not None and is_a(module, str):
                destructor.modules.append(str.__str__(module))

    def passed(self, category: type, frame: FrameType | None) -> None:
        """A warning of ``category`` from ``frame`` is about to pass the filters."""
        with self._guard:
            destructor = self._last()
            if destructor is not None:
                destructor.warned(category, frame, self.users_filters())

    def users_filters(self) -> list[Any]:
        """The filters in force, without this one and Python's own for a ResourceWarning."""
        own = self._filter, self._default
        return [each for each in _filters() if not any(each is one for one in own)]

    def insert(self) -> None:
        """Put the filter in place."""
        # Without telling `warnings`: that would have Python show other warnings a second time.
        if cpython.FILTERS_ASKED.holds:
            _filters().insert(0, self._filter)

    def remove(self) -> None:
        """Take the filter away, once for each call of `insert`."""
        filters = _filters()
        for number, each in enumerate(filters):
            if each is self._filter:
                del filters[number]
                break


def _filters() -> list[Any]:
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    return filters
