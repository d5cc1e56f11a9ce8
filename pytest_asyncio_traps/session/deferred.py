"""Failures of tests that have ended: findings that show only after the reports of their tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ..compat.pytest import expected_failure
from ..core.faults import Faults
from ..model.finding import Finding
from ..reports.terminal import Reporter

if TYPE_CHECKING:
    from ..model.causes import Counted


class DeferredFailures:
    """What fails tests that have ended, by nodeid, until it is reported as a further failure."""

    def __init__(
        self,
        reporter: Reporter,
        find_item: Callable[[str], pytest.Item | None],
        faults: Faults,
    ) -> None:
        self._reporter = reporter
        self._find_item = find_item
        self._faults = faults
        self._waiting: dict[str, list[Counted]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, finding: Finding, count: int) -> None:
        """``finding`` fails the test of its owner."""
        self._waiting.setdefault(finding.owner.nodeid, []).append((finding, count))

    def take_reports(self) -> list[pytest.TestReport]:
        """A failed report for each test for which something waits."""
        waiting, self._waiting = self._waiting, {}
        reports = []
        for nodeid, findings in waiting.items():
            with self._faults.guard("late reports"):
                reports.append(self._report(nodeid, findings))
        return reports

    def send(self, config: pytest.Config) -> None:
        """Pass what waits to all plugins, as reports of pytest's."""
        for report in self.take_reports():
            with self._faults.user_code:
                config.hook.pytest_runtest_logreport(report=report)

    def _report(self, nodeid: str, findings: list[Counted]) -> pytest.TestReport:
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
            longrepr=self._reporter.failure(findings, fallback).longrepr,
            when="call",
        )
        reason = expected_failure(item) if item is not None else None
        if reason is not None:
            report.outcome = "skipped"
            report.wasxfail = reason
        return report


def place_of_item(item: pytest.Item) -> tuple[str, int]:
    """The file of ``item``, and the line, from 1 on, at which it begins."""
    path, line, _ = item.reportinfo()
    return str(path), (line or 0) + 1
