"""The end of a run: what fails the run as a whole, the summary, and the files of reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..compat.pytest import add_error, add_to_junit
from ..core.faults import Fault
from ..core.reprs import shown
from ..core.watch import Watch
from ..model.run_error import FAULT, FINDING, UNUSED_MARKER, UNUSED_RULE, RunError
from ..model.text import clean
from ..options import Settings
from ..policy.kinds import Kinds
from .hangs import HangRecords
from .pipeline import FindingPipeline

if TYPE_CHECKING:
    from ..model.causes import Counted


class RunEnd:
    """Closes a run whose findings are all decided about. Not used in workers of pytest-xdist."""

    #: What fails the run and belongs to no test.
    errors: list[RunError]

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        watch: Watch,
        kinds: Kinds,
        pipeline: FindingPipeline,
        hangs: HangRecords,
    ) -> None:
        self._config = config
        self._settings = settings
        self._watch = watch
        self._kinds = kinds
        self._pipeline = pipeline
        self.errors = []
        self._hangs = hangs

    def finish(self, session: pytest.Session, interrupted: bool) -> None:
        """Count what fails the run itself as failures, and report what is deferred."""
        guard = self._watch.faults.guard
        pipeline = self._pipeline
        with guard("what belongs to no test"):
            self.errors += map(_error_of, pipeline.decided.without_test())
        with guard("unused rules and markers"):
            self.errors += self._unused()
        with guard("late reports"):
            pipeline.deferred.send(self._config)
        broken = "a part of the plugin failed" if self._faults() else ""
        findings = [finding for finding, _ in pipeline.decided.findings]
        with guard("baseline"):
            baseline = pipeline.baseline
            if baseline is not None:
                baseline.finish(findings, interrupted, broken)
                self.errors += baseline.errors()
        session.testsfailed += len(self.errors)

    def _faults(self) -> list[Fault]:
        """The faults of the plugin and of its extensions."""
        return [*self._watch.faults.all(), *self._kinds.faults.all()]

    def _unused(self) -> Iterator[RunError]:
        """In strict mode, the ``allow`` rules and markers that have allowed nothing.

        After a fault, what they allow may not have been found.
        """
        if not self._settings.strict or self._faults():
            return
        if not _is_narrowed(self._config):
            for rule in self._pipeline.policy.rulebook.unused_allows():
                text = f"unused rule: {shown(rule.text)} allowed nothing"
                if Path(rule.where).is_absolute():
                    yield RunError(UNUSED_RULE, text, rule.where)
                else:
                    yield RunError(UNUSED_RULE, text, subject=rule.where)
        for nodeid, marker in self._pipeline.usage.unused():
            text = f"unused marker: {marker} allowed nothing"
            yield RunError(UNUSED_MARKER, text, subject=nodeid)

    def summarize(self, terminal: pytest.TerminalReporter) -> None:
        """Print what was found, and what could not be watched."""
        pipeline, verbosity = self._pipeline, self._config.get_verbosity()
        findings = pipeline.decided.findings
        if not findings and not self.errors and pipeline.baseline is None and verbosity <= 0:
            return
        from ..reports import summary  # not needed in most runs

        words = summary.Summary(pipeline.reporter)
        start = self._config.invocation_params.dir
        about_baseline = summary.baseline_lines(pipeline.baseline, start)
        if findings or self.errors or about_baseline:
            terminal.section("asyncio traps")
            for text in words.causes(findings, verbosity):
                terminal.line(text)
        lines = words.errors(self.errors, pipeline.decided.without_test()) + about_baseline
        if findings or verbosity > 0:
            lines += summary.blind_lines(self._watch.blind_spots)
        for text, bad in lines:
            terminal.line(text, red=bad)
        for error in self.errors:
            add_error(terminal, clean(error.where(pipeline.reporter.from_start)), error.text)

    def add_to_junit(self) -> None:
        """Add the errors of the run, and in strict mode the faults, to the report of pytest."""
        errors = list(self.errors)
        if self._settings.strict:
            for fault in self._faults():
                text = f"fault in {fault.part}: {fault.text.rstrip().rpartition(chr(10))[2]}"
                errors.append(RunError(FAULT, clean(text), subject=fault.part))
        for error in errors:
            where = clean(error.where(self._pipeline.reporter.from_start))
            add_to_junit(self._config, "pytest-asyncio-traps", where, error.text)

    def write_reports(self) -> None:
        """Write the files of ``--asyncio-traps-report``. If one fails, the others are written."""
        if not self._settings.reports:
            return
        # Not needed in most runs.
        from importlib import metadata

        from ..reports.run import Run
        from ..reports.writing import write

        run = Run(
            self._pipeline.decided.findings,
            self._watch.blind_spots,
            self._faults(),
            {"tool": metadata.version("pytest-asyncio-traps"), "pytest": pytest.__version__},
            self._config.rootpath,
            self._pipeline.reporter.relative,
            self._kinds.traps,
            self._hangs.all,
            errors=self.errors,
        )
        for path in self._settings.reports:
            with self._watch.faults.guard(f"report {path}"):
                write(path, run)


def _error_of(counted: Counted) -> RunError:
    """The error that a finding without a test is."""
    finding, _ = counted
    text = clean(f"{finding.kind}: {finding.summary}")
    if finding.place is None:
        return RunError(FINDING, text, subject=finding.owner.name or "no test")
    return RunError(FINDING, text, finding.place.path, finding.place.line)


def _is_narrowed(config: pytest.Config) -> bool:
    """Whether the run may be one of a part of the suite, so that a rule may be used in the rest."""
    names = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "collectonly")
    if any(config.getoption(name, None) for name in (*names, "stepwise")):
        return True
    start = config.invocation_params.dir
    return any("::" in arg or Path(start, arg).is_file() for arg in config.args)
