"""The events of a run: what happens to its loops, threads and warnings.

`Listener` declares one method per event. `Events` hands each event on to the listeners that
override its method. An event to which nothing listens costs its source one call at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from .ownership import Tenure
from .stacks import Mark

if TYPE_CHECKING:
    from .watch import Watch

#: Calls one listener.
Handler = Callable[..., None]


class Listener:
    """Handles events. Each method is one event, and does nothing until a subclass overrides it."""

    # -- loops --------------------------------------------------------------

    def loop_created(self, loop: asyncio.AbstractEventLoop, frame: FrameType | None) -> None:
        """The constructor of ``loop`` has returned to ``frame``."""

    def loop_enters(self, loop: asyncio.AbstractEventLoop) -> None:
        """The current thread is about to run ``loop``."""

    def loop_leaves(self, loop: asyncio.AbstractEventLoop) -> None:
        """The current thread has stopped running ``loop``."""

    def loop_abandoned(self, loop: asyncio.AbstractEventLoop) -> None:
        """A library's test case is about to cancel the tasks left on ``loop``."""

    def loop_cut_short(self, loop: asyncio.AbstractEventLoop) -> None:
        """An exception from outside the steps of ``loop``, such as a signal handler's, ended it."""

    def loop_closing(self, loop: asyncio.AbstractEventLoop) -> None:
        """``loop`` is about to be closed."""

    def exception_handler_called(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        """The exception handler of ``loop`` is about to be called with ``context``."""

    # -- steps --------------------------------------------------------------

    def step_due(self, loop: asyncio.AbstractEventLoop, began: float) -> None:
        """A step of ``loop`` begins at or after the moment ``Watch.due``."""

    def step_ended(self, callback: Any) -> None:
        """A step of a loop, which called ``callback``, has ended. Costs a call per step."""

    def slow_step(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: Any,
        callback: Any,
        began: float,
        ended: float,
    ) -> None:
        """A step of ``loop`` took ``Watch.slow_after`` seconds or more by the clock.

        ``handle`` is None on uvloop, whose handles show nothing.
        """

    # -- what loops make ----------------------------------------------------

    def transport_created(self, transport: Any, frame: FrameType | None, loop: Any) -> None:
        """``loop`` made a transport or a server for the call in ``frame``."""

    def transports_left(self, transports: list[Any], how: str) -> None:
        """``transports`` were left open, as ``how`` says, and are about to be reported.

        A listener removes those that it reports as part of something else.
        """

    def transport_closed_late(self, transport: Any, name: str) -> None:
        """``transport`` was open until the destructor of an object of the class ``name`` ran."""

    def timer_created(self, loop: Any, handle: Any, mark: Mark | None, callback: Any) -> None:
        """A loop that does not list its timers made one, for the user's instruction ``mark``."""

    def asyncgen_begun(self, loop: Any, agen: Any, frame: FrameType | None) -> None:
        """The first step of the async generator ``agen`` is about to be taken, in ``frame``."""

    def asyncgen_dropped(self, loop: Any, agen: Any) -> None:
        """Nothing refers to ``agen`` any more, and it is still suspended."""

    def asyncgens_shut(self, loop: Any) -> None:
        """``loop.shutdown_asyncgens()`` is about to run."""

    # -- several loops ------------------------------------------------------

    def wrong_loop_call(
        self, loop: Any, running: Any, method: str, frame: FrameType | None, obj: Any = None
    ) -> None:
        """Code in ``frame``, which the loop ``running`` runs, called ``method`` of ``loop``.

        No thread runs ``loop``. ``obj`` is the callback concerned.
        """

    def phase_raised(self, exc: BaseException, when: str) -> None:
        """A phase of a test has ended with ``exc``. A listener may put a finding on it."""

    # -- threads ------------------------------------------------------------

    def thread_starting(self) -> None:
        """A thread is about to be started."""

    def wrong_thread_call(
        self, loop: Any, method: str, frame: FrameType | None, obj: Any = None
    ) -> None:
        """Code in ``frame`` called ``method`` from another thread than the one that runs ``loop``.

        ``obj`` is the future, transport, lock or callback concerned, if there is one.
        """

    def wrong_thread_error(
        self, loop: Any, method: str, frame: FrameType | None, exc: BaseException
    ) -> None:
        """The check of ``loop`` raised ``exc`` at such a call. User code may catch it."""

    def executor_job_done(self, result: Any, mark: Mark | None, tenure: Tenure) -> None:
        """A job of an executor has ended; ``mark`` and ``tenure`` say who submitted it."""

    # -- modules ------------------------------------------------------------

    def modules_imported(self) -> None:
        """A test or fixture is about to begin, and modules were imported since the last one."""

    # -- Python's own hooks -------------------------------------------------

    def warning_shown(self, message: Any, frame: FrameType | None) -> None:
        """Code in ``frame`` caused a warning that the test does not record."""

    def unraisable_raised(self, unraisable: Any) -> None:
        """`sys.unraisablehook` is called. Needs ``Watch.hook_unraisable``."""

    # -- registration -------------------------------------------------------

    def handlers(self) -> dict[str, Handler]:
        """What to call for each event that this listener handles."""
        own = type(self)
        return {
            name: getattr(self, name)
            for name in EVENTS
            if getattr(own, name) is not getattr(Listener, name)
        }


#: The names of all events.
EVENTS: Final = tuple(
    name for name in vars(Listener) if not name.startswith("_") and name != "handlers"
)


class Events(Listener):
    """The listener that hands each event on to those which handle it.

    ``events.loop_closing(loop)`` calls ``loop_closing(loop)`` of each listener that overrides
    it, in the order in which they were added, while the run is active. An exception of one
    listener is noted as the fault of its kind, and the others are called all the same.
    """

    def __init__(self, watch: Watch) -> None:
        #: By event, what is called. The lists stay the same objects, so that a caller for which
        #: every call counts can ask first whether a list is empty.
        self.listening: dict[str, list[Handler]] = {name: [] for name in EVENTS}
        for name, handlers in self.listening.items():
            # On the instance, in the place of the method that does nothing.
            setattr(self, name, _make_notify(watch, handlers))

    def add(self, listener: Listener) -> None:
        """Register ``listener`` for the events that it handles."""
        for name, handler in listener.handlers().items():
            self.listening[name].append(handler)


def _make_notify(watch: Watch, handlers: list[Handler]) -> Handler:
    def notify(*args: Any) -> None:
        if not watch.active:
            return
        texts = watch.faults.texts
        for handler in handlers:
            if not texts or part_of(handler) not in texts:
                try:
                    handler(*args)
                except Exception as exc:
                    watch.faults.record(part_of(handler), exc)

    return notify


def part_of(handler: Handler) -> str:
    """The part of the plugin that a fault of ``handler`` is charged to: its kind, or all loops."""
    return getattr(getattr(handler, "__self__", None), "kind", "loops")
