"""The findings of a run that were decided about, in the order of the decisions."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ..model.finding import Finding
from .merging import cause_key
from .rules import FAIL

if TYPE_CHECKING:
    from ..model.causes import Counted


class DecidedFindings:
    """Every finding once, in a worker of pytest-xdist with what the controller has not yet got."""

    findings: list[Counted]

    def __init__(self) -> None:
        self.findings = []
        self._sent = 0
        #: How often each process has found a cause that belongs to no test.
        self._found: dict[str, Counter[object]] = defaultdict(Counter)
        #: How often such a cause was recorded.
        self._recorded: Counter[object] = Counter()

    def add(self, finding: Finding, count: int, process: str = "") -> bool:
        """Record ``finding``; returns False for one that another process has found as well.

        Each worker imports all modules, and the controller imports each conftest.py, so that each
        ``process`` finds what belongs to no test. ``process`` is empty for this one.
        """
        if not finding.owner.nodeid:
            cause = cause_key(finding)
            self._found[process][cause] += 1
            if self._found[process][cause] <= self._recorded[cause]:
                return False
            self._recorded[cause] += 1
        self.findings.append((finding, count))
        return True

    def take_unsent(self) -> list[Counted]:
        """What was recorded since the last call."""
        sent, self._sent = self._sent, len(self.findings)
        return self.findings[sent:]

    def without_test(self) -> list[Counted]:
        """What fails the run, since there is no test to fail."""
        return [(f, n) for f, n in self.findings if not f.owner.nodeid and f.action == FAIL]
