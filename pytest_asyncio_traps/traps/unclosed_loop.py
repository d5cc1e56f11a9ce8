"""Event loops that were left open."""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from asyncio import base_events
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, cast

from ..core.objects import ask, callbacks_of, is_a, is_closed, is_done, is_running, put
from ..core.paths import ASYNCIO
from ..core.places import name_of, place_of
from ..core.stacks import KINDS, is_user
from ..core.trap import Trap
from ..core.watch import LIBRARYS, MADE_AS, is_reported, set_reported
from ..model.finding import Finding

_IMPLICIT = "_asyncio_traps_implicit"


class UnclosedLoop(Trap):
    """A loop is left open when it is destroyed open, or when its owner's time is over.

    One that asyncio made behind the user's back, in ``get_event_loop()``, serves
    whoever asks next; it is judged when the run ends, and so is one that still
    runs in a thread.
    """

    kind = "unclosed-loop"
    title = "an event loop was left open"
    advice = (
        "Close it: use asyncio.run() or asyncio.Runner, which do, or call loop.close() in a "
        "finally clause or in the fixture's teardown."
    )

    def arm(self) -> None:
        watch = self.watch
        watch.on_loop_created.append(self._made)
        watch.patches.wrap(base_events.BaseEventLoop, "__del__", self._make_del)
        self._jobs: weakref.WeakKeyDictionary[Any, tuple[Any, str, bool]] = (
            weakref.WeakKeyDictionary()
        )
        watch.patches.wrap(base_events.BaseEventLoop, "run_in_executor", self._make_run)
        watch.on_loop_closing.append(self._closing)

    def _made(self, loop: asyncio.AbstractEventLoop, frame: FrameType | None) -> None:
        if _in_get_event_loop(frame):
            put(loop, _IMPLICIT, True)

    def _make_del(self, original: Callable[..., None]) -> Callable[..., None]:
        watch = self.watch

        def __del__(loop: Any, *args: Any, **kwargs: Any) -> None:
            open_, delivery = False, None
            try:
                closed = loop._closed is True  # as nearly every one
            except Exception:  # its constructor failed, or it does as it likes
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
                            lambda: self._report(loop, "It was destroyed."),
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
                    put(job, MADE_AS, "handed to the executor at")
                    self._jobs[job] = weakref.ref(loop), _name(func), executor is not None
            return job

        return run_in_executor

    def _closing(self, loop: asyncio.AbstractEventLoop) -> None:
        """Jobs that still run in a thread: nobody is there any more to take what they return."""
        if not cast(Any, self._jobs).data:  # its own length is reckoned in Python
            return
        watch = self.watch
        for job, (owner, name, own) in list(self._jobs.items()):
            # One that a task waits for is the task's: that is reported as pending.
            if owner() is not loop or is_done(job) or _is_awaited(job):
                continue
            made = watch.created_at(job)
            if made is None or made[0] is None:
                continue
            if own:
                # The executor is the user's, and may well outlive a loop; its job may not.
                self.watch.report(
                    Finding(
                        "pending-task",
                        f"job {name!r} was left running in an executor",
                        "Await what run_in_executor() returns before the test or fixture ends.",
                        made[1].owner,
                        origin=place_of(made[0]),
                        origin_label="handed to the executor at",
                        notes=("Its loop was closed while it ran: nobody gets what it returns.",),
                        subject=name,
                    )
                )
                continue
            self.watch.report(
                Finding(
                    self.kind,
                    f"event loop was closed while {name!r} ran in its executor",
                    "Await what run_in_executor() returns, or end with "
                    "loop.shutdown_default_executor(), as asyncio.run() does.",
                    made[1].owner,
                    origin=place_of(made[0]),
                    origin_label="handed to the executor at",
                    subject=name,
                )
            )

    def judge(self, final: bool) -> None:
        watch = self.watch
        for loop in watch.loops():
            if is_closed(loop) or not self._is_users(loop):
                continue
            made = watch.created_at(loop)
            if not final:
                if made is None or not made[1].ended:
                    continue
                if is_running(loop) or ask(loop, _IMPLICIT) is True:
                    continue
            elif made is not None and made[1] is watch.ownership.session:
                continue  # made in a hook such as pytest_sessionstart: a later hook may close it
            self._report(loop, "It was still open when its owner's time was over.")

    def _is_users(self, loop: Any) -> bool:
        if is_reported(loop) or ask(loop, LIBRARYS) is True:
            return False
        made = self.watch.created_at(loop)
        if made is None or made[0] is None:
            return False
        # One that a library has had asyncio make, while no code of the user's ran (tornado's
        # make_current() in a fixture of pytest-tornasync's), is not the user's to close.
        return is_user(made[0]) or ask(loop, _IMPLICIT) is not True

    def _report(self, loop: Any, how: str) -> None:
        if is_reported(loop):
            return
        set_reported(loop)
        made = self.watch.created_at(loop)
        assert made is not None
        notes: tuple[str, ...] = (how,)
        if ask(loop, _IMPLICIT) is True:
            notes = ("asyncio.get_event_loop() made it, because the thread had none.", how)
        if is_running(loop):
            notes += ("A thread is still running it.",)
        self.watch.report(
            Finding(
                self.kind,
                "event loop was left open",
                self.advice,
                made[1].owner,
                origin=place_of(made[0]),
                notes=notes,
            )
        )


def _is_awaited(job: Any) -> bool:
    """Whether somebody waits for ``job``, beside the callback that hands on its cancellation."""
    return any(ask(callback, "__module__") != "asyncio.futures" for callback in callbacks_of(job))


def _name(func: Any) -> str:
    """What runs in the thread; to_thread() wraps it twice."""
    while is_a(func, functools.partial):
        inner = func.func
        if ask(inner, "__name__") == "run" and func.args:  # Context.run
            inner = func.args[0]
        func = inner
    return name_of(func)


def _in_get_event_loop(frame: FrameType | None) -> bool:
    """Whether the constructor of a loop, which ``frame`` is in, was called by asyncio's
    ``get_event_loop``."""
    while frame is not None and frame.f_code.co_name in _MAKES_LOOPS:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "get_event_loop":
        return False
    return KINDS[frame.f_code.co_filename] == ASYNCIO


#: What may stand between the two: constructors of subclasses, and a policy's methods.
_MAKES_LOOPS: Final = ("__init__", "new_event_loop", "_loop_factory")
