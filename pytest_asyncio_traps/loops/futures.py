"""A future that notes where it is completed, and where code tries to complete it again.

asyncio's future does not tell what completes it, and methods of its class, which is in C, cannot
be replaced. ``loop.create_future()`` therefore returns an instance of a subclass. The subclass does
what the original does and has its name in every text.
"""

from __future__ import annotations

import asyncio
import sys
from _thread import get_ident
from operator import attrgetter
from types import CodeType
from typing import TYPE_CHECKING, Any

from ..core.double_completion import DoubleCompletion, note_double_completion
from ..core.stacks import Mark, user_mark
from ..core.watch import Watch

if TYPE_CHECKING:
    _Base = asyncio.Future[Any]
else:
    _Base = asyncio.Future


# Globals, not variables of a closure, each of which Python copies at each call.
_getframe = sys._getframe
_set_result = _Base.set_result
_set_exception = _Base.set_exception
_cancel = _Base.cancel


def make_future_class(watch: Watch, runner: str) -> type[Any]:
    """The subclass of `asyncio.Future` for one run.

    ``runner`` is the path of attributes from a future to the object whose ``_thread_id`` says in
    which thread its loop runs. The function is long since each method reads ``watch`` from it,
    which is quicker than from an attribute.
    """
    thread_of = attrgetter(f"{runner}._thread_id")

    class Future(_Base):
        # The instruction that completed it, in two parts. It may be asyncio's: finding the
        # user's is left to a report.
        __slots__ = ("_asyncio_traps_code", "_asyncio_traps_lasti")
        _asyncio_traps_code: CodeType
        _asyncio_traps_lasti: int

        def set_result(self, result: Any, /) -> None:
            try:
                thread = thread_of(self)
                if thread is not None and thread != get_ident():
                    watch.events.wrong_thread_call(
                        self._loop, "Future.set_result", _getframe(1), self
                    )
            except Exception as exc:
                watch.faults.record("futures", exc)
            try:
                _set_result(self, result)
            except asyncio.InvalidStateError as exc:
                __tracebackhide__ = True
                try:
                    _too_late(self, exc)
                except Exception as fault:
                    watch.faults.record("futures", fault)
                raise
            try:
                frame = _getframe(1)
                self._asyncio_traps_code = frame.f_code
                self._asyncio_traps_lasti = frame.f_lasti
            except Exception as exc:
                watch.faults.record("futures", exc)

        def set_exception(self, exception: type | BaseException, /) -> None:
            try:
                thread = thread_of(self)
                if thread is not None and thread != get_ident():
                    watch.events.wrong_thread_call(
                        self._loop, "Future.set_exception", _getframe(1), self
                    )
            except Exception as exc:
                watch.faults.record("futures", exc)
            try:
                _set_exception(self, exception)
            except asyncio.InvalidStateError as exc:
                __tracebackhide__ = True
                try:
                    _too_late(self, exc)
                except Exception as fault:
                    watch.faults.record("futures", fault)
                raise
            try:
                if watch.active:
                    frame = _getframe(1)
                    # The future of a job for an executor has noted where the job was submitted.
                    if watch.created_at(self) is None:
                        watch.remember(self, frame)
                    self._asyncio_traps_code = frame.f_code
                    self._asyncio_traps_lasti = frame.f_lasti
            except Exception as exc:
                watch.faults.record("futures", exc)

        def cancel(self, msg: Any | None = None) -> bool:
            try:
                thread = thread_of(self)
                if thread is not None and thread != get_ident():
                    watch.events.wrong_thread_call(self._loop, "cancel", _getframe(1), self)
            except Exception as exc:
                watch.faults.record("futures", exc)
            done = _cancel(self, msg=msg)
            try:
                if done and watch.active:
                    frame = _getframe(1)
                    self._asyncio_traps_code, self._asyncio_traps_lasti = user_mark(frame) or (
                        frame.f_code,
                        frame.f_lasti,
                    )
            except Exception as exc:
                watch.faults.record("futures", exc)
            return done

    def _done_at(future: Future) -> Mark | None:
        code = getattr(future, "_asyncio_traps_code", None)
        return (code, future._asyncio_traps_lasti) if code is not None else None

    def _too_late(future: Future, exc: Exception) -> None:
        if watch.active:
            note_double_completion(
                exc,
                DoubleCompletion(
                    user_mark(_getframe(2)),
                    _done_at(future),
                    future.cancelled(),
                    watch.ownership.now(),
                ),
            )

    for method in (Future.set_result, Future.set_exception, Future.cancel):
        method.__qualname__ = f"Future.{method.__name__}"
    Future.__module__ = _Base.__module__
    Future.__qualname__ = _Base.__qualname__
    watch.tracker.while_they_live.add(Future)  # set_exception() notes the owner
    return Future
