"""Private parts and unwritten rules of CPython: each stated once, with a probe.

What is guaranteed by the language reference or by the documentation of a module is not listed.
"""

from __future__ import annotations

import concurrent.futures.thread as executors
import gc
import importlib
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Sized
from itertools import compress, count, repeat
from operator import is_
from typing import Any, Final, cast

from .assumptions import Assumption

#: How many objects at the end of a generation a probe looks at.
_NEAR: Final = 1_000


def position(obj: object, objects: list[Any]) -> int:
    """The position of ``obj`` in ``objects`` by identity, counted from 1; 0 where it is missing."""
    return next(compress(count(1), map(is_, objects, repeat(obj))), 0)


# -- the cyclic garbage collector ----------------------------------------------------------------


def _keeps_order() -> bool:
    first, second, third = [object], [object], [object]
    youngest = gc.get_objects(generation=0)[-_NEAR:]
    return 0 < position(first, youngest) < position(second, youngest) < position(third, youngest)


def _is_free_threaded() -> bool:
    gil: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    return gil is not None and not gil()


def _without_collections(probe: Callable[[], bool]) -> Callable[[], bool]:
    def call() -> bool:
        enabled = gc.isenabled()
        gc.disable()
        try:
            return probe()
        finally:
            if enabled:
                gc.enable()

    return call


#: The collector lists its youngest generation in the order in which objects were created.
ALLOCATION_ORDER: Final = Assumption(
    "order of the youngest generation",
    "core.gc_reader, traps.never_awaited",
    "never-awaited, unretrieved-exception: objects that outlive the test that created them",
    "the garbage collector does not list new objects in the order of their creation",
    _without_collections(lambda: not _is_free_threaded() and _keeps_order()),
)


def _appends_survivors() -> bool:
    first, second = [object], [object]
    gc.collect(0)
    third = [object]
    older = gc.get_objects(generation=1)[-_NEAR:]
    at = position(first, older)
    return bool(at) and position(second, older) > at and not position(third, older)


#: What survives a collection of the youngest generation moves to the end of the next one. Not so
#: in Python 3.14.0 to 3.14.4, which collect in increments: every collection is then preceded by a
#: reading of the youngest generation.
SURVIVORS_MOVE_UP: Final = Assumption(
    "survivors of a young collection",
    "core.gc_reader",
    "",
    "the garbage collector does not move survivors to the end of the next generation",
    _without_collections(_appends_survivors),
)


class _Finalized:
    """Notes whether a weak reference to it is cleared when its finalizer runs."""

    def __init__(self) -> None:
        self.ref: Any = weakref.ref(self)
        self.cleared: list[bool] = []

    def __del__(self) -> None:
        self.cleared.append(self.ref() is None)


def _clears_references_first() -> bool:
    obj = _Finalized()
    cleared = obj.cleared
    del obj
    return len(cleared) == 1


#: Weak references to an object may be cleared before its finalizer runs, or after: the plugin
#: looks an object up by its address in the first case, and by the reference in the second.
FINALIZERS_RUN_AT_ONCE: Final = Assumption(
    "finalizers run when the last reference goes",
    "core.object_tracker, traps.never_awaited",
    "never-awaited",
    "objects are not destroyed as soon as nothing refers to them",
    _clears_references_first,
)


# -- coroutines ----------------------------------------------------------------------------------


def _origins_differ() -> bool:
    async def nothing() -> None: ...

    depth = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(1)
    try:
        first, second = (nothing() for _ in range(2))
    finally:
        sys.set_coroutine_origin_tracking_depth(depth)
    try:
        origins = [getattr(coroutine, "cr_origin", None) for coroutine in (first, second)]
        return all(type(origin) is tuple for origin in origins) and origins[0] is not origins[1]
    finally:
        first.close()
        second.close()


#: ``cr_origin`` is a tuple that is created for one coroutine and dies with it. Where two coroutines
#: may share one, each is remembered by a weak reference instead.
UNIQUE_ORIGINS: Final = Assumption(
    "cr_origin is unique to a coroutine",
    "core.object_tracker",
    "",
    "coroutines share their origins",
    _origins_differ,
)

