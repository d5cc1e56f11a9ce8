"""Was a warning caught by the test itself?

A test that records warnings (``pytest.warns``, ``catch_warnings(record=True)``)
has dealt with those it records. pytest records too, around each whole test, so
a warning counts as dealt with when it lands in another log than the one that
stood when the test began. ``pytest.warns`` hands on, at its end, what it was
not asked for: such a warning comes by a second time and no longer counts.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

from .faults import Faults
from .patches import Patches


def _log_of(sink: object) -> object:
    """The list that a recording ``catch_warnings`` appends to, else the sink itself."""
    owner = getattr(sink, "__self__", None)
    return owner if isinstance(owner, list) else sink


class Delivery:
    """What became of the warnings emitted in one thread since `Witness.begin`."""

    __slots__ = ("messages",)

    def __init__(self) -> None:
        self.messages: list[tuple[object, bool]] = []

    @property
    def consumed(self) -> bool:
        """Whether somebody other than pytest recorded the last of them."""
        return bool(self.messages) and self.messages[-1][1]


class Witness:
    """Sees each warning that passes the filters, and who records it."""

    #: How many of a test's warnings are kept.
    KEEP = 1000

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._local = threading.local()
        self._armed = False
        self._baseline: object = None
        self._tentative: dict[int, tuple[object, Callable[[], None]]] = {}
        self.shown: list[warnings.WarningMessage] = []
        #: Told of each warning that the test does not record, with the frame that caused it.
        self.on_shown: list[Callable[[Any, FrameType | None], None]] = []

    def arm(self, patches: Patches) -> None:
        """Start to see warnings. C code looks ``_showwarnmsg`` up anew for each one."""
        self._armed = True
        patches.wrap(warnings, "_showwarnmsg", self._make_show)
        self.begin_test()

    def disarm(self) -> None:
        """Let go of everything. Somebody may have kept what stood in Python's place."""
        self._armed = False
        self.begin_test()

    def begin_test(self) -> None:
        """From here on, a log that is not the current one is the test's own."""
        self._baseline = _log_of(getattr(warnings, "_showwarnmsg_impl", None))
        if self._tentative:
            self._tentative.clear()
        if self.shown:
            self.shown = []

    def harness_begins(self) -> object:
        """From here on, the current log is a test runner's. Returns what `harness_ends` wants."""
        before = self._baseline
        self._baseline = _log_of(getattr(warnings, "_showwarnmsg_impl", None))
        return before

    def harness_ends(self, before: object) -> None:
        """The test runner has ended its recording."""
        self._baseline = before

    def begin(self) -> Delivery:
        """Watch what the current thread emits, until `end`."""
        delivery = Delivery()
        stack = getattr(self._local, "stack", None)
        if stack is None:
            stack = self._local.stack = []
        stack.append(delivery)
        return delivery

    def end(self, delivery: Delivery, report: Callable[[], None], own: bool) -> None:
        """Call ``report`` unless the test recorded the warning; later, if it hands it on.

        ``own`` says whether the trap is that test's: it has not dealt with somebody else's.
        """
        self._local.stack.remove(delivery)
        if own and delivery.consumed:
            message = delivery.messages[-1][0]
            self._tentative[id(message)] = message, report
        else:
            report()

    def _make_show(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        def _showwarnmsg(msg: Any) -> None:
            if self._armed:
                with self._faults.guard("warnings"):
                    self._see(msg, sys._getframe(1))
            original(msg)

        return _showwarnmsg

    def _see(self, msg: Any, frame: FrameType | None) -> None:
        if len(self.shown) < self.KEEP:
            self.shown.append(msg)
        log = _log_of(getattr(warnings, "_showwarnmsg_impl", None))
        consumed = isinstance(log, list) and log is not self._baseline
        stack = getattr(self._local, "stack", None)
        if stack:
            stack[-1].messages.append((msg.message, consumed))
        elif not consumed:
            _, report = self._tentative.pop(id(msg.message), (None, None))
            if report is not None:
                report()
            for tell in self.on_shown:
                tell(msg, frame)
