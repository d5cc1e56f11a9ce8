"""asyncio's own loops, and every subclass of theirs."""

from __future__ import annotations

import asyncio
import sys
from _thread import get_ident
from asyncio import base_events, coroutines, events
from collections.abc import Callable
from contextvars import copy_context
from heapq import heappush
from typing import Any

from ..core.clock import REAL
from ..core.objects import ask, function_code, is_a, is_running, put, traceback_of
from ..core.ownership import ALONE, TENURE, Tenure
from ..core.paths import BOUNDARY, LIBRARY, USER
from ..core.stacks import KINDS, SKIPPED_FILES, STEP_CODES, add_step, is_made_by_library, module_of
from ..core.watch import Watch
from . import debug, handles
from .debug import KEEPS_ITS_FUTURES, MAKING, QUIET
from .futures import make_future_class
from .handles import STEP_TYPES, AtHandle, SoonHandle

# What runs at every operation finds what never changes here, not in a closure: each variable of
# a closure is copied at each call.
_getframe = sys._getframe
_new: Any = object.__new__
_tenure_here = TENURE.get
_parent: Any = asyncio.current_task
_Task: Any = asyncio.Task
_Future: Any = asyncio.Future
_shows_context = hasattr(asyncio.Task, "get_context")  # from Python 3.12 on
_STDLIB_CALL_SOON = function_code(base_events.BaseEventLoop.call_soon)
_CALL_SOON_NAMES = ("events", "Handle", "_source_traceback", "_ready", "append")
_CALL_AT_NAMES = (
    "TypeError", "_check_closed", "_debug", "_check_thread", "_check_callback", "events",
    "TimerHandle", "_source_traceback", "heapq", "heappush", "_scheduled",
)  # fmt: skip


#: The classes whose method ``_start_serving`` has a loop listen.
_SERVING = (
    ("selector_events", "BaseSelectorEventLoop"),
    ("proactor_events", "BaseProactorEventLoop"),
)


