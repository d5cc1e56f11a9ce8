"""The life of a run: what is armed, whose time it is, and what a phase has shown."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

import pytest

from .. import loops
from ..compat import assumptions
from ..compat.missing import MISSING
from ..compat.pytest import Failed, TestCaseFunction, is_to_fail
from ..core import threads
from ..core.events import Listener
from ..core.faults import Faults
from ..core.objects import ask, is_a, is_closed
from ..core.ownership import TENURE, Tenure
from ..core.reported import carried_by
from ..core.trap import Trap
from ..core.watch import Watch
from ..options import Settings
from ..policy import markers
from ..policy.kinds import Kinds
from ..traps import TRAPS
from ..traps.slow_callback import SlowCallback
from .asyncio_log import AsyncioLog
from .pipeline import FindingPipeline, Phase, is_worker, place_of_item
from .runners import RunnerHooks

if TYPE_CHECKING:
    from ..model.causes import Counted

#: The watches of nested runs, the innermost last. Only that one looks.
_watches: list[Watch] = []


#: Where a run keeps its `Lifecycle`.
lifecycle_key: pytest.StashKey[Lifecycle] = pytest.StashKey()


class TrapsFound(Failed):
    """A test that passed by itself sprang traps. Raised in the phase in which they show."""

    def __init__(self, findings: list[Counted], message: str) -> None:
        super().__init__(message, pytrace=False)
        self.findings = findings


class FixtureCharge:
    """What a fixture's set-up makes is charged to it, and what its teardown makes, too."""

    __slots__ = (
        "_before", "_fixturedef", "_function", "_lifecycle", "_outer", "_tenure", "_var",
    )  # fmt: skip

    def __init__(self, lifecycle: Lifecycle, fixturedef: Any) -> None:
        watch = lifecycle.watch
        self._lifecycle = lifecycle
        self._fixturedef = fixturedef
        scope, nodeid = fixturedef.scope, lifecycle.nodeid
        self._function = scope == "function"
        self._tenure = tenure = Tenure("fixture", fixturedef.argname, scope, nodeid)
        self._before = lifecycle.tenure
        self._outer = watch.ownership.running
        self._var = TENURE.get()
        fixturedef.addfinalizer(self._ends)  # finalizers run in reverse
        watch.tracker.mark(tenure)
        watch.ownership.running = tenure
        TENURE.set(tenure)

    def set_up(self) -> None:
        """The set-up is over."""
        watch = self._lifecycle.watch
        watch.ownership.running = self._outer
        TENURE.set(self._var)
        watch.tracker.mark(self._outer)
        self._fixturedef.addfinalizer(self._begins)

    def _begins(self) -> None:
        # The teardown does.
        __tracebackhide__ = True
        watch = self._lifecycle.watch
        try:
            watch.ownership.enter(self._tenure)
            watch.tracker.mark(self._tenure)
        except Exception as exc:
            watch.faults.record("fixtures", exc)

    def _ends(self) -> None:
        __tracebackhide__ = True
        watch = self._lifecycle.watch
        try:
            self._tenure.ended = True
            watch.ownership.enter(self._before if self._function else self._lifecycle.tenure)
            watch.tracker.mark(watch.ownership.running)
        except Exception as exc:
            watch.faults.record("fixtures", exc)


