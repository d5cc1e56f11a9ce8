"""Tasks and futures that ended in an exception which nobody retrieved."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import weakref
from asyncio import tasks
from collections.abc import Callable
from typing import Any, Final

from ..compat.missing import missing
from ..core.contexts import UNRETRIEVED, subject
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
from ..core.stacks import user_mark
from ..core.trap import Trap
from ..core.watch import MADE_AS, is_harness, is_reported, set_reported
from ..model.finding import Finding


class UnretrievedException(Trap):
    """asyncio tells, from the destructor of the task or future, through its loop's handler.

    One that something still refers to when its loop is closed and its owner's
    time is over is reported then.
    """

    kind = "unretrieved-exception"
    title = "an exception was never retrieved"
    advice = (
        "Await the task or future (or gather it, or run it in a TaskGroup), so that its "
        "exception reaches somebody; or look at it with .exception()."
    )

    def arm(self) -> None:
        self.watch.tracker.watch_type(asyncio.Future, _may_fail)
        self.watch.tracker.while_they_live.add(asyncio.Task)  # its context says whose it is
        # Those that a test has left and that may still fail, or that somebody may still ask,
        # by the id of their loop.
        self._left: dict[int, _Left] = {}
        self.watch.on_disarm.append(self._left.clear)
        self.watch.on_context.append(self._context)
        self._thread_futures: weakref.WeakSet[concurrent.futures.Future[Any]] = weakref.WeakSet()
        self._thread_future = self._make_thread_future()
        for module in (tasks, asyncio):
            self.watch.patches.wrap(module, "run_coroutine_threadsafe", self._make_threadsafe)
            self.watch.patches.wrap(module, "shield", self._make_shield)

    def _make_threadsafe(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watch = self.watch

        def run_coroutine_threadsafe(coro: Any, loop: Any) -> Any:
            mark, tenure = None, watch.ownership.session
            if watch.active:
                with watch.faults.guard(self.kind):
                    mark, tenure = user_mark(sys._getframe(1)), watch.ownership.now()
                    watch.hand_over(coro, mark, tenure, "run_coroutine_threadsafe()")
            future = original(coro, loop)
            if watch.active and type(future) is concurrent.futures.Future:
                with watch.faults.guard(self.kind):
                    future._asyncio_traps_of = (  # type: ignore[attr-defined]
                        name_of(coro),
                        tenure,
                        mark,
                    )
                    future.__class__ = self._thread_future
                    self._thread_futures.add(future)
            return future

        return run_coroutine_threadsafe

    def _make_shield(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watch = self.watch

        def shield(arg: Any) -> Any:
            outer = original(arg)
            if watch.active and outer is not arg:
                with watch.faults.guard(self.kind):
                    watch.remember(outer, sys._getframe(1))
                    put(outer, MADE_AS, "shielded at")
            return outer

        return shield

    def _make_thread_future(self) -> type[concurrent.futures.Future[Any]]:
        """`concurrent.futures.Future`, with a flag that says whether somebody asked it."""
        trap = self

        class Future(concurrent.futures.Future[Any]):
            _asyncio_traps_asked = False

            def result(self, timeout: float | None = None) -> Any:
                self._asyncio_traps_asked = True
                return super().result(timeout)

            def exception(self, timeout: float | None = None) -> BaseException | None:
                self._asyncio_traps_asked = True
                return super().exception(timeout)

            def _get_snapshot(self) -> Any:  # from Python 3.14 on, for wrap_future()
                self._asyncio_traps_asked = True
                return super()._get_snapshot()  # type: ignore[misc]

            def __del__(self) -> None:
                with trap.watch.faults.guard(trap.kind):
                    trap._thread_future_ends(self)

        Future.__module__ = concurrent.futures.Future.__module__
        Future.__name__ = Future.__qualname__ = "Future"
        return Future

    def _thread_future_ends(self, future: Any) -> None:
        watch = self.watch
        exc = exception_of(future)
        if exc is None or future._asyncio_traps_asked or not watch.active:
            return
        if is_any(exc, SystemExit, KeyboardInterrupt, asyncio.CancelledError):
            return
        with watch.faults.guard(self.kind):
            future._asyncio_traps_asked = True
            name, tenure, mark = future._asyncio_traps_of
            described = describe(exc)
            watch.report(
                Finding(
                    self.kind,
                    f"task running {name!r}, handed over by run_coroutine_threadsafe(), ended in "
                    f"{described}, which nobody retrieved",
                    "Ask the future that run_coroutine_threadsafe() returns for its result() or "
                    "exception().",
                    tenure.owner,
                    origin=place_of(mark),
                    origin_label="handed over at",
                    location=raised_at(traceback_of(exc)),
                    location_label="raised at",
                    exception=described,
                    subject=name,
                )
            )

    def _context(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        future = context.get("future")
        if future is None or subject(context) != UNRETRIEVED:
            return
        if is_reported(future) or self.watch.user_has_handler(loop):
            return
        self._report(future, context.get("exception"), self.watch.tenure_of(future))

    def judge(self, final: bool) -> None:
        watch = self.watch
        if final:
            for future in list(self._thread_futures):
                self._thread_future_ends(future)
        arrived = watch.tracker.arrived()
        looked_at = self._over(final) + [(ref, tenure) for ref, tenure, _ in arrived]
        if not looked_at:
            return
        if any(_is_failed(ref()) for ref, _, _ in watch.tracker.arrived()):
            # One that only a cycle keeps alive is destroyed here, in the test that made it.
            watch.flush()
        for ref, tenure in looked_at:
            obj = ref()
            if not is_a(obj, asyncio.Future):
                continue
            made = watch.created_at(obj)
            tenure = made[1] if made is not None else tenure
            if not (final or (tenure.ended and _is_closed(obj))):
                self._leave(obj, ref, tenure)
            elif _is_unretrieved(obj):
                if is_reported(obj) or watch.user_has_handler(loop_of(obj)):
                    continue
                self._report(obj, exception_of(obj), tenure)

    def _leave(self, future: Any, ref: weakref.ref[Any], tenure: Tenure) -> None:
        """Look at ``future`` again when its loop is closed, and not at every test until then."""
        if not _may_fail(future):
            return
        loop = loop_of(future)
        if loop is None:  # its constructor has failed
            return
        left = self._left.get(id(loop))
        if left is None or left.loop() is not loop:
            left = self._left[id(loop)] = _Left(loop)
        left.add(ref, tenure)

    def _over(self, final: bool) -> list[tuple[weakref.ref[Any], Tenure]]:
        """What was left on loops that are closed, or gone, by now."""
        over: list[tuple[weakref.ref[Any], Tenure]] = []
        for key, left in list(self._left.items()):
            loop = left.loop()
            if final or loop is None or is_closed(loop):
                over += left.entries
                del self._left[key]
        return over

    def _report(self, future: Any, exc: BaseException | None, tenure: Tenure) -> None:
        watch = self.watch
        if is_any(exc, SystemExit, KeyboardInterrupt, asyncio.CancelledError):
            # An exit has left the loop by itself, and whoever ran the loop has seen it; a
            # cancellation that gather() hands on is no error of anybody's.
            return
        made = watch.created_at(future)
        name: str | None = None
        coroutine = coroutine_of(future) if is_a(future, asyncio.Task) else None
        if coroutine is not None and is_harness(coroutine, made[0] if made else None):
            return
        set_reported(future)
        described = describe(exc)
        trace = watch.trace_of(future)
        raised = raised_at(traceback_of(exc))
        if is_a(future, asyncio.Task):
            origin, label = watch.origin_of_task(future)
            # A task that failed eagerly has let go of its coroutine.
            if coroutine is not None:
                name = name_of(coroutine)
            elif raised is not None:
                name = raised.function
            summary = f"task running {name!r} ended in {described}, which nobody retrieved"
        elif children := children_of(future):
            origin, label = watch.origin_of(children[0]), "gathered at"
            summary = f"gather() ended in {described}, which nobody retrieved"
        else:
            origin = watch.origin_of(future)
            summary = f"future was given {described}, which nobody retrieved"
            label = ask_text(future, MADE_AS) or "exception set at"
        watch.report(
            Finding(
                self.kind,
                summary,
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
    return loop is not None and is_closed(loop)  # none if its constructor has failed


_FLAG: Final = "_log_traceback"
# By the base class's own: a subclass's may not be ready to be called from a collection.
_done = asyncio.Future.done
_log_traceback: Any = getattr(
    next((vars(cls)[_FLAG] for cls in asyncio.Future.__mro__ if _FLAG in vars(cls)), None),
    "__get__",
    None,
)
if _log_traceback is None:
    missing(
        "unretrieved-exception of futures that something still refers to",
        f"this Python's futures have no {_FLAG}",
    )


def _may_fail(future: Any) -> bool:
    return not _done(future) or _is_unretrieved(future)


def _is_unretrieved(future: Any) -> bool:
    try:
        return _log_traceback is not None and _log_traceback(future) is True
    except RuntimeError:
        return False  # its constructor has failed, or was never called
