"""uvloop, where it is used.

Its loop is a Python class on top of one in C: methods that are called through
the class can be replaced, what the C code does within itself cannot be seen.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from _thread import get_ident
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..core.clock import REAL
from ..core.objects import ask, is_closed, is_running, put
from ..core.ownership import TENURE, Tenure
from ..core.stacks import STEP_CODES, add_step
from ..core.watch import Watch, scheduled_mark
from . import debug
from .futures import make_future_class
from .stdlib import asyncgen_hooks, make_create_task

#: What of a uvloop cannot be watched, and why.
BLIND_SPOTS = {
    "uvloop: slow-callback in methods of protocols": (
        "uvloop calls data_received and its like from C, where no step can be timed; "
        "tasks and scheduled callbacks are timed"
    ),
    "uvloop: unclosed-transport of connections that a server accepts": (
        "they are made in C; what the loop's own methods make is watched"
    ),
    "uvloop: unclosed-loop of a loop that is destroyed before its test ends": (
        "its destructor is in C; a loop that is still referred to is found"
    ),
    "uvloop: wrong-thread on transports": (
        "their methods are in C; the loop's methods, futures, queues and locks are watched"
    ),
}

_ENDPOINTS = (
    "create_connection",
    "create_unix_connection",
    "create_datagram_endpoint",
    "create_server",
    "create_unix_server",
    "connect_read_pipe",
    "connect_write_pipe",
    "subprocess_exec",
    "subprocess_shell",
    "connect_accepted_socket",
)


_SERVERS = ("create_server", "create_unix_server")

# What runs at every operation finds these here, not in a closure: see stdlib.py.
_getframe = sys._getframe
_running_loop: Callable[[], Any] = asyncio.get_running_loop


class _Runner:
    """What a loop in C shows nobody, or would be slow to: in which thread it runs, if it does,
    when its step began, and whether it is in uvloop's own debug mode."""

    __slots__ = ("_asyncio_traps_last", "_asyncio_traps_step", "_thread_id", "debug")

    def __init__(self) -> None:
        self.debug: bool = False
        self._thread_id: int | None = None
        self._asyncio_traps_step: float = 0.0
        self._asyncio_traps_last: Tenure | None = None


