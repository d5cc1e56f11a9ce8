"""The fixtures ``asyncio_traps`` and ``debug_loop``."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import LogRecord

import pytest

from .core.finding import Finding
from .lifecycle import Lifecycle, lifecycle_key
from .rules import BadRuleError, check_kind, parse_pattern
from .traps import KINDS


class TrapRecorder:
    """What the plugin has seen of the current test, so far."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    @property
    def findings(self) -> list[Finding]:
        """The findings of this test that no `expect` has consumed."""
        nodeid = self._lifecycle.item.nodeid if self._lifecycle.item is not None else ""
        settled = [f for f, _ in self._lifecycle.verdicts.settled if f.owner.nodeid == nodeid]
        return settled + [f for f in self._lifecycle.watch.found if f.owner.nodeid == nodeid]

    @property
    def records(self) -> list[LogRecord]:
        """The records of the ``asyncio`` logger in this phase, from DEBUG upwards."""
        return list(self._lifecycle.log.records)

    @property
    def warnings(self) -> list[warnings.WarningMessage]:
        """The warnings shown in this phase."""
        return list(self._lifecycle.watch.witness.shown)

    @contextmanager
    def expect(self, kind: str, match: str | re.Pattern[str] | None = None) -> Iterator[None]:
        """Expect a trap of ``kind`` in this block, whose summary ``match`` finds, and consume it.

        Fails the test when there was none. Raises `ValueError` for an unknown
        kind or a bad regular expression.
        """
        try:
            check_kind(kind, KINDS, "asyncio_traps.expect")
            pattern = (
                parse_pattern(match, "asyncio_traps.expect") if isinstance(match, str) else match
            )
        except BadRuleError as exc:
            raise ValueError(str(exc)) from None
        watch = self._lifecycle.watch
        before = watch.take()
        try:
            yield
        except BaseException:
            watch.found.extendleft(reversed(before))
            raise
        during = watch.take()
        met = [
            finding
            for finding in during
            if finding.kind == kind and (pattern is None or pattern.search(finding.summary))
        ]
        for finding in (*before, *(f for f in during if f not in met)):
            watch.report(finding)
        if not met:
            wanted = f" matching {pattern.pattern!r}" if pattern is not None else ""
            seen = ", ".join(f"{f.kind}: {f.summary}" for f in during) or "none"
            pytest.fail(f"expected the trap {kind}{wanted}, but it was not sprung; found: {seen}")


@pytest.fixture
def asyncio_traps(request: pytest.FixtureRequest) -> TrapRecorder:
    """What the plugin has seen of this test so far, and a way to expect a trap."""
    return TrapRecorder(request.config.stash[lifecycle_key])


@pytest.fixture
def debug_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A new debug-enabled loop for a sync test, closed and checked after it."""
    with asyncio.Runner() as runner:
        yield runner.get_loop()
