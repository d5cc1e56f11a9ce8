"""The end of a run: what fails the run as a whole, the summary, and the files of reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..core.reprs import shown
from ..core.watch import Watch
from ..options import Settings
from ..policy.kinds import Kinds
from .hangs import HangRecords
from .pipeline import FindingPipeline


class RunEnd:
    """Closes a run whose findings are all decided about. Not used in workers of pytest-xdist."""

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
        self._hangs = hangs

    def finish(self, session: pytest.Session, interrupted: bool) -> None:
        """Count what fails the run itself as failures, and report what is deferred."""
        guard = self._watch.faults.guard
        pipeline = self._pipeline
        with guard("what belongs to no test"):
            if pipeline.decided.without_test():
                session.testsfailed += 1
        with guard("idle rules and markers"):
            if self._unused():
                session.testsfailed += 1
        with guard("late reports"):
            pipeline.deferred.send(self._config)
        failed = self._watch.faults.all() or self._kinds.faults.all()
        broken = "a part of the plugin failed" if failed else ""
        findings = [finding for finding, _ in pipeline.decided.findings]
        with guard("baseline"):
            baseline = pipeline.baseline
            if baseline is not None and baseline.finish(findings, interrupted, broken):
                session.testsfailed += 1

    def _unused(self) -> list[str]:
        """In strict mode, the ``allow`` rules and markers that have allowed nothing."""
        if not self._settings.strict or self._watch.failed:
            return []
        rules = [] if _is_narrowed(self._config) else self._pipeline.policy.rulebook.unused_allows()
        return [f"rule {shown(rule.text)}" for rule in rules] + self._pipeline.usage.unused()

    def summarize(self, terminal: pytest.TerminalReporter) -> None:
        """Print what was found, and what could not be watched."""
        pipeline, verbosity = self._pipeline, self._config.get_verbosity()
        findings, unused = pipeline.decided.findings, self._unused()
        if not findings and not unused and pipeline.baseline is None and verbosity <= 0:
            return
        from ..reports import summary  # not needed in most runs

        words = summary.Summary(pipeline.reporter)
        start = self._config.invocation_params.dir
        about_baseline = summary.baseline_lines(pipeline.baseline, start)
        if findings or unused or about_baseline:
            terminal.section("asyncio traps")
            for text in words.causes(findings, verbosity):
                terminal.line(text)
        lines = words.without_test(pipeline.decided.without_test())
        lines += [*summary.unused_lines(unused), *about_baseline]
        if findings or verbosity > 0:
            lines += summary.blind_lines(self._watch.blind_spots)
        for text, bad in lines:
            terminal.line(text, red=bad)

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
            [*self._watch.faults.all(), *self._kinds.faults.all()],
            {"tool": metadata.version("pytest-asyncio-traps"), "pytest": pytest.__version__},
            self._config.rootpath,
            self._pipeline.reporter.relative,
            self._kinds.traps,
            self._hangs.all,
        )
        for path in self._settings.reports:
            with self._watch.faults.guard(f"report {path}"):
                write(path, run)


def _is_narrowed(config: pytest.Config) -> bool:
    """Whether the run may be one of a part of the suite, so that a rule may be used in the rest."""
    names = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "collectonly")
    if any(config.getoption(name, None) for name in (*names, "stepwise")):
        return True
    start = config.invocation_params.dir
    return any("::" in arg or Path(start, arg).is_file() for arg in config.args)
