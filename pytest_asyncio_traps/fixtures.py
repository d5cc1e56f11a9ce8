"""The fixtures ``asyncio_traps`` and ``debug_loop``."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import LogRecord

import pytest

from .core.faults import Faults
from .model.finding import Finding
from .policy.kinds import Kinds, kinds_of
from .policy.rules import BadRuleError, check_kind, parse_pattern
from .session.fault_reports import faults_of
from .session.lifecycle import Lifecycle, lifecycle_key

_PART = "the fixture asyncio_traps"


class TrapRecorder:
    """What the plugin has seen of the current test, so far."""

    #: None where the plugin has failed to start.
    _lifecycle: Lifecycle | None
    _faults: Faults
    _kinds: Kinds | None

    @property
    def findings(self) -> list[Finding]:
        """The findings of this test that no `expect` has consumed."""
        lifecycle = self._lifecycle
        with self._faults.guard(_PART):
            if lifecycle is not None and not self._faults.is_off(_PART):
                nodeid = lifecycle.owners.running or ""
                decided = [finding for finding, _ in lifecycle.pipeline.decided.findings]
                found = [*decided, *lifecycle.watch.found]
                return [finding for finding in found if finding.owner.nodeid == nodeid]
        return []

    @property
    def records(self) -> list[LogRecord]:
        """The records of the ``asyncio`` logger in this phase, from DEBUG upwards."""
        with self._faults.guard(_PART):
            return list(self._lifecycle.log.records) if self._lifecycle is not None else []
        return []

    @property
    def warnings(self) -> list[warnings.WarningMessage]:
        """The warnings shown in this phase."""
        with self._faults.guard(_PART):
            return (
                list(self._lifecycle.watch.warning_monitor.shown)
                if self._lifecycle is not None
                else []
            )
        return []

    @contextmanager
    def expect(self, kind: str, match: str | re.Pattern[str] | None = None) -> Iterator[None]:
        """Expect a trap of ``kind`` in this block, and consume it.

        ``match`` is a regular expression that is searched in its summary. Fails the test if there
        was no such trap. Raises `ValueError` for an unknown kind or a wrong regular expression.
        """
        pattern: re.Pattern[str] | None = None
        bad = ""
        with self._faults.guard(_PART):
            try:
                if self._kinds is not None:
                    pattern = _checked(kind, match, self._kinds.names)
            except BadRuleError as exc:
                bad = str(exc)
        if bad:
            raise ValueError(bad)
        before: list[Finding] = []
        with self._faults.guard(_PART):
            before = self._take()
        try:
            yield
        except BaseException:
            with self._faults.guard(_PART):
                self._put_back(before)
            raise
        with self._faults.guard(_PART):
            self._consume(kind, pattern, before)
            return
        if self._lifecycle is not None:
            self._lifecycle.watch.found.clear()  # after a fault, all of it counts as expected

    def _take(self) -> list[Finding]:
        return self._lifecycle.watch.take() if self._lifecycle is not None else []

    def _put_back(self, findings: list[Finding]) -> None:
        if self._lifecycle is not None:
            self._lifecycle.watch.found.extendleft(reversed(findings))

    def _consume(self, kind: str, pattern: re.Pattern[str] | None, before: list[Finding]) -> None:
        during = self._take()
        met = [
            finding
            for finding in during
            if finding.kind == kind and (pattern is None or pattern.search(finding.summary))
        ]
        self._put_back([*before, *(f for f in during if f not in met)])
        # What is off or blind finds nothing, which is not the test's fault.
        off = self._faults.texts or (self._kinds and self._kinds.faults.texts)
        blind = self._lifecycle is not None and kind in self._lifecycle.watch.blind_spots
        if not met and not off and not blind:
            wanted = f" matching {pattern.pattern!r}" if pattern is not None else ""
            seen = ", ".join(f"{f.kind}: {f.summary}" for f in during) or "none"
            pytest.fail(f"expected the trap {kind}{wanted}, but it was not sprung; found: {seen}")


def _checked(
    kind: str, match: str | re.Pattern[str] | None, kinds: Sequence[str]
) -> re.Pattern[str] | None:
    """``match`` as a compiled pattern. Raises `BadRuleError`."""
    check_kind(kind, kinds, "asyncio_traps.expect")
    return parse_pattern(match, "asyncio_traps.expect") if isinstance(match, str) else match


@pytest.fixture
def asyncio_traps(request: pytest.FixtureRequest) -> TrapRecorder:
    """What the plugin has seen of this test so far, and a way to expect a trap."""
    config, faults = request.config, faults_of(request.config)
    kinds: Kinds | None = None
    with faults.guard(_PART):
        kinds = kinds_of(config)
    recorder = TrapRecorder()
    recorder._lifecycle = config.stash.get(lifecycle_key, None)
    recorder._faults, recorder._kinds = faults, kinds
    return recorder


@pytest.fixture
def debug_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A new debug-enabled loop for a sync test, closed and checked after it."""
    with asyncio.Runner() as runner:
        yield runner.get_loop()
