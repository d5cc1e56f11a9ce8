"""Calls of asyncio objects from another thread than the one that runs their loop."""

from __future__ import annotations

import sys
import threading
from _thread import get_ident
from asyncio import base_events, locks, queues
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..compat import asyncio as private
from ..compat import cpython
from ..core.callers import called, owner_of
from ..core.objects import ask, is_a, put
from ..core.ownership import THREAD_STARTED_AT
from ..core.patches import Patches
from ..core.paths import ASYNCIO, HARNESS
from ..core.places import place_of
from ..core.reported import CARRIED
from ..core.reprs import text_of
from ..core.stacks import KINDS, user_mark
from ..core.threads import ALONE
from ..core.transports import all_classes
from ..core.trap import BuiltinTrap
from ..model.finding import Finding
from ..model.text import shorten

#: Methods that change an object bound to a loop, and wake the tasks that wait for it.
_OF_PRIMITIVES: tuple[tuple[type, tuple[str, ...]], ...] = (
    (queues.Queue, ("put_nowait", "get_nowait", "task_done")),
    (locks.Event, ("set", "clear")),
    (locks.Lock, ("release",)),
    (locks.Semaphore, ("release",)),
    (locks.Condition, ("notify", "notify_all")),
)
_OF_TRANSPORTS = ("write", "writelines", "write_eof", "sendto", "close", "abort")


_THREADING = vars(threading)

#: For how many tests without another thread the checks stay. To install and remove them costs
#: more than the checks do, and if one test has threads, the next often has threads, too.
_PATIENCE = 50


