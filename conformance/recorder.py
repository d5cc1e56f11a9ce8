"""A pytest plugin that records the outcome of each test as soon as it is known.

It is copied next to the suite, and loaded in both runs. It writes a JSON object per line to the
file that ``CONFORMANCE_RECORD`` names, so that the record of a run that crashes can be read.
"""

from __future__ import annotations

import json
import os
from typing import IO, Any

import pytest

#: The longest message that is recorded, in characters.
LIMIT = 4000


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(os.environ["CONFORMANCE_RECORD"]), "conformance")


class Recorder:
    """Writes a line for each report of pytest."""

    def __init__(self, path: str) -> None:
        # Opened once: tests may count file descriptors. Child processes do not inherit it.
        self._file: IO[str] = open(path, "a", encoding="utf-8")
        self._process = os.getpid()

    def _write(self, **line: Any) -> None:
        if os.getpid() == self._process:  # a test may fork and fail to end the child
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(nodeid=nodeid, when="start", outcome="", message="")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self._write(
                nodeid=report.nodeid,
                when="collect",
                outcome=report.outcome,
                message=_message(report),
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome: str = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if report.skipped else "xpassed"
        self._write(
            nodeid=report.nodeid,
            # pytest 9 and pytest-subtests report a subtest by a subclass of TestReport.
            when="subtest" if "Subtest" in type(report).__name__.title() else report.when,
            outcome=outcome,
            message=_message(report) if not report.passed else "",
        )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._write(nodeid="", when="end", outcome=str(int(exitstatus)), message="")


def _message(report: Any) -> str:
    """The reason why a test failed or was skipped."""
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):  # path, line and reason of a skipped test
        return str(longrepr[2])[:LIMIT]
    crash = getattr(longrepr, "reprcrash", None)
    text = str(crash.message) if crash is not None else str(longrepr)
    return text[:LIMIT]
