"""Carries tenures into other threads, with the thread, an executor's job or a queue's item."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

from ..compat import cpython
from .jobs import note_job
from .objects import ask, put
from .ownership import (
    TENURE,
    THREAD_ITEM_TENURE,
    THREAD_STARTED_AT,
    THREAD_TENURE,
    Serving,
    Tenure,
    current_thread,
)
from .stacks import user_mark
from .watch import Watch

#: On a queue: by the id of an item, the tenure that put it.
_ITEM_TENURES = "_asyncio_traps_put_by"
#: On a job of an executor: who submitted it, and where.
_JOB_TENURE = "_asyncio_traps_tenure"
_JOB_SUBMITTED_AT = "_asyncio_traps_mark"

#: The code of wrappers that only call the function of Python's which they replace.
PASS_ON: Final[set[CodeType]] = set()

#: Whether the main thread is the only one. What threads share can then be used without asking
#: which thread it is.
ALONE: Final = [True]


def arm(watch: Watch) -> None:
    """Have threads, jobs of executors and items of queues remember whose they are."""
    hooks = _Hooks(watch)
    patches = watch.patches
    ALONE[0] = threading.active_count() == 1
    patches.wrap(threading.Thread, "start", hooks.make_start)
    patches.wrap(queue.Queue, "put", hooks.make_put)
    patches.wrap(queue.Queue, "get", hooks.make_get)
    job = cpython.executor_job_class()
    if job is not None:
        patches.wrap(job, "__init__", hooks.make_job_init)
        patches.wrap(job, "run", hooks.make_job_run)


class _Hooks:
    """What replaces the functions of `threading`, `queue` and `concurrent.futures`."""

    def __init__(self, watch: Watch) -> None:
        self._ownership = watch.ownership
        self._events = watch.events
        self._guarded = watch.faults.guard("threads")

    def _carried(self, what: str) -> Tenure:
        """The tenure that a thread or job started now carries; ``what`` names it."""
        tenure = self._ownership.now()
        return Serving(tenure, what) if tenure.is_shared else tenure

    def make_start(
        self, original: Callable[[threading.Thread], None]
    ) -> Callable[[threading.Thread], None]:
        def start(thread: threading.Thread) -> None:
            ALONE[0] = False
            with self._guarded:
                put(thread, THREAD_TENURE, self._carried("a thread"))
                put(thread, THREAD_STARTED_AT, user_mark(sys._getframe(1)))
                self._events.thread_starting()
            original(thread)

        return start

    def make_job_init(self, original: Callable[..., None]) -> Callable[..., None]:
        def __init__(job: Any, *args: Any, **kwargs: Any) -> None:
            original(job, *args, **kwargs)
            with self._guarded:
                put(job, _JOB_TENURE, self._carried("a job of an executor"))
                put(job, _JOB_SUBMITTED_AT, user_mark(sys._getframe(1)))
                note_job(job)

        return __init__

    def make_job_run(self, original: Callable[..., Any]) -> Callable[..., Any]:
        listening = self._events.listening["executor_job_done"]

        def run(job: Any, *args: Any, **kwargs: Any) -> Any:
            # If the job raises, this frame is in the traceback of the exception, and the job's
            # future holds the exception. References to the job must go, or there is a cycle.
            tenure = ask(job, _JOB_TENURE)
            if tenure is None:
                try:
                    return original(job, *args, **kwargs)
                finally:
                    del job, args, kwargs
            before = TENURE.get()
            TENURE.set(tenure)
            try:
                return original(job, *args, **kwargs)
            finally:
                if listening:
                    with self._guarded:
                        result = ask(ask(job, "future"), cpython.FUTURE_RESULT)
                        mark = ask(job, _JOB_SUBMITTED_AT)
                        self._events.executor_job_done(result, mark, tenure)
                        result = None
                TENURE.set(before)
                del job, args, kwargs

        return run

    def make_put(self, original: Callable[..., None]) -> Callable[..., None]:
        def put_(self_: Any, item: Any, *args: Any, **kwargs: Any) -> None:
            with self._guarded:
                tenures: dict[int, Tenure] | None = ask(self_, _ITEM_TENURES)
                if tenures is None:
                    tenures = {}
                    put(self_, _ITEM_TENURES, tenures)
                elif len(tenures) > 1000 and len(tenures) > 2 * self_.qsize():
                    tenures.clear()  # items have gone by other ways than get()
                tenures[id(item)] = self._ownership.now()
            return original(self_, item, *args, **kwargs)

        PASS_ON.add(put_.__code__)
        return put_

    def make_get(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def get(self_: Any, *args: Any, **kwargs: Any) -> Any:
            thread = None
            with self._guarded:
                # A worker thread that takes an item works for the test that put it, until it
                # asks for the next one. In the main thread, the test that runs is the owner.
                thread = current_thread()
                if thread is threading.main_thread():
                    thread = None
                elif ask(thread, THREAD_ITEM_TENURE) is not None:
                    put(thread, THREAD_ITEM_TENURE, None)
            item = original(self_, *args, **kwargs)
            with self._guarded:
                tenures: dict[int, Tenure] | None = ask(self_, _ITEM_TENURES)
                if tenures:
                    tenure = tenures.pop(id(item), None)
                    if tenure is not None and thread is not None:
                        put(thread, THREAD_ITEM_TENURE, tenure)
            return item

        PASS_ON.add(get.__code__)
        return get
