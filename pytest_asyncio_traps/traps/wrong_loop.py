"""Objects that belong to one loop, used by code that another loop runs."""

from __future__ import annotations

import sys
import threading
from _thread import get_ident
from types import FrameType
from typing import Any

from ..core.callers import called, owner_of
from ..core.creation import RAN_IN
from ..core.elsewhere import Refusal, refusals_in
from ..core.objects import ask, class_name, is_a, is_closed, is_running, put, traceback_of
from ..core.paths import HARNESS
from ..core.places import place_of, raised_at
from ..core.reported import CARRIED
from ..core.stacks import KINDS, is_step, is_user, user_mark
from ..core.trap import BuiltinTrap
from ..core.watch import Watch
from ..model.finding import Finding, Owner, Place

#: Parts of the names of pytest-asyncio's fixtures that make loops.
_LOOP_FIXTURES = ("scoped_runner", "event_loop")
#: What the plugin's own functions for futures are called by, in their code and in a report.
_FUTURES = {"set_result": "Future.set_result", "set_exception": "Future.set_exception"}


class WrongLoop(BuiltinTrap):
    """Whatever wakes or schedules something ends in ``call_soon`` or ``call_at`` of its loop.

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
        # The last call that was reported.
        self._last: object = None

    # -- what passes in silence ----------------------------------------------

    def wrong_loop_call(
        self, loop: Any, running: Any, method: str, frame: FrameType | None, obj: Any = None
    ) -> None:
        watch = self.watch
        if not _ran_here(loop) or is_closed(loop) or not is_running(running):
            return  # prepared for later, refused, or not really running
        mark = user_mark(frame)
        if not is_user(mark) or watch.tracker.collecting or _in_cleanup(frame):
            return
        # One call of the user's may schedule several callbacks.
        key = mark, id(loop), id(running), watch.ownership.now()
        if key == self._last:
            return
        self._last = key
        location, label = _owner_of(watch, loop, obj)
        watch.report(
            Finding(
                self.kind,
                f"{_name(method, frame)}() was called in {self._shown(running)}, but acts on "
                f"{self._shown(loop)}, which was not running",
                self._advice(loop, running),
                watch.ownership.now().owner,
                origin=place_of(mark),
                origin_label="used at",
                location=location,
                location_label=label,
            )
        )

    # -- what asyncio refuses ------------------------------------------------

    def phase_raised(self, exc: BaseException) -> None:
        for refusal in refusals_in(exc):
            if ask(refusal.error, CARRIED) is None:
                put(refusal.error, CARRIED, self._refused(refusal))

    def _refused(self, refusal: Refusal) -> Finding:
        watch = self.watch
        location, label = None, "it was made at"
        if refusal.loop is not None:
            location, label = _owner_of(watch, refusal.loop, refusal.obj)
        running = self._shown(refusal.running)
        if refusal.closed:
            text = f"{self._shown(refusal.loop)}, which is closed, was used in {running}"
        elif refusal.loop is None:
            text = f"an object of another loop was used in {running}"
        else:
            what = class_name(refusal.obj)
            text = f"a {what} of {self._shown(refusal.loop)} was used in {running}"
        return Finding(
            self.kind,
            text,
            self._advice(refusal.loop, refusal.running),
            watch.ownership.running.owner,
            origin=raised_at(traceback_of(refusal.error)),
            origin_label="used at",
            location=location,
            location_label=label,
            exception=class_name(refusal.error),
        )

    # -- the loops, in the user's terms ----------------------------------------

    def _shown(self, loop: Any) -> str:
        owner = self._maker(loop)
        if owner is None:
            return "another loop"
        if owner.type == "fixture" and _is_runner(owner):
            elsewhere = owner.nodeid != self.watch.ownership.running.nodeid
            whose = f" of {owner.nodeid}" if owner.scope == "function" and elsewhere else ""
            return f"the {owner.scope}-scoped loop{whose}"
        if owner.type == "fixture":
            return f"the loop of the {owner.scope} fixture {owner.name!r}"
        return f"the loop of {owner.type} {owner.name}" if owner.name else "another loop"

    def _maker(self, loop: Any) -> Owner | None:
        """The test or fixture that made ``loop``."""
        creation = self.watch.created_at(loop)
        return creation[1].owner if creation is not None else None

    def _advice(self, loop: Any, running: Any) -> str:
        """What to do; where pytest-asyncio made both loops, which scopes do not match."""
        theirs, here = self._maker(loop), self._maker(running)
        if theirs is None or here is None or not (_is_runner(theirs) and _is_runner(here)):
            return self.advice
        if theirs.scope == here.scope:
            return (
                f"Each {here.scope} has a loop of its own. Make the object anew in each, or give "
                'all tests and fixtures that use it one loop, with loop_scope="session".'
            )
        return (
            f"The loop scopes {theirs.scope!r} and {here.scope!r} do not match. Run what uses the "
            f'object in its loop, with @pytest.mark.asyncio(loop_scope="{theirs.scope}") on a '
            f'test; or make it in the {here.scope}-scoped loop, with loop_scope="{here.scope}" '
            "(and a scope that is no wider) on the fixture."
        )


def _owner_of(watch: Watch, loop: Any, obj: Any) -> tuple[Place | None, str]:
    place, label = owner_of(watch, loop, obj)
    return place, label.replace("its loop runs what", "its loop has a task that")


def _is_runner(owner: Owner) -> bool:
    """Whether ``owner`` is a fixture of pytest-asyncio's that makes a loop."""
    return owner.type == "fixture" and any(part in owner.name for part in _LOOP_FIXTURES)


def _ran_here(loop: Any) -> bool:
    """Whether ``loop`` has run, and last in this thread: else another may be about to run it."""
    ran = ask(loop, RAN_IN)
    return (threading.main_thread().ident if ran is True else ran) == get_ident()


def _in_cleanup(frame: FrameType | None) -> bool:
    """Whether a destructor makes the call, or the end of a coroutine that was dropped.

    They run wherever the last reference goes.
    """
    if is_a(sys.exception(), GeneratorExit):
        return True
    while frame is not None and not is_step(frame.f_code):
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename == _WEAKREF:
            return True
        frame = frame.f_back
    return False


_WEAKREF = sys.modules["weakref"].__file__


def _name(method: str, frame: FrameType | None) -> str:
    """The method that the user called, of asyncio's or of the plugin's futures."""
    if frame is not None and KINDS[frame.f_code.co_filename] == HARNESS:
        method = _FUTURES.get(frame.f_code.co_name, frame.f_code.co_name)
    return called(method, frame)
