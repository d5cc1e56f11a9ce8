"""The baseline in a run of pytest: what is known, what is over, and the file that is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..model.files import write_whole
from ..model.finding import Finding
from ..model.sources import Sources
from ..model.text import clean
from ..policy.rules import OFF, Rule
from .comparison import BaselineComparison, Result, RunCoverage
from .file import Entry, key_of, render


class BaselineRun:
    """Holds the findings of a run against the baseline, where there is one."""

    follows: bool
    coverage: RunCoverage

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
        """``path`` is the file, and ``entries`` what it holds.

        ``can_find`` and ``is_steady`` say of a kind whether it is armed in this run, and whether
        it shows in every run; ``relative`` turns an absolute path into the one of the file.
        """
        self._config = config
        self._path = path
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
        #: Whether it matters which tests ran, and to which end.
        self.follows = strict or update
        self.coverage = RunCoverage()
        #: The entries that are over, and fail the run.
        self.stale: list[Entry] = []
        self._result: Result | None = None
        self._failure = ""

    def knows(self, finding: Finding) -> bool:
        """Whether ``finding`` is to be listed only."""
        return self._update or self._comparison.knows(finding)

    # -- what the run takes up of the suite -------------------------------

    def collected(self, collector: pytest.Collector, report: pytest.CollectReport) -> None:
        """A file, or whatever holds tests, was collected."""
        if report.failed:
            self.coverage.broken = "a file could not be collected"
        elif report.passed and isinstance(collector, pytest.File):
            self.coverage.files.add(collector.nodeid)

    def select(self, items: Iterable[pytest.Item]) -> None:
        """These were found, and nothing has left out any of them yet."""
        self.coverage.selected.update(item.nodeid for item in items)

    def leave(self, items: Iterable[pytest.Item]) -> None:
        """These are to run. Not every plugin says what it leaves out."""
        left = {item.nodeid for item in items}
        self.coverage.cut.update(self.coverage.selected - left)
        self.coverage.selected |= left

    def cut(self, items: Iterable[pytest.Item]) -> None:
        """These will not run."""
        self.coverage.cut.update(item.nodeid for item in items)

    def note(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        outcome: str = report.outcome
        if report.skipped and hasattr(report, "wasxfail"):
            outcome = "xfailed"
        self.coverage.note(report.nodeid, report.when, outcome)

    def pack(self) -> dict[str, Any]:
        """What the controller of pytest-xdist does not see."""
        coverage = self.coverage
        return {
            "selected": sorted(coverage.selected),
            "cut": sorted(coverage.cut),
            "files": sorted(coverage.files),
            "broken": coverage.broken,
        }

    def unpack(self, data: dict[str, Any]) -> None:
        """In the controller: take over what a worker has packed."""
        coverage = self.coverage
        coverage.selected.update(data["selected"])
        coverage.cut.update(data["cut"])
        coverage.files.update(data["files"])
        coverage.broken = coverage.broken or data["broken"]

    # -- the end of the run -------------------------------------------------

    def finish(self, findings: Iterable[Finding], interrupted: bool, broken: str) -> bool:
        """Judge the entries, or write them anew; returns whether that fails the run.

        ``broken`` says why the run was not one to judge by, if it was not.
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
            self._failure = f"{self._path}: not written, as the run was interrupted"
            return True
        self._result = self._comparison.updated(findings, coverage)
        return not self._write(self._result.entries)

    def _write(self, entries: Iterable[Entry]) -> bool:
        path = self._path
        text = render(entries)
        try:
            before = path.read_bytes() if path.exists() else b""
            if b"\r\n" in before:
                text = text.replace("\n", "\r\n")
            data = text.encode()
            if data != before:
                write_whole(path, data)
        except OSError as exc:
            self._failure = f"{path}: not written, and left as it was: {exc.strerror or exc}"
            return False
        return True

    def _narrowed(self) -> str:
        """Why pytest itself may have left out tests without saying so."""
        if any("::" in arg for arg in self._config.args):
            return "single tests were asked for"
        if self._config.getoption("lf", False):
            return "the last failures were asked for"
        return ""

    def _covers(self, file: str) -> bool:
        """Whether the run was asked for the folder of ``file``, with all that is in it."""
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

    # -- wording --------------------------------------------------------------

    def news(self) -> list[tuple[str, bool]]:
        """What became of the baseline, as lines, and whether each of them is bad news."""
        path = self._path
        lines = []
        name = clean(os.path.relpath(path, self._config.invocation_params.dir))
        if self._failure:
            lines.append((clean(self._failure), True))
        elif self._result is not None:
            result = self._result
            text = (
                f"{name}: {len(result.entries)} known "
                f"({result.new} new, {result.gone} gone, {result.unseen} not judged by this run)"
            )
            lines.append((text, False))
        for entry in self.stale:
            key = entry.key
            where = " ".join(part for part in (key.kind, key.path, key.function) if part)
            code = f": {key.code}" if key.code else ""
            lines.append((clean(f"No longer occurs: {where}{code}"), True))
        if self.stale:
            them = "it" if len(self.stale) == 1 else "them"
            text = f"Take {them} out of {name}, or have --asyncio-traps-update-baseline do so. "
            lines.append((f"{text}What shows in some runs only is kept by 'sometimes: yes'.", True))
        return lines


def _hidden(kind: str, rules: Iterable[Rule]) -> bool:
    """Whether the rules may drop findings of ``kind`` without a trace."""
    hidden = False
    for rule in rules:
        if rule.kind in (None, kind):
            if rule.action == OFF:
                hidden = True
            elif rule.pattern is None:
                hidden = False
    return hidden
