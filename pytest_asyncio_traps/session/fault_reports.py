"""Reports faults of the plugin, and of what extends it, at the end of a run.

Nothing here is guarded: where this code fails, nothing is left to report its own fault. So it uses
as little of the rest as possible, and has its own words.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..compat import xdist
from ..compat.pytest import add_error
from ..core.faults import Fault, Faults
from ..model.text import clean
from ..options import is_strict

#: Where a run keeps its `FaultReporter`.
fault_reporter_key: pytest.StashKey[FaultReporter] = pytest.StashKey()

#: The key of a worker's faults in what it sends to the controller of pytest-xdist when it ends.
_KEY = "_asyncio_traps_faults"

#: The faults of hooks that pytest calls before there is a config.
_early = Faults()


def faults_of(config: pytest.Config) -> Faults:
    """The faults of the run of ``config``."""
    return fault_reporter_of(config).faults


def fault_reporter_of(config: pytest.Config) -> FaultReporter:
    """The reporter of the faults of the run of ``config``."""
    reporter = config.stash.get(fault_reporter_key, None)
    if reporter is None:
        faults = Faults()
        reporter = config.stash[fault_reporter_key] = FaultReporter(faults, config)
        faults.passes = (pytest.UsageError,)
        faults.isolated.add("pytest_cmdline_main")
        faults.texts.update(_early.texts)
        faults.since.update(_early.since)
        _early.texts.clear()
        config.pluginmanager.register(reporter, "asyncio_traps_faults")
        # Cleanups run in reverse: this one comes after everything that may still fail.
        config.add_cleanup(reporter.report_rest)
    return reporter


def early_faults(*args: Any) -> Faults:
    """The faults of hooks that pytest calls before there is a config."""
    return _early


class FaultReporter:
    """Reports the faults of a run, each once: in the summary, or on stderr where there is none.

    In strict mode a fault fails the run, since part of it was not watched.
    """

    def __init__(self, faults: Faults, config: pytest.Config) -> None:
        self.faults = faults
        #: The faults of kinds and hooks that others have added.
        self.third_party: Faults | None = None
        #: Called in a worker of pytest-xdist before it sends its faults. They may fail as well.
        self.before_sending: list[Callable[[], None]] = []
        self._config = config
        self._session: pytest.Session | None = None
        #: What was reported: whether it is of a third party, and its part.
        self._reported: set[tuple[bool, str]] = set()

    @property
    def strict(self) -> bool:
        """Whether a fault fails the run. Does not use the settings, which may have failed."""
        try:
            return is_strict(self._config)
        except Exception:  # the options may not even be declared
            return "--asyncio-strict" in self._config.invocation_params.args

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        output = xdist.output_of(self._config)
        if output is None:
            self._fail_run()
            return
        for call in self.before_sending:
            call()
        if self.faults.texts:
            output[_KEY] = [list(fault) for fault in self.faults.all()]
            self._reported.update((False, part) for part in self.faults.texts)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.faults.receive((xdist.output_of(node) or {}).get(_KEY, []))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for heading, faults, lines in self._unreported():
            terminalreporter.section(heading, red=True)
            for line in lines:
                terminalreporter.line(line)
            if self.strict:
                for fault in faults:
                    add_error(terminalreporter, _NAME, _one_line(fault))
        self._fail_run()

    def report_rest(self) -> None:
        """Write to stderr what has failed since the summary, or all where there was none."""
        for heading, _, lines in self._unreported():
            sys.stderr.write("\n".join([heading, *lines, ""]))
        self._fail_run()

    def _all(self) -> list[tuple[bool, Fault]]:
        third_party = self.third_party.all() if self.third_party is not None else []
        return [(False, fault) for fault in self.faults.all()] + [(True, f) for f in third_party]

    def _fail_run(self) -> None:
        """In strict mode, have the run end as a failure if there is a fault."""
        session = self._session
        if session is not None and self.strict and self._all():
            good = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
            if session.exitstatus in good:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _unreported(self) -> Iterator[tuple[str, list[Fault], list[str]]]:
        """What was not reported yet: a heading, the faults under it, and their lines."""
        for third_party, heading in ((False, _HEADING), (True, _HEADING_THIRD_PARTY)):
            faults = [
                fault
                for is_third_party, fault in self._all()
                if is_third_party is third_party and (third_party, fault.part) not in self._reported
            ]
            if faults:
                self._reported.update((third_party, fault.part) for fault in faults)
                lines = _lines_of_third_party(faults) if third_party else _lines(faults)
                yield heading, faults, lines


_NAME = "pytest-asyncio-traps"
_HEADING = f"a fault of {_NAME}"
_HEADING_THIRD_PARTY = f"a fault of what extends {_NAME}"


def _one_line(fault: Fault) -> str:
    """A fault for the short summary."""
    return clean(
        f"fault in {fault.part}: {fault.text.rstrip().rpartition(chr(10))[2]} "
        f"(off since {fault.since}: {fault.off})"
    )


def _lines(faults: list[Fault]) -> list[str]:
    lines = []
    for fault in faults:
        lines.append(
            clean(f"Its part {fault.part!r} failed. Off since {fault.since}: {fault.off}.")
        )
        lines += fault.text.rstrip().splitlines()
    lines.append(
        "Your tests kept their outcomes. Please report this at the project's issue "
        "tracker, with what stands above."
    )
    return lines


def _lines_of_third_party(faults: list[Fault]) -> list[str]:
    lines = []
    for fault in faults:
        what = f"{fault.part} failed; your tests kept their outcomes."
        lines.append(clean(f"{what} Off since {fault.since}. What it raised:"))
        lines += fault.text.rstrip().splitlines()
    return lines
