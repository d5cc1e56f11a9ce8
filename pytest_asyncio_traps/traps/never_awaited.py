"""Coroutine objects that were made and never awaited, scheduled or closed."""

from __future__ import annotations

import gc
import sys
import types
import warnings
import weakref
from collections.abc import Callable
from re import match as _match  # tests may replace it
from types import FrameType
from typing import Any, Final

from ..compat import cpython
from ..core import unawaited_warning
from ..core.coroutines import is_unstarted, origin_of_coroutine, unstarted_arguments
from ..core.handover import Handover
from ..core.mocks import is_mock_call, mock_name
from ..core.ownership import Tenure
from ..core.paths import LIBRARY, PLUGIN
from ..core.places import name_of, place_of, place_of_code, user_place
from ..core.reprs import text_of
from ..core.stacks import KINDS, Mark, is_step
from ..core.trap import BuiltinTrap
from ..core.unawaited_warning import is_pythons
from ..core.warning_monitor import Delivery
from ..model.finding import Finding, Place

#: Without these, either no hook is called, or it is unknown which test a coroutine belongs to, or
#: whether the test has dealt with the warning.
_NEEDED: Final = (
    cpython.COROUTINE_DESTRUCTOR,
    cpython.FINALIZERS_RUN_AT_ONCE,
    cpython.WARNINGS_SHOWN,
)


class NeverAwaited(BuiltinTrap):
    """The destructor of a coroutine calls a hook, which C code looks up in `warnings`.

    A coroutine that something still refers to when its test ends has not called it yet. Those
    are known from the tracker, and reported at the end of the run.
    """

    kind = "never-awaited"
    title = "a coroutine was never awaited"
    advice = (
        "Calling an async function only creates a coroutine; its code has not run. "
        "Await it, or pass it to asyncio.create_task() or a TaskGroup."
    )

    def arm(self) -> None:
        watch = self.watch
        # Coroutines kept alive until the next test begins: see `_keep_alive`.
        self._kept_alive: list[Any] = []
        watch.at_end.append(self._kept_alive.clear)
        if all(assumption.holds for assumption in _NEEDED):
            # Not without the hook, which keeps a dying coroutine alive that has got a weak
            # reference: see `_keep_alive`.
            watch.tracker.watch_type(types.CoroutineType, _may_be_referred_to)
            # Only importlib.reload() puts Python's own hook back; what others put there calls ours.
            watch.patches.keep(warnings, cpython.UNAWAITED_HOOK, self._make_hook, is_pythons)

    # -- the hook ----------------------------------------------------------

    def _make_hook(self, original: Any) -> Callable[[Any], None]:
        watch = self.watch
        plain = is_pythons(original)
        warn_as_python = unawaited_warning.for_wrapper(original) if plain else original

        def _warn_unawaited_coroutine(coro: Any) -> None:
            key = id(coro)
            outermost = key not in _dying  # a nested run has a hook of its own
            _dying[key] = None
            found: tuple[Finding, Delivery] | None = None
            hidden = False
            try:
                with watch.faults.guard("origins"):
                    hidden = plain and not watch.origins.visible_depth()
                if watch.active and not watch.faults.is_off(self.kind):
                    with watch.faults.guard(self.kind):
                        found = self._begin_warning(coro, sys._getframe(1))
                text = f"coroutine '{coro.__qualname__}' was never awaited"
                if plain and sys._getframe(1).f_code.co_filename.startswith(PLUGIN):
                    # The plugin's code ran when the coroutine was destroyed: in a collection
                    # that the plugin began, for example.
                    if hidden:
                        unawaited_warning.warn_at_creation(text, RuntimeWarning, 2, coro)
                    else:
                        unawaited_warning.at_creation(original)(coro)
                elif hidden:
                    # As if origins of coroutines were not tracked: the same text, and, as this
                    # is called in the place of the original, the same line.
                    warnings.warn(text, category=RuntimeWarning, stacklevel=2, source=coro)
                else:
                    warn_as_python(coro)
            finally:
                if found is not None:
                    with watch.faults.guard(self.kind):
                        self._end_warning(*found)
                if not watch.tracker.collecting and weakref.getweakrefcount(coro):
                    self._keep_alive(coro)
                # The last of all, and no call: after one, a collection might begin.
                if outermost:
                    del _dying[key]

        return _warn_unawaited_coroutine

    def _begin_warning(self, coro: Any, dropped: FrameType) -> tuple[Finding, Delivery] | None:
        """Python is about to warn about ``coro``, destroyed while code in ``dropped`` ran."""
        tracker = self.watch.tracker
        if tracker.blind and tracker.collecting:
            return None  # any test may have made it: a collection runs in whichever comes next
        finding = self._finding(coro, dropped)
        return (finding, self.watch.warning_monitor.begin()) if finding is not None else None

    def _end_warning(self, finding: Finding, delivery: Delivery) -> None:
        watch = self.watch
        watch.warning_monitor.end(
            delivery, lambda: watch.report(finding), watch.is_running(finding)
        )

    def _keep_alive(self, coro: Any) -> None:
        """Keep ``coro`` until the next test, as something took a weak reference to it.

        CPython clears the weak references to a coroutine before it calls the hook, and never
        again: one taken since would then point to freed memory. A reading of the tracker may
        have begun before the coroutine was known to die.
        """
        if not self._kept_alive:
            self.watch.at_next_test.append(self._kept_alive.clear)
        self._kept_alive.append(coro)

    # -- other ways to see one ---------------------------------------------

    def executor_job_done(self, result: Any, mark: Mark | None, tenure: Tenure) -> None:
        """An executor that runs an async function passes on the coroutine that it returns."""
        if type(result) is types.CoroutineType:
            self.watch.handovers.add(result, mark, tenure, _EXECUTOR)

    def warning_shown(self, message: Any, frame: FrameType | None) -> None:
        """``asend()`` and the like: from Python 3.13 on there is a warning, but no hook."""
        match = _match(_UNAWAITED_METHOD, text_of(message.message) or "")
        if match is None or self.watch.tracker.collecting:
            return
        place = user_place(frame)
        if place is None:
            return
        self.watch.report(
            Finding(
                self.kind,
                f"{match[1]}() of an async generator was never awaited",
                self.advice,
                self.watch.ownership.dropping().owner,
                origin=place,
                origin_label="dropped at",
                subject=match[1],
            )
        )

    def judge(self, final: bool) -> None:
        watch = self.watch
        arrived = watch.tracker.arrived()
        has_new = bool(arrived) and any(_is_left(ref()) for ref, _, _ in arrived)
        if has_new or (final and next(watch.tracker.living(), None) is not None):
            # A coroutine that only a reference cycle keeps alive is destroyed here, in the test
            # that made it.
            gc.collect()
        if not final:
            return
        left = [obj for obj, _ in list(watch.tracker.living()) if _is_left(obj)]
        arguments = {id(inner) for obj in left for inner in unstarted_arguments(obj)}
        for obj in left:
            if id(obj) not in arguments:
                finding = self._finding(obj, None)
                if finding is not None:
                    watch.report(finding)

    # -- reports -----------------------------------------------------------

    def _finding(self, coro: Any, dropped: FrameType | None) -> Finding | None:
        watch = self.watch
        if watch.reported.take_coroutine(coro):
            return None
        for inner in unstarted_arguments(coro):
            watch.reported.add_coroutine(inner)  # the same cause: nothing could await it
        if watch.tracker.collecting:
            dropped = None  # the collector runs in any frame
        handover = watch.handovers.of(coro)
        if handover is not None:
            tenure = handover.tenure
        else:
            tenure = watch.tracker.tenure_of(coro) or watch.ownership.dropping()
        origin, label, library = self._where(coro, dropped, handover)
        advice, notes = self._words(coro, dropped, handover)
        code = coro.cr_code
        if is_mock_call(code):
            name, defined_at = "AsyncMock", None
        elif origin is None and KINDS[code.co_filename] < LIBRARY:
            return None  # made by asyncio or a test runner, and of their own code
        else:
            name, defined_at = name_of(coro), place_of_code(code)
        return Finding(
            self.kind,
            f"coroutine {name!r} was never awaited",
            advice,
            tenure.owner,
            origin=origin or defined_at,
            origin_label=label,
            location=library,
            location_label="made inside a library at",
            notes=notes,
            subject=name,
        )

    def _where(
        self, coro: Any, dropped: FrameType | None, handover: Handover | None
    ) -> tuple[Place | None, str, Place | None]:
        """The origin of ``coro``, its label, and the line of a library that made it."""
        if handover is not None and handover.to is _EXECUTOR:
            return place_of(handover.mark), "handed to an executor at", None
        origin, library = origin_of_coroutine(coro, dropped)
        if _is_callbacks(dropped):
            scheduled_at = self.watch.scheduled_in(dropped)
            if scheduled_at is not None:
                label = "made by a callback that was scheduled at"
                return place_of(scheduled_at), label, library
        label = "defined at" if origin == place_of_code(coro.cr_code) else "created at"
        return origin, label, library

    def _words(
        self, coro: Any, dropped: FrameType | None, handover: Handover | None
    ) -> tuple[str, tuple[str, ...]]:
        """The advice and the notes about ``coro``."""
        if is_mock_call(coro.cr_code):
            return _words_about_mock(mock_name(coro))
        if handover is not None and handover.to is _EXECUTOR:
            return _ADVICE_EXECUTOR, ()
        if _is_callbacks(dropped):
            return _ADVICE_CALLBACK, ("It was called as a callback.",)
        return self.advice, ()


