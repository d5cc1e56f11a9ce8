"""Async generators that were left suspended."""

from __future__ import annotations

import asyncio
import contextlib
import dis
import types
import weakref
from asyncio import runners
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from ..compat import asyncio as private
from ..core.harness import is_anyio_runner
from ..core.objects import ask, frame_of, function_code, is_a, is_closed
from ..core.ownership import Tenure
from ..core.paths import LIBRARY, USER
from ..core.places import name_of, place_of, place_of_code, waits_at
from ..core.reported import is_reported
from ..core.reprs import text_of
from ..core.stacks import KINDS, Mark, is_made_by_library, user_mark
from ..core.trap import BuiltinTrap
from ..model.finding import Finding

_AENTER: Final = function_code(ask(ask(contextlib, "_AsyncGeneratorContextManager"), "__aenter__"))
_ADVICE_ENTERED: Final = (
    "It is an async context manager that was entered by __aenter__() and not left. Enter it by "
    "async with, or by enter_async_context() of an AsyncExitStack that is left."
)


_IGNORED: Final = "async generator ignored GeneratorExit"


class _Begun(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to a generator whose iteration has begun."""

    __slots__ = ("entered", "key", "loop", "mark", "task", "task_reported", "tenure")
    #: Whether it belongs to an `asynccontextmanager` that was entered.
    entered: bool
    key: int
    #: Whether the task that iterates it was reported, for the same cause.
    task_reported: bool
    loop: weakref.ref[Any]
    task: weakref.ref[Any] | None
    mark: Mark | None
    tenure: Tenure


class UnclosedAsyncgen(BuiltinTrap):
    """The loop has a hook for the first step of each async generator, and one for its end.

    If a suspended generator is dropped, Python calls the loop's finalizer hook, which closes it
    later, in a new task. A generator that something still refers to is found when its loop
    shuts its generators down, or closes.
    """

    kind = "unclosed-asyncgen"
    title = "an async generator was left suspended"
    advice = (
        "Close a generator that is not exhausted: async with contextlib.aclosing(generator) does "
        "so, however the block is left."
    )

    def arm(self) -> None:
        watch = self.watch
        self._begun: dict[int, _Begun] = {}
        # Weak references are cleared before a destructor runs: those that were cleared last.
        self._recently_dead: dict[int, _Begun] = {}
        #: The ids of loops whose tasks a runner is cancelling.
        self._cancelling: set[int] = set()
        if private.RUNNERS.holds:
            watch.patches.wrap(runners, private.CANCEL_ALL, self._make_cancel_all)
        watch.hook_unraisable()

    def unraisable_raised(self, unraisable: Any) -> None:
        """A generator that began before a loop ran is known to no loop, and cannot be closed."""
        agen = unraisable.object
        if type(agen) is not types.AsyncGeneratorType or not is_a(
            unraisable.exc_value, RuntimeError
        ):
            return
        if _IGNORED not in (text_of(unraisable.exc_value) or ""):
            return
        code = agen.ag_code
        if KINDS[code.co_filename] != USER:
            return
        self.watch.report(
            Finding(
                self.kind,
                f"async generator {name_of(agen)!r} was left suspended",
                self.advice,
                self.watch.ownership.dropping().owner,
                origin=place_of_code(code),
                origin_label="defined at",
                notes=("Started before its loop ran, then dropped: Python could not close it.",),
                subject=name_of(agen),
            )
        )

    def _make_cancel_all(self, original: Callable[..., None]) -> Callable[..., None]:
        def _cancel_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
            # Generators that cancelled tasks drop, or keep in their tracebacks, are part of the
            # findings about these tasks.
            if not self._begun:
                return original(loop)
            driven: list[tuple[_Begun, Any]] = []
            with self.watch.faults.guard(self.kind):
                driven = [
                    (begun, begun.task())
                    for begun in list(self._begun.values())
                    if begun.task is not None and begun.loop() is loop
                ]
            self._cancelling.add(id(loop))
            try:
                original(loop)
            finally:
                self._cancelling.discard(id(loop))
                with self.watch.faults.guard(self.kind):
                    for begun, task in driven:
                        begun.task_reported = is_reported(task)

        return _cancel_all_tasks

    def asyncgen_begun(self, loop: Any, agen: Any, frame: FrameType | None) -> None:
        if type(agen) is not types.AsyncGeneratorType:
            return  # Cython's, or of another class whose code calls the hooks: it shows nothing
        if _is_kept_from_the_user(agen, frame):
            return
        begun = _Begun(agen, self._forget)
        begun.key = id(agen)
        begun.loop = weakref.ref(loop)
        begun.task_reported = False
        begun.entered = frame is not None and frame.f_code is _AENTER
        begun.mark = user_mark(frame)
        task = asyncio.current_task(loop)
        begun.task = weakref.ref(task) if task is not None else None
        begun.tenure = self.watch.ownership.now()
        self._begun[begun.key] = begun

    def _forget(self, begun: weakref.ref[Any]) -> None:
        with self.watch.faults.guard(self.kind):
            assert isinstance(begun, _Begun)
            if self._begun.get(begun.key) is begun:
                del self._begun[begun.key]
                if not self.watch.tracker.collecting:
                    self._recently_dead.clear()
                self._recently_dead[begun.key] = begun

    def asyncgen_dropped(self, loop: Any, agen: Any) -> None:
        begun = self._begun.pop(id(agen), None) or self._recently_dead.pop(id(agen), None)
        self._recently_dead.clear()
        if begun is None or id(loop) in self._cancelling:
            return
        how = "Nobody refers to it any more; asyncio closes it later, in a task of its own."
        if is_closed(loop):
            how = "Its loop is closed: what stands in its finally blocks never runs."
        self._report(agen, begun, how)

    def asyncgens_shut(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._begun:
            self._report_suspended(loop)

    def loop_closing(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._begun:
            self._report_suspended(loop)

    def _report_suspended(self, loop: asyncio.AbstractEventLoop) -> None:
        for begun in list(self._begun.values()):
            agen = begun()
            if agen is None or begun.loop() is not loop:
                continue
            self._begun.pop(begun.key, None)
            # If the generator awaits something, a task drives it, which is reported instead.
            if agen.ag_frame is not None and not agen.ag_running and agen.ag_await is None:
                self._report(agen, begun, "Still suspended when its loop was shut down.")

    def judge(self, final: bool) -> None:
        self._recently_dead.clear()

    def _report(self, agen: types.AsyncGeneratorType[Any, Any], begun: _Begun, how: str) -> None:
        if not _has_begun(agen):
            return  # what asend() or the like returned was never awaited
        task = begun.task() if begun.task is not None else None
        if begun.task_reported or is_reported(task):
            return
        if KINDS[agen.ag_code.co_filename] < LIBRARY:
            return  # a test runner's, or asyncio's own
        origin = place_of(begun.mark)
        location = waits_at(agen)
        if origin is None or begun.mark is None or is_anyio_runner(begun.mark[0]):
            return  # a runner iterates a fixture
        self.watch.report(
            Finding(
                self.kind,
                f"async generator {name_of(agen)!r} was left suspended",
                _ADVICE_ENTERED if begun.entered else self.advice,
                begun.tenure.owner,
                origin=origin,
                origin_label="first iterated at",
                location=location,
                location_label="suspended at",
                notes=(how,),
                subject=name_of(agen),
            )
        )


def _is_kept_from_the_user(agen: types.AsyncGeneratorType[Any, Any], frame: Any) -> bool:
    """Whether only installed code can close ``agen``, whose first step is taken in ``frame``.

    That is so where installed code iterates its own generator, and where ``async for`` got the
    generator from the ``__aiter__`` of an installed class.
    """
    code = agen.ag_code
    if KINDS[code.co_filename] != LIBRARY:
        return False
    return code.co_name == "__aiter__" or is_made_by_library(frame)


def _has_begun(agen: types.AsyncGeneratorType[Any, Any]) -> bool:
    """Whether any line of ``agen`` has run."""
    suspended = ask(agen, "ag_suspended")  # from Python 3.12 on
    if suspended is not None:
        return bool(suspended)
    frame = frame_of(agen)
    return frame is not None and agen.ag_code.co_code[frame.f_lasti] != _RETURN_GENERATOR


#: Needed only before Python 3.12, where it exists.
_RETURN_GENERATOR = dis.opmap.get("RETURN_GENERATOR", -1)
