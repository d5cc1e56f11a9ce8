"""Coroutine objects that were made and never awaited, scheduled or closed."""

from __future__ import annotations

import gc
import sys
import types
import warnings
import weakref
from collections.abc import Callable, Iterable
from re import match as _match  # tests may replace it
from types import CodeType, FrameType, FunctionType, SimpleNamespace
from typing import Any, Final

from ..core.objects import ask, call, is_a
from ..core.ownership import Tenure
from ..core.paths import LIBRARY, PLUGIN, USER
from ..core.places import coroutine_origin, name_of, place_of, place_of_code, user_place
from ..core.reprs import text_of
from ..core.stacks import KINDS, Mark, is_step
from ..core.trap import Trap
from ..model.finding import Finding, Place


class NeverAwaited(Trap):
    """Python tells, from the destructor, by a hook that C code looks up in `warnings`.

    What is still referred to when its test ends has no destructor yet: those
    coroutines are known from the tracker, and reported at the end of the run.
    """

    kind = "never-awaited"
    title = "a coroutine was never awaited"
    advice = (
        "Calling an async function only makes a coroutine; nothing in it has run. "
        "Await it, or hand it to asyncio.create_task() or a TaskGroup."
    )

    def arm(self) -> None:
        # Coroutines that die only when the next test begins.
        self._spared: list[Any] = []
        self.watch.on_disarm.append(self._spared.clear)
        self.watch.tracker.watch_type(types.CoroutineType, _may_be_met)
        # Only importlib.reload() puts Python's own back; what others put there calls ours.
        self.watch.patches.keep(warnings, "_warn_unawaited_coroutine", self._make_hook, _is_pythons)
        self.watch.warning_monitor.on_shown.append(self._of_asyncgen)
        self.watch.ownership.on_job_done.append(self._job_done)

    def _job_done(self, result: Any, mark: Mark | None, tenure: Tenure) -> None:
        """An async function was called in an executor, which hands on the coroutine it returned."""
        if self.watch.active and type(result) is types.CoroutineType:
            self.watch.hand_over(result, mark, tenure, _EXECUTOR)

    def _let_go(self) -> None:
        self.watch.on_test_begins.remove(self._let_go)
        self._spared.clear()

    def _make_hook(self, original: Any) -> Callable[[Any], None]:
        watch = self.watch
        plain = _is_pythons(original)
        warn_as_python = _with(original, _warn_from_one_frame_further) if plain else original

        def _warn_unawaited_coroutine(coro: Any) -> None:
            key = id(coro)
            outermost = key not in _dying  # a nested run has a hook of its own
            _dying[key] = None
            finding = delivery = None
            unseen = False
            try:
                with watch.faults.guard("origins"):
                    unseen = plain and not watch.origins.wished()
                if watch.active and not watch.faults.is_off(self.kind):
                    with watch.faults.guard(self.kind):
                        finding = self._finding(coro, sys._getframe(1))
                        if finding is not None:
                            delivery = watch.warning_monitor.begin()
                text = f"coroutine '{coro.__qualname__}' was never awaited"
                if plain and sys._getframe(1).f_code.co_filename.startswith(PLUGIN):
                    # A collection that the plugin began, or that came while its code ran.
                    if unseen:
                        _warn_where_made(text, RuntimeWarning, 2, coro)
                    else:
                        _with(original, _warn_where_made)(coro)
                elif unseen:
                    # As if nobody had asked where coroutines are made: the same text,
                    # and, standing in the original's place, the same line.
                    warnings.warn(text, category=RuntimeWarning, stacklevel=2, source=coro)
                else:
                    warn_as_python(coro)
            finally:
                if delivery is not None and finding is not None:
                    with watch.faults.guard(self.kind):
                        told = finding
                        watch.warning_monitor.end(
                            delivery, lambda: watch.report(told), watch.is_running(told)
                        )
                if not watch.tracker.collecting and weakref.getweakrefcount(coro):
                    # CPython clears the weak references to a coroutine before it calls this,
                    # and never again: one that was made since would go on to point at freed
                    # memory. A reading may have begun before it was known to die.
                    if not self._spared:
                        watch.on_test_begins.append(self._let_go)
                    self._spared.append(coro)
                # The last of all, and no call: after one, a collection might begin.
                if outermost:
                    del _dying[key]

        return _warn_unawaited_coroutine

    def _of_asyncgen(self, warning: Any, frame: FrameType | None) -> None:
        """``asend()`` and its like: from Python 3.13 on there is a warning, but no hook."""
        match = _match(_UNAWAITED_METHOD, text_of(warning.message) or "")
        if match is None or not self.watch.active or self.watch.tracker.collecting:
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
        if self._is_fresh() or (final and next(watch.tracker.living(), None) is not None):
            # One that only a cycle keeps alive is destroyed here, in the test that made it.
            watch.flush()
        if not final:
            return
        left = [obj for obj, _ in list(watch.tracker.living()) if _is_left(obj)]
        given = {id(inner) for obj in left for inner in _given_to(obj)}
        for obj in left:
            if id(obj) not in given:
                finding = self._finding(obj, None)
                if finding is not None:
                    watch.report(finding)

    def _is_fresh(self) -> bool:
        """Whether a coroutine was left that no judgement has met before."""
        arrived = self.watch.tracker.arrived()
        return bool(arrived) and any(_is_left(ref()) for ref, _, _ in arrived)

    def _finding(self, coro: Any, dropped: FrameType | None) -> Finding | None:
        watch = self.watch
        if watch.explained(coro):
            return None
        for inner in _given_to(coro):
            watch.explain(inner)  # part of the same cause: nobody could await it
        if watch.tracker.collecting:
            dropped = None  # the collector runs wherever it likes
        handed = watch.handed_over(coro)
        if handed is not None:
            tenure = handed.tenure
        else:
            tenure = watch.tracker.tenure_of(coro) or watch.ownership.dropping()
        origin, library = _origin(coro, dropped)
        code = coro.cr_code
        label = "defined at" if origin == place_of_code(code) else "made at"
        advice, notes = self.advice, tuple[str, ...]()
        if handed is not None and handed.to is _EXECUTOR:
            origin, label, library = place_of(handed.mark), "handed to an executor at", None
            advice = _ADVICE_EXECUTOR
        elif dropped is not None and is_step(dropped.f_code):
            # An async function as a callback: the loop calls it, and drops what it returns.
            asked = watch.scheduled_in(dropped)
            if asked is not None:
                origin, label = place_of(asked), "made by a callback that was scheduled at"
            advice, notes = _ADVICE_CALLBACK, ("It was called as a callback.",)
        if origin is None and KINDS[code.co_filename] < LIBRARY and not _is_mocks(code):
            return None  # made by asyncio or a test runner, of code of their own
        name = "AsyncMock" if _is_mocks(code) else name_of(coro)
        if _is_mocks(code):
            called = _mock_name(coro)
            notes = (f"It was made by a call of {called!r}, which is of an AsyncMock.",)
            method = called.rpartition(".")[2].partition("(")[0]
            advice = (
                "Await the call if the real method is async. If it is not, give the double a "
                f"MagicMock for it (double.{method} = MagicMock()), or a spec "
                "(AsyncMock(spec=TheClass))."
            )
        return Finding(
            self.kind,
            f"coroutine {name!r} was never awaited",
            advice,
            tenure.owner,
            origin=origin or (place_of_code(code) if not _is_mocks(code) else None),
            origin_label=label,
            location=library,
            location_label="made inside a library at",
            notes=notes,
            subject=name,
        )


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


