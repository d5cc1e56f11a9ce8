"""Whose is it?

A tenure is the time for which a test or fixture answers for what it makes. The
context variable `TENURE` carries it: tasks, callbacks, done callbacks and the
connections that a server accepts inherit it with their context, so that what
test A started is still A's while test B runs. A thread that somebody started
by hand has an empty context; it carries the tenure in which it was started.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from .faults import Faults
from .finding import Owner
from .objects import ask, put
from .patches import Patches
from .stacks import user_mark


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

    def __repr__(self) -> str:
        return f"<Tenure of {self.owner.type} {self.owner.name}{' (ended)' * self.ended}>"


TENURE: ContextVar[Tenure | None] = ContextVar("asyncio_traps_tenure", default=None)


#: The attribute under which a thread carries the tenure in which it was started.
THREAD_TENURE = "_asyncio_traps_tenure"
#: ... and the line that started it.
THREAD_MARK = "_asyncio_traps_started"


#: Whether the main thread is the only one. What is shared by threads may then be done without
#: asking which thread it is.
ALONE: Final = [True]


def _of_thread() -> Tenure | None:
    # Not current_thread(), which would make an object for a thread of C's.
    active: dict[int, threading.Thread] = getattr(threading, "_active", {})
    tenure = ask(active.get(threading.get_ident()), THREAD_TENURE)
    return tenure if isinstance(tenure, Tenure) else None


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

    def now(self) -> Tenure:
        """The tenure of the code that runs this very moment."""
        return TENURE.get() or _of_thread() or self.running

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

    def arm(self, patches: Patches) -> None:
        """Have threads remember who started them."""

        def make(
            original: Callable[[threading.Thread], None],
        ) -> Callable[[threading.Thread], None]:
            def start(thread: threading.Thread) -> None:
                ALONE[0] = False
                with self._faults.guard("threads"):
                    put(thread, THREAD_TENURE, self.now())
                    put(thread, THREAD_MARK, user_mark(sys._getframe(1)))
                    for tell in self.on_thread_start:
                        tell()
                original(thread)

            return start

        ALONE[0] = threading.active_count() == 1
        patches.wrap(threading.Thread, "start", make)

    def enter(self, tenure: Tenure) -> None:
        """Charge to ``tenure`` what is made from here on."""
        self.running = tenure
        TENURE.set(tenure)
