"""Tells whether the test itself recorded a warning.

A test that records warnings (``pytest.warns``, ``catch_warnings(record=True)``)
has dealt with those that it records. pytest records warnings too, around each
whole test. So a warning counts as dealt with if it lands in another log than the
one that was in place when the test began. ``pytest.warns`` issues again, at its
end, the warnings that it was not asked for: these no longer count as dealt with.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import BuiltinMethodType, FrameType
from typing import Any

from ..compat import cpython
from .events import Events
from .faults import Faults
from .objects import ask
from .patches import Patches

_WARNINGS = vars(warnings)


def _log() -> list[Any] | None:
    """The list to which a recording ``catch_warnings`` appends, instead of Python's output."""
    sink = _WARNINGS.get(cpython.SHOW_WARNING_DEFAULT)
    owner = sink.__self__ if type(sink) is BuiltinMethodType else None
    return owner if type(owner) is list else None


def _logs_of_context() -> Iterator[list[Any]]:
    """The lists that the current context holds.

    With context-aware warnings (``sys.flags.context_aware_warnings``, from Python 3.14 on), an
    object of the `warnings` module holds the list to which a recording ``catch_warnings`` appends.
    """
    for value in contextvars.copy_context().values():
        log = value
        if getattr(type(value), "__module__", None) in cpython.WARNINGS_MODULES:
            log = ask(value, "log")
        if type(log) is list:
            yield log


class Delivery:
    """The warnings emitted in one thread since `WarningMonitor.begin`, and who recorded them."""

    __slots__ = ("messages",)

    def __init__(self) -> None:
        self.messages: list[tuple[object, bool]] = []

    @property
    def consumed(self) -> bool:
        """Whether the test recorded the last of them."""
        return bool(self.messages) and self.messages[-1][1]


class WarningMonitor:
    """Observes each warning that passes the filters, and who records it."""

    #: How many of a test's warnings are kept.
    KEEP = 1000

    def __init__(self, faults: Faults, events: Events) -> None:
        self._faults = faults
        self._events = events
        self._local = threading.local()
        self._armed = False
        # The log in place when the test began, and the ids of those in the context.
        self._baseline: list[Any] | None = None
        self._baselines: frozenset[int] = frozenset()
        # By id: warnings that the test recorded, and what to call if it issues them again.
        self._recorded: dict[int, tuple[object, Callable[[], None]]] = {}
        self.shown: list[warnings.WarningMessage] = []

    def arm(self, patches: Patches) -> None:
        """Observe warnings from here on. C code looks ``_showwarnmsg`` up for each one."""
        self._armed = True
        if cpython.WARNINGS_SHOWN.holds:
            patches.wrap(warnings, cpython.SHOW_WARNING, self._make_show)
        self.begin_test()

    def disarm(self) -> None:
        """Drop everything: user code may keep a reference to the wrapper, and so to this."""
        self._armed = False
        self.begin_test()

    def begin_test(self) -> None:
        """From here on, any log but the current one is the test's own."""
        self._baseline = log = _log()
        if log is None:
            self._baselines = frozenset(map(id, _logs_of_context()))
        if self._recorded:
            self._recorded.clear()
        if self.shown:
            self.shown = []

    def harness_begins(self) -> Any:
        """The current log is a test runner's from now on. Returns what `harness_ends` needs."""
        before = self._baseline, self._baselines
        self._baseline, self._baselines = _log(), frozenset(map(id, _logs_of_context()))
        return before

    def harness_ends(self, before: Any) -> None:
        """The test runner has stopped recording."""
        self._baseline, self._baselines = before

    def begin(self) -> Delivery:
        """Observe what the current thread emits, until `end`."""
        delivery = Delivery()
        stack = getattr(self._local, "stack", None)
        if stack is None:
            stack = self._local.stack = []
        stack.append(delivery)
        return delivery

    def end(self, delivery: Delivery, report: Callable[[], None], own: bool) -> None:
        """Call ``report`` now, or, if the test recorded the warning, when it issues it again.

        ``own`` says whether the finding is charged to that test: recording a warning about
        another test's object does not count.
        """
        self._local.stack.remove(delivery)
        if own and delivery.consumed:
            message = delivery.messages[-1][0]
            self._recorded[id(message)] = message, report
        else:
            report()

    def _make_show(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        def _showwarnmsg(msg: Any) -> None:
            log = _log()
            try:
                original(msg)
            finally:
                if self._armed:
                    with self._faults.guard("warnings"):
                        self._see(msg, log, sys._getframe(1))

        return _showwarnmsg

    def _see(self, msg: Any, log: list[Any] | None, frame: FrameType | None) -> None:
        """``msg`` was shown, while ``log`` was in the place of Python's output."""
        if len(self.shown) < self.KEEP:
            self.shown.append(msg)
        if log is not None:
            consumed = log is not self._baseline
        else:
            consumed = any(
                id(taken) not in self._baselines
                for taken in _logs_of_context()
                if taken and taken[-1] is msg
            )
        stack = getattr(self._local, "stack", None)
        if stack:
            stack[-1].messages.append((msg.message, consumed))
        elif not consumed:
            _, report = self._recorded.pop(id(msg.message), (None, None))
            if report is not None:
                report()
            self._events.warning_shown(msg, frame)