_EXECUTOR: Final = "an executor"
_ADVICE_EXECUTOR: Final = (
    "An executor calls plain functions, and drops the coroutine that an async one returns. Await "
    "it here, or hand a function to the executor that calls asyncio.run()."
)
_ADVICE_CALLBACK: Final = (
    "A callback is a plain function: what an async one returns is dropped. Let a plain function "
    "call asyncio.create_task(), and keep the task."
)
_UNAWAITED_METHOD = r"coroutine method '(\w+)' of .* was never awaited"


def _words_about_mock(called: str) -> tuple[str, tuple[str, ...]]:
    """The advice and the notes about what a call of the AsyncMock ``called`` returned."""
    notes = (f"Created by a call of {called!r}, which is part of an AsyncMock.",)
    method = called.rpartition(".")[2].partition("(")[0]
    advice = (
        "Await the call if the real method is async. If it is not, give the double a "
        f"MagicMock for it (double.{method} = MagicMock()), or a spec "
        "(AsyncMock(spec=TheClass))."
    )
    return advice, notes


def _is_callbacks(dropped: FrameType | None) -> bool:
    """Whether a coroutine was dropped by the loop itself, which called an async function."""
    return dropped is not None and is_step(dropped.f_code)


def _is_left(obj: object) -> bool:
    """Whether ``obj`` is a coroutine that has not begun.

    One whose destructor has run was reported. A reference taken by a kept warning brought it
    back to life.
    """
    return type(obj) is types.CoroutineType and is_unstarted(obj) and not gc.is_finalized(obj)


#: The ids of coroutines whose destructor is running: nothing may take a reference to them.
_dying: dict[int, None] = {}


def _may_be_referred_to(coro: Any) -> bool:
    """Whether a reading of the tracker may refer to ``coro``: it has not begun, and is alive."""
    return is_unstarted(coro) and id(coro) not in _dying
