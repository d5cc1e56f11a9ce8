"""What traps and loops share while a run is watched.

Loops tell the watch what happens to them (`loop_created`, `loop_closing`, …);
traps subscribe to that and report what they find. Neither knows the other.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import weakref
from _thread import get_ident
from collections import deque
from collections.abc import Callable, Iterator
from itertools import compress, repeat
from operator import call as call_
from operator import is_
from types import CodeType, FrameType
from typing import Any, NamedTuple

from ..model.finding import Finding, Place
from .faults import Faults
from .object_tracker import ObjectTracker
from .objects import (
    ask,
    ask_text,
    call,
    code_of,
    context_of,
    coroutine_of,
    function_code,
    is_a,
    is_done,
    loop_of,
    put,
    related_to,
    task_name,
)
from .origins import OriginTracking
from .ownership import TENURE, Ownership, Tenure
from .patches import Patches
from .paths import ASYNCIO, HARNESS, LIBRARY, USER
from .places import codes_of, coroutine_origin, place_of, place_of_code, places_of
from .refs import IdKeyedRef
from .stacks import KINDS, STEP_CODES, Mark, is_made_by_library, user_mark, user_stack
from .warning_monitor import WarningMonitor

#: The attribute under which an object carries where, and in whose tenure, it was made.
ATTRIBUTE = "_asyncio_traps_made"

#: ... and the user's frames around that line, and behind it: see `user_stack`.
OUTER = "_asyncio_traps_outer"

#: ... and what it is made as, for the words before that line, where these are not the usual ones.
MADE_AS = "_asyncio_traps_made_as"

#: ... and those for where a task was made, in parts: whose it is, its context says, or a third.
MADE_CODE = "_asyncio_traps_code"
MADE_LASTI = "_asyncio_traps_lasti"
MADE_TENURE = "_asyncio_traps_tenure"

#: The attribute under which a handle carries where it was scheduled.
ASKED = "_asyncio_traps_asked"
#: ... and those for the same in two parts.
ASKED_CODE = "_asyncio_traps_code"
ASKED_LASTI = "_asyncio_traps_lasti"

#: The attribute under which a loop whose handles show nothing carries the same of the step
#: that has just failed, and whose it was.
FAILED = "_asyncio_traps_failed"

Made = tuple[Mark | None, Tenure]


#: The attribute that says of a loop or task that installed code made it on its own behalf.
LIBRARYS = "_asyncio_traps_librarys"

#: The attribute that says of an object that it was reported, or is part of what was.
_REPORTED = "_asyncio_traps_reported"


def is_reported(obj: object) -> bool:
    """Whether ``obj`` was reported, or is part of what was: one cause, one finding."""
    return ask(obj, _REPORTED) is True  # a mock answers for any attribute


def set_reported(obj: object) -> bool:
    """Note that ``obj`` needs no finding any more. False where it allows no attributes."""
    return put(obj, _REPORTED, True)


class Handed(NamedTuple):
    """A coroutine that was handed over: where, whose it is, and what it was handed to."""

    ref: weakref.ref[Any]
    code: CodeType | None
    mark: Mark | None
    tenure: Tenure
    to: str


class DoubleCompletion:
    """A future was completed once more: where, where it had been before, and whose doing it was."""

    __slots__ = ("again", "before", "cancelled", "tenure")

    again: Mark | None
    before: Mark | None
    cancelled: bool
    tenure: Tenure

    def __init__(
        self, again: Mark | None, before: Mark | None, cancelled: bool, tenure: Tenure
    ) -> None:
        self.again = again
        self.before = before
        self.cancelled = cancelled
        self.tenure = tenure


_LATE = "_asyncio_traps_double_completion"
#: The attribute under which an exception that a check of asyncio's raised carries a finding,
#: for those who see that it was lost, or that it failed the test.
CARRIED = "_asyncio_traps_finding"


class Watch:
    """One run's observation of asyncio. ``active`` is false while a nested run has its own."""

    # More than thirty attributes in a dictionary would be slower to be had.
    __slots__ = (
        "__weakref__",
        "_loops",
        "_main_thread",
        "active",
        "blind_spots",
        "busy",
        "due",
        "explanations",
        "failed",
        "fallen",
        "faults",
        "found",
        "handed",
        "left",
        "on_asyncgen_begun",
        "on_asyncgen_dropped",
        "on_asyncgens_shut",
        "on_context",
        "on_disarm",
        "on_loop_abandoned",
        "on_loop_closing",
        "on_loop_created",
        "on_loop_cut_short",
        "on_loop_enters",
        "on_loop_leaves",
        "on_refused",
        "on_slow_step",
        "on_step_due",
        "on_step_end",
        "on_test_begins",
        "on_timer_created",
        "on_touch",
        "on_transport_created",
        "on_unraisable",
        "origins",
        "ownership",
        "patches",
        "shared",
        "slow_after",
        "third_party",
        "tracker",
        "transports",
        "warning_monitor",
    )

    active: bool
    faults: Faults
    third_party: Faults
    failed: bool
    ownership: Ownership
    tracker: ObjectTracker
    warning_monitor: WarningMonitor
    patches: Patches
    origins: OriginTracking
    shared: bool
    busy: bool
    due: list[float]
    slow_after: float

    def __init__(self, faults: Faults | None = None) -> None:
        self.active = False
        self.faults = faults if faults is not None else Faults()
        #: What fails in kinds that others have added: it ends nothing else.
        self.third_party = Faults()
        #: Whether the plugin has failed: then nothing is watched any more.
        self.failed = self.faults.is_all_off()
        self.faults.on_fault.append(self._heed_fault)
        self.ownership = Ownership(self.faults)
        self.tracker = ObjectTracker(self.ownership, self.faults)
        self.warning_monitor = WarningMonitor(self.faults)
        self.patches = Patches()
        self.origins = OriginTracking(self.faults)
        self._main_thread = threading.main_thread().ident
        self.found: deque[Finding] = deque()
        self.blind_spots: dict[str, str] = {}
        #: Loops that were made and may still be open.
        self._loops: dict[int, IdKeyedRef] = {}
        #: Whether a loop is open that outlives a test: then one test's steps may run in
        #: another's time.
        self.shared = False
        #: Whether a loop was made or run since the last look.
        self.busy = False
        self.on_loop_created: list[
            Callable[[asyncio.AbstractEventLoop, FrameType | None], None]
        ] = []
        self.on_loop_enters: list[Callable[[asyncio.AbstractEventLoop], None]] = []
        self.on_loop_leaves: list[Callable[[asyncio.AbstractEventLoop], None]] = []
        self.on_loop_abandoned: list[Callable[[asyncio.AbstractEventLoop], None]] = []
        self.on_loop_cut_short: list[Callable[[asyncio.AbstractEventLoop], None]] = []
        self.on_loop_closing: list[Callable[[asyncio.AbstractEventLoop], None]] = []
        self.on_unraisable: list[Callable[[Any], None]] = []
        self.on_context: list[Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]] = []
        self.on_slow_step: list[Callable[[Any, Any, Any, float, float], None]] = []
        self.on_transport_created: list[Callable[[Any, FrameType | None, Any], None]] = []
        self.on_touch: list[Callable[[Any, str, FrameType | None, Any], None]] = []
        self.on_refused: list[Callable[[Any, str, FrameType | None, BaseException], None]] = []
        self.on_asyncgen_begun: list[Callable[[Any, Any, FrameType | None], None]] = []
        self.on_asyncgen_dropped: list[Callable[[Any, Any], None]] = []
        self.on_asyncgens_shut: list[Callable[[Any], None]] = []
        self.on_timer_created: list[Callable[[Any, Any, Mark | None, Any], None]] = []
        #: The moment from which on a step that begins is told to `on_step_due`. In a list, which
        #: is quicker to be had than an attribute.
        self.due = [float("inf")]
        self.on_step_due: list[Callable[[Any, float], None]] = []
        #: Called with the callback of each step. Costs something at every step.
        self.on_step_end: list[Callable[[Any], None]] = []
        #: Called when a test begins. They raise nothing, and may take themselves off.
        self.on_test_begins: list[Callable[[], None]] = []
        self.on_disarm: list[Callable[[], None]] = []
        #: Seconds from which on a step of a loop is told to `on_slow_step`.
        self.slow_after = float("inf")
        #: The coroutines whose complaint is no news.
        self.explanations: dict[int, tuple[weakref.ref[Any], object]] = {}
        #: By id: coroutines that were handed to another thread, or were made there for the caller.
        self.handed: dict[int, Handed] = {}
        #: Of these, the ones whose weak references are cleared, since they die.
        self.fallen: dict[int, Handed] = {}
        #: The transports and servers that were made, each with a reference to its loop and, where
        #: it cannot carry that itself, where it was made.
        self.transports: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        #: By nodeid, the ids of the code of tasks that were reported.
        self.left: dict[str, set[int]] = {}

    def _heed_fault(self, part: str) -> None:
        """Where what all traps rely on has failed, the innocent might be blamed: stand down."""
        if part not in self.faults.isolated:
            self.failed = True
            self.active = False

    def subscribers(self) -> dict[str, list[Any]]:
        """The callbacks of each event, for `restore_subscribers`."""
        return {
            name: list(getattr(self, name)) for name in self.__slots__ if name.startswith("on_")
        }

    def restore_subscribers(self, subscribers: dict[str, list[Any]]) -> None:
        """Tell only those who stood there when `subscribers` was called."""
        for name, known in subscribers.items():
            getattr(self, name)[:] = known

    # -- what traps ask ---------------------------------------------------

    def report(self, finding: Finding) -> None:
        """Take a finding. Safe in any thread, destructor or callback."""
        if not self.failed:
            self.found.append(finding)

    def withdraw(self, kind: str, location: Place) -> None:
        """Take back what was reported of ``kind`` at ``location``: something says it better."""
        kept = [f for f in self.take() if f.kind != kind or f.location != location]
        self.found.extendleft(reversed(kept))

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

    def created_at(self, obj: object) -> Made | None:
        """Where and in whose tenure ``obj`` was made, if a hook saw it."""
        made = ask(obj, ATTRIBUTE)
        # A mock answers for any attribute.
        if type(made) is tuple:
            return made
        if type(obj) is not asyncio.Task or (code := ask(obj, MADE_CODE)) is None:
            return None
        tenure: Tenure | None = ask(obj, MADE_TENURE)
        if tenure is None:
            tenure = context_of(obj).get(TENURE)
        tenure = self.ownership.resolve(tenure) if tenure is not None else self.ownership.now()
        return (code, ask(obj, MADE_LASTI)), tenure

    def remember(self, obj: object, frame: FrameType | None) -> None:
        """Keep on ``obj`` that it was made in ``frame``, and in whose tenure."""
        tenure = TENURE.get()
        if type(tenure) is not Tenure:
            tenure = self.ownership.now()
        # False for slots of its own: the tracker may still know whose it is.
        put(obj, ATTRIBUTE, (user_mark(frame), tenure))
        if outer := user_stack(frame):
            put(obj, OUTER, outer)

    def remember_task(self, task: Any, frame: FrameType | None) -> None:
        """Keep on ``task``, made in ``frame``, the user's line behind it, and in whose tenure.

        Where no line of the user's is on the stack, that is the line that handed its coroutine
        over to another thread, or the one behind the task that runs.
        """
        mark, outer = user_mark(frame), user_stack(frame)
        tenure = TENURE.get()
        if type(tenure) is not Tenure:
            tenure = self.ownership.now()
        own = mark is not None and KINDS[mark[0].co_filename] == USER
        handed = self.handed_over(coroutine_of(task)) if self.handed and not own else None
        if handed is not None:
            mark, tenure = handed.mark, handed.tenure
            self.handed.pop(id(coroutine_of(task)), None)  # it is awaited
        else:
            parent = _current_task(loop_of(task))
            made = self.created_at(parent)
            if made is not None and made[0] is not None:
                if own:
                    outer += made[0] + _outer_of(parent)
                else:
                    mark, outer = made[0], _outer_of(parent)
        put(task, ATTRIBUTE, (mark, tenure))
        if outer:
            put(task, OUTER, outer)
        if is_made_by_library(frame):
            put(task, LIBRARYS, True)

    def behind(self, task: object) -> tuple[Any, ...]:
        """Where ``task`` was made, and how the test came there: codes and offsets, in turn."""
        made = self.created_at(task)
        if made is None or made[0] is None:
            return ()
        return made[0] + _outer_of(task)

    def left_behind(self, tenure: Tenure, coroutine: object) -> None:
        """A task that runs ``coroutine`` was reported: what its code has made is part of that."""
        codes = self.left.setdefault(tenure.nodeid, set())
        codes.update(map(id, codes_of(coroutine)))

    def is_left_behind(self, tenure: Tenure, mark: Mark | None) -> bool:
        """Whether what was made at ``mark`` in ``tenure`` is part of a task that was reported."""
        codes = self.left.get(tenure.nodeid)
        return codes is not None and mark is not None and id(mark[0]) in codes

    def hand_over(self, coroutine: Any, mark: Mark | None, tenure: Tenure, to: str) -> None:
        """Keep where ``coroutine`` was handed to what ``to`` names, and by whom."""
        try:
            ref = IdKeyedRef(coroutine, self._forget_handed)
        except TypeError:  # not a coroutine of Python's
            return
        ref.key = id(coroutine)
        self.handed[id(coroutine)] = Handed(ref, code_of(coroutine), mark, tenure, to)

    def _forget_handed(self, ref: IdKeyedRef) -> None:
        """A coroutine that was handed over dies: it may complain once more, and then it is gone."""
        handed = self.handed.get(ref.key)
        if handed is not None and handed.ref is ref:
            self.fallen[ref.key] = self.handed.pop(ref.key)

    def handed_over(self, coroutine: Any) -> Handed | None:
        """Where ``coroutine`` was handed over, if it was; also while it is being destroyed."""
        handed = self.handed.get(id(coroutine)) or self.fallen.pop(id(coroutine), None)
        return handed if handed is not None and handed.code is code_of(coroutine) else None

    def tenure_of(self, obj: object) -> Tenure:
        """Whose ``obj`` is: by its own mark, by the tracker, else of whoever runs now."""
        made = self.created_at(obj)
        if made is not None:
            return made[1]
        context = context_of(obj) if is_a(obj, asyncio.Future) else None
        if is_a(context, contextvars.Context):
            tenure = context.get(TENURE)
            if isinstance(tenure, Tenure):
                return self.ownership.resolve(tenure)
        return self.tracker.tenure_of(obj) or self.ownership.dropping()

    def tenure_of_handle(self, handle: object) -> Tenure | None:
        """In whose tenure a callback was scheduled, if that can be known."""
        context = ask(handle, "_context")
        if not is_a(context, contextvars.Context):
            return None
        tenure = context.get(TENURE)
        return self.ownership.resolve(tenure) if isinstance(tenure, Tenure) else None

    def scheduled_at(self, handle: object) -> Mark | None:
        """The user's instruction that scheduled ``handle``, if it is known."""
        mark = ask(handle, ASKED)
        if type(mark) is tuple:
            return mark
        code = ask(handle, ASKED_CODE)
        return scheduled_mark(code, ask(handle, ASKED_LASTI)) if type(code) is CodeType else None

    def scheduled_in(self, frame: FrameType | None) -> Mark | None:
        """The user's instruction that scheduled the step which ``frame`` is, if it is one."""
        if frame is None or not any(frame.f_code is code for code in STEP_CODES):
            return None
        names = frame.f_locals
        code = names.get("code")  # in what stands in uvloop's queue, for want of handles
        if type(code) is CodeType:
            return scheduled_mark(code, names["lasti"])
        return self.scheduled_at(names.get("self"))

    def blame(self, loop: object, context: dict[str, Any]) -> tuple[Mark | None, Tenure]:
        """Who is behind what an exception handler is told: who scheduled it, and in whose time."""
        handle = context.get("handle")
        tenure = self.tenure_of_handle(handle)
        if tenure is not None:
            return self.scheduled_at(handle), tenure
        failed = ask(loop, FAILED)
        if handle is not None:
            if type(failed) is tuple:
                return failed
            return self.scheduled_at(handle), self.ownership.now()
        for name in ("transport", "protocol", "server", "asyncgen"):
            obj = context.get(name)
            for thing in (obj, ask(obj, "_server")):
                made = self.created_at(thing)
                if made is not None:
                    return None, made[1]
                tenure = self.tracker.tenure_of(thing) if thing is not None else None
                if tenure is not None:
                    return None, tenure
        return None, self.ownership.now()

    def trace_of(self, obj: object) -> tuple[Place, ...]:
        """How the test or fixture came to the line that made ``obj``, the outermost call first."""
        made = self.created_at(obj)
        if made is None or made[0] is None:
            return ()
        outer = ask(obj, OUTER, ())
        pairs = (*made[0], *(outer if type(outer) is tuple else ()))
        return tuple(reversed(places_of(pairs)))

    def origin_of(self, obj: object) -> Place | None:
        """The user's line that made ``obj``, if a hook saw it."""
        made = self.created_at(obj)
        return place_of(made[0]) if made is not None else None

    def origin_of_task(self, task: asyncio.Task[Any]) -> tuple[Place | None, str]:
        """The user's line that made ``task``, else its coroutine, else where that is defined.

        Comes with the words that say which of them it is.
        """
        coroutine = coroutine_of(task)
        code = code_of(coroutine)
        origin = self.origin_of(task)
        if origin is None:
            origin = coroutine_origin(coroutine)
            if origin is not None and KINDS[origin.path] != USER:
                origin = None
        if origin is None and code is not None:
            return place_of_code(code), "defined at"
        return origin, "made at"

    def explain(self, coroutine: Any) -> None:
        """``coroutine`` is part of what was reported: its own complaint, to come, is no news."""
        try:
            ref = weakref.ref(coroutine)
        except TypeError:  # not a coroutine of Python's
            return
        self.explanations[id(coroutine)] = ref, code_of(coroutine)

    def explained(self, coroutine: Any) -> bool:
        """Whether ``coroutine``, now being destroyed, was explained. Asking uses the answer up."""
        ref, code = self.explanations.get(id(coroutine), (None, None))
        # A destructor comes after weak references are cleared. The address may
        # have been used again since, so it must at least be of the same code.
        if ref is None or code is not code_of(coroutine) or ref() not in (None, coroutine):
            return False
        del self.explanations[id(coroutine)]
        return True

    def forget_dead(self) -> None:
        """A test has ended: what died quietly in it can complain no more."""
        self.fallen.clear()
        for key, (ref, _) in list(self.explanations.items()):
            if ref() is None:
                del self.explanations[key]

    def lateness(self, exc: BaseException | None) -> DoubleCompletion | None:
        """What is known of the future that was done already, if ``exc`` is about that."""
        late = ask(exc, _LATE)
        return late if isinstance(late, DoubleCompletion) else None

    def user_has_handler(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the test installed an exception handler of its own on ``loop``."""
        handler = call(loop, "get_exception_handler")
        if handler is None:
            return False
        code = function_code(handler)
        if code is None:
            return True
        kind = KINDS[code.co_filename]
        # anyio installs a handler for each of its test runners.
        return kind != HARNESS and not is_anyio_runner(code)

    def flush(self) -> None:
        """Let the collector destroy what nothing refers to, so that destructors have spoken."""
        gc.collect()

    def loops(self) -> list[asyncio.AbstractEventLoop]:
        """The loops that were made, and may still be open."""
        if not self._loops:
            return []
        return [loop for ref in list(self._loops.values()) if (loop := ref()) is not None]

    # -- what loops tell --------------------------------------------------

    def loop_created(self, loop: asyncio.AbstractEventLoop, frame: FrameType | None) -> None:
        self.busy = True
        mark, tenure = user_mark(frame), TENURE.get()
        if type(tenure) is not Tenure:
            tenure = self.ownership.now()
        put(loop, ATTRIBUTE, (mark, tenure))
        if mark is not None:
            own = ask_text(type(loop), "__module__").partition(".")[0]
            if is_made_by_library(frame, own):
                put(loop, LIBRARYS, True)
        if not self.shared:
            # One test's steps may run in another's time, or beside it.
            self.shared = tenure.is_shared or get_ident() != self._main_thread
        IdKeyedRef.add(loop, self._loops)
        self._tell(self.on_loop_created, loop, frame)

    def loop_enters(self, loop: asyncio.AbstractEventLoop) -> bool:
        """A thread is about to run ``loop``. Returns what `loop_leaves` is to be given."""
        self.busy = True
        texts = self.faults.texts
        for enters in self.on_loop_enters:  # as `_tell` does, which would cost more than they
            if not texts or _part_of(enters) not in texts:
                try:
                    enters(loop)
                except Exception as exc:
                    self.faults.record(_part_of(enters), exc)
        return self.origins.track()

    def loop_leaves(self, loop: asyncio.AbstractEventLoop, tracked: bool) -> None:
        self.busy = True
        if tracked:
            self.origins.untrack()
        texts = self.faults.texts
        for leaves in self.on_loop_leaves:
            if not texts or _part_of(leaves) not in texts:
                try:
                    leaves(loop)
                except Exception as exc:
                    self.faults.record(_part_of(leaves), exc)

    def loop_abandoned(self, loop: asyncio.AbstractEventLoop) -> None:
        """A library's test case is about to cancel whatever is left on ``loop``."""
        self._tell(self.on_loop_abandoned, loop)

    def loop_cut_short(self, loop: asyncio.AbstractEventLoop) -> None:
        """An exception from outside of all its steps, a signal handler's say, has ended a run."""
        self._tell(self.on_loop_cut_short, loop)

    def loop_closing(self, loop: asyncio.AbstractEventLoop) -> None:
        """``loop`` is about to be closed."""
        self.busy = True
        self._tell(self.on_loop_closing, loop)

    def loop_closed(self, loop: asyncio.AbstractEventLoop) -> None:
        """``loop`` was closed."""
        self._loops.pop(id(loop), None)

    def transport_created(self, transport: Any, frame: FrameType | None, loop: Any) -> None:
        self._tell(self.on_transport_created, transport, frame, loop)

    def touched(self, loop: Any, what: str, frame: FrameType | None, obj: Any = None) -> None:
        """Another thread than the one that runs ``loop`` did ``what``, with ``obj``."""
        if self.active:
            self._tell(self.on_touch, loop, what, frame, obj)

    def refused(self, loop: Any, what: str, frame: FrameType | None, exc: BaseException) -> None:
        """... and the loop's own check has raised ``exc`` there, which somebody may catch."""
        if self.active:
            self._tell(self.on_refused, loop, what, frame, exc)

    def asyncgen_begun(self, loop: Any, agen: Any, frame: FrameType | None) -> None:
        if self.active:
            self._tell(self.on_asyncgen_begun, loop, agen, frame)

    def asyncgen_dropped(self, loop: Any, agen: Any) -> None:
        if self.active:
            self._tell(self.on_asyncgen_dropped, loop, agen)

    def asyncgens_shut(self, loop: Any) -> None:
        if self.active:
            self._tell(self.on_asyncgens_shut, loop)

    def timer_created(self, loop: Any, handle: Any, mark: Mark | None, callback: Any) -> None:
        """A loop that does not show its timers has made one."""
        self._tell(self.on_timer_created, loop, handle, mark, callback)

    def step_due(self, loop: Any, began: float) -> None:
        if self.active:
            self._tell(self.on_step_due, loop, began)

    def step_ended(self, callback: Any) -> None:
        if self.active:
            self._tell(self.on_step_end, callback)

    def too_late(self, exc: BaseException, late: DoubleCompletion) -> None:
        """``exc`` is raised because a future is done already."""
        put(exc, _LATE, late)

    def shift_to(self, context: contextvars.Context) -> Tenure | None:
        """A step runs in ``context``: what it makes is that one's. Returns whose time it was."""
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

    def slow_step(self, loop: Any, handle: Any, callback: Any, began: float, ended: float) -> None:
        """A step of ``loop``, which called ``callback``, took long, by the clock."""
        if self.active:
            self._tell(self.on_slow_step, loop, handle, callback, began, ended)

    def heed_unraisable(self, tell: Callable[[Any], None]) -> None:
        """Have ``tell`` called with what `sys.unraisablehook` is given."""
        if not self.on_unraisable:
            # pytest's own hook calls no other: ours has to stand before it, and hands on. One hook
            # for all, as each would want to stand before the others.
            self.patches.keep(sys, "unraisablehook", self._make_unraisablehook)
        self.on_unraisable.append(tell)

    def _make_unraisablehook(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        def unraisablehook(unraisable: Any, /) -> None:
            if self.active:
                self._tell(self.on_unraisable, unraisable)
            original(unraisable)

        return unraisablehook

    def exception_context(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._tell(self.on_context, loop, context)

    def _tell(self, callbacks: list[Callable[..., None]], *args: Any) -> None:
        """Call the traps that subscribed; the fault of one is that one's."""
        texts = self.faults.texts
        for callback in callbacks:
            if not texts or _part_of(callback) not in texts:
                try:
                    callback(*args)
                except Exception as exc:
                    self.faults.record(_part_of(callback), exc)


def _outer_of(task: object) -> tuple[Any, ...]:
    outer = ask(task, OUTER)
    return outer[:64] if type(outer) is tuple else ()


def _part_of(callback: Callable[..., None]) -> str:
    """The part of the plugin that ``callback`` is a method of."""
    return getattr(getattr(callback, "__self__", None), "kind", "loops")


def _current_task(loop: Any) -> Any:
    try:
        return asyncio.current_task(loop)
    except RuntimeError:  # no loop
        return None


def scheduled_mark(code: CodeType, lasti: int) -> Mark | None:
    """The instruction that asked for a callback; None where asyncio asked on its own behalf."""
    return (code, lasti) if KINDS[code.co_filename] >= LIBRARY else None


def carried_by(exc: BaseException | None) -> Iterator[Finding]:
    """The findings that an exception which asyncio's own checks raised brings along."""
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        exc = waiting.pop()
        if exc is None or id(exc) in seen or len(seen) > 1000:
            continue
        seen.add(id(exc))
        finding = ask(exc, CARRIED)
        if isinstance(finding, Finding):
            yield finding
        waiting += related_to(exc)


def is_anyio_runner(code: Any) -> bool:
    """Whether ``code`` belongs to the part of anyio that runs tests."""
    return code.co_qualname.startswith("TestRunner.") and _is_anyios(code)


def is_anyio_shutdown(code: Any) -> bool:
    """Whether ``code`` is anyio's that waits for a runner's cancellation, to end worker processes.

    Whoever calls ``to_process.run_sync()`` has no means to end that task.
    """
    return code.co_name == "_shutdown_process_pool_on_exit" and _is_anyios(code)


def _is_anyios(code: CodeType) -> bool:
    """Whether ``code`` is of the module in which anyio has what is asyncio's."""
    module = sys.modules.get("anyio._backends._asyncio")
    return module is not None and code.co_filename == ask(module, "__file__")


def is_harness(coroutine: object, origin: Mark | None) -> bool:
    """Whether a task's coroutine belongs to a test runner or to asyncio itself.

    What a runner or asyncio makes for its own ends is not the user's; a
    coroutine of asyncio's that the user scheduled (``queue.get()``) is.
    """
    code = code_of(coroutine)
    if code is None:
        # A coroutine of C's: asyncio runs aclose() of async generators by itself.
        return origin is None
    if is_anyio_runner(code) or is_anyio_shutdown(code):
        return True
    kind = KINDS[code.co_filename]
    if kind == HARNESS:
        return True
    if kind != ASYNCIO:
        return False
    made_at = coroutine_origin(coroutine)
    path = origin[0].co_filename if origin is not None else made_at.path if made_at else None
    return path is None or KINDS[path] < LIBRARY


def _find_registers() -> tuple[Any, set[Any]] | None:
    """Where asyncio keeps its tasks, up to Python 3.13; later it has a quick `all_tasks`."""
    scheduled: Any = getattr(
        asyncio.tasks, "_scheduled_tasks", getattr(asyncio.tasks, "_all_tasks", 0)
    )
    eager: Any = getattr(asyncio.tasks, "_eager_tasks", set())
    if sys.version_info < (3, 14) and type(scheduled) is weakref.WeakSet and type(eager) is set:
        return scheduled, eager
    return None


_registers = _find_registers()


def pending(loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
    """The tasks of ``loop`` that are not done, in a stable order."""
    if _registers is None:
        tasks = [task for task in asyncio.all_tasks(loop) if not is_done(task)]
    else:
        # What all_tasks() does, in C from one end to the other: most tasks are of other loops.
        scheduled, eager = _registers
        if not (scheduled.data or eager):
            return []
        known = [task for task in map(call_, list(scheduled.data)) if task is not None]
        known += list(eager)
        try:
            loops: list[object] = list(map(asyncio.Task.get_loop, known))
        except (TypeError, RuntimeError):  # no subclass of asyncio's, or one that was never made
            loops = list(map(loop_of, known))
        own = {id(task): task for task in compress(known, map(is_, loops, repeat(loop)))}
        tasks = [task for task in own.values() if not is_done(task)]
    return sorted(tasks, key=task_name) if tasks else tasks