def arm(watch: Watch) -> None:
    """Replace, at class level, the few methods that tell of a loop's life."""
    patches = watch.patches
    loop_class = base_events.BaseEventLoop
    guarded = watch.faults.guard("loops")

    def make_init(original: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            try:
                # No defaults of the class: they would make each access several times slower.
                self._asyncio_traps_step = 0.0
                self._asyncio_traps_plain = known and type(self)._call_soon is plain_call_soon
                if watch.active:
                    watch.loop_created(self, sys._getframe(1))
            except Exception as exc:
                watch.faults.record("loops", exc)

        return __init__

    def make_run_forever(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def run_forever(self: Any) -> None:
            __tracebackhide__ = True
            if not watch.active:
                return original(self)
            tracked = False
            try:
                tracked = watch.loop_enters(self)
            except Exception as exc:
                watch.faults.record("loops", exc)
            try:
                return original(self)
            except BaseException as exc:
                # What a step raises stays in its task or goes to the exception handler, an
                # exit excepted.
                with guarded:
                    if not _refused(exc):
                        watch.loop_cut_short(self)
                raise
            finally:
                try:
                    watch.loop_leaves(self, tracked)
                except Exception as exc:
                    watch.faults.record("loops", exc)

        return run_forever

    def make_close(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def close(self: Any) -> None:
            if watch.active and not self._closed:
                try:
                    if not is_running(self):
                        watch.loop_closing(self)
                except Exception as exc:
                    watch.faults.record("loops", exc)
            original(self)
            try:
                watch.loop_closed(self)
            except Exception as exc:
                watch.faults.record("loops", exc)

        return close

    def make_call_exception_handler(original: Callable[..., None]) -> Callable[..., None]:
        def call_exception_handler(self: Any, context: Any) -> None:
            if watch.active:
                with guarded:
                    watch.exception_context(self, context)
            original(self, context)

        return call_exception_handler

    def make_get_debug(original: Callable[[Any], bool]) -> Callable[[Any], bool]:
        if hasattr(sys, "_getframemodulename"):

            def get_debug(self: Any) -> bool:
                # Asked for each future, task and handle: the shortest way to say no.
                if self._debug:
                    return True
                if MAKING[0]:
                    return False
                try:
                    return module_of(1) not in QUIET and watch.active and debug.shown(self)
                except Exception as exc:
                    watch.faults.record("loops", exc)
                    return False

        else:

            def get_debug(self: Any) -> bool:
                if self._debug:
                    return True
                if MAKING[0]:
                    return False
                try:
                    name = _getframe(1).f_globals.get("__name__")
                    return name not in QUIET and watch.active and debug.shown(self)
                except Exception as exc:
                    watch.faults.record("loops", exc)
                    return False

        return get_debug

    def make_set_debug(original: Callable[..., None]) -> Callable[..., None]:
        def set_debug(self: Any, enabled: bool) -> None:
            by_init = False
            try:
                by_init = sys._getframe(1).f_code is init_code
                if enabled or by_init or not watch.active:
                    pass
                elif debug.by_harness(sys._getframe(1)):
                    return
            except Exception as exc:
                watch.faults.record("loops", exc)
            original(self, enabled)
            try:
                # The constructor sets what the environment says, which is no wish of the code
                # under test, unless that has put something in place of asyncio's switch.
                if watch.active and (not by_init or switches["_is_debug_mode"] is not switch):
                    put(self, debug.EXPLICIT, bool(enabled))
            except Exception as exc:
                watch.faults.record("loops", exc)

        return set_debug

    init_code = function_code(loop_class.__init__)
    switches = vars(coroutines)
    switch = switches["_is_debug_mode"]

    # Where handles are as they are known to be, and nobody has put a `_call_soon` of their
    # own in place, a handle is made here: that saves the calls which pay for the checks.
    plain_call_soon: Any = vars(loop_class).get("_call_soon")
    known = handles.KNOWN and (
        ask(function_code(plain_call_soon), "co_names") == _CALL_SOON_NAMES
        and ask(function_code(loop_class.call_at), "co_names") == _CALL_AT_NAMES
        and function_code(loop_class.call_soon) is _STDLIB_CALL_SOON is not None
    )

    def make_call_soon(original: Callable[..., Any]) -> Callable[..., Any]:
        def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
            if self._debug:
                slow: Any = original(self, callback, *args, context=context)
                with watch.faults.guard("loops"):
                    _hide_frame(slow)
                return slow
            try:
                thread = self._thread_id
                if thread is not None and thread != get_ident():
                    watch.touched(self, "loop.call_soon", _getframe(1), callback)
                if self._asyncio_traps_plain and not self._closed:
                    handle: Any = _new(SoonHandle)
                    if context is not None and type(callback) in STEP_TYPES:
                        # A task asks for its next step, as it does all the time: it says
                        # itself who made it.
                        handle._asyncio_traps_code = None
                        handle._context = context
                    else:
                        frame = _getframe(1)
                        handle._asyncio_traps_code = frame.f_code
                        handle._asyncio_traps_lasti = frame.f_lasti
                        handle._context = copy_context() if context is None else context
                    handle._loop = self
                    handle._callback = callback
                    handle._args = args
                    handle._cancelled = False
                    handle._repr = None
                    handle._source_traceback = None
                    self._ready.append(handle)
                    return handle
            except Exception as exc:
                _note(watch, self, exc)
            return original(self, callback, *args, context=context)

        return call_soon

    def make_call_at(original: Callable[..., Any]) -> Callable[..., Any]:
        call_later = function_code(loop_class.call_later)

        def call_at(self: Any, when: Any, callback: Any, *args: Any, context: Any = None) -> Any:
            if self._debug:
                slow: Any = original(self, when, callback, *args, context=context)
                with watch.faults.guard("loops"):
                    _hide_frame(slow)
                return slow
            timer: Any = None
            try:
                frame: Any = _getframe(1)
                thread = self._thread_id
                if thread is not None and thread != get_ident():
                    watch.touched(self, "loop.call_at", frame, callback)
                if self._asyncio_traps_plain and not self._closed and when is not None:
                    if frame.f_code is call_later:
                        frame = frame.f_back
                    made = _new(AtHandle)
                    code = frame.f_code
                    if KINDS[code.co_filename] == USER:
                        made._asyncio_traps_asked = code, frame.f_lasti
                    else:
                        made._asyncio_traps_asked = handles.mark_of(frame)
                        made._asyncio_traps_librarys = is_made_by_library(frame)
                    made._context = copy_context() if context is None else context
                    made._loop = self
                    made._callback = callback
                    made._args = args
                    made._cancelled = False
                    made._repr = None
                    made._source_traceback = None
                    made._when = when
                    made._scheduled = True
                    timer = made
            except Exception as exc:
                _note(watch, self, exc)
            if timer is None:
                return original(self, when, callback, *args, context=context)
            # This compares what the user has given, whose errors are the user's.
            heappush(self._scheduled, timer)
            return timer

        return call_at

    def make_start_serving(original: Callable[..., Any]) -> Callable[..., Any]:
        def _start_serving(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not watch.active:
                return original(self, *args, **kwargs)
            before: Any = None
            with guarded:
                before = watch.ownership.begin_serving("a server")
            try:
                return original(self, *args, **kwargs)
            finally:
                with guarded:
                    watch.ownership.end_serving(before)

        return _start_serving

    def make_stop(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def stop(self: Any) -> None:
            try:
                thread = self._thread_id
                if thread is not None and thread != get_ident():
                    watch.touched(self, "loop.stop", sys._getframe(1))
            except Exception as exc:
                watch.faults.record("loops", exc)
            original(self)

        return stop

    for name, make in asyncgen_hooks(watch).items():
        patches.wrap(loop_class, name, make)
    if handles.KNOWN:
        handles.FAULTS.append(watch.faults)
        watch.on_disarm.append(lambda: handles.FAULTS.remove(watch.faults))
        for name, cls in handles.CLASSES.items():
            patches.set(events, name, cls)
            if hasattr(asyncio, name):
                patches.set(asyncio, name, cls)
    else:
        watch.blind(
            "the lines that scheduled callbacks", "this Python makes its handles in another way"
        )
    patches.wrap(loop_class, "__init__", make_init)
    patches.wrap(loop_class, "run_forever", make_run_forever)
    patches.wrap(loop_class, "close", make_close)
    patches.wrap(loop_class, "call_exception_handler", make_call_exception_handler)
    patches.wrap(loop_class, "get_debug", make_get_debug)
    patches.wrap(loop_class, "set_debug", make_set_debug)
    patches.wrap(loop_class, "call_soon", make_call_soon)
    patches.wrap(loop_class, "call_at", make_call_at)
    patches.wrap(loop_class, "stop", make_stop)
    for module, name in _SERVING:
        if f"asyncio.{module}" not in sys.modules:
            continue  # of another system
        server_loop = getattr(sys.modules[f"asyncio.{module}"], name, None)
        if server_loop is not None and "_start_serving" in vars(server_loop):
            patches.wrap(server_loop, "_start_serving", make_start_serving)
        else:
            watch.blind("which test a server serves", f"asyncio.{module}.{name} serves otherwise")
    patches.wrap(loop_class, "create_task", make_create_task(watch))
    patches.wrap(loop_class, "create_future", make_create_future(watch))
    if function_code(handles.BASE._run) is not None:
        patches.wrap(handles.BASE, "_run", make_handle_run(watch))
    else:
        watch.blind("slow-callback: the steps of loops", "this Python runs its handles in C")


def _refused(exc: BaseException) -> bool:
    """Whether a loop has raised ``exc`` instead of running, as it was closed or ran already."""
    if not is_a(exc, RuntimeError):
        return False
    traceback = traceback_of(exc)
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == "_run_once":
            return False
        traceback = traceback.tb_next
    return True


def _note(watch: Watch, loop: Any, exc: Exception) -> None:
    """Keep a fault that came up in a method of ``loop``, or in a step of its."""
    # A loop that was made before us, or by nobody we know, lacks what `__init__` gives.
    if type(exc) is not AttributeError or ask(loop, "_asyncio_traps_plain") is not None:
        watch.faults.record("loops", exc)


def _hide_frame(obj: Any) -> None:
    """In asyncio's own debug mode: take the wrapper's frame out of where ``obj`` was made."""
    made_at = ask(obj, "_source_traceback")
    if made_at:
        del made_at[-1]


def make_create_task(watch: Watch) -> Callable[[Any], Any]:
    """``create_task`` that notes, on the task, the user's line and the tenure."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def create_task(self: Any, coro: Any, **kwargs: Any) -> Any:
            task: Any = original(self, coro, **kwargs)
            if watch.active:
                frame: Any = None
                try:
                    # The way that nearly every call takes, written out: others' frames, then the
                    # user's.
                    frame = _getframe(1)
                    while frame is not None and (code := frame.f_code).co_filename in SKIPPED_FILES:
                        frame = frame.f_back
                    kind = BOUNDARY if frame is None else KINDS[code.co_filename]
                    tenure = _tenure_here()
                    plain = type(task) is _Task and type(tenure) is Tenure
                    if kind == USER and plain:
                        # Whose it is, its context says. In parts, as the collector need not
                        # look at these.
                        task._asyncio_traps_code = code
                        task._asyncio_traps_lasti = frame.f_lasti
                        # How the test came there: what calls the user's line, up to the step
                        # that runs, and what made the task whose step that is.
                        outer: tuple[Any, ...] = ()
                        back = frame.f_back
                        while back is not None and len(outer) < 64:
                            code = back.f_code
                            if code.co_filename not in SKIPPED_FILES:
                                kind = KINDS[code.co_filename]
                                if kind == USER:
                                    outer += (code, back.f_lasti)
                                elif kind != LIBRARY:
                                    break
                            back = back.f_back
                        back = None
                        parent = _parent(self)
                        if type(parent) is _Task:
                            made = getattr(parent, "_asyncio_traps_code", None)
                            if made is not None:
                                outer += (made, parent._asyncio_traps_lasti)
                                outer += getattr(parent, "_asyncio_traps_outer", ())[:64]
                            else:
                                made = getattr(parent, "_asyncio_traps_made", None)
                                if type(made) is tuple and made[0] is not None:
                                    behind = getattr(parent, "_asyncio_traps_outer", ())
                                    outer += made[0] + behind[:64]
                        elif parent is not None:  # a class of the user's, asked with care
                            outer += watch.behind(parent)
                        parent = None
                        if outer:
                            task._asyncio_traps_outer = outer
                        if not _shows_context:
                            task._asyncio_traps_tenure = tenure
                        elif "context" in kwargs:
                            watch.remember(task, frame)
                    elif kind == BOUNDARY and plain:
                        task._asyncio_traps_made = None, tenure  # a test runner's
                    else:
                        watch.remember_task(task, frame)
                    if task._source_traceback:
                        _hide_frame(task)
                except AttributeError:
                    pass  # a task class with slots of its own
                except Exception as exc:
                    watch.faults.record("create_task", exc)
                finally:
                    frame = None
            try:
                return task
            finally:
                # An eager task that failed has this frame in its traceback.
                del task

        return create_task

    return make


def make_create_future(watch: Watch) -> Callable[[Any], Any]:
    """``create_future`` that returns a future which remembers where its exception was set."""
    future_class = make_future_class(watch, "_loop")

    def make(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def create_future(self: Any) -> Any:
            if self._debug:
                slow: Any = original(self)
                with watch.faults.guard("loops"):
                    if slow._source_traceback:
                        del slow._source_traceback[-2]
                return slow
            try:
                cls = _Future if module_of(1) in KEEPS_ITS_FUTURES else future_class
            except Exception as exc:
                watch.faults.record("loops", exc)
                cls = _Future
            # The constructor asks for debug mode: the shortest way to say no.
            MAKING[0] = ALONE[0]
            try:
                return cls(loop=self)
            finally:
                MAKING[0] = False

        return create_future

    return make


def make_handle_run(watch: Watch) -> Callable[[Any], Any]:
    """``Handle._run`` that times each step of a loop."""
    now = REAL[0]
    due = watch.due
    on_step_end = watch.on_step_end

    def make(original: Any) -> Any:
        def _run(self: Any) -> Any:
            __tracebackhide__ = True
            loop = self._loop
            callback = self._callback  # it may cancel itself, and forget this
            began, shift = now(), None
            try:
                loop._asyncio_traps_step = began
                if watch.shared:
                    shift = watch.shift_to(self._context)
                    loop._asyncio_traps_last = self._context.get(TENURE)
                if began >= due[0]:
                    watch.step_due(loop, began)
            except Exception as exc:
                _note(watch, loop, exc)
            try:
                # What the original does, without the price of a call.
                self._context.run(self._callback, *self._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as raised:
                try:
                    context: Any = handles.failure(self, raised, watch.faults)
                except Exception as exc:
                    if not watch.faults.is_ours(exc):
                        raise  # as it would, had asyncio asked
                    _note(watch, loop, exc)
                    context = {"message": "Exception in callback", "exception": raised}
                    context["handle"] = self
                try:
                    self._loop.call_exception_handler(context)
                finally:
                    context = None
            finally:
                try:
                    # A step within which others ran (a loop that was entered again) was not
                    # alone.
                    if now() - began >= watch.slow_after and loop._asyncio_traps_step == began:
                        watch.slow_step(loop, self, callback, began, now())
                    loop._asyncio_traps_step = 0.0
                    if on_step_end:
                        watch.step_ended(callback)
                    if shift is not None:
                        watch.tracker.mark(shift)
                except Exception as exc:
                    _note(watch, loop, exc)
                # The traceback of an exception in the task reaches this frame through
                # f_back. A task that it led back to would be kept alive by a cycle.
                self = callback = loop = None

        def _run_around(self: Any) -> Any:
            __tracebackhide__ = True
            loop = self._loop
            callback = self._callback
            began, shift = now(), None
            try:
                loop._asyncio_traps_step = began
                if watch.shared:
                    shift = watch.shift_to(self._context)
                    loop._asyncio_traps_last = self._context.get(TENURE)
                if began >= due[0]:
                    watch.step_due(loop, began)
            except Exception as exc:
                _note(watch, loop, exc)
            try:
                return original(self)
            finally:
                try:
                    if now() - began >= watch.slow_after and loop._asyncio_traps_step == began:
                        watch.slow_step(loop, self, callback, began, now())
                    loop._asyncio_traps_step = 0.0
                    if on_step_end:
                        watch.step_ended(callback)
                    if shift is not None:
                        watch.tracker.mark(shift)
                except Exception as exc:
                    _note(watch, loop, exc)
                self = callback = loop = None

        # What is unknown is another Python's, or another tool's.
        is_known = handles.is_known_run(original)
        run: Any = handles.pass_for(_run, original) if is_known else _run_around
        add_step(run.__code__)
        watch.on_disarm.append(lambda: STEP_CODES.remove(run.__code__))
        return run

    return make


def asyncgen_hooks(watch: Watch) -> dict[str, Callable[[Any], Any]]:
    """The methods of a loop that see async generators begin and end."""
    guarded = watch.faults.guard("loops")

    def make_firstiter(original: Callable[..., None]) -> Callable[..., None]:
        def _asyncgen_firstiter_hook(self: Any, agen: Any) -> None:
            with guarded:
                watch.asyncgen_begun(self, agen, sys._getframe(1))
            original(self, agen)

        return _asyncgen_firstiter_hook

    def make_finalizer(original: Callable[..., None]) -> Callable[..., None]:
        def _asyncgen_finalizer_hook(self: Any, agen: Any) -> None:
            with guarded:
                watch.asyncgen_dropped(self, agen)
            original(self, agen)

        return _asyncgen_finalizer_hook

    def make_shutdown(original: Callable[..., Any]) -> Callable[..., Any]:
        async def shutdown_asyncgens(self: Any) -> None:
            try:
                watch.asyncgens_shut(self)
            except Exception as exc:
                watch.faults.record("loops", exc)
            await original(self)

        return shutdown_asyncgens

    return {
        "_asyncgen_firstiter_hook": make_firstiter,
        "_asyncgen_finalizer_hook": make_finalizer,
        "shutdown_asyncgens": make_shutdown,
    }
