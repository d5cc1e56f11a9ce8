"""What traps and loops share while a run is watched.

Loops call the watch when they are made, run and closed, and ``watch.events`` about everything
else. Traps listen to those events and report what they find. Neither side knows the other.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import weakref
from _thread import get_ident
from asyncio import _get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from ..model.finding import Finding, Place
from ..model.task_tree import Snapshot
from .creation import CREATION, LIBRARYS, CreationRecords
from .events import Events, part_of
from .faults import Faults
from .handover import Handovers
from .object_tracker import ObjectTracker
from .objects import ask_text, put
from .origins import OriginTracking
from .ownership import TENURE, Ownership, Tenure
from .patches import Patches
from .refs import IdKeyedRef
from .reported import Reported
from .stacks import is_made_by_library, user_mark
from .warning_monitor import WarningMonitor


class Watch(CreationRecords):
    """One run's observation of asyncio. ``active`` is false while a nested run has its own."""

    # Access to more than thirty attributes is slower in a dictionary than in slots.
    __slots__ = (
        "__weakref__",
        "_enters",
        "_leaves",
        "_loops",
        "_main_thread",
        "active",
        "at_end",
        "at_next_test",
        "blind_spots",
        "busy",
        "decide",
        "describe",
        "due",
        "events",
        "failed",
        "faults",
        "found",
        "origins",
        "patches",
        "reported",
        "sampler",
        "several",
        "shared",
        "slow_after",
        "still_after",
        "tell",
        "third_party",
        "transports",
        "warning_monitor",
    )

    active: bool
    faults: Faults
    third_party: Faults
    failed: bool
    events: Events
    ownership: Ownership
    tracker: ObjectTracker
    handovers: Handovers
    warning_monitor: WarningMonitor
    patches: Patches
    origins: OriginTracking
    reported: Reported
    several: bool
    shared: bool
    busy: bool
    due: list[float]
    slow_after: float

    def __init__(self, faults: Faults | None = None) -> None:
        self.active = False
        self.faults = faults if faults is not None else Faults()
        #: The faults of third-party kinds, which turn nothing else off.
        self.third_party = Faults()
        #: Whether the plugin has failed: then nothing is watched any more.
        self.failed = self.faults.is_all_off()
        self.faults.on_fault.append(self._stop_after_fault)
        self.events = Events(self)
        self._enters = self.events.listening["loop_enters"]
        self._leaves = self.events.listening["loop_leaves"]
        self.ownership = Ownership()
        self.tracker = ObjectTracker(self.ownership, self.faults)
        self.handovers = Handovers()
        self.reported = Reported()
        self.warning_monitor = WarningMonitor(self.faults, self.events)
        self.patches = Patches()
        self.origins = OriginTracking(self.faults)
        self._main_thread = threading.main_thread().ident
        self.found: deque[Finding] = deque()
        self.blind_spots: dict[str, str] = {}
        #: Loops that were made and may still be open.
        self._loops: dict[int, IdKeyedRef] = {}
        #: Whether a loop was made while another was open.
        self.several = False
        #: Whether a loop is open that outlives a test: then steps of one test may run during
        #: another.
        self.shared = False
        #: Whether a loop was made or run since this was last set to false.
        self.busy = False
        #: Steps that begin at or after this moment are reported to `Listener.step_due`. In a
        #: list, whose item is quicker to read than an attribute.
        self.due = [float("inf")]
        #: Steps that take this many seconds are reported to `Listener.slow_step`.
        self.slow_after = float("inf")
        #: The thread that samples running loops, see `profiler.sampler`; None if there is none.
        self.sampler: Any = None
        #: For how many seconds a loop stands still before that counts as a deadlock.
        self.still_after: float = float("inf")
        #: What the rules make of a finding: its action. Called before the finding is reported,
        #: where it depends on that what happens to the test. Safe in any thread.
        self.decide: Callable[[Finding], str] = lambda finding: "off"
        #: The lines of a report of a task tree. Safe in any thread.
        self.describe: Callable[[Snapshot], Sequence[str]] = lambda seen: ()
        #: Prints a finding of a test that goes on, past output capture. Safe in any thread.
        self.tell: Callable[[Finding], object] = lambda finding: None
        #: Called once, at the beginning of the next test. Must not raise.
        self.at_next_test: list[Callable[[], object]] = []
        #: Called at the end of the run, the last one first.
        self.at_end: list[Callable[[], object]] = []
        #: The transports and servers that were made, each with a reference to its loop and, where
        #: it allows no attributes, its `Creation`.
        self.transports: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def _stop_after_fault(self, part: str) -> None:
        """A part that all traps rely on has failed: stop, or the innocent might be blamed."""
        if part not in self.faults.isolated:
            self.failed = True
            self.active = False

    # -- findings ---------------------------------------------------------

    def report(self, finding: Finding) -> None:
        """Take a finding. Safe in any thread, destructor or callback."""
        if not self.failed:
            self.found.append(finding)

    def withdraw(self, kind: str, location: Place) -> None:
        """Take back what was reported of ``kind`` at ``location``: another finding covers it."""
        kept = [f for f in self.take() if f.kind != kind or f.location != location]
        self.found.extendleft(reversed(kept))

    def take_back(self, finding: Finding) -> None:
        """Take back ``finding``, unless its phase has ended: it has turned out to be none."""
        try:
            self.found.remove(finding)
        except (ValueError, IndexError):  # gone, or another thread has just reported something
            pass

    def is_running(self, finding: Finding) -> bool:
        """Whether the test that ``finding`` is charged to is the one that runs."""
        return finding.owner.nodeid == self.ownership.running.owner.nodeid

    def take(self) -> list[Finding]:
        """The findings since the last call, in the order in which they were made."""
        taken = []
        while self.found:
            taken.append(self.found.popleft())
        return taken

    def blind(self, what: str, reason: str) -> None:
        """Say once that ``what`` cannot be watched in this run, and why."""
        self.blind_spots.setdefault(what, reason)

    def forget_dead(self) -> None:
        """A test has ended: objects that were destroyed without a warning give none later."""
        self.handovers.forget_dead()
        self.reported.forget_dead()

    # -- the life of a loop -----------------------------------------------

    def loops(self) -> list[asyncio.AbstractEventLoop]:
        """The loops that were made and may still be open."""
        if not self._loops:
            return []
        return [loop for ref in list(self._loops.values()) if (loop := ref()) is not None]

    def loop_created(self, loop: asyncio.AbstractEventLoop, frame: FrameType | None) -> None:
        """The constructor of ``loop`` has returned to ``frame``."""
        self.busy = True
        mark, tenure = user_mark(frame), TENURE.get()
        if type(tenure) is not Tenure:
            tenure = self.ownership.now()
        put(loop, CREATION, (mark, tenure))
        if mark is not None:
            own = ask_text(type(loop), "__module__").partition(".")[0]
            if is_made_by_library(frame, own):
                put(loop, LIBRARYS, True)
        if not self.shared:
            # Steps of one test may run during another, or at the same time.
            self.shared = tenure.is_shared or get_ident() != self._main_thread
        if self._loops:
            self.several = True
        IdKeyedRef.add(loop, self._loops)
        self.events.loop_created(loop, frame)

    def loop_enters(self, loop: asyncio.AbstractEventLoop) -> bool:
        """The current thread is about to run ``loop``. Returns an argument for `loop_leaves`."""
        self.busy = True
        texts = self.faults.texts
        for enters in self._enters:  # as `Events` does, whose calls would cost more than these
            if not texts or part_of(enters) not in texts:
                try:
                    enters(loop)
                except Exception as exc:
                    self.faults.record(part_of(enters), exc)
        return self.origins.track()

    def loop_leaves(self, loop: asyncio.AbstractEventLoop, tracked: bool) -> None:
        """The current thread has stopped running ``loop``."""
        self.busy = True
        if tracked:
            self.origins.untrack()
        texts = self.faults.texts
        # Even if the watch is not active any more: the listeners heard `loop_enters`.
        for leaves in self._leaves:
            if not texts or part_of(leaves) not in texts:
                try:
                    leaves(loop)
                except Exception as exc:
                    self.faults.record(part_of(leaves), exc)

    def loop_closing(self, loop: asyncio.AbstractEventLoop) -> None:
        """``loop`` is about to be closed."""
        self.busy = True
        self.events.loop_closing(loop)

    def loop_closed(self, loop: asyncio.AbstractEventLoop) -> None:
        """``loop`` was closed."""
        self._loops.pop(id(loop), None)
        if not self._loops:
            self.several = False

    def idle_loop_called(
        self, loop: Any, method: str, frame: FrameType | None, obj: Any = None
    ) -> None:
        """Code in ``frame`` called ``method`` of ``loop``, which no thread runs at the moment."""
        running = _get_running_loop()
        if running is not None and running is not loop:
            self.events.wrong_loop_call(loop, running, method, frame, obj)

    def switch_tenure(self, context: contextvars.Context) -> Tenure | None:
        """A step begins in ``context``: charge what it makes to the tenure of that context.

        Returns the tenure to go back to, or None if it is the same.
        """
        tenure = context.get(TENURE)
        if tenure is None or not self.active:
            return None
        if type(tenure) is not Tenure:
            tenure = self.ownership.resolve(tenure)
        before = self.tracker.current
        if tenure is before:
            return None
        self.tracker.mark(tenure)
        return before

    # -- hooks that several kinds need --------------------------------------

    def hook_unraisable(self) -> None:
        """Have `sys.unraisablehook` notify `Listener.unraisable_raised`, from the first call on."""
        if not any(kept.name == "unraisablehook" for kept in self.patches.kept):
            # pytest's own hook calls no other: ours has to stand before it, and calls it.
            self.patches.keep(sys, "unraisablehook", self._make_unraisablehook)

    def _make_unraisablehook(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        def unraisablehook(unraisable: Any, /) -> None:
            self.events.unraisable_raised(unraisable)
            original(unraisable)

        return unraisablehook
