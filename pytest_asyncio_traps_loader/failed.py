"""Substitute for the plugin if its import fails.

An entry point that cannot be imported would keep pytest from starting. With this substitute, the
tests run without the plugin, and the summary reports why. With ``--asyncio-strict``, the run fails.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import traceback
import warnings
from collections.abc import Iterator

import pytest

#: The options that `pytest_asyncio_traps.options` declares, and whether each takes a value.
#: A test compares the two lists.
OPTIONS = {
    "--asyncio-traps": "value",
    "--asyncio-strict": "flag",
    "--asyncio-slow-callback-duration": "value",
    "--asyncio-deadlock-duration": "value",
    "--asyncio-traps-hang": "value",
    "--asyncio-traps-report": "value",
    "--asyncio-traps-baseline": "value",
    "--asyncio-traps-update-baseline": "flag",
    "--asyncio-traps-explain": "optional",
}
INI = (
    "asyncio_traps",
    "asyncio_traps_strict",
    "asyncio_slow_callback_duration",
    "asyncio_deadlock_duration",
    "asyncio_traps_baseline",
    "asyncio_traps_hang",
)
MARKERS = ("asyncio_allow: see pytest-asyncio-traps", "asyncio_slow_callback_duration: likewise")

_HEADING = "a fault of pytest-asyncio-traps"


class Hooks:
    """Specifications of the plugin's hooks, so that implementations pass validation."""

    @pytest.hookspec
    def pytest_asyncio_traps_finding(self, finding: object, item: object) -> None:
        """See pytest-asyncio-traps."""

    @pytest.hookspec
    def pytest_asyncio_traps_kinds(self) -> None:
        """See pytest-asyncio-traps."""


class Recorder:
    """Value of the fixture ``asyncio_traps`` in a run without the plugin: finds nothing."""

    findings: tuple[()] = ()
    records: tuple[logging.LogRecord, ...] = ()
    warnings: tuple[warnings.WarningMessage, ...] = ()

    @contextlib.contextmanager
    def expect(self, kind: str, match: str | re.Pattern[str] | None = None) -> Iterator[None]:
        """Accept any block: nothing is watched, so a missing finding is not the test's fault."""
        yield


class FailedPlugin:
    """Declares the plugin's options, markers and fixtures, and reports why its import failed."""

    def __init__(self, exc: BaseException) -> None:
        self._text = "".join(traceback.format_exception(exc)).rstrip()
        self._last = self._text.rpartition("\n")[2]
        self._reported = False
        self._session: pytest.Session | None = None

    def pytest_addhooks(self, pluginmanager: pytest.PytestPluginManager) -> None:
        pluginmanager.add_hookspecs(Hooks)

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        group = parser.getgroup("asyncio-traps", "asyncio traps (the plugin could not be loaded)")
        for option, form in OPTIONS.items():
            if form == "flag":
                group.addoption(option, action="store_true", help="without effect")
            elif form == "optional":
                group.addoption(option, nargs="?", const="", help="without effect")
            else:
                group.addoption(option, action="append", default=[], help="without effect")
        for name in INI:
            parser.addini(name, default="", help="without effect")

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int | None:
        if config.getoption("--asyncio-traps-explain") is None:
            return None
        sys.stderr.write("\n".join([_HEADING, *self._lines(), ""]))
        return int(pytest.ExitCode.INTERNAL_ERROR)

    def pytest_configure(self, config: pytest.Config) -> None:
        for line in MARKERS:
            config.addinivalue_line("markers", line)
        config.add_cleanup(self._report_to_stderr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._is_strict() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        self._reported = True
        terminalreporter.section(_HEADING, red=True)
        for line in self._lines():
            terminalreporter.line(line)
        if self._is_strict():
            report = pytest.CollectReport(
                "pytest-asyncio-traps", "failed", f"fault in its import: {self._last}", None
            )
            terminalreporter.stats.setdefault("error", []).append(report)

    def _report_to_stderr(self) -> None:
        if not self._reported and self._session is not None:
            self._reported = True
            sys.stderr.write("\n".join([_HEADING, *self._lines(), ""]))

    def _lines(self) -> list[str]:
        return [
            "It could not be imported, and watched nothing in this run.",
            *self._text.splitlines(),
            "Your tests kept their outcomes. Please report this at the project's issue tracker, "
            "with what stands above.",
        ]

    def _is_strict(self) -> bool:
        assert self._session is not None
        config = self._session.config
        ini = str(config.getini("asyncio_traps_strict")).strip().lower()
        return bool(config.getoption("--asyncio-strict")) or ini in ("1", "true", "yes", "on")

    @pytest.fixture
    def asyncio_traps(self) -> Recorder:
        """Without effect: the plugin could not be loaded."""
        return Recorder()

    @pytest.fixture
    def debug_loop(self) -> Iterator[object]:
        """A new loop, closed after the test."""
        import asyncio

        with asyncio.Runner(debug=True) as runner:
            yield runner.get_loop()