def _is_pythons(hook: Any) -> bool:
    # Not by __module__, which update_wrapper() copies.
    return ask(hook, "__globals__", {}).get("__name__") in ("warnings", "_py_warnings")


def _with(hook: FunctionType, warn: Callable[..., None]) -> Callable[[Any], None]:
    """Python's own ``hook``, with ``warn`` for what it calls."""
    # It is known as the one or the other there, depending on Python's version.
    names = {"warn": warn, "_wm": SimpleNamespace(warn=warn)}
    return FunctionType(
        hook.__code__,
        {**hook.__globals__, **names},
        hook.__name__,
        hook.__defaults__,
        hook.__closure__,
    )


def _warn_from_one_frame_further(message: Any, category: Any, stacklevel: int, source: Any) -> None:
    """For a hook that is called by one that stands in its place: it points to the same line."""
    warnings.warn(message, category, stacklevel + 2, source)


def _warn_where_made(message: Any, category: Any, stacklevel: int, source: Any) -> None:
    """At the line where the coroutine ``source`` was made, instead of one of the plugin's."""
    place = coroutine_origin(source) or place_of_code(source.cr_code)
    warnings.warn_explicit(message, category, place.path, place.line, source=source)


def _is_left(obj: object) -> bool:
    """Whether ``obj`` is a coroutine that nobody has begun.

    One whose destructor has spoken was reported, and brought back to life by whoever keeps
    the warning.
    """
    return type(obj) is types.CoroutineType and _is_unstarted(obj) and not gc.is_finalized(obj)


#: By address: the coroutines whose destructor is at work, of which nobody may take note.
_dying: dict[int, None] = {}


def _may_be_met(coro: Any) -> bool:
    """Whether a reading of the tracker may refer to ``coro``: it waits to be begun, and lives."""
    return _is_unstarted(coro) and id(coro) not in _dying


def _is_unstarted(coro: Any) -> bool:
    # As inspect.getcoroutinestate() does, but without a frame made for each that waits.
    return not (coro.cr_suspended or coro.cr_running or coro.cr_frame is None)


def _given_to(coro: Any) -> list[Any]:
    """The coroutines among the arguments of ``coro``, which has not started."""
    frame = coro.cr_frame
    if frame is None:
        return []
    found: list[Any] = []
    for value in frame.f_locals.values():
        values: Iterable[Any] = (value,)
        if type(value) in (tuple, list):
            values = value
        elif type(value) is dict:
            values = list(value.values())
        found += [v for v in values if type(v) is types.CoroutineType and _is_unstarted(v)]
    return found


def _is_mocks(code: CodeType) -> bool:
    """Whether ``code`` is what an `unittest.mock.AsyncMock` returns: somebody has called it."""
    mock = sys.modules.get("unittest.mock")  # imported by those who use it: it takes a while
    return mock is not None and code is mock.AsyncMockMixin._execute_mock_call.__code__


def _mock_name(coro: Any) -> str:
    """What a reader knows the mock as whose call has made ``coro``: ``mock.add``."""
    mock = coro.cr_frame.f_locals.get("self") if coro.cr_frame is not None else None
    name = call(mock, "_extract_mock_name")
    return str.__str__(name) if is_a(name, str) else "mock"


def _origin(coro: Any, dropped: FrameType | None) -> tuple[Place | None, Place | None]:
    """The user's line that made ``coro``, and the library's line where there is one between."""
    library = None
    place = coroutine_origin(coro)
    if place is not None:
        kind = KINDS[place.path]
        if kind == USER:
            return place, None
        if kind == LIBRARY:
            library = place
    place_dropped = user_place(dropped)
    if place_dropped is not None and KINDS[place_dropped.path] == USER:
        return place_dropped, library
    if KINDS[coro.cr_code.co_filename] == USER:
        return place_of_code(coro.cr_code), library
    return library or place_dropped, None
