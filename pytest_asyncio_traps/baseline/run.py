"""The baseline in a run of pytest: known findings, stale entries, and the file to write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..model.files import write_whole
from ..model.finding import Finding
from ..model.run_error import NOT_WRITTEN, STALE, RunError
from ..model.sources import Sources
from ..model.text import clean
from ..policy.rules import OFF, Rule
from .comparison import BaselineComparison, Result, RunCoverage
from .file import Entry, key_of, render


class BaselineRun:
    """The baseline of a run, and what the run has covered of the suite."""

    #: The file of the baseline.
    path: Path
    #: Whether it matters which tests have run, and with what outcomes.
    follows: bool
    coverage: RunCoverage
    #: The stale entries, which fail the run.
    stale: list[Entry]
    #: What was written, or why nothing was written; empty if the file was written.
    result: Result | None
    failure: str

    def __init__(
        self,
        config: pytest.Config,
        path: Path,
        entries: Sequence[Entry],
        *,
        update: bool,
        strict: bool,
        rules: Sequence[Rule],
        can_find: Callable[[str], bool],
        is_steady: Callable[[str], bool],
        relative: Callable[[str], str],
    ) -> None:
        """``entries`` are those of the file ``path``, which the run rewrites if ``update``.

        ``can_find`` says of a kind whether it is armed in this run, and ``is_steady`` whether it
        shows in every run. ``relative`` turns an absolute path into one relative to the rootdir.
        """
        self._config = config
        self.path = path
        self._update = update
        self._rules = rules
        self._armed = can_find
        self._is_steady = is_steady
        sources = Sources()
        self._comparison = BaselineComparison(
            entries,
            lambda finding: key_of(finding, relative, sources),
            self._can_find,
        )
        self.follows = strict or update
        self.coverage = RunCoverage()
        self.stale = []
        self.result = None
        self.failure = ""

    def knows(self, finding: Finding) -> bool:
        """Whether the baseline has ``finding`` or, where the run rewrites it, is to have it."""
        return self._update or self._comparison.knows(finding)

    # -- what the run covers of the suite ---------------------------------

    def file_collected(self, collector: pytest.Collector, report: pytest.CollectReport) -> None:
        """A file, a folder or a class was collected."""
        if report.failed:
            self.coverage.broken = "a file could not be collected"
        elif report.passed and isinstance(collector, pytest.File):
            self.coverage.files.add(collector.nodeid)

    def items_collected(self, items: Iterable[pytest.Item]) -> None:
        """These tests were collected, and none of them is deselected yet."""
        self.coverage.collected.update(item.nodeid for item in items)

    def items_selected(self, items: Iterable[pytest.Item]) -> None:
        """These tests will run. The others count as deselected, even if no plugin says so."""
        selected = {item.nodeid for item in items}
        self.coverage.deselected.update(self.coverage.collected - selected)
        self.coverage.collected |= selected

    def items_deselected(self, items: Iterable[pytest.Item]) -> None:
        """These tests will not run."""
        self.coverage.deselected.update(item.nodeid for item in items)

    def add_report(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        outcome: str = report.outcome
        if report.skipped and hasattr(report, "wasxfail"):
            outcome = "xfailed"
        self.coverage.add(report.nodeid, report.when, outcome)

    def pack(self) -> dict[str, Any]:
        """In a worker of pytest-xdist: what the controller cannot know, as plain values."""
        coverage = self.coverage
        return {
            "collected": sorted(coverage.collected),
            "deselected": sorted(coverage.deselected),
            "files": sorted(coverage.files),
            "broken": coverage.broken,
        }

    def unpack(self, data: dict[str, Any]) -> None:
        """In the controller: add what a worker has packed."""
        coverage = self.coverage
        coverage.collected.update(data["collected"])
        coverage.deselected.update(data["deselected"])
        coverage.files.update(data["files"])
        coverage.broken = coverage.broken or data["broken"]

    # -- the end of the run -------------------------------------------------

    def finish(self, findings: Iterable[Finding], interrupted: bool, broken: str) -> bool:
        """Find stale entries, or rewrite the file; returns whether that fails the run.

        ``broken`` says why this run cannot show that an entry is stale; it is empty if it can.
        """
        if not self.follows:
            return False
        coverage = self.coverage
        coverage.broken = coverage.broken or broken or self._narrowed()
        if interrupted:
            coverage.broken = "the run was interrupted"
        coverage.covers = self._covers
        coverage.exists = lambda file: os.path.lexists(self._config.rootpath / file)
        if not self._update:
            self.stale = self._comparison.stale(findings, coverage, self._is_steady)
            return bool(self.stale)
        if self._config.getoption("collectonly", False):
            return False
        if interrupted:
            self.failure = "the run was interrupted"
            return True
        self.result = self._comparison.updated(findings, coverage)
        return not self._write(self.result.entries)

    def errors(self) -> list[RunError]:
        """Why the baseline fails the run, once `finish` was called."""
        path = str(self.path)
        if self.failure:
            text = f"baseline not written, file left unchanged: {self.failure}"
            return [RunError(NOT_WRITTEN, clean(text), path)]
        return [
            RunError(STALE, clean(f"stale baseline entry: {_described(entry)}"), path, entry.line)
            for entry in self.stale
        ]

    def _write(self, entries: Iterable[Entry]) -> bool:
        path = self.path
        text = render(entries)
        try:
            before = path.read_bytes() if path.exists() else b""
            if b"\r\n" in before:
                text = text.replace("\n", "\r\n")
            data = text.encode()
            if data != before:
                write_whole(path, data)
        except OSError as exc:
            self.failure = str(exc.strerror or exc)
            return False
        return True

    def _narrowed(self) -> str:
        """Why pytest may have left out tests without deselecting them; empty if it has not."""
        if any("::" in arg for arg in self._config.args):
            return "single tests were asked for"
        if self._config.getoption("lf", False):
            return "the last failures were asked for"
        return ""

    def _covers(self, file: str) -> bool:
        """Whether the command line asks for the whole folder of ``file``, or a folder above."""
        config = self._config
        if config.getoption("ignore", None) or config.getoption("ignore_glob", None):
            return False
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            return True
        path = Path(os.path.normpath(config.rootpath / file))
        start = config.invocation_params.dir
        folders = [Path(os.path.normpath(start / arg)) for arg in config.args]
        return any(folder.is_dir() and path.is_relative_to(folder) for folder in folders)

    def _can_find(self, kind: str) -> bool:
        return self._armed(kind) and not _hidden(kind, self._rules)


def _described(entry: Entry) -> str:
    key = entry.key
    where = " ".join(part for part in (key.kind, key.path, key.function) if part)
    return f"{where}: {key.code}" if key.code else where


def _hidden(kind: str, rules: Iterable[Rule]) -> bool:
    """Whether a rule ``off`` may hide findings of ``kind``."""
    hidden = False
    for rule in rules:
        if rule.kind in (None, kind):
            if rule.action == OFF:
                hidden = True
            elif rule.pattern is None:
                hidden = False
    return hidden
