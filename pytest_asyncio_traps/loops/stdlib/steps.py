"""``Handle._run``, which runs one step of a loop, timed."""

from __future__ import annotations

import dis
import sys
from asyncio import events
from types import CodeType
from typing import Any, Final

from ...core.clock import REAL
from ...core.faults import Faults
from ...core.ownership import TENURE
from ...core.stacks import STEP_CODES, add_step
from ...core.watch import Watch
from ..handles import RUN_ASKS_FOR_DEBUG, is_known_run
from .lifecycle import note


def make_run(watch: Watch, original: Any) -> Any:
    # An unknown original is that of another Python, or of another tool.
    run: Any
    if is_known_run(original):
        run = _pass_for(_make_run(watch), original)
    else:
        run = _make_run_around(watch, original)
    add_step(run.__code__)
    watch.at_end.append(lambda: STEP_CODES.remove(run.__code__))
    return run


def _make_run(watch: Watch) -> Any:
    """What replaces asyncio's own ``_run``: does the same without calling it.

    One body for this function and `_make_run_around` would execute between 1.3 and 1.8 % more
    machine instructions in each step (65 to 91 of 5,020, Python 3.13, a callback that does
    nothing). A call of the original would take 390 more.
    """
    now = REAL[0]
    due = watch.due
    step_listeners = watch.events.listening["step_ended"]

    def _run(self: Any) -> Any:
        __tracebackhide__ = True
        loop = self._loop
        callback = self._callback  # the handle may be cancelled in its step, and forget this
        began, shift = now(), None
        try:
            loop._asyncio_traps_step = began
            if watch.shared:
                shift = watch.switch_tenure(self._context)
                loop._asyncio_traps_last = self._context.get(TENURE)
            if began >= due[0]:
                watch.events.step_due(loop, began)
        except Exception as exc:
            note(watch, loop, exc)
        try:
            self._context.run(self._callback, *self._args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as raised:
            try:
                context: Any = _failure(self, raised, watch.faults)
            except Exception as exc:
                if not watch.faults.is_ours(exc):
                    raise  # as the original would
                note(watch, loop, exc)
                context = {"message": "Exception in callback", "exception": raised}
                context["handle"] = self
            try:
                self._loop.call_exception_handler(context)
            finally:
                context = None
        finally:
            try:
                # A step within which others ran (the loop was entered again) was not alone.
                if now() - began >= watch.slow_after and loop._asyncio_traps_step == began:
                    watch.events.slow_step(loop, self, callback, began, now())
                loop._asyncio_traps_step = 0.0
                if step_listeners:
                    watch.events.step_ended(callback)
                if shift is not None:
                    watch.tracker.mark(shift)
            except Exception as exc:
                note(watch, loop, exc)
            # The traceback of an exception in a task reaches this frame through f_back. If the
            # frame referred to the task, that cycle would keep the task alive.
            self = callback = loop = None

    return _run


def _make_run_around(watch: Watch, original: Any) -> Any:
    """What replaces a ``_run`` of unknown code, and calls it. Comments: see `_make_run`."""
    now = REAL[0]
    due = watch.due
    step_listeners = watch.events.listening["step_ended"]

    def _run_around(self: Any) -> Any:
        __tracebackhide__ = True
        loop = self._loop
        callback = self._callback
        began, shift = now(), None
        try:
            loop._asyncio_traps_step = began
            if watch.shared:
                shift = watch.switch_tenure(self._context)
                loop._asyncio_traps_last = self._context.get(TENURE)
            if began >= due[0]:
                watch.events.step_due(loop, began)
        except Exception as exc:
            note(watch, loop, exc)
        try:
            return original(self)
        finally:
            try:
                if now() - began >= watch.slow_after and loop._asyncio_traps_step == began:
                    watch.events.slow_step(loop, self, callback, began, now())
                loop._asyncio_traps_step = 0.0
                if step_listeners:
                    watch.events.step_ended(callback)
                if shift is not None:
                    watch.tracker.mark(shift)
            except Exception as exc:
                note(watch, loop, exc)
            self = callback = loop = None

    return _run_around


def _failure(handle: Any, exc: BaseException, faults: Faults) -> dict[str, Any]:
    """The context for the exception handler when the callback of ``handle`` raised ``exc``.

    The same that ``Handle._run`` makes. Raises what user objects raise when they are formatted.
    """
    debug = {"debug": handle._loop.get_debug()} if RUN_ASKS_FOR_DEBUG else {}
    source = events.format_helpers._format_callback_source  # type: ignore[attr-defined]
    with faults.user_code:
        text = source(handle._callback, handle._args, **debug)
    context = {"message": f"Exception in callback {text}", "exception": exc, "handle": handle}
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    return context


def _pass_for(run: Any, original: Any) -> Any:
    """Give ``run`` the place of ``original`` in tracebacks: what users log stays the same."""
    code = run.__code__
    shift = _line_of_call(original.__code__) - _line_of_call(code)
    run.__code__ = code.replace(
        co_filename=original.__code__.co_filename, co_firstlineno=code.co_firstlineno + shift
    )
    return run


#: The opcodes that look up an attribute or a method. Since Python 3.12 there is one, and its
#: argument has a bit of its own below the index of the name.
_SHIFT: Final = int(sys.version_info >= (3, 12))
_LOADS: Final = [dis.opmap[name] for name in ("LOAD_ATTR", "LOAD_METHOD") if name in dis.opmap]


def _line_of_call(code: CodeType) -> int:
    """The line of ``code`` that calls ``context.run()``."""
    # dis.get_instructions() takes a hundred times as long.
    run = code.co_names.index("run") if "run" in code.co_names else -1
    for position, (lineno, *_) in enumerate(code.co_positions()):
        opcode, name = code.co_code[2 * position : 2 * position + 2]
        if opcode in _LOADS and name >> _SHIFT == run and lineno is not None:
            return lineno
    return code.co_firstlineno
