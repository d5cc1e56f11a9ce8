"""Objects that belong to one loop, used by code that another loop runs."""

from __future__ import annotations

import asyncio
import sys
import threading
from _thread import get_ident
from types import FrameType
from typing import Any, Final

from ..core.callers import called, owner_of
from ..core.creation import LIBRARYS, RAN_IN
from ..core.elsewhere import Refusal, refusals_in
from ..core.loop_names import SCOPES, LoopName, name_of_loop, names_of_loops
from ..core.objects import (
    ask,
    class_name,
    exception_of,
    function_code,
    is_a,
    is_cancelled,
    is_closed,
    is_done,
    is_running,
    owner_of_method,
    put,
    traceback_of,
    waits_for,
)
from ..core.paths import ASYNCIO, BOUNDARY, HARNESS
from ..core.places import describe, place_of, raised_at
from ..core.reported import CARRIED, is_reported, set_reported
from ..core.stacks import KINDS, is_made_by_library, is_step, is_user, user_mark
from ..core.trap import BuiltinTrap
from ..core.watch import Watch
from ..model.finding import Finding, Place

#: What the plugin's own functions are called, in their code and in a report.
_OWN: Final = {
    "set_result": "Future.set_result",
    "set_exception": "Future.set_exception",
    "create_task": "loop.create_task",
}
#: The functions within which a loop runs.
_RUNS: Final = ("run_forever", "run_until_complete", "run")
_WEAKREF: Final = sys.modules["weakref"].__file__

#: A call, by the user's instruction, the loops and the owner: one may schedule several callbacks.
_Call = tuple[int, int, int, int, object]


class WrongLoop(BuiltinTrap):
    """Everything that wakes or schedules something ends in ``call_soon`` or ``call_at`` of a loop.

    Loops themselves see there that they do not run while another does. Where asyncio raises an
    error instead, the error carries the finding to the test that it fails.
    """

    kind = "wrong-loop"
    title = "an asyncio object was used in another loop than its own"
    advice = (
        "Make it in the loop that uses it, or have one loop run both. To hand something to another "
        "loop, use loop.call_soon_threadsafe() or asyncio.run_coroutine_threadsafe()."
    )

    def arm(self) -> None:
        #: The calls that loops which still run have made, with their findings.
        self._calls: dict[_Call, Finding] = {}
        self._follows = False

    # -- what passes in silence ----------------------------------------------

    def wrong_loop_call(
        self, loop: Any, running: Any, method: str, frame: FrameType | None, obj: Any = None
    ) -> None:
        watch = self.watch
        if not _ran_here(loop) or is_closed(loop) or is_running(loop) or not is_running(running):
            return  # prepared for later, refused, or not what it seems
        mark = user_mark(frame)
        if mark is None or not is_user(mark) or watch.tracker.collecting:
            return
        if not _is_of_running_loop(frame) or _may_run_within_another(loop):
            return
        if ask(loop, LIBRARYS) is True and is_made_by_library(_caller(frame)):
            return  # a library uses its own
        tenure = watch.ownership.now()
        call = id(mark[0]), mark[1], id(loop), id(running), tenure
        if call in self._calls:
            return
        here, theirs = names_of_loops(watch, running, loop)
        location, label = _owner_of(watch, loop, obj)
        name = _name(method, frame, obj)
        finding = Finding(
            self.kind,
            f"{name}() was called in {here.text}, but acts on {theirs.text}, which was not running",
            self._advice(theirs, here, tenure.owner.type == "fixture"),
            tenure.owner,
            origin=place_of(mark),
            origin_label="used at",
            location=location,
            location_label=label,
            notes=_made(here, theirs, label),
            subject=name,
        )
        watch.report(finding)
        self._follow()
        self._calls[call] = finding

    def _follow(self) -> None:
        """See loops start and stop, from the first call that is reported on."""
        if not self._follows:
            self._follows = True
            self.watch.events.listening["loop_enters"].append(self._entered)
            self.watch.events.listening["loop_leaves"].append(self._left)

    def _entered(self, loop: Any) -> None:
        """What was scheduled on ``loop`` runs while the loop that ran the caller still does.

        It was prepared for another thread, or for a loop within a loop.
        """
        for call in list(self._calls):
            if call[2] == id(loop) and (finding := self._calls.pop(call, None)) is not None:
                self.watch.take_back(finding)

    def _left(self, loop: Any) -> None:
        for call in list(self._calls):
            if call[3] == id(loop):
                self._calls.pop(call, None)

    # -- what asyncio refuses ------------------------------------------------

    def phase_raised(self, exc: BaseException, when: str) -> None:
        for refusal in refusals_in(exc):
            if not is_reported(refusal.error) and set_reported(refusal.error):
                put(refusal.error, CARRIED, self._refused(refusal, when))

    def _refused(self, refusal: Refusal, when: str) -> Finding:
        watch = self.watch
        location, label = None, "it was created at"
        if refusal.loop is not None:
            location, label = _owner_of(watch, refusal.loop, refusal.obj)
            here, theirs = names_of_loops(watch, refusal.running, refusal.loop)
        else:
            here, theirs = name_of_loop(watch, refusal.running), name_of_loop(watch, None)
        if refusal.closed:
            text = f"{theirs.text}, which is closed, was used in {here.text}"
        elif refusal.loop is None:
            text = f"an object of {theirs.text} was used in {here.text}"
        else:
            text = f"a {class_name(refusal.obj)} of {theirs.text} was used in {here.text}"
        return Finding(
            self.kind,
            text,
            self._advice(theirs, here, when != "call"),
            watch.ownership.running.owner,
            origin=raised_at(traceback_of(refusal.error)),
            origin_label="used at",
            location=location,
            location_label=label,
            notes=_made(here, theirs, label),
            exception=describe(refusal.error),
        )

    def _advice(self, theirs: LoopName, here: LoopName, in_fixture: bool) -> str:
        """What to do; where pytest-asyncio made both loops, which scopes do not match."""
        if not (theirs.scope and here.scope):
            return self.advice
        if theirs.scope == here.scope:
            return (
                f"Each {here.scope} has a loop of its own. Make the object anew in each, or give "
                'all tests and fixtures that use it one loop, with loop_scope="session".'
            )
        user = "@pytest_asyncio.fixture" if in_fixture else "@pytest.mark.asyncio"
        text = (
            f"The loop scopes {theirs.scope!r} and {here.scope!r} do not match. Run what uses the "
            f'object in its loop, with {user}(loop_scope="{theirs.scope}"); or make the object in '
            f'the {here.scope}-scoped loop, with loop_scope="{here.scope}" on its fixture'
        )
        if SCOPES.index(here.scope) < SCOPES.index(theirs.scope):
            text += f", whose scope must then not be wider than {here.scope!r}"
        return text + "."


