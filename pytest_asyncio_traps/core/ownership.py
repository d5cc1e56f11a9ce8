"""The test or fixture that an object belongs to.

A tenure is the time for which a test or fixture answers for what it makes. The
context variable `TENURE` carries it: tasks, callbacks and done callbacks
inherit it with their context, so that what test A started is still A's while
test B runs. Work that is handed to another thread, as a job of an executor or an
item of a queue, carries the tenure of the code that handed it over.

What tests share serves them all. A request to a server, and the work of a
thread that a fixture of a wider scope has started, belong to the test that runs
when the work is done: see `Serving`. The test or fixture that started the server
or the thread comes last.
"""

from __future__ import annotations

import queue
import sys
import threading
from asyncio import _get_running_loop
from collections.abc import Callable, Iterator
from concurrent.futures import thread as executors
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any, Final

from ..compat.missing import missing
from ..model.finding import Owner
from .faults import Faults
from .objects import ask, put
from .patches import Patches
from .stacks import Mark, user_mark


class Tenure:
    """The time for which ``owner`` answers for what is made; ``ended`` turns true once.

    Most owners are never asked for, and so they are made when they are.
    """

    __slots__ = ("__weakref__", "_owner", "ended")

    ended: bool

    def __init__(self, *owner: Any) -> None:
        self._owner = owner
        self.ended = False

    @property
    def owner(self) -> Owner:
        """Who answers: made of what this was made of."""
        return Owner(*self._owner)

    @property
    def nodeid(self) -> str:
        """The test that a finding is charged to; empty for what belongs to no test."""
        nodeid: str = self._owner[3]
        return nodeid

    @property
    def is_shared(self) -> bool:
        """Whether several tests may use what is made: a fixture's of a wider scope, a module's."""
        return bool(self._owner[2] != "function")

    def __repr__(self) -> str:
        return f"<Tenure of {self.owner.type} {self.owner.name}{' (ended)' * self.ended}>"


class Visit(Tenure):
    """The part of a test's tenure that is spent in something that another one made."""

    __slots__ = ("_host", "_via")

    def __init__(self, host: Tenure, via: str) -> None:
        self._host = host
        self._via = via
        self._owner = host._owner

    @property
    def owner(self) -> Owner:
        return self._host.owner._replace(via=self._via)

    @property
    def ended(self) -> bool:  # type: ignore[override]
        """Whether the test has ended."""
        return self._host.ended


class Serving(Tenure):
    """What `TENURE` holds in the contexts of a server: whose work it is, is known when it is done.

    ``base`` is the tenure that started the server, and ``what`` names it.
    """

    __slots__ = ("_visit", "base", "what")

    base: Tenure
    what: str

    def __init__(self, base: Tenure, what: str) -> None:
        super().__init__(*base._owner)
        self.base = base
        self.what = what
        self._visit: tuple[Tenure, Visit] | None = None

    def visited_by(self, host: Tenure) -> Visit:
        """The part of the tenure ``host`` that is spent here."""
        if self._visit is None or self._visit[0] is not host:
            owner = self.base.owner
            whose = f"the {owner.scope} fixture {owner.name!r}"
            if owner.type != "fixture":
                whose = f"{owner.type} {owner.name}" if owner.name else f"the {owner.type}"
            self._visit = host, Visit(host, f"in {self.what} of {whose}")
        return self._visit[1]


TENURE: ContextVar[Tenure | None] = ContextVar("asyncio_traps_tenure", default=None)


#: The attribute under which a thread carries the tenure in which it was started.
THREAD_TENURE = "_asyncio_traps_tenure"
#: ... the line that started it, and the tenure that put the item it took from a queue.
THREAD_MARK = "_asyncio_traps_started"
_THREAD_TAKEN = "_asyncio_traps_taken"
#: The attribute under which a queue carries, by the id of an item, who put it.
_PUT_BY = "_asyncio_traps_put_by"
#: The attributes under which a job of an executor carries who handed it over, and where.
_JOB_TENURE = "_asyncio_traps_tenure"
_JOB_MARK = "_asyncio_traps_mark"
#: The attribute under which a loop that is shared carries whose its last step was.
LAST_STEP = "_asyncio_traps_last"


