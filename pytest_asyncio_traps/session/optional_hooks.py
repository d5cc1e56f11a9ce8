"""Hooks that a run needs only in strict mode, or with a baseline."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from .guards import Guarded
from .lifecycle import Lifecycle

if TYPE_CHECKING:
    from ..baseline.run import BaselineRun


class StrictHooks(Guarded):
    """Notes which tests have run, so that unused markers are known."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.lifecycle.pipeline.usage.add_report(report)


class BaselineHooks(Guarded):
    """Notes which tests were collected, selected and run, so that stale entries are known."""

    def __init__(self, lifecycle: Lifecycle, baseline: BaselineRun) -> None:
        super().__init__(lifecycle.watch.faults)
        self.baseline = baseline
        self._guard = lifecycle.watch.faults.guard("baseline")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        report = yield
        with self._guard:
            self.baseline.file_collected(collector, report)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        with self._guard:
            self.baseline.items_collected(items)
        return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        with self._guard:
            self.baseline.items_selected(session.items)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        with self._guard:
            self.baseline.items_deselected(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        with self._guard:
            self.baseline.add_report(report)
