"""Tasks and futures that ended in an exception which nobody retrieved."""

from __future__ import annotations

import asyncio
from typing import Any

from ..core.finding import Finding
from ..core.ownership import Tenure
from ..core.stacks import coroutine_of, name_of, raised_at
from ..core.trap import Trap
from ..core.watch import is_harness

_REPORTED = "_asyncio_traps_reported"
_MESSAGE = "exception was never retrieved"


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
        self.watch.census.watch_type(asyncio.Future, _may_fail)
        self.watch.on_context.append(self._context)

    def _context(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        future = context.get("future")
        if future is None or not str(context.get("message", "")).endswith(_MESSAGE):
            return
        if getattr(future, _REPORTED, False) is True or self.watch.user_has_handler(loop):
            return
        self._report(future, context.get("exception"), self.watch.tenure_of(future))

    def judge(self, final: bool) -> None:
        watch = self.watch
        fresh = [
            sighting
            for obj, _ in watch.census.living()
            if isinstance(obj, asyncio.Future)
            and _is_unretrieved(obj)
            and not (sighting := watch.census.seen[id(obj)]).told
        ]
        if fresh:
            # One that only a cycle keeps alive is destroyed here, in the test that made it.
            for sighting in fresh:
                sighting.told = True
            watch.flush()
        for obj, tenure in watch.census.living():
            if not isinstance(obj, asyncio.Future) or not _is_unretrieved(obj):
                continue
            made = watch.made(obj)
            tenure = made[1] if made is not None else tenure
            loop = obj.get_loop()
            if final or (tenure.ended and loop.is_closed()):
                if getattr(obj, _REPORTED, False) is True or watch.user_has_handler(loop):
                    continue
                self._report(obj, _peek(obj), tenure)

    def _report(self, future: Any, exc: BaseException | None, tenure: Tenure) -> None:
        watch = self.watch
        if isinstance(exc, (SystemExit, KeyboardInterrupt, asyncio.CancelledError)):
            # An exit has left the loop by itself, and whoever ran the loop has seen it; a
            # cancellation that gather() hands on is no error of anybody's.
            return
        made = watch.made(future)
        coroutine = coroutine_of(future) if isinstance(future, asyncio.Task) else None
        if coroutine is not None and is_harness(coroutine, made[0] if made else None):
            return
        try:
            setattr(future, _REPORTED, True)
        except (AttributeError, TypeError):
            pass
        described = _describe(exc)
        raised = raised_at(exc.__traceback__) if exc is not None else None
        if isinstance(future, asyncio.Task):
            origin, label = watch.origin_of_task(future)
            # A task that failed eagerly has let go of its coroutine.
            name = name_of(coroutine) if coroutine is not None else raised and raised.function
            summary = f"task running {name!r} ended in {described}, which nobody retrieved"
        else:
            origin = watch.origin_of(future)
            summary = f"future was given {described}, which nobody retrieved"
            label = "exception set at"
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
            )
        )


def _describe(exc: BaseException | None) -> str:
    """``exc`` on one line, whatever its ``__str__`` does."""
    name = type(exc).__name__
    try:
        text = " ".join(str(exc).split())
    except Exception:
        return name
    if len(text) > 200:
        text = text[:197] + "..."
    return f"{name}: {text}" if text else name


# By the base class's own: a subclass's may not be ready to be called from a collection.
_done = asyncio.Future.done
_log_traceback = asyncio.Future.__dict__["_log_traceback"].__get__


def _may_fail(future: Any) -> bool:
    return not _done(future) or _is_unretrieved(future)


def _is_unretrieved(future: Any) -> bool:
    return _log_traceback(future) is True


def _peek(future: Any) -> BaseException | None:
    """The exception, without counting as its retrieval."""
    exc = getattr(future, "_exception", None)
    return exc if isinstance(exc, BaseException) else None