#: Code of functions here that stand in for those of Python's and do no more than these.
PASS_ON: Final[set[CodeType]] = set()

#: Whether the main thread is the only one. What is shared by threads may then be done without
#: asking which thread it is.
ALONE: Final = [True]


class Ownership:
    """Who is responsible now."""

    session: Tenure
    running: Tenure

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults if faults is not None else Faults()
        self.session = Tenure("session", "session", "session", "")
        self.running = self.session
        #: Called when a thread is about to be started.
        self.on_thread_start: list[Callable[[], None]] = []
        #: Called with the result of a job of an executor, the line that handed it over, and whose.
        self.on_job_done: list[Callable[[Any, Mark | None, Tenure], None]] = []

    def now(self) -> Tenure:
        """The tenure of the code that runs this very moment."""
        tenure = TENURE.get()
        if tenure is None:
            tenure = _of_last_step() or _of_thread() or self.running
        if type(tenure) is Serving:
            tenure = _taken_here() or tenure
        return tenure if type(tenure) is Tenure else self.resolve(tenure)

    def dropping(self) -> Tenure:
        """The tenure that lets go of an object at this moment.

        Between two steps of a loop, the loop itself does, of what the last step left to it: in a
        context that says nothing, or that is as old as the loop.
        """
        tenure = _of_last_step()
        return self.resolve(tenure) if tenure is not None else self.now()

    def resolve(self, tenure: Tenure) -> Tenure:
        """``tenure``; if it is that of a server or of a shared thread, the one that it serves."""
        if type(tenure) is not Serving:
            return tenure
        base, running = tenure.base, self.running
        if running is self.session or running is base:
            return base
        if not base.is_shared and not base.ended and base.nodeid == running.nodeid:
            return base  # the test's own
        return tenure.visited_by(running)

    def begin_serving(self, what: str) -> Tenure | None:
        """A server is about to be set up, whose contexts are to know that they serve others.

        Returns what `end_serving` is to be given when it is set up.
        """
        before = TENURE.get()
        tenure = before or _of_thread() or self.running
        if type(tenure) is not Serving:
            tenure = Serving(tenure, what)
        TENURE.set(tenure)
        return before

    def end_serving(self, before: Tenure | None) -> None:
        """The server is set up."""
        TENURE.set(before)

    @contextmanager
    def hold(self, tenure: Tenure) -> Iterator[None]:
        """Charge to ``tenure`` what is made in this block."""
        previous, var = self.running, TENURE.get()
        self.enter(tenure)
        try:
            yield
        finally:
            self.running = previous
            # Not reset(): the block may end in another context than it began in.
            TENURE.set(var)

    def enter(self, tenure: Tenure) -> None:
        """Charge to ``tenure`` what is made from here on."""
        self.running = tenure
        TENURE.set(tenure)

    # -- threads ------------------------------------------------------------

    def arm(self, patches: Patches) -> None:
        """Have threads, jobs of executors and items of queues remember whose they are."""
        ALONE[0] = threading.active_count() == 1
        patches.wrap(threading.Thread, "start", self._make_start)
        patches.wrap(queue.Queue, "put", self._make_put)
        patches.wrap(queue.Queue, "get", self._make_get)
        job: Any = getattr(executors, "_WorkItem", None)
        if isinstance(job, type) and hasattr(job, "run"):
            patches.wrap(job, "__init__", self._make_job_init)
            patches.wrap(job, "run", self._make_job_run)
        else:
            missing("who handed a job to an executor", "this Python has no _WorkItem")

    def _make_start(
        self, original: Callable[[threading.Thread], None]
    ) -> Callable[[threading.Thread], None]:
        def start(thread: threading.Thread) -> None:
            ALONE[0] = False
            with self._faults.guard("threads"):
                tenure = self.now()
                if tenure.is_shared:
                    tenure = Serving(tenure, "a thread")
                put(thread, THREAD_TENURE, tenure)
                put(thread, THREAD_MARK, user_mark(sys._getframe(1)))
                for tell in self.on_thread_start:
                    tell()
            original(thread)

        return start

    def _make_job_init(self, original: Callable[..., None]) -> Callable[..., None]:
        def __init__(job: Any, *args: Any, **kwargs: Any) -> None:
            original(job, *args, **kwargs)
            with self._faults.guard("threads"):
                tenure = self.now()
                if tenure.is_shared:
                    tenure = Serving(tenure, "a job of an executor")
                put(job, _JOB_TENURE, tenure)
                put(job, _JOB_MARK, user_mark(sys._getframe(1)))

        return __init__

    def _make_job_run(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def run(job: Any, *args: Any, **kwargs: Any) -> Any:
            # An exception of the job's has this frame in its traceback, and the job's future has
            # the exception: what refers to the job has to go, or they make a cycle.
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
                if self.on_job_done:
                    with self._faults.guard("threads"):
                        result = ask(ask(job, "future"), "_result")
                        for tell in self.on_job_done:
                            tell(result, ask(job, _JOB_MARK), tenure)
                        result = None
                TENURE.set(before)
                del job, args, kwargs

        return run

    def _make_put(self, original: Callable[..., None]) -> Callable[..., None]:
        def put_(self_: Any, item: Any, *args: Any, **kwargs: Any) -> None:
            with self._faults.guard("threads"):
                by: dict[int, Tenure] | None = ask(self_, _PUT_BY)
                if by is None:
                    by = {}
                    put(self_, _PUT_BY, by)
                elif len(by) > 1000 and len(by) > 2 * self_.qsize():
                    by.clear()  # items have gone by other ways than get()
                by[id(item)] = self.now()
            return original(self_, item, *args, **kwargs)

        PASS_ON.add(put_.__code__)
        return put_

    def _make_get(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def get(self_: Any, *args: Any, **kwargs: Any) -> Any:
            thread = None
            with self._faults.guard("threads"):
                # A worker thread that takes an item works for the test that put it, until it asks
                # for the next. A test that takes one in the main thread stays itself.
                thread = _thread_here()
                if thread is threading.main_thread():
                    thread = None
                elif ask(thread, _THREAD_TAKEN) is not None:
                    put(thread, _THREAD_TAKEN, None)
            item = original(self_, *args, **kwargs)
            with self._faults.guard("threads"):
                by: dict[int, Tenure] | None = ask(self_, _PUT_BY)
                if by:
                    tenure = by.pop(id(item), None)
                    if tenure is not None and thread is not None:
                        put(thread, _THREAD_TAKEN, tenure)
            return item

        PASS_ON.add(get.__code__)
        return get


def _thread_here() -> threading.Thread | None:
    # Not current_thread(), which would make an object for a thread of C's.
    active: dict[int, threading.Thread] = getattr(threading, "_active", {})
    return active.get(threading.get_ident())


def _of_thread() -> Tenure | None:
    thread = _thread_here()
    tenure = ask(thread, THREAD_TENURE)
    if tenure is None or type(tenure) is Serving or tenure.ended:
        # Of a thread that a running test has started, all is that test's.
        tenure = ask(thread, _THREAD_TAKEN) or tenure
    return tenure if isinstance(tenure, Tenure) else None


def _taken_here() -> Tenure | None:
    """Who put the item into a queue that this thread took last."""
    tenure = ask(_thread_here(), _THREAD_TAKEN)
    return tenure if isinstance(tenure, Tenure) else None


def _of_last_step() -> Tenure | None:
    """Whose the last step of the loop was that runs in this thread, if it is between two."""
    loop = _get_running_loop()
    if loop is None:
        return None
    runner = ask(loop, "_asyncio_traps_runner", loop)
    if ask(runner, "_asyncio_traps_step") != 0.0:
        return None  # within a step, or a loop that says nothing
    tenure = ask(runner, LAST_STEP)
    return tenure if isinstance(tenure, Tenure) else None
