"""The test or fixture that an object belongs to.

A tenure is the time for which a test or fixture owns what is made. The context variable
`TENURE` carries it: tasks, callbacks and done callbacks inherit it with their context, so
that what test A started is still A's while test B runs. Work handed to another thread, as a
job of an executor or an item of a queue, carries the tenure of the code that handed it over:
see `threads`.

Some objects serve all tests: a server, or a thread that a fixture of a wider scope started.
A request to that server, or a piece of work of that thread, belongs to the test that runs at
that moment: see `Serving`. The test or fixture that started the server or thread is the last
choice.
"""

from __future__ import annotations

import threading
from asyncio import _get_running_loop
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..compat import cpython
from ..model.finding import Owner
from .objects import ask

#: On a thread: the tenure in which it was started, the line that started it, and the tenure
#: that put the item which the thread last took from a queue.
THREAD_TENURE = "_asyncio_traps_tenure"
THREAD_STARTED_AT = "_asyncio_traps_started"
THREAD_ITEM_TENURE = "_asyncio_traps_taken"
#: On a loop, while loops outlive tests: the tenure of its last step.
LAST_STEP = "_asyncio_traps_last"


class Tenure:
    """The time for which ``owner`` owns what is made; ``ended`` becomes true once.

    `Owner` is made on demand, as most tenures never need one.
    """

    __slots__ = ("__weakref__", "_owner", "ended")

    ended: bool

    def __init__(self, *owner: Any) -> None:
        self._owner = owner
        self.ended = False

    @property
    def owner(self) -> Owner:
        """The test or fixture, from the arguments of the constructor."""
        return Owner(*self._owner)

    @property
    def nodeid(self) -> str:
        """The test that a finding is charged to; empty for what belongs to no test."""
        nodeid: str = self._owner[3]
        return nodeid

    @property
    def is_shared(self) -> bool:
        """Whether several tests may use what is made: in a fixture of wider scope, or a module."""
        return bool(self._owner[2] != "function")

    def __repr__(self) -> str:
        return f"<Tenure of {self.owner.type} {self.owner.name}{' (ended)' * self.ended}>"


class Visit(Tenure):
    """The part of a test's tenure that is spent in a server or thread of another owner."""

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
    """The value of `TENURE` in the contexts of a server: the owner depends on the moment.

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


class Ownership:
    """Says which tenure is responsible now."""

    session: Tenure
    running: Tenure

    def __init__(self) -> None:
        self.session = Tenure("session", "session", "session", "")
        self.running = self.session

    def now(self) -> Tenure:
        """The tenure of the code that runs at this moment."""
        tenure = TENURE.get()
        if tenure is None:
            tenure = _of_last_step() or _of_thread() or self.running
        if type(tenure) is Serving:
            tenure = _of_last_item() or tenure
        return tenure if type(tenure) is Tenure else self.resolve(tenure)

    def dropping(self) -> Tenure:
        """The tenure that drops the last reference to an object at this moment.

        Between two steps of a loop, it is the tenure of the last step, whose leftovers the loop
        drops then. The current context is of no use there: it is as old as the loop, or empty.
        """
        tenure = _of_last_step()
        return self.resolve(tenure) if tenure is not None else self.now()

    def resolve(self, tenure: Tenure) -> Tenure:
        """``tenure``; for that of a server or of a shared thread, the one that it serves now."""
        if type(tenure) is not Serving:
            return tenure
        base, running = tenure.base, self.running
        if running is self.session or running is base:
            return base
        if not base.is_shared and not base.ended and base.nodeid == running.nodeid:
            return base  # the test's own
        return tenure.visited_by(running)

    def begin_serving(self, what: str) -> Tenure | None:
        """A server is about to be set up: mark the contexts that it makes as `Serving`.

        Returns the argument for `end_serving`.
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


def current_thread() -> threading.Thread | None:
    """The object of this thread; None in a thread that C code started."""
    active: object = getattr(threading, cpython.ACTIVE_THREADS, None)
    if type(active) is not dict:
        return threading.current_thread()  # this makes an object for a thread of C code
    thread: threading.Thread | None = active.get(threading.get_ident())
    return thread


def _of_thread() -> Tenure | None:
    """The tenure that started this thread, or put the item that it took from a queue."""
    thread = current_thread()
    tenure = ask(thread, THREAD_TENURE)
    if tenure is None or type(tenure) is Serving or tenure.ended:
        # A thread started by the running test works for that test, whatever it takes.
        tenure = ask(thread, THREAD_ITEM_TENURE) or tenure
    return tenure if isinstance(tenure, Tenure) else None


def _of_last_item() -> Tenure | None:
    """The tenure that put the item which this thread last took from a queue."""
    tenure = ask(current_thread(), THREAD_ITEM_TENURE)
    return tenure if isinstance(tenure, Tenure) else None


def _of_last_step() -> Tenure | None:
    """Between two steps of this thread's loop: the tenure of the last step."""
    loop = _get_running_loop()
    if loop is None:
        return None
    runner = ask(loop, "_asyncio_traps_runner", loop)
    if ask(runner, "_asyncio_traps_step") != 0.0:
        return None  # within a step, or a loop that does not note its steps
    tenure = ask(runner, LAST_STEP)
    return tenure if isinstance(tenure, Tenure) else None