def _owner_of(watch: Watch, loop: Any, obj: Any) -> tuple[Place | None, str]:
    place, label = owner_of(watch, loop, obj)
    return place, label.replace("its loop runs what", "its loop has a task that")


def _made(here: LoopName, theirs: LoopName, label: str) -> tuple[str, ...]:
    """Where the loops were made; not the latter, if the location with ``label`` says so."""
    loops = (here,) if label == "its loop was created at" else (here, theirs)
    return tuple(loop.made for loop in loops if loop.made)


def _ran_here(loop: Any) -> bool:
    """Whether ``loop`` has run, and last in this thread: else another may be about to run it."""
    ran = ask(loop, RAN_IN)
    return (threading.main_thread().ident if ran is True else ran) == get_ident()


def _may_run_within_another(loop: Any) -> bool:
    """Whether something such as nest_asyncio has replaced how ``loop`` runs.

    It may then run within another loop, and `WrongLoop._entered` is not told.
    """
    for name in _RUNS[:2]:
        code = function_code(ask(type(loop), name))
        if code is not None and KINDS[code.co_filename] not in (ASYNCIO, HARNESS):
            return True
    return False


def _is_of_running_loop(frame: FrameType | None) -> bool:
    """Whether a loop runs the code in ``frame``, and it neither destroys nor closes something.

    Destructors, and the end of a coroutine that was dropped, run wherever the last reference goes.
    In a greenlet of its own, a loop may be suspended while other code of its thread runs.
    """
    if is_a(sys.exception(), GeneratorExit):
        return False
    while frame is not None:
        code = frame.f_code
        if is_step(code):
            return True
        if code.co_name == "__del__" or code.co_filename == _WEAKREF:
            return False
        kind = KINDS[code.co_filename]
        if kind == BOUNDARY:
            return False
        if kind in (ASYNCIO, HARNESS) and code.co_name in _RUNS:
            return True
        frame = frame.f_back
    return True


def _caller(frame: FrameType | None) -> FrameType | None:
    """The frame that called asyncio, and so the plugin's own ``create_task`` and its like."""
    while frame is not None and KINDS[frame.f_code.co_filename] in (ASYNCIO, HARNESS):
        frame = frame.f_back
    return frame


def _name(method: str, frame: FrameType | None, obj: Any) -> str:
    """The method that the user called: of asyncio's, in C too, or the plugin's for it.

    ``obj`` is the callback that is scheduled.
    """
    if frame is None:
        return method
    kind = KINDS[frame.f_code.co_filename]
    task = owner_of_method(obj)
    if kind == HARNESS:
        method = _OWN.get(frame.f_code.co_name, frame.f_code.co_name)
    elif kind != ASYNCIO and is_a(task, asyncio.Task):
        future = waits_for(task)
        if future is None:
            return "Task"
        if is_done(future):
            if is_cancelled(future):
                return "cancel"
            return "Future.set_result" if exception_of(future) is None else "Future.set_exception"
    return called(method, frame)