class _Step(functools.partial[None]):
    """What stands in uvloop's queue in place of a callback, and passes for it in every text.

    uvloop shows it: in what ``repr()`` says of a handle, in its log, to the exception handler.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.args[-1], name)  # __qualname__, or the task as __self__

    def __repr__(self) -> str:
        return repr(self.args[-1])

    def __str__(self) -> str:
        return str(self.args[-1])

    def __format__(self, spec: str) -> str:
        return format(self.args[-1], spec)


def _hide_frame(handle: Any) -> None:
    """In uvloop's own debug mode: take the wrapper's frame out of where ``handle`` was made."""
    made_at = ask(handle, "_source_traceback")
    if made_at:
        del made_at[-1]


def runner_of(loop: Any) -> _Runner:
    """The one of ``loop``, which has none of its own if it was made before us."""
    runner: _Runner
    try:
        runner = loop._asyncio_traps_runner
    except AttributeError:
        runner = _Runner()
        loop._asyncio_traps_runner = runner
    return runner


def hook(watch: Watch, loop_class: Any) -> None:
    """Replace the methods of ``uvloop.Loop`` that its C code, or its users, call by name."""
    patches = watch.patches
    guarded = watch.faults.guard("uvloop")
    is_debug = loop_class.get_debug

    def make_init(original: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            if watch.active:
                with guarded:
                    runner_of(self).debug = is_debug(self)
                    # The constructor sets debug mode from the environment.
                    vars(self).pop(debug.EXPLICIT, None)
                    for what, reason in BLIND_SPOTS.items():
                        watch.blind(what, reason)
                    watch.loop_created(self, sys._getframe(1))

        return __init__

    # Which of the two calls the other by name depends on uvloop's version: the outer one tells.
    def make_run(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(self: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            runner, tracked = None, False
            if watch.active:
                with guarded:
                    outer = runner_of(self)
                    if outer._thread_id is None:
                        runner = outer
                        tracked = watch.loop_enters(self)
                        runner._thread_id = get_ident()
            if runner is None:
                return original(self, *args, **kwargs)
            try:
                return original(self, *args, **kwargs)
            except (SystemExit, KeyboardInterrupt):
                # Other exceptions may be what run_until_complete() hands on as a result.
                with guarded:
                    watch.loop_cut_short(self)
                raise
            finally:
                with guarded:
                    runner._thread_id = None
                    watch.loop_leaves(self, tracked)

        return run

    def make_close(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def close(self: Any) -> None:
            if watch.active:
                with guarded:
                    if not is_closed(self) and not is_running(self):
                        watch.loop_closing(self)
            original(self)

        return close

    def make_call_exception_handler(original: Callable[..., None]) -> Callable[..., None]:
        def call_exception_handler(self: Any, context: Any) -> None:
            if watch.active:
                with guarded:
                    watch.exception_context(self, context)
                    self._asyncio_traps_failed = None
            original(self, context)

        return call_exception_handler

    def make_get_debug(original: Callable[[Any], bool]) -> Callable[[Any], bool]:
        def get_debug(self: Any) -> bool:
            if original(self):
                return True
            try:
                return watch.active and debug.shown(self)
            except Exception as exc:
                watch.faults.record("uvloop", exc)
                return False

        return get_debug

    def make_set_debug(original: Callable[..., None]) -> Callable[..., None]:
        def set_debug(self: Any, enabled: bool) -> None:
            with guarded:
                if not enabled and watch.active and debug.by_harness(sys._getframe(1)):
                    return
            original(self, enabled)
            with guarded:
                runner_of(self).debug = bool(enabled)
                if watch.active:
                    put(self, debug.EXPLICIT, bool(enabled))

        return set_debug

    now = REAL[0]
    due = watch.due
    on_step_end = watch.on_step_end

    def step(runner: _Runner, code: Any, lasti: int, callback: Any, *args: Any) -> None:
        """One step of a loop, timed. Stands in uvloop's queue, within a `_Step`."""
        __tracebackhide__ = True
        try:
            runner._asyncio_traps_step = began = now()
            if watch.shared:
                runner._asyncio_traps_last = TENURE.get()
            if began >= due[0]:
                watch.step_due(_running_loop(), began)
        except Exception as exc:
            watch.faults.record("uvloop", exc)
        try:
            callback(*args)
        except BaseException:
            try:
                # uvloop's handles show nothing: this is for the exception handler, which is
                # next.
                failed = scheduled_mark(code, lasti), watch.ownership.now()
                _running_loop()._asyncio_traps_failed = failed
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            raise
        finally:
            try:
                if now() - began >= watch.slow_after and runner._asyncio_traps_step is began:
                    watch.slow_step(_running_loop(), None, callback, began, now())
                runner._asyncio_traps_step = 0.0
                if on_step_end:
                    watch.step_ended(callback)
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            # The traceback of an exception in the task reaches this frame: see stdlib.py.
            callback = args = None  # type: ignore[assignment]

    add_step(step.__code__)
    watch.on_disarm.append(lambda: STEP_CODES.remove(step.__code__))

    def make_stop(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def stop(self: Any) -> None:
            with guarded:
                thread = runner_of(self)._thread_id
                if thread is not None and thread != get_ident():
                    watch.touched(self, "loop.stop", sys._getframe(1))
            original(self)

        return stop

    def elsewhere(loop: Any, what: str, frame: FrameType, callback: Any) -> bool:
        """Another thread calls a method of a running loop. Whether that refuses by itself."""
        if is_debug(loop):
            return True
        watch.touched(loop, what, frame, callback)
        return False

    def make_call_soon(original: Callable[..., Any]) -> Callable[..., Any]:
        def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
            if not watch.active:
                return original(self, callback, *args, context=context)
            try:
                try:
                    runner = self._asyncio_traps_runner
                except AttributeError:  # made before us
                    runner = runner_of(self)
                frame = _getframe(1)
                thread = runner._thread_id
                refuses = False
                if thread is not None and thread != get_ident():
                    refuses = elsewhere(self, "loop.call_soon", frame, callback)
                shown = _Step(step, runner, frame.f_code, frame.f_lasti, callback)
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            else:
                try:
                    # What need not be unpacked makes a call a good deal quicker.
                    if context is not None:
                        handle = original(self, shown, *args, context=context)
                    elif args:
                        handle = original(self, shown, *args)
                    else:
                        handle = original(self, shown)
                except RuntimeError as exc:
                    __tracebackhide__ = True
                    if refuses:
                        with watch.faults.guard("uvloop"):
                            watch.refused(self, "loop.call_soon", frame, exc)
                    raise
                if runner.debug:
                    with watch.faults.guard("uvloop"):
                        _hide_frame(handle)
                return handle
            return original(self, callback, *args, context=context)

        return call_soon

    def make_call_soon_threadsafe(original: Callable[..., Any]) -> Callable[..., Any]:
        def call_soon_threadsafe(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
            if not watch.active:
                return original(self, callback, *args, context=context)
            try:
                frame = _getframe(1)
                runner = runner_of(self)
                shown = _Step(step, runner, frame.f_code, frame.f_lasti, callback)
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            else:
                handle = original(self, shown, *args, context=context)
                if runner.debug:
                    with guarded:
                        _hide_frame(handle)
                return handle
            return original(self, callback, *args, context=context)

        return call_soon_threadsafe

    def make_call_later(original: Callable[..., Any]) -> Callable[..., Any]:
        def call_later(
            self: Any, delay: Any, callback: Any, *args: Any, context: Any = None
        ) -> Any:
            if not watch.active:
                return original(self, delay, callback, *args, context=context)
            try:
                frame = sys._getframe(1)
                runner = runner_of(self)
                thread = runner._thread_id
                refuses = False
                if thread is not None and thread != get_ident():
                    refuses = elsewhere(self, "loop.call_later", frame, callback)
                code, lasti = frame.f_code, frame.f_lasti
                shown = _Step(step, runner, code, lasti, callback)
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            else:
                try:
                    handle = original(self, delay, shown, *args, context=context)
                except RuntimeError as exc:
                    __tracebackhide__ = True
                    if refuses:
                        with guarded:
                            watch.refused(self, "loop.call_later", frame, exc)
                    raise
                try:
                    if runner.debug:
                        _hide_frame(handle)
                    if watch.on_timer_created:
                        watch.timer_created(self, handle, scheduled_mark(code, lasti), callback)
                except Exception as exc:
                    watch.faults.record("uvloop", exc)
                return handle
            return original(self, delay, callback, *args, context=context)

        return call_later

    future_class = make_future_class(watch, "_loop._asyncio_traps_runner")

    def make_create_future(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        # The debug flag is out of sight; that mode takes no tracebacks of futures worth keeping.
        def create_future(self: Any) -> Any:
            if not watch.active:
                return original(self)
            try:
                runner_of(self)
            except Exception as exc:
                watch.faults.record("uvloop", exc)
            else:
                return future_class(loop=self)
            return original(self)

        return create_future

    def make_endpoint(original: Callable[..., Any]) -> Callable[..., Any]:
        async def endpoint(self: Any, *args: Any, **kwargs: Any) -> Any:
            if original.__name__ in _SERVERS and watch.active:
                before: Any = None
                with guarded:
                    before = watch.ownership.begin_serving("a server")
                try:
                    made = await original(self, *args, **kwargs)
                finally:
                    with guarded:
                        watch.ownership.end_serving(before)
            else:
                made = await original(self, *args, **kwargs)
            if watch.active:
                with guarded:
                    transport = made[0] if isinstance(made, tuple) else made
                    watch.transport_created(transport, sys._getframe(1), self)
            return made

        return endpoint

    patches.set(loop_class, "_asyncio_traps_failed", None)
    makers: dict[str, Callable[[Any], Any]] = {
        "__init__": make_init,
        "run_forever": make_run,
        "run_until_complete": make_run,
        "close": make_close,
        "stop": make_stop,
        "call_exception_handler": make_call_exception_handler,
        "get_debug": make_get_debug,
        "set_debug": make_set_debug,
        "call_soon": make_call_soon,
        "call_soon_threadsafe": make_call_soon_threadsafe,
        "call_later": make_call_later,
        "create_task": make_create_task(watch),
        "create_future": make_create_future,
        **asyncgen_hooks(watch),
        **dict.fromkeys(_ENDPOINTS, make_endpoint),
    }
    for name, make in makers.items():
        patches.wrap(loop_class, name, make)