class Lifecycle:
    """One run of pytest, from configure to unconfigure."""

    watch: Watch
    log: AsyncioLog
    traps: list[Trap]
    pipeline: FindingPipeline
    runner_hooks: RunnerHooks
    in_phase: bool
    nodeid: str
    is_test_case: bool
    tenure: Tenure

    def __init__(
        self, config: pytest.Config, settings: Settings, faults: Faults, kinds: Kinds
    ) -> None:
        self.config = config
        self.settings = settings
        self.kinds = kinds
        self.watch = Watch(faults)
        self.watch.third_party = kinds.faults
        faults.isolated |= {
            *("baseline", "warning filters", "report sections", "disarm", "summary"),
            # What goes with these: a kind, see `SlowCallback`; lines; records.
            *("watchdog", "futures", "the asyncio logger", "the fixture asyncio_traps"),
        }
        faults.current_phase = kinds.faults.current_phase = self._moment
        faults.isolated |= {f"report {path}" for path in settings.reports}
        self.log = AsyncioLog(faults)
        self.traps = [trap(self.watch) for trap in TRAPS if settings.turns_on(trap)]
        # What happens at every test is asked only of those that have something to say to it.
        self._refreshed = [t for t in self.traps if type(t).refresh is not Trap.refresh]
        self._judging = [t for t in self.traps if type(t).judge is not Trap.judge]
        #: The kinds of others, as far as they are armed, and those of them that judge.
        self._third_party: dict[type[Trap], Trap | None] = {}
        self._patient: list[Trap] = []
        self.pipeline = FindingPipeline(
            config, settings, self.watch, self.log, kinds, self.find_item
        )
        self.runner_hooks = RunnerHooks(self.watch)
        self.item: pytest.Item | None = None
        #: That of the test that runs, or ran last: newer pytests make it anew for each question.
        self.nodeid = ""
        #: What the phase that has just ended has shown, if anything.
        self.phase: Phase | None = None
        #: Whether a phase of a test runs. Reports made meanwhile are those of its subtests.
        self.in_phase = False
        self._failed_by_itself = False
        # Whether a phase of the test was failed for traps.
        self._failed_for_traps = False
        #: Whether the test that runs is one of a `unittest.TestCase`.
        self.is_test_case = False
        #: The tenure of the test that runs.
        self.tenure = self.watch.ownership.session
        self._items: dict[str, pytest.Item] = {}
        self._thresholds: dict[str, float] = {}
        self._usage_error: str | None = None
        self._tenure_before: Tenure | None = None
        self._finished = False

    @property
    def is_worker(self) -> bool:
        """Whether this process is a worker of pytest-xdist: known once it is configured."""
        return is_worker(self.config)

    # -- start and end ----------------------------------------------------

    def start(self) -> None:
        """Hook in. What fails half-way is undone."""
        watch = self.watch
        if _watches:
            _watches[-1].active = False
        _watches.append(watch)
        self._tenure_before = TENURE.get()
        try:
            # The probes look at Python as it is before anything is replaced.
            for what, reason in (*MISSING.items(), *assumptions.blind_spots()):
                watch.blind(what, reason)
            watch.origins.arm(watch.patches)
            watch.tracker.arm()
            watch.warning_monitor.arm(watch.patches)
            loops.arm(watch)
            threads.arm(watch)
            self.traps = [trap for trap in self.traps if self._arm(trap, watch.faults)]
            self._refreshed = [t for t in self._refreshed if t in self.traps]
            self._judging = [t for t in self._judging if t in self.traps]
            watch.slow_after = self.settings.slow_after
            self.log.arm(watch.patches)
            watch.active = not watch.failed
            self.arm_third_party()
        except BaseException:
            self.stop()
            raise

    def arm_third_party(self) -> None:
        """Arm the kinds of others that are new. What fails there is their fault, not the run's."""
        watch = self.watch
        for cls in self.kinds.added:
            if cls in self._third_party or not self.settings.turns_on(cls):
                continue
            self._third_party[cls] = None
            with watch.third_party.guard(cls.kind):
                trap = cls(watch)
                if self._arm(trap, watch.third_party):
                    self._third_party[cls] = trap
                    if cls.judge is not Trap.judge:
                        self._patient.append(trap)

    def _arm(self, trap: Trap, faults: Faults) -> bool:
        """Arm one kind, or leave no trace of it: what fails in one takes nothing from the others.

        Returns whether it is armed.
        """
        watch = self.watch
        patched, ending = watch.patches.depth, len(watch.at_end)
        with faults.guard(trap.kind):
            trap.arm()
            if isinstance(trap, Listener):
                watch.events.add(trap)  # at last, so that a kind which fails listens to nothing
            return True
        watch.patches.undo(down_to=patched)
        del watch.at_end[ending:]
        return False

    def stop(self) -> None:
        """Put everything back, in reverse. What cannot be put back keeps nothing else from it."""
        watch = self.watch
        if watch not in _watches:
            return
        watch.active = False
        for undo in (
            self.log.disarm,
            *reversed(watch.at_end),
            watch.origins.disarm,
            watch.patches.undo,
            watch.warning_monitor.disarm,
            watch.tracker.disarm,
        ):
            with watch.faults.guard("disarm"):
                undo()
        TENURE.set(self._tenure_before)
        _watches.remove(watch)
        if _watches:
            _watches[-1].active = not _watches[-1].failed

    def _moment(self) -> str:
        """What the run is doing now: it is noted when a part fails."""
        if self._finished:
            return "the end of the run"
        if self.item is None:
            return "the start of the run"
        return f"{self.nodeid}" if self.in_phase else f"the end of {self.nodeid}"

    # -- tests and fixtures -----------------------------------------------

    def begin_test(self, item: pytest.Item) -> None:
        """The set-up of ``item`` is about to begin."""
        watch = self.watch
        self.item = item
        self.nodeid = item.nodeid
        self.is_test_case = TestCaseFunction in type(item).__mro__
        self._failed_by_itself = self._failed_for_traps = False
        watch.busy = False
        nodeid = self.nodeid
        self.tenure = tenure = Tenure("test", nodeid, "function", nodeid)
        watch.ownership.running = tenure
        TENURE.set(tenure)
        watch.tracker.mark(tenure)
        watch.warning_monitor.begin_test()
        self.log.records.clear()
        if len(sys.modules) != self.runner_hooks.known:
            self.runner_hooks.refresh()
        for kept in watch.patches.kept:
            if kept.namespace.get(kept.name) is not kept.value:
                watch.patches.renew()
                break
        while watch.at_next_test:
            watch.at_next_test.pop()()
        for trap in self._refreshed:
            trap.refresh()
        if self._third_party:
            self._call_third_party(lambda trap: trap.refresh(), self._third_party.values())
        if self._thresholds:
            watch.slow_after = self._thresholds.get(nodeid, self.settings.slow_after)
        self.in_phase = True

    def refuse_bad_marker(self) -> None:
        """In a worker of pytest-xdist: fail each test, where one process would not have begun."""
        if self._usage_error is not None:
            pytest.fail(self._usage_error, pytrace=False)

    def end_test(self) -> None:
        """The teardown of the test is over: judge what it has left."""
        watch = self.watch
        self.tenure.ended = True
        if watch.busy:
            self._judge(final=False)
        if self._patient:
            self._call_third_party(lambda trap: trap.judge(final=False), self._patient)
        loops = watch.loops()
        watch.shared = bool(loops) and any(not is_closed(loop) for loop in loops)
        watch.ownership.running = session = watch.ownership.session
        TENURE.set(session)
        watch.tracker.mark(session)
        if watch.reported.coroutines or watch.handovers.recently_dead:
            watch.forget_dead()

    def _judge(self, final: bool) -> None:
        if self.watch.failed:
            return
        faults = self.watch.faults
        # Written out, as this is asked at every test: a guard costs two calls.
        try:
            self.watch.tracker.scan()
        except Exception as exc:
            faults.record("tracker", exc)
        for trap in self._judging:
            if trap.kind not in faults.texts:
                try:
                    trap.judge(final)
                except Exception as exc:
                    faults.record(trap.kind, exc)
        try:
            self.watch.tracker.mark_judged()
        except Exception as exc:
            faults.record("tracker", exc)

    def _call_third_party(self, do: Callable[[Trap], None], guests: Iterable[Trap | None]) -> None:
        """Call the kinds of others. They may need no loop to be of use."""
        third_party = self.watch.third_party
        for trap in guests:
            if trap is not None and not third_party.is_off(trap.kind):
                try:
                    do(trap)
                except (Exception, pytest.fail.Exception, pytest.skip.Exception) as exc:
                    third_party.record(trap.kind, exc)

    @contextmanager
    def collecting(self, collector: pytest.Collector) -> Iterator[None]:
        """The import of a module is nobody's test, but the module's."""
        if not isinstance(collector, pytest.Module):
            yield
            return
        tenure = Tenure("module", collector.nodeid, "module", "")
        self.watch.tracker.mark(tenure)
        with self.watch.ownership.hold(tenure):
            yield
        self.watch.tracker.mark(self.watch.ownership.running)

    def charge_fixture(self, fixturedef: Any) -> FixtureCharge:
        """The set-up of a fixture is about to begin."""
        if len(sys.modules) != self.runner_hooks.known:
            self.runner_hooks.refresh()
        return FixtureCharge(self, fixturedef)

    def begin_call(self, item: pytest.Item) -> None:
        """The call of ``item`` is about to begin."""
        self.in_phase = True
        if self.is_test_case:
            # A context that was made before the test is to know whose test it is.
            context = ask(ask(item, "instance"), "_asyncioTestContext")
            if is_a(context, Context):
                context.run(TENURE.set, self.tenure)

    # -- what becomes of a finding ----------------------------------------

    def cut_short(self) -> None:
        """The run ends in the middle of a phase: what its loops were at did not have its time."""
        for loop in self.watch.loops():
            self.watch.events.loop_cut_short(loop)

    def close_phase(self, when: str) -> bool:
        """Settle what a phase has shown. Returns whether that is anything."""
        self.in_phase = False
        if when == "teardown":
            self.end_test()
        watch, log = self.watch, self.log
        if not (watch.found or log.records or watch.warning_monitor.shown):
            self.phase = None
            return False
        self.phase = phase = Phase()
        if watch.found:
            phase.failing = self.pipeline.settle(watch.take(), when, self._here())
        if log.records:
            phase.records = list(log.records)
            log.records.clear()
        if watch.warning_monitor.shown:
            phase.warnings, watch.warning_monitor.shown = watch.warning_monitor.shown, []
        return True

    def _here(self) -> str | None:
        """The nodeid of the test that runs."""
        return self.nodeid if self.item is not None else None

    def _has_failed_by_passing(self, when: str) -> bool:
        """Whether the test was expected to fail, and is a failure for it did not."""
        if when != "teardown" or self.item is None or self._failed_for_traps:
            return False
        return is_to_fail(self.item)

    def raise_for_phase(self, when: str) -> None:
        """Fail the phase that has ended, unless the test failed by itself before.

        It has if a report said so, see `amend`, or in the one way of pytest's own in which a
        test fails without raising: then there may have been nobody to look at its report.
        """
        failing = self.phase.failing if self.phase is not None else []
        if failing and not self._failed_by_itself and not self._has_failed_by_passing(when):
            self._failed_for_traps = True
            message = "\n".join(self.pipeline.reporter.headline(*counted) for counted in failing)
            raise TrapsFound(failing, message)

    def amend(
        self, item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport
    ) -> None:
        """Word the report of a phase."""
        if self.in_phase:
            return  # a subtest's: the traps are the test's
        reporter = self.pipeline.reporter
        phase, self.phase = self.phase or Phase(), None
        value = call.excinfo.value if call.excinfo is not None else None
        carried = list(carried_by(value))
        if carried:
            phase.failing += self.pipeline.settle(carried, call.when, self._here())
        if isinstance(value, TrapsFound):
            report.longrepr = reporter.failure(value.findings, place_of_item(item))
        elif phase.failing:
            report.sections.append((f"asyncio traps ({report.when})", reporter.text(phase.failing)))
        if phase.failing and report.skipped and not hasattr(report, "wasxfail"):
            # unittest's skip takes the place of what was raised.
            report.outcome = "failed"
            report.longrepr = reporter.failure(phase.failing, place_of_item(item))
        elif (report.failed or hasattr(report, "wasxfail")) and not isinstance(value, TrapsFound):
            self._failed_by_itself = True
        warned = any(record.levelno >= logging.WARNING for record in phase.records)
        if report.failed or phase.failing or warned:
            with self.watch.faults.guard("report sections"):
                self.pipeline.attach(report, phase)

    # -- the end of the run -------------------------------------------------

    # -- the end of the run -------------------------------------------------

    def finish(self, session: pytest.Session, interrupted: bool = False) -> None:
        """No test comes any more: judge everything that is left."""
        if not self._finished:
            with self.watch.faults.guard("the end of the run"):
                self.finish_worker()
            self.pipeline.finish(session, interrupted)

    def finish_worker(self) -> None:
        """As much of `finish` as concerns this process alone."""
        if self._finished:
            return
        self._finished = True
        self.item = None
        self.watch.ownership.session.ended = True
        self._judge(final=True)
        self._call_third_party(lambda trap: trap.judge(final=True), self._patient)
        self.pipeline.settle(self.watch.take(), "late", None)

    def find_item(self, nodeid: str) -> pytest.Item | None:
        """The item of ``nodeid``, if it was collected."""
        if self.item is not None and self.nodeid == nodeid:
            return self.item
        return self._items.get(nodeid)

    def collected(self, items: list[pytest.Item]) -> None:
        """The items of the run are known. Raises `pytest.UsageError` for a bad marker."""
        try:
            self._thresholds = markers.check(items, self.settings.strict)
        except pytest.UsageError as exc:
            if not self.is_worker:
                raise
            # A worker that dies says nothing to the user; a failing test does.
            self._usage_error = str(exc)
        self._items = {item.nodeid: item for item in items}
        self._watch_markers(items)

    def deselected(self, items: Sequence[pytest.Item]) -> None:
        """These will not run; their markers cannot be called idle."""
        self._watch_markers(items)

    def _watch_markers(self, items: Sequence[pytest.Item]) -> None:
        # Only a run that has all tests of a class or module knows whether its marker is idle.
        if not any("::" in arg for arg in self.config.args):
            self.pipeline.policy.watch_markers(items)

    def excuse_debugger(self) -> None:
        """A debugger is active: the running step is not slow, and stops in none of our code."""
        self.watch.tracker.suspend()
        if self._debugger_left not in self.watch.at_next_test:
            self.watch.at_next_test.append(self._debugger_left)
        for trap in self.traps:
            if isinstance(trap, SlowCallback):
                trap.exempt()

    def _debugger_left(self) -> None:
        self.watch.tracker.resume()
