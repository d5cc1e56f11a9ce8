"""A plugin of pytest's that writes down what became of each test, as it happens.

It is copied beside the suite, and loaded in both runs. Each line of the file that
``CONFORMANCE_RECORD`` names is an object of JSON, so that what a run which crashed had done
until then can be read.
"""

from __future__ import annotations

import json
import os
from typing import IO, Any

import pytest

#: How much of a message is kept, in characters.
LIMIT = 4000


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(os.environ["CONFORMANCE_RECORD"]), "conformance")


class Recorder:
    """Writes a line for each report."""

    def __init__(self, path: str) -> None:
        # Not inherited by what the tests start, nor in the way of tests that count descriptors.
        self._file: IO[str] = open(path, "a", encoding="utf-8")
        self._process = os.getpid()

    def _write(self, **line: Any) -> None:
        if os.getpid() == self._process:  # a test may fork, and forget to end the child
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
            # pytest 9 and pytest-subtests: the report of a subtest is of a class of its own.
            when="subtest" if "Subtest" in type(report).__name__.title() else report.when,
            outcome=outcome,
            message=_message(report) if not report.passed else "",
        )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._write(nodeid="", when="end", outcome=str(int(exitstatus)), message="")


def _message(report: Any) -> str:
    """Why a test failed or was skipped."""
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):  # of a skipped test: path, line, reason
        return str(longrepr[2])[:LIMIT]
    crash = getattr(longrepr, "reprcrash", None)
    text = str(crash.message) if crash is not None else str(longrepr)
    return text[:LIMIT]
