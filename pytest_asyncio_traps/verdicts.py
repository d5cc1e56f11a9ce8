"""What becomes of a finding: whether it fails, warns or is allowed, and in whose report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from . import markers
from .core.finding import Finding
from .options import Settings
from .rules import ALLOW, FAIL, OFF, WARN, BadRuleError, Rulebook

#: A finding, and how often it was met.
Counted = tuple[Finding, int]
FindItem = Callable[[str], pytest.Item | None]


class Verdicts:
    """Applies rules and markers to findings, and remembers which of them were of use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rulebook = Rulebook(settings.rules)
        #: Everything that was decided so far.
        self.settled: list[Counted] = []
        #: What fails a test whose phase is over, by nodeid.
        self.late: dict[str, list[Counted]] = {}
        self._idle_marks: dict[int, tuple[pytest.Mark, str]] = {}
        self._unjudged: set[int] = set()

    def settle(
        self, findings: list[Finding], when: str, here: str | None, find_item: FindItem
    ) -> tuple[list[Counted], list[Counted]]:
        """Decide about findings that show in the phase ``when`` of the test ``here``.

        Returns those that fail this phase, and those to warn of. What fails another
        test waits in `late`.
        """
        failing: list[Counted] = []
        warned: list[Counted] = []
        for finding, count in _grouped(findings):
            nodeid = finding.owner.nodeid
            action = self._action(finding, find_item)
            if action == OFF:
                continue
            shows = ("session" if not nodeid else "late") if nodeid != here else when
            settled = dataclasses.replace(finding, when=shows, action=action)
            self.settled.append((settled, count))
            if action == WARN:
                warned.append((settled, count))
            elif action == FAIL and nodeid == here:
                failing.append((settled, count))
            elif action == FAIL:
                self.late.setdefault(nodeid, []).append((settled, count))
        return failing, warned

    def _action(self, finding: Finding, find_item: FindItem) -> str:
        nodeid = finding.owner.nodeid
        item = find_item(nodeid)
        try:
            allowed = [a for a in markers.allowances(item) if a.covers(finding)] if item else []
        except BadRuleError:
            allowed = []  # a marker that was added too late to be a usage error
        action = self.rulebook.action_for(finding)
        if action == OFF:
            return OFF
        if allowed:
            for allowance in allowed:
                self._idle_marks.pop(id(allowance.mark), None)
            return ALLOW
        if self.settings.strict and action == WARN:
            return FAIL
        if not nodeid and action == FAIL and not self.settings.strict:
            return WARN  # there is no test to fail
        return action

    def watch_markers(self, items: Sequence[pytest.Item]) -> None:
        """In strict, the allow markers of ``items`` are to be of use."""
        if self.settings.strict:
            for item in items:
                for mark in item.iter_markers("asyncio_allow"):
                    self._idle_marks.setdefault(id(mark), (mark, item.nodeid))

    def deselected(self, items: Sequence[pytest.Item]) -> None:
        """These will not run: their markers cannot be called idle."""
        self._unjudged.update(
            id(mark) for item in items for mark in item.iter_markers("asyncio_allow")
        )

    def idle(self) -> list[str]:
        """The ``allow`` rules and markers that matched nothing."""
        return [f"rule {rule.text!r}" for rule in self.rulebook.idle_allows()] + [
            f"marker {markers.describe(mark)} of {nodeid}"
            for key, (mark, nodeid) in self._idle_marks.items()
            if key not in self._unjudged
        ]


def _grouped(findings: list[Finding]) -> list[Counted]:
    """Findings of one cause as one, with how often it was met."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.kind, finding.owner, finding.origin, finding.location, finding.exception)
        groups.setdefault(key, []).append(finding)
    return [(max(group, key=lambda f: f.duration or 0.0), len(group)) for group in groups.values()]