class WrongThread(BuiltinTrap):
    """asyncio's objects are not locked. Some of them check their thread in debug mode only.

    The methods of loops and futures are checked in ``loops``, those of transports, queues and
    locks here. Nothing is raised in the thread, in which the call may well succeed: the test
    that started the thread fails.
    """

    kind = "wrong-thread"
    title = "an asyncio object was touched from another thread"
    advice = (
        "Only the loop's own thread may touch it. From another thread, use "
        "loop.call_soon_threadsafe() or asyncio.run_coroutine_threadsafe()."
    )

    def arm(self) -> None:
        watch = self.watch
        # The last call that was reported.
        self._last: object = None
        self._checks = Patches()
        self._checking = False
        # How many tests in a row have begun without another thread.
        self._alone = 0
        watch.at_end.append(self._checks.undo)
        if private.THREAD_CHECK.holds:
            loop_class = base_events.BaseEventLoop
            watch.patches.wrap(loop_class, private.CHECK_THREAD, self._make_check)
        # pytest's own hook calls no other: ours has to stand before it, and calls it.
        watch.patches.keep(threading, "excepthook", self._make_excepthook)

    # -- the checks of queues, locks and transports ------------------------

    def thread_starting(self) -> None:
        """Install the checks, which would be most of the price of a queue.

        With a single thread they can find nothing.
        """
        self._alone = 0
        if self._checking or not self.watch.active:
            return
        self._checking = True
        with self.watch.faults.guard(self.kind):
            for cls, names in _OF_PRIMITIVES:
                self._check(cls, names)
            for cls in all_classes():
                self._check(cls, _OF_TRANSPORTS)

    def _check(self, cls: type, names: tuple[str, ...]) -> None:
        for name in names:
            if name in vars(cls):
                self._checks.wrap(cls, name, self._make_checked)

    def refresh(self) -> None:
        # Threads may have been started before the plugin, or not by `threading.Thread`. Each
        # test counts them, so not by active_count(), which takes a lock.
        active = _THREADING.get(cpython.ACTIVE_THREADS)
        count = len(active) if type(active) is dict else threading.active_count()
        ALONE[0] = count == 1
        if count > 1:
            self.thread_starting()
        elif self._checking:
            self._alone += 1
            if self._alone > _PATIENCE:
                self._checking = False
                with self.watch.faults.guard(self.kind):
                    self._checks.undo()

    # -- hooks -------------------------------------------------------------

    def _make_check(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        """On a loop in debug mode, asyncio itself checks, and raises."""
        watch = self.watch

        def _check_thread(loop: Any) -> None:
            try:
                original(loop)
            except RuntimeError as exc:
                __tracebackhide__ = True
                watch.events.wrong_thread_error(loop, "loop.call_soon", sys._getframe(1), exc)
                raise

        return _check_thread

    def _make_excepthook(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        watch = self.watch

        def excepthook(args: Any, /) -> None:
            with watch.faults.guard(self.kind):
                finding = ask(args.exc_value, CARRIED)
                if watch.active and is_a(finding, Finding):
                    watch.report(finding)
            original(args)

        return excepthook

    def _make_checked(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watch = self.watch
        name = original.__qualname__

        def checked(self_: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                loop = ask(self_, private.LOOP)  # a subclass may not call the constructor
                if loop is not None:
                    thread = ask(loop, private.LOOP_THREAD)
                    if thread is None:
                        thread = _thread_of(loop)
                    if thread is not None and thread != get_ident():
                        watch.events.wrong_thread_call(loop, name, sys._getframe(1), self_)
            except Exception as exc:
                watch.faults.record(self.kind, exc)
            return original(self_, *args, **kwargs)

        return checked

    # -- findings ----------------------------------------------------------

    def wrong_thread_call(
        self, loop: Any, method: str, frame: FrameType | None, obj: Any = None
    ) -> None:
        # One call of the user's may make several checks fail. Threads and loops of a later test
        # may have the same ids.
        key = user_mark(frame), get_ident(), id(loop), self.watch.ownership.now()
        if key == self._last or self.watch.tracker.collecting or _in_destructor(frame):
            return
        self._last = key
        finding = self._finding(loop, method, frame, obj)
        if finding is not None:
            self.watch.report(finding)

    def wrong_thread_error(
        self, loop: Any, method: str, frame: FrameType | None, exc: BaseException
    ) -> None:
        # Code that catches the error has dealt with it. So the error carries the finding.
        put(exc, CARRIED, self._finding(loop, method, frame, None))

    def _finding(self, loop: Any, method: str, frame: FrameType | None, obj: Any) -> Finding | None:
        watch = self.watch
        runs_in = _thread_of(loop)
        if runs_in is None:
            return None
        thread = threading.current_thread()
        mark, label = user_mark(frame), "touched at"
        if mark is None:
            mark, label = ask(thread, THREAD_STARTED_AT), "by a thread that was started at"
        location, location_label = owner_of(watch, loop, obj)
        return Finding(
            self.kind,
            f"{called(method, frame)}() was called in thread {_shown(thread)}, but its loop "
            f"runs in thread {_name(runs_in)}",
            self.advice,
            watch.ownership.now().owner,
            origin=place_of(mark),
            origin_label=label,
            location=location,
            location_label=location_label,
        )


def _in_destructor(frame: FrameType | None) -> bool:
    """Whether a destructor makes the call: it runs in the thread that drops the last reference."""
    while frame is not None and KINDS[frame.f_code.co_filename] in (ASYNCIO, HARNESS):
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _thread_of(loop: Any) -> int | None:
    # uvloop's loops do not show their thread; our own object for them does.
    for knows in (loop, ask(loop, "_asyncio_traps_runner")):
        thread = ask(knows, private.LOOP_THREAD)
        if type(thread) is int:  # a mock has anything
            return thread
    return None


def _name(thread_id: int) -> str:
    for thread in threading.enumerate():
        if ask(thread, "ident") == thread_id:
            return _shown(thread)
    return repr(str(thread_id))


def _shown(thread: threading.Thread) -> str:
    """The name of ``thread``, in quotes."""
    return repr(shorten(text_of(ask(thread, "name", "")) or "", 200))
