"""What stands in for the plugin where its import has failed.

An import that fails would keep pytest from starting. Instead, the tests run without the plugin, and
the run says so at its end; with ``--asyncio-strict`` it fails.
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

#: The options of the plugin, as `pytest_asyncio_traps.options` declares them. Each with a value,
#: with none, or with one that may be missing: `test_start.py` holds the two against each other.
OPTIONS = {
    "--asyncio-traps": "value",
    "--asyncio-strict": "flag",
    "--asyncio-slow-callback-duration": "value",
    "--asyncio-traps-report": "value",
    "--asyncio-traps-baseline": "value",
    "--asyncio-traps-update-baseline": "flag",
    "--asyncio-traps-explain": "optional",
}
INI = (
    "asyncio_traps",
    "asyncio_traps_strict",
    "asyncio_slow_callback_duration",
    "asyncio_traps_baseline",
)
MARKERS = ("asyncio_allow: see pytest-asyncio-traps", "asyncio_slow_callback_duration: likewise")

_HEADING = "a fault of pytest-asyncio-traps"


class Hooks:
    """The hooks of the plugin, which are never called."""

    @pytest.hookspec
    def pytest_asyncio_traps_finding(self, finding: object, item: object) -> None:
        """See pytest-asyncio-traps."""

    @pytest.hookspec
    def pytest_asyncio_traps_kinds(self) -> None:
        """See pytest-asyncio-traps."""


class Recorder:
    """The fixture ``asyncio_traps`` of a run in which nothing is watched."""

    findings: tuple[()] = ()
    records: tuple[logging.LogRecord, ...] = ()
    warnings: tuple[warnings.WarningMessage, ...] = ()

    @contextlib.contextmanager
    def expect(self, kind: str, match: str | re.Pattern[str] | None = None) -> Iterator[None]:
        """Expect nothing: that nothing is found is not the test's fault."""
        yield


class FailedPlugin:
    """The options, markers and fixtures of the plugin, and what has kept it from being loaded."""

    def __init__(self, exc: BaseException) -> None:
        self._text = "".join(traceback.format_exception(exc)).rstrip()
        self._last = self._text.rpartition("\n")[2]
        self._told = False
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
        config.add_cleanup(self._tell_the_rest)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._is_strict() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        self._told = True
        terminalreporter.section(_HEADING, red=True)
        for line in self._lines():
            terminalreporter.line(line)
        if self._is_strict():
            report = pytest.CollectReport(
                "pytest-asyncio-traps", "failed", f"fault in its import: {self._last}", None
            )
            terminalreporter.stats.setdefault("error", []).append(report)

    def _tell_the_rest(self) -> None:
        if not self._told and self._session is not None:
            self._told = True
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
        """Sees nothing, and expects nothing."""
        return Recorder()

    @pytest.fixture
    def debug_loop(self) -> Iterator[object]:
        """A new loop, closed after the test."""
        import asyncio

        with asyncio.Runner(debug=True) as runner:
            yield runner.get_loop()
