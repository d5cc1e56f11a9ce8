"""Event loops that were left open."""

from __future__ import annotations

import asyncio
import sys
import weakref
from asyncio import base_events
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, cast

from ..compat import asyncio as private
from ..core.creation import CREATION_LABEL, LIBRARYS, Creation
from ..core.jobs import function_name, note_function
from ..core.objects import ask, callbacks_of, is_closed, is_done, is_running, put
from ..core.paths import ASYNCIO
from ..core.places import place_of
from ..core.reported import is_reported, set_reported
from ..core.stacks import KINDS, is_user
from ..core.trap import BuiltinTrap
from ..model.finding import Finding

_IMPLICIT = "_asyncio_traps_implicit"


class UnclosedLoop(BuiltinTrap):
    """A loop counts as left if it is destroyed while open, or open when its owner ends.

    A loop that ``asyncio.get_event_loop()`` made because the thread had none is returned to
    later callers, too. It is judged when the run ends, as is one that a thread still runs.
    """

    kind = "unclosed-loop"
    title = "an event loop was left open"
    advice = (
        "Close it: use asyncio.run() or asyncio.Runner, which do, or call loop.close() in a "
        "finally clause or in the fixture's teardown."
    )

    def arm(self) -> None:
        watch = self.watch
        watch.patches.wrap(base_events.BaseEventLoop, "__del__", self._make_del)
        self._jobs: weakref.WeakKeyDictionary[Any, tuple[Any, str, bool]] = (
            weakref.WeakKeyDictionary()
        )
        watch.patches.wrap(base_events.BaseEventLoop, "run_in_executor", self._make_run)

    def loop_created(self, loop: asyncio.AbstractEventLoop, frame: FrameType | None) -> None:
        if _in_get_event_loop(frame):
            put(loop, _IMPLICIT, True)

    def _make_del(self, original: Callable[..., None]) -> Callable[..., None]:
        watch = self.watch

        def __del__(loop: Any, *args: Any, **kwargs: Any) -> None:
            open_, delivery = False, None
            try:
                closed = getattr(loop, private.LOOP_CLOSED) is True  # nearly always
            except Exception:  # its constructor failed, or its class is the user's
                closed = False
            if not closed and watch.active and not watch.faults.is_off(self.kind):
                with watch.faults.guard(self.kind):
                    open_ = self._is_users(loop) and not is_closed(loop)
                    if open_:
                        delivery = watch.warning_monitor.begin()
            try:
                original(loop, *args, **kwargs)
            finally:
                if delivery is not None:
                    with watch.faults.guard(self.kind):
                        own = watch.tenure_of(loop).owner.nodeid
                        watch.warning_monitor.end(
                            delivery,
                            lambda: self._report(loop, "Garbage-collected while still open."),
                            own == watch.ownership.running.owner.nodeid,
                        )

        return __del__

    def _make_run(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watch = self.watch

        def run_in_executor(loop: Any, executor: Any, func: Any, *args: Any) -> Any:
            job = original(loop, executor, func, *args)
            if watch.active and not watch.faults.is_off(self.kind):
                with watch.faults.guard(self.kind):
                    watch.remember(job, sys._getframe(1))
                    put(job, CREATION_LABEL, "handed to the executor at")
                    name = function_name(func)
                    note_function(job, name)
                    self._jobs[job] = weakref.ref(loop), name, executor is not None
            return job

        return run_in_executor

    def loop_closing(self, loop: asyncio.AbstractEventLoop) -> None:
        """Report jobs that still run in a thread: nothing can take their results any more."""
        if not cast(Any, self._jobs).data:  # the dictionary computes its length in Python
            return
        for job, (owner, name, own) in list(self._jobs.items()):
            # If a task waits for the job, that task is reported as pending.
            if owner() is not loop or is_done(job) or _is_awaited(job):
                continue
            creation = self.watch.created_at(job)
            if creation is not None and creation[0] is not None:
                self._report_job(name, creation, own)

    def _report_job(self, name: str, creation: Creation, own: bool) -> None:
        """The job ``name`` runs while its loop closes. ``own``: in an executor of the user's."""
        mark, tenure = creation
        if own:
            # That executor may well outlive a loop. The job may not.
            kind = "pending-task"
            summary = f"job {name!r} was left running in an executor"
            advice = "Await what run_in_executor() returns before the test or fixture ends."
            notes: tuple[str, ...] = ("Its loop was closed while it ran, so its result is lost.",)
        else:
            kind = self.kind
            summary = f"event loop was closed while {name!r} ran in its executor"
            advice = (
                "Await what run_in_executor() returns, or end with "
                "loop.shutdown_default_executor(), as asyncio.run() does."
            )
            notes = ()
        self.watch.report(
            Finding(
                kind,
                summary,
                advice,
                tenure.owner,
                origin=place_of(mark),
                origin_label="handed to the executor at",
                notes=notes,
                subject=name,
            )
        )

    def judge(self, final: bool) -> None:
        watch = self.watch
        for loop in watch.loops():
            if is_closed(loop) or not self._is_users(loop):
                continue
            creation = watch.created_at(loop)
            if not final:
                if creation is None or not creation[1].ended:
                    continue
                if is_running(loop) or ask(loop, _IMPLICIT) is True:
                    continue
            elif creation is not None and creation[1] is watch.ownership.session:
                continue  # made in a hook such as pytest_sessionstart: a later hook may close it
            self._report(loop, "Still open when the test or fixture that created it finished.")

    def _is_users(self, loop: Any) -> bool:
        if is_reported(loop) or ask(loop, LIBRARYS) is True:
            return False
        mark = self.watch.creation_mark(loop)
        if mark is None:
            return False
        # A library may have asyncio make a loop while no code of the user's runs, as tornado's
        # make_current() does in a fixture of pytest-tornasync. The user cannot close that one.
        return is_user(mark) or ask(loop, _IMPLICIT) is not True

    def _report(self, loop: Any, how: str) -> None:
        if is_reported(loop):
            return
        set_reported(loop)
        creation = self.watch.created_at(loop)
        assert creation is not None
        notes: tuple[str, ...] = (how,)
        if ask(loop, _IMPLICIT) is True:
            notes = ("Created by asyncio.get_event_loop(), because the thread had no loop.", how)
        if is_running(loop):
            notes += ("A thread is still running it.",)
        self.watch.report(
            Finding(
                self.kind,
                "event loop was left open",
                self.advice,
                creation[1].owner,
                origin=place_of(creation[0]),
                notes=notes,
            )
        )


def _is_awaited(job: Any) -> bool:
    """Whether ``job`` has a done callback other than asyncio's, which passes cancellation on."""
    return any(ask(callback, "__module__") != "asyncio.futures" for callback in callbacks_of(job))


def _in_get_event_loop(frame: FrameType | None) -> bool:
    """Whether ``asyncio.get_event_loop`` called the constructor of a loop, which is ``frame``."""
    while frame is not None and frame.f_code.co_name in _MAKES_LOOPS:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "get_event_loop":
        return False
    return KINDS[frame.f_code.co_filename] == ASYNCIO


#: Functions that may lie between the two: constructors of subclasses, and a policy's methods.
_MAKES_LOOPS: Final = ("__init__", "new_event_loop", private.POLICY_FACTORY)