#: The function of `warnings` that the destructor of a coroutine calls. C code looks it up by name
#: each time.
UNAWAITED_HOOK: Final = "_warn_unawaited_coroutine"


def _destructor_calls_hook() -> bool:
    async def nothing() -> None: ...

    called: list[object] = []
    original = getattr(warnings, UNAWAITED_HOOK)
    coroutine = nothing()
    setattr(warnings, UNAWAITED_HOOK, lambda coro: called.append(type(coro)))
    try:
        del coroutine
    finally:
        setattr(warnings, UNAWAITED_HOOK, original)
    return bool(called)


COROUTINE_DESTRUCTOR: Final = Assumption(
    f"warnings.{UNAWAITED_HOOK}",
    "traps.never_awaited",
    "never-awaited",
    f"the destructor of a coroutine does not call warnings.{UNAWAITED_HOOK}",
    _destructor_calls_hook,
)

# -- warnings ------------------------------------------------------------------------------------

#: The functions of `warnings` through which each warning goes that passes the filters. The second
#: is replaced by ``catch_warnings(record=True)``.
SHOW_WARNING: Final = "_showwarnmsg"
SHOW_WARNING_DEFAULT: Final = "_showwarnmsg_impl"

#: The modules in which `warnings` may keep its state.
WARNINGS_MODULES: Final = ("warnings", "_py_warnings")

WARNINGS_SHOWN: Final = Assumption(
    f"warnings.{SHOW_WARNING}",
    "core.warning_monitor, traps.never_awaited",
    "never-awaited",
    f"this Python has no warnings.{SHOW_WARNING}",
    lambda: callable(getattr(warnings, SHOW_WARNING)),
)

# -- threads -------------------------------------------------------------------------------------

#: `threading`'s dictionary of `Thread` objects by identity. ``current_thread()`` would create an
#: object for a thread that C code started.
ACTIVE_THREADS: Final = "_active"

THREADS_BY_ID: Final = Assumption(
    f"threading.{ACTIVE_THREADS}",
    "core.ownership, traps.wrong_thread",
    "",
    f"this Python has no threading.{ACTIVE_THREADS}",
    lambda: threading.get_ident() in getattr(threading, ACTIVE_THREADS),
)

#: What an executor of `concurrent.futures.thread` puts into its queue.
EXECUTOR_JOB: Final = "_WorkItem"


def executor_job_class() -> Any:
    """The class of the jobs of a thread pool, or None where this Python has another one."""
    cls: Any = getattr(executors, EXECUTOR_JOB, None)
    return cls if isinstance(cls, type) and hasattr(cls, "run") else None


EXECUTOR_JOBS: Final = Assumption(
    f"concurrent.futures.thread.{EXECUTOR_JOB}",
    "core.threads",
    "who handed a job to an executor",
    f"this Python has no {EXECUTOR_JOB}",
    lambda: executor_job_class() is not None,
)

#: The attribute of a concurrent future that holds its result.
FUTURE_RESULT: Final = "_result"


def find_interpreters() -> Callable[[], Sized]:
    """The function that lists the interpreters of this process."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # from 3.13 on, and before
        try:
            return cast("Callable[[], Sized]", importlib.import_module(name).list_all)
        except (ImportError, AttributeError):
            pass
    return lambda: (None,)  # a build that cannot create a second one


#: `sys._current_frames`: the frames of other threads, from which the line that blocks is read.
CURRENT_FRAMES: Final = "_current_frames"

STACKS_OF_THREADS: Final = Assumption(
    f"sys.{CURRENT_FRAMES}",
    "core.thread_stacks",
    "slow-callback: the line that blocks",
    f"sys.{CURRENT_FRAMES}() does not show the frames of all threads",
    lambda: threading.get_ident() in getattr(sys, CURRENT_FRAMES)(),
)
