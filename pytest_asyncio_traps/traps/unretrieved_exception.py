"""Tasks and futures that ended in an exception which nothing retrieved."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
import weakref
from asyncio import tasks
from collections.abc import Callable
from typing import Any, Final

from ..compat import asyncio as private
from ..core.contexts import UNRETRIEVED, subject
from ..core.creation import CREATION_LABEL
from ..core.harness import is_harness, user_has_handler
from ..core.objects import (
    ask_text,
    children_of,
    coroutine_of,
    exception_of,
    is_a,
    is_any,
    is_closed,
    loop_of,
    put,
    traceback_of,
)
from ..core.ownership import Tenure
from ..core.places import describe, name_of, place_of, raised_at
from ..core.reported import is_reported, set_reported
from ..core.stacks import user_mark
from ..core.thread_futures import Submission, make_thread_future
from ..core.trap import BuiltinTrap
from ..model.finding import Finding, Place


class UnretrievedException(BuiltinTrap):
    """The destructor of the task or future calls the exception handler of its loop.

    One that something still refers to is reported once its loop is closed and its owner has
    ended.
    """

    kind = "unretrieved-exception"
    title = "an exception was never retrieved"
    advice = (
        "Await the task or future (or gather it, or run it in a TaskGroup), so that its "
        "exception is raised where it is handled; or retrieve it with .exception()."
    )

    def arm(self) -> None:
        watch = self.watch
        watch.tracker.watch_type(asyncio.Future, _may_fail)
        watch.tracker.while_they_live.add(asyncio.Task)  # its context says whose it is
        # By the id of their loop: the futures that a test left and that may still fail, or whose
        # exception may still be retrieved.
        self._left: dict[int, _Left] = {}
        watch.at_end.append(self._left.clear)
        self._thread_futures: weakref.WeakSet[concurrent.futures.Future[Any]] = weakref.WeakSet()
        self._thread_future = make_thread_future(
            self._thread_future_dropped, watch.faults.guard(self.kind)
        )
        for module in (tasks, asyncio):
            watch.patches.wrap(module, "run_coroutine_threadsafe", self._make_threadsafe)
            watch.patches.wrap(module, "shield", self._make_shield)

    # -- futures of other threads ------------------------------------------

    def _make_threadsafe(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watch = self.watch

        def run_coroutine_threadsafe(coro: Any, loop: Any) -> Any:
            mark, tenure = None, watch.ownership.session
            if watch.active:
                with watch.faults.guard(self.kind):
                    mark, tenure = user_mark(sys._getframe(1)), watch.ownership.now()
                    watch.handovers.add(coro, mark, tenure, "run_coroutine_threadsafe()")
            future = original(coro, loop)
            if watch.active and type(future) is concurrent.futures.Future:
                with watch.faults.guard(self.kind):
                    future._asyncio_traps_of = Submission(  # type: ignore[attr-defined]
                        name_of(coro), mark, tenure
                    )
                    future.__class__ = self._thread_future
                    self._thread_futures.add(future)
            return future

        return run_coroutine_threadsafe

    def _thread_future_dropped(self, future: Any) -> None:
        """The destructor of ``future`` runs, or the run ends."""
        watch = self.watch
        exc = exception_of(future)
        if exc is None or future._asyncio_traps_asked or not watch.active:
            return
        if is_any(exc, SystemExit, KeyboardInterrupt, asyncio.CancelledError):
            return
        future._asyncio_traps_asked = True
        submission: Submission = future._asyncio_traps_of
        described = describe(exc)
        watch.report(
            Finding(
                self.kind,
                f"task running {submission.name!r}, handed over by run_coroutine_threadsafe(), "
                f"ended in {described}, which nobody retrieved",
                "Ask the future that run_coroutine_threadsafe() returns for its result() or "
                "exception().",
                submission.tenure.owner,
                origin=place_of(submission.mark),
                origin_label="handed over at",
                location=raised_at(traceback_of(exc)),
                location_label="raised at",
                exception=described,
                subject=submission.name,
            )
        )

    # -- tasks and futures of loops ----------------------------------------

    def _make_shield(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watch = self.watch

        def shield(arg: Any) -> Any:
            outer = original(arg)
            if watch.active and outer is not arg:
                with watch.faults.guard(self.kind):
                    watch.remember(outer, sys._getframe(1))
                    put(outer, CREATION_LABEL, "shielded at")
            return outer

        return shield

    def exception_handler_called(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        future = context.get("future")
        if future is None or subject(context) != UNRETRIEVED:
            return
        if is_reported(future) or user_has_handler(loop):
            return
        self._report(future, context.get("exception"), self.watch.tenure_of(future))

    def judge(self, final: bool) -> None:
        watch = self.watch
        if final:
            for thread_future in list(self._thread_futures):
                self._thread_future_dropped(thread_future)
        arrived = watch.tracker.arrived()
        candidates = self._take_left(final) + [(ref, tenure) for ref, tenure, _ in arrived]
        if not candidates:
            return
        if any(_is_failed(ref()) for ref, _, _ in watch.tracker.arrived()):
            # A future that only a reference cycle keeps alive is destroyed here, in the test
            # that made it.
            gc.collect()
        for ref, tenure in candidates:
            future = ref()
            if not is_a(future, asyncio.Future):
                continue
            creation = watch.created_at(future)
            tenure = creation[1] if creation is not None else tenure
            if not (final or (tenure.ended and _is_closed(future))):
                self._leave(future, ref, tenure)
            elif _is_unretrieved(future):
                if is_reported(future) or user_has_handler(loop_of(future)):
                    continue
                self._report(future, exception_of(future), tenure)

    def _leave(self, future: Any, ref: weakref.ref[Any], tenure: Tenure) -> None:
        """Look at ``future`` again when its loop is closed, and not at every test until then."""
        if not _may_fail(future):
            return
        loop = loop_of(future)
        if loop is None:  # its constructor failed
            return
        left = self._left.get(id(loop))
        if left is None or left.loop() is not loop:
            left = self._left[id(loop)] = _Left(loop)
        left.add(ref, tenure)

    def _take_left(self, final: bool) -> list[tuple[weakref.ref[Any], Tenure]]:
        """The futures left on loops that are closed or destroyed by now; all, where ``final``."""
        taken: list[tuple[weakref.ref[Any], Tenure]] = []
        for key, left in list(self._left.items()):
            loop = left.loop()
            if final or loop is None or is_closed(loop):
                taken += left.entries
                del self._left[key]
        return taken

    # -- reports -----------------------------------------------------------

    def _report(self, future: Any, exc: BaseException | None, tenure: Tenure) -> None:
        watch = self.watch
        if is_any(exc, SystemExit, KeyboardInterrupt, asyncio.CancelledError):
            # An exit also leaves the loop, where the code that runs it sees it. A cancellation
            # that gather() passes on is no error.
            return
        coroutine = coroutine_of(future) if is_a(future, asyncio.Task) else None
        if coroutine is not None and is_harness(coroutine, watch.creation_mark(future)):
            return
        set_reported(future)
        described = describe(exc)
        trace = watch.trace_of(future)
        raised = raised_at(traceback_of(exc))
        what, name, origin, label = self._describe(future, coroutine, raised)
        verb = "was given" if what == "future" else "ended in"
        watch.report(
            Finding(
                self.kind,
                f"{what} {verb} {described}, which nobody retrieved",
                self.advice,
                tenure.owner,
                origin=origin,
                origin_label=label,
                location=raised,
                location_label="raised at",
                exception=described,
                subject=name or "",
                trace=trace if trace and trace[-1] == origin else (),
            )
        )

    def _describe(
        self, future: Any, coroutine: Any, raised: Place | None
    ) -> tuple[str, str | None, Place | None, str]:
        """What ``future`` is, the name of what it runs, its origin, and the label of that."""
        watch = self.watch
        if is_a(future, asyncio.Task):
            name: str | None = None
            origin, label = watch.origin_of_task(future)
            # A task that failed eagerly does not refer to its coroutine any more.
            if coroutine is not None:
                name = name_of(coroutine)
            elif raised is not None:
                name = raised.function
            return f"task running {name!r}", name, origin, label
        if children := children_of(future):
            return "gather()", None, watch.origin_of(children[0]), "gathered at"
        label = ask_text(future, CREATION_LABEL) or "exception set at"
        return "future", None, watch.origin_of(future), label


class _Left:
    """Futures that were left on one loop."""

    def __init__(self, loop: Any) -> None:
        self.loop: Callable[[], Any] = weakref.ref(loop)
        self.entries: list[tuple[weakref.ref[Any], Tenure]] = []
        self._too_many = 1_000

    def add(self, ref: weakref.ref[Any], tenure: Tenure) -> None:
        if len(self.entries) >= self._too_many:
            self.entries = [entry for entry in self.entries if entry[0]() is not None]
            self._too_many = 2 * len(self.entries) + 1_000
        self.entries.append((ref, tenure))


def _is_failed(obj: object) -> bool:
    return is_a(obj, asyncio.Future) and _is_unretrieved(obj)


def _is_closed(future: Any) -> bool:
    loop = loop_of(future)
    return loop is not None and is_closed(loop)  # None if its constructor failed


# Those of the base class: a subclass may not be ready for calls from within a collection.
_done = asyncio.Future.done
_FLAG: Final = private.FUTURE_UNRETRIEVED
_log_traceback: Any = getattr(
    next((vars(cls)[_FLAG] for cls in asyncio.Future.__mro__ if _FLAG in vars(cls)), None),
    "__get__",
    None,
)


def _may_fail(future: Any) -> bool:
    return not _done(future) or _is_unretrieved(future)


def _is_unretrieved(future: Any) -> bool:
    try:
        return _log_traceback is not None and _log_traceback(future) is True
    except RuntimeError:
        return False  # its constructor failed, or was never called
