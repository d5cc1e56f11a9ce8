"""What the phases of a test have shown, and what becomes of that: failures and reports."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Final
from unittest import SkipTest

import pytest

from ..compat.pytest import Failed, is_to_fail, shows_log
from ..core.objects import ask, is_any
from ..core.reported import take_carried
from ..core.watch import Watch
from ..reports.terminal import Failure, Reporter, log_text, warnings_text
from ..traps.deadlock import Deadlock, is_from_ending
from .arming import Arming
from .asyncio_log import AsyncioLog
from .deferred import place_of_item
from .owners import Owners
from .pipeline import FindingPipeline

if TYPE_CHECKING:
    from ..model.causes import Counted

#: What ends a phase without failing it. The error that it may follow was caught by the test.
_SKIPS: Final = (pytest.skip.Exception, pytest.xfail.Exception, SkipTest)


class TrapsFound(Failed):
    """Fails a phase of a test, otherwise passed, in which traps were found.

    ``findings`` is a list of findings, each with how often it was met.
    """

    def __init__(self, findings: list[Counted], failure: Failure) -> None:
        super().__init__(failure.message, pytrace=False)
        self.findings = findings
        #: What the report of the phase shows.
        self._longrepr = failure.longrepr


class PhaseResult:
    """What a phase of a test has shown."""

    def __init__(self) -> None:
        self.failing: list[Counted] = []
        self.records: list[logging.LogRecord] = []
        self.warnings: list[warnings.WarningMessage] = []


class Phases:
    """The phases of the test that runs, one after the other: setup, call, teardown."""

    #: Whether a phase runs. Reports that pytest makes before it ends are those of subtests.
    running: bool
    #: The phase that runs, or ran last: setup, call or teardown.
    when: str
    #: What the phase that has just ended has shown; None where that is nothing.
    result: PhaseResult | None

    def __init__(
        self,
        config: pytest.Config,
        watch: Watch,
        log: AsyncioLog,
        arming: Arming,
        owners: Owners,
        pipeline: FindingPipeline,
    ) -> None:
        self._config = config
        self._watch = watch
        self._log = log
        self._arming = arming
        self._owners = owners
        self._pipeline = pipeline
        self._reporter: Reporter = pipeline.reporter
        self.running = False
        self.when = ""
        self.result = None
        #: Whether the test has failed for another reason than traps.
        self._failed_otherwise = False
        #: Whether a phase of the test has failed because of traps.
        self._failed_for_traps = False

    def begin_test(self) -> None:
        """The set-up of a test is about to begin."""
        self._failed_otherwise = self._failed_for_traps = False
        self._watch.warning_monitor.begin_test()
        self._log.records.clear()

    def close(self, when: str) -> bool:
        """The phase ``when`` ends. Returns whether it has shown anything."""
        self.running = False
        watch, log = self._watch, self._log
        if when == "teardown":
            # Not a method, and not guards: this runs at every test.
            self._owners.tenure.ended = True
            if watch.busy:
                self._arming.judge(final=False)
            if self._arming.third_party_judges:
                self._arming.judge_third_party(final=False)
            self._owners.end_test()
        if not (watch.found or log.records or watch.warning_monitor.shown):
            self.result = None
            return False
        self.result = result = PhaseResult()
        if watch.found:
            result.failing = self._pipeline.process(watch.take(), when, self._owners.running)
        if log.records:
            result.records = list(log.records)
            log.records.clear()
        if watch.warning_monitor.shown:
            result.warnings, watch.warning_monitor.shown = watch.warning_monitor.shown, []
        return True

    def fail_for_traps(
        self, item: pytest.Item, when: str, raised: BaseException | None = None
    ) -> None:
        """Raise `TrapsFound` if the phase has to fail, unless the test has failed otherwise.

        Its reports say whether it has, see `complete`. The exception is a test with a strict
        ``xfail`` marker that passes: pytest fails it without an exception, and at that moment the
        plugin may have no hook for reports.

        ``raised`` is the skip that has ended the phase, if one has.
        """
        failing = self.result.failing if self.result is not None else []
        if not failing or self._failed_otherwise:
            return
        if when == "teardown" and not self._failed_for_traps and is_to_fail(item):
            return
        failing += self._carried_by(raised, when)
        self._failed_for_traps = True
        raise TrapsFound(failing, self._reporter.failure(failing, place_of_item(item)))

    def _carried_by(self, exc: BaseException | None, when: str) -> list[Counted]:
        """What fails the phase of the findings that an exception of asyncio's checks carries."""
        if exc is not None and not is_any(exc, *_SKIPS):
            self._watch.events.phase_raised(exc, when)
        carried = list(take_carried(exc))
        return self._pipeline.process(carried, when, self._owners.running) if carried else []

    # -- reports ----------------------------------------------------------

    def complete(
        self, item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport
    ) -> None:
        """Add to the report of a phase what the phase has shown."""
        if self.running:
            return  # the report of a subtest: traps belong to the test
        result, self.result = self.result or PhaseResult(), None
        value = call.excinfo.value if call.excinfo is not None else None
        if isinstance(value, TrapsFound):
            report.longrepr = value._longrepr
        else:
            result.failing += self._carried_by(value, call.when)
            if _is_from_ending(value, result.failing):
                # Its traceback says less: it ends in asyncio's own code.
                report.longrepr = self._reporter.failure(
                    result.failing, place_of_item(item)
                ).longrepr
            elif result.failing:
                text = self._reporter.text(result.failing)
                report.sections.append((f"asyncio traps ({report.when})", text))
        if result.failing and report.skipped and not hasattr(report, "wasxfail"):
            # unittest's skip has replaced what was raised.
            report.outcome = "failed"
            report.longrepr = self._reporter.failure(result.failing, place_of_item(item)).longrepr
        elif (report.failed or hasattr(report, "wasxfail")) and not isinstance(value, TrapsFound):
            self._failed_otherwise = True
        warned = any(record.levelno >= logging.WARNING for record in result.records)
        if report.failed or result.failing or warned:
            with self._watch.faults.guard("report sections"):
                self._attach(report, result)

    def _attach(self, report: pytest.TestReport, result: PhaseResult) -> None:
        """Add log records and warnings of the phase to its report, as sections."""
        records = result.records
        if shows_log(self._config):  # pytest shows those that pass the logger's level
            records = [record for record in records if not self._log.passes(record)]
        if records:
            report.sections.append((f"Captured asyncio log {report.when}", log_text(records)))
        shown = [
            w for w in result.warnings if issubclass(w.category, (RuntimeWarning, ResourceWarning))
        ]
        if shown:
            text = warnings_text(shown)
            report.sections.append((f"Captured asyncio warnings {report.when}", text))


def _is_from_ending(exc: BaseException | None, failing: list[Counted]) -> bool:
    """Whether ``exc`` says no more than that the plugin has ended a deadlock."""
    found = any(finding.kind == Deadlock.kind for finding, _ in failing)
    return found and is_from_ending(exc) and ask(exc, "__notes__") is None
