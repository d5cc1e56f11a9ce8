"""What becomes of a finding: the verdict, who is told, and the end of the run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..compat.pytest import expected_failure
from ..core.reprs import text_of
from ..core.watch import Watch
from ..model.finding import Finding
from ..model.text import LIMIT, clean, shorten
from ..options import Settings
from ..policy.filters import AsyncioTrapWarning, Filters, Verdict, module_of
from ..policy.finding_hook import FindingHook
from ..policy.kinds import Kinds
from ..policy.policy import Policy
from ..reports.terminal import Reporter
from .asyncio_log import AsyncioLog

if TYPE_CHECKING:
    from ..baseline.run import BaselineRun
    from ..model.causes import Counted


class Phase:
    """What a phase of a test has shown."""

    def __init__(self) -> None:
        self.failing: list[Counted] = []
        self.records: list[logging.LogRecord] = []
        self.warnings: list[warnings.WarningMessage] = []


class FindingPipeline:
    """From the findings of a run to failures, warnings, reports and files."""

    reporter: Reporter
    baseline: BaselineRun | None
    policy: Policy

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        watch: Watch,
        log: AsyncioLog,
        kinds: Kinds,
        find_item: Callable[[str], pytest.Item | None],
    ) -> None:
        self._config = config
        self._settings = settings
        self._watch = watch
        self._log = log
        self._kinds = kinds
        self._find_item = find_item
        self.reporter = Reporter(config.rootpath, config.invocation_params.dir)
        self.baseline = _baseline_run(config, settings, self.reporter, kinds)
        self._filters = Filters(config)
        amending = FindingHook(config, kinds)
        self.policy = Policy(
            settings.rules, settings.strict, self._knows, self._raises, amending.amended
        )
        self._told_once: set[str] = set()

    # -- decisions --------------------------------------------------------

    def settle(self, findings: list[Finding], when: str, here: str | None) -> list[Counted]:
        """Decide about findings; returns those that fail the phase ``when`` of ``here``."""
        failing, warned = self.policy.settle(findings, when, here, self._find_item)
        for finding, count in warned:
            # What belongs to no test is found by each worker of pytest-xdist, and told once,
            # by the controller.
            if finding.owner.nodeid or not is_worker(self._config):
                self.warn(finding, count)
        return failing

    def warn(self, finding: Finding, count: int) -> None:
        """Add ``finding`` to pytest's summary of warnings, unless a filter says otherwise."""
        verdict, headline = self._filtered(finding), self.reporter.headline(finding)
        if verdict == "ignore" or (verdict == "once" and headline in self._told_once):
            return
        self._told_once.add(headline)
        place, item = finding.place, self._find_item(finding.owner.nodeid)
        path, line = str(self._config.rootpath), 0
        if place is not None:
            path, line = place.path, place.line
        elif item is not None:
            path, line = place_of_item(item)  # the test's own line, for want of another
        text = "\n".join([self.reporter.headline(finding, count), *self.reporter.details(finding)])
        message = warnings.WarningMessage(
            AsyncioTrapWarning(text),
            AsyncioTrapWarning,
            path,
            line,
        )
        # Not warnings.warn(), which heeds the filters of whatever runs just now.
        with self._watch.faults.user_code:
            self._config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": message,
                    "when": "runtest",
                    "nodeid": finding.owner.nodeid,
                    "location": None,
                }
            )

    def _knows(self, finding: Finding) -> bool:
        """Whether the baseline knows ``finding``. If that cannot be said, no test is to fail."""
        with self._watch.faults.guard("baseline"):
            return self.baseline is not None and self.baseline.knows(finding)
        return True

    def _raises(self, finding: Finding) -> bool:
        """Whether a filter makes an error of ``finding``."""
        with self._watch.faults.guard("warning filters"):
            return self._filtered(finding) == "error"
        return False

    def _filtered(self, finding: Finding) -> Verdict:
        place, item = finding.place, self._find_item(finding.owner.nodeid)
        module = module_of(place.path, self.reporter.relative) if place else ""
        text = self.reporter.headline(finding)
        return self._filters.verdict(text, module, place.line if place else 0, item)

    # -- reports ----------------------------------------------------------

    def attach(self, report: pytest.TestReport, phase: Phase) -> None:
        """Add what was logged and warned of in ``phase`` to its report."""
        shown_by_pytest = self._config.pluginmanager.hasplugin("logging-plugin")
        records = [
            record for record in phase.records if not (shown_by_pytest and self._log.passes(record))
        ]
        if records:
            text = "\n".join(
                clean(f"{shorten(str(record.levelname), 50)} {line}")
                for record in records
                for line in _lines(_message(record))
            )
            report.sections.append((f"Captured asyncio log {report.when}", text))
        shown = [
            w for w in phase.warnings if issubclass(w.category, (RuntimeWarning, ResourceWarning))
        ]
        if shown:
            text = "\n".join(
                clean(f"{w.category.__name__} {w.filename}:{w.lineno} {line}")
                for w in shown
                for line in _lines(text_of(w.message))
            )
            report.sections.append((f"Captured asyncio warnings {report.when}", text))

    def emit_late(self) -> None:
        """Report, as further failures of the guilty tests, what has shown since."""
        for report in self.late_reports():
            with self._watch.faults.user_code:
                self._config.hook.pytest_runtest_logreport(report=report)

    def late_reports(self) -> list[pytest.TestReport]:
        """What `emit_late` has to report."""
        late, self.policy.deferred = self.policy.deferred, {}
        reports = []
        for nodeid, findings in late.items():
            with self._watch.faults.guard("late reports"):
                reports.append(self._late_report(nodeid, findings))
        return reports

    def _late_report(self, nodeid: str, findings: list[Counted]) -> pytest.TestReport:
        item = self._find_item(nodeid)
        location: tuple[str, int | None, str] = (nodeid.split("::")[0], None, nodeid)
        fallback = (nodeid.split("::")[0], 1)
        if item is not None:
            location, fallback = item.location, place_of_item(item)
        report = pytest.TestReport(
            nodeid=nodeid,
            location=location,
            keywords=dict.fromkeys(item.keywords, 1) if item is not None else {},
            outcome="failed",
            longrepr=self.reporter.failure(findings, fallback),
            when="call",
        )
        reason = expected_failure(item) if item is not None else None
        if reason is not None:
            report.outcome = "skipped"
            report.wasxfail = reason
        return report

    # -- the end of the run -----------------------------------------------

    def finish(self, session: pytest.Session, interrupted: bool) -> None:
        """Everything is judged: decide about the run."""
        guard = self._watch.faults.guard
        with guard("what belongs to no test"):
            if self.policy.nobodys():
                session.testsfailed += 1  # strict: what belongs to no test fails the run
        with guard("idle rules and markers"):
            if self._idle():
                session.testsfailed += 1
        with guard("late reports"):
            self.emit_late()
        failed = self._watch.faults.all() or self._kinds.faults.all()
        broken = "a part of the plugin failed" if failed else ""
        findings = [finding for finding, _ in self.policy.settled]
        with guard("baseline"):
            if self.baseline is not None and self.baseline.finish(findings, interrupted, broken):
                session.testsfailed += 1

    def _idle(self) -> list[str]:
        """The ``allow`` rules and markers that strict calls idle."""
        if not self._settings.strict or self._watch.failed:
            return []
        return self.policy.idle(rules=not _narrowed(self._config))

    def summarize(self, terminal: pytest.TerminalReporter) -> None:
        """Say what was found, and what could not be watched."""
        nobodys = self.policy.nobodys()
        idle = self._idle()
        news = self.baseline.news() if self.baseline is not None else []
        if self.policy.settled or idle or news:
            terminal.section("asyncio traps")
            verbosity = self._config.get_verbosity()
            for line in self.reporter.summary(self.policy.settled, verbosity):
                terminal.line(line)
        if nobodys:
            terminal.line("These belong to no test, and fail the run:", red=True)
            terminal.line(self.reporter.text(nobodys))
        for text in idle:
            terminal.line(f"The {text} allowed nothing: remove it.", red=True)
        for text, bad in news:
            terminal.line(text, red=bad)
        if self.policy.settled or self._config.get_verbosity() > 0:
            for what, reason in sorted(self._watch.blind_spots.items()):
                terminal.line(f"Not watched: {what}: {reason}.")

    def write_reports(self) -> None:
        """Write what ``--asyncio-traps-report`` asks for. A fault in one is told, as ours."""
        if not self._settings.reports:
            return
        # Most runs can do without.
        from importlib import metadata

        from ..reports.run import Run
        from ..reports.writing import write

        run = Run(
            self.policy.settled,
            self._watch.blind_spots,
            [*self._watch.faults.all(), *self._kinds.faults.all()],
            {"tool": metadata.version("pytest-asyncio-traps"), "pytest": pytest.__version__},
            self._config.rootpath,
            self.reporter.relative,
            self._kinds.traps,
        )
        for path in self._settings.reports:
            with self._watch.faults.guard(f"report {path}"):
                write(path, run)


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist: known once it is configured."""
    return hasattr(config, "workeroutput")


def _narrowed(config: pytest.Config) -> bool:
    """Whether the command line asks for a part of the suite: what it allows may be in the other."""
    names = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "collectonly")
    if any(config.getoption(name, None) for name in (*names, "stepwise")):
        return True
    start = config.invocation_params.dir
    return any("::" in arg or Path(start, arg).is_file() for arg in config.args)


def _baseline_run(
    config: pytest.Config, settings: Settings, reporter: Reporter, kinds: Kinds
) -> BaselineRun | None:
    if settings.baseline is None:
        return None
    from ..baseline.run import BaselineRun  # most runs can do without

    def can_find(kind: str) -> bool:
        trap = kinds.find(kind)
        return trap is not None and settings.turns_on(trap)

    def is_steady(kind: str) -> bool:
        trap = kinds.find(kind)
        return trap is not None and trap.steady

    return BaselineRun(
        config,
        settings.baseline,
        settings.known,
        update=settings.update,
        strict=settings.strict,
        rules=settings.rules,
        can_find=can_find,
        is_steady=is_steady,
        relative=reporter.relative,
    )


def _lines(text: str | None) -> list[str]:
    """What is shown of a message, which may be endless."""
    return [shorten(line) for line in shorten(text or "", 10 * LIMIT).splitlines()]


def _message(record: logging.LogRecord) -> str | None:
    """The text of ``record``, even if its arguments do not fit."""
    try:
        return str.__str__(record.getMessage())
    except Exception:
        return text_of(record.msg)


def place_of_item(item: pytest.Item) -> tuple[str, int]:
    """The file and line, from 1 on, at which ``item`` begins."""
    path, line, _ = item.reportinfo()
    return str(path), (line or 0) + 1
