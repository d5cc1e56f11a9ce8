"""Whose time it is: the tests, fixtures and modules that own what is made."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

import pytest

from ..compat.pytest import TEST_CASE_CONTEXT, TestCaseFunction
from ..core.objects import ask, is_a, is_closed
from ..core.ownership import TENURE, Tenure
from ..core.watch import Watch
from .runners import RunnerHooks


class Owners:
    """The test that runs, its tenure, and the tenures of fixtures and modules around it."""

    #: The test that runs, or ran last; None before the first and after the last.
    item: pytest.Item | None
    #: Its nodeid, kept since newer versions of pytest build it anew at each access.
    nodeid: str
    #: Whether it is a method of a `unittest.TestCase`.
    is_test_case: bool
    #: The tenure of that test.
    tenure: Tenure
    #: The tests that were collected, by nodeid.
    items: dict[str, pytest.Item]
    #: The seconds that a step may take, by the nodeids of tests with a marker for that.
    thresholds: dict[str, float]

    def __init__(self, watch: Watch, runner_hooks: RunnerHooks, slow_after: float) -> None:
        self._watch = watch
        self._runner_hooks = runner_hooks
        self._slow_after = slow_after
        self.item = None
        self.nodeid = ""
        self.is_test_case = False
        self.tenure = watch.ownership.session
        self.items = {}
        self.thresholds = {}

    @property
    def running(self) -> str | None:
        """The nodeid of the test that runs, or None."""
        return self.nodeid if self.item is not None else None

    def find_item(self, nodeid: str) -> pytest.Item | None:
        """The test of ``nodeid``, if it was collected."""
        if self.item is not None and self.nodeid == nodeid:
            return self.item
        return self.items.get(nodeid)

    # -- tests ------------------------------------------------------------

    def begin_test(self, item: pytest.Item) -> None:
        """The set-up of ``item`` is about to begin: its tenure begins."""
        watch = self._watch
        self.item = item
        self.nodeid = nodeid = item.nodeid
        self.is_test_case = TestCaseFunction in type(item).__mro__
        watch.busy = False
        self.tenure = tenure = Tenure("test", nodeid, "function", nodeid)
        watch.ownership.running = tenure
        TENURE.set(tenure)
        watch.tracker.mark(tenure)
        if self.thresholds:
            watch.slow_after = self.thresholds.get(nodeid, self._slow_after)

    def enter_test_case(self, item: pytest.Item) -> None:
        """Have the context in which unittest runs ``item`` belong to its test.

        unittest makes that context before the test begins.
        """
        context = ask(ask(item, "instance"), TEST_CASE_CONTEXT)
        if is_a(context, Context):
            context.run(TENURE.set, self.tenure)

    def end_test(self) -> None:
        """The traps have judged what the test has left: from now on, the session owns things."""
        watch = self._watch
        loops = watch.loops()
        watch.shared = bool(loops) and any(not is_closed(loop) for loop in loops)
        watch.ownership.running = session = watch.ownership.session
        TENURE.set(session)
        watch.tracker.mark(session)
        if watch.reported.coroutines or watch.handovers.recently_dead:
            watch.forget_dead()

    def cut_short(self) -> None:
        """The run ends in the middle of a test, so that its loops cannot finish their work."""
        for loop in self._watch.loops():
            self._watch.events.loop_cut_short(loop)

    # -- fixtures and modules ---------------------------------------------

    def begin_fixture(self, fixturedef: Any) -> FixtureTenure:
        """The set-up of a fixture is about to begin: its tenure begins."""
        if len(sys.modules) != self._runner_hooks.known:
            self._runner_hooks.refresh()
        return FixtureTenure(self, self._watch, fixturedef)

    @contextmanager
    def collecting(self, collector: pytest.Collector) -> Iterator[None]:
        """A block in which pytest imports a module: what is made there belongs to the module."""
        if not isinstance(collector, pytest.Module):
            yield
            return
        tenure = Tenure("module", collector.nodeid, "module", "")
        self._watch.tracker.mark(tenure)
        with self._watch.ownership.hold(tenure):
            yield
        self._watch.tracker.mark(self._watch.ownership.running)


class FixtureTenure:
    """Has the set-up of a fixture, and its teardown, belong to the fixture."""

    __slots__ = (
        "_before", "_fixturedef", "_function", "_outer", "_owners", "_tenure", "_var", "_watch",
    )  # fmt: skip

    def __init__(self, owners: Owners, watch: Watch, fixturedef: Any) -> None:
        self._owners = owners
        self._watch = watch
        self._fixturedef = fixturedef
        scope, nodeid = fixturedef.scope, owners.nodeid
        self._function = scope == "function"
        self._tenure = tenure = Tenure("fixture", fixturedef.argname, scope, nodeid)
        self._before = owners.tenure
        self._outer = watch.ownership.running
        self._var = TENURE.get()
        fixturedef.addfinalizer(self._end_teardown)  # finalizers run in reverse
        watch.tracker.mark(tenure)
        watch.ownership.running = tenure
        TENURE.set(tenure)

    def end_set_up(self) -> None:
        """The set-up is over: what surrounds it owns again what is made."""
        watch = self._watch
        watch.ownership.running = self._outer
        TENURE.set(self._var)
        watch.tracker.mark(self._outer)
        self._fixturedef.addfinalizer(self._begin_teardown)

    def _begin_teardown(self) -> None:
        __tracebackhide__ = True
        watch = self._watch
        try:
            watch.ownership.enter(self._tenure)
            watch.tracker.mark(self._tenure)
        except Exception as exc:
            watch.faults.record("fixtures", exc)

    def _end_teardown(self) -> None:
        __tracebackhide__ = True
        watch = self._watch
        try:
            self._tenure.ended = True
            watch.ownership.enter(self._before if self._function else self._owners.tenure)
            watch.tracker.mark(watch.ownership.running)
        except Exception as exc:
            watch.faults.record("fixtures", exc)
