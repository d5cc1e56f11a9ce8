"""What becomes of a finding: whether it fails, warns or is allowed, and in whose report."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

import pytest

from ..core.reprs import shown
from ..model.causes import Counted
from ..model.finding import Consent, Finding, bounded
from ..model.text import clean
from . import markers
from .merging import WHOLES, merged
from .rules import ALLOW, BASELINE, FAIL, OFF, WARN, BadRuleError, Rule, Rulebook

FindItem = Callable[[str], pytest.Item | None]


class Policy:
    """Applies rules and markers to findings, and remembers which of them were of use."""

    rulebook: Rulebook

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        strict: bool = False,
        knows: Callable[[Finding], bool] = lambda finding: False,
        raises: Callable[[Finding], bool] = lambda finding: False,
        amended: Callable[[Finding, pytest.Item | None], Finding | None] = lambda f, item: f,
    ) -> None:
        self._strict = strict
        #: Whether a finding is known, so that it is only to be listed.
        self._knows = knows
        #: Whether the filters make an error of the warning that a finding is.
        self._raises = raises
        #: What others make of a finding, or None where they drop it.
        self._amended = amended
        self.rulebook = Rulebook(rules)
        #: Everything that was decided so far.
        self.settled: list[Counted] = []
        #: What fails a test whose phase is over, by nodeid.
        self.deferred: dict[str, list[Counted]] = {}
        #: The allow markers that are to be of use: what names them, and the tests they are on.
        self.marked: dict[str, set[str]] = {}
        #: What names the markers that were of use.
        self.used: set[str] = set()
        self._names: dict[int, tuple[pytest.Mark, str]] = {}
        self._ran: set[str] = set()
        self._sent = 0
        #: What counts, and may have parts that are found later.
        self._wholes: deque[Finding] = deque(maxlen=100)
        #: How often what belongs to no test was found: by each worker, and as far as is told.
        self._heard: dict[str, Counter[object]] = defaultdict(Counter)
        self._told: Counter[object] = Counter()

    def settle(
        self, findings: list[Finding], when: str, here: str | None, find_item: FindItem
    ) -> tuple[list[Counted], list[Counted]]:
        """Decide about findings that show in the phase ``when`` of the test ``here``.

        Returns those that fail this phase, and those to warn of. What fails another
        test waits in `deferred`.
        """
        failing: list[Counted] = []
        warned: list[Counted] = []
        if not findings:
            return failing, warned
        for whole in findings:
            if whole.kind in WHOLES and self._action(whole, find_item)[0] not in (OFF, ALLOW):
                self._wholes.append(whole)
        for found, count in _grouped(list(map(bounded, merged(findings, self._wholes)))):
            nodeid = found.owner.nodeid
            amended = self._amended(found, find_item(nodeid))
            if amended is None:
                continue
            finding = bounded(amended)
            action, consent = self._action(finding, find_item)
            if action == OFF:
                continue
            shows = ("session" if not nodeid else "late") if nodeid != here else when
            settled = bounded(finding._replace(when=shows, action=action, consent=consent))
            if not nodeid and not self._is_news(settled, ""):
                continue  # a worker of pytest-xdist has found it, too
            self.settled.append((settled, count))
            if action == WARN:
                warned.append((settled, count))
            elif action == FAIL and nodeid == here:
                failing.append((settled, count))
            elif action == FAIL and nodeid:
                self.deferred.setdefault(nodeid, []).append((settled, count))
        return failing, warned

    def _action(self, finding: Finding, find_item: FindItem) -> tuple[str, Consent | None]:
        """What is done about ``finding``, and who has consented to it."""
        nodeid = finding.owner.nodeid
        item = find_item(nodeid)
        try:
            allowed = [a for a in markers.allowances(item) if a.covers(finding)] if item else []
        except BadRuleError:
            allowed = []  # a marker that was added too late to be a usage error
        action, rule = self.rulebook.decide(finding)
        if action == OFF:
            return OFF, None
        if allowed:
            for allowance in allowed:
                if id(allowance.mark) in self._names:
                    self.used.add(self._names[id(allowance.mark)][1])
            reasons = (a.reason for a in allowed if (a.reason or "").strip())
            return ALLOW, Consent("marker", next(reasons, None) or "")
        if action == ALLOW:
            return ALLOW, Consent("rule", rule.text if rule is not None else "")
        if action in (FAIL, WARN) and self._knows(finding):
            return BASELINE, Consent("baseline", "")
        if self._strict and action == WARN:
            return FAIL, None
        if not nodeid and action == FAIL and not self._strict:
            action = WARN  # there is no test to fail
        return FAIL if action == WARN and self._raises(finding) else action, None

    def watch_markers(self, items: Sequence[pytest.Item]) -> None:
        """In strict, the allow markers of ``items`` are to be of use."""
        if self._strict:
            for item in items:
                for mark in item.iter_markers("asyncio_allow"):
                    # All workers of pytest-xdist collect the same items in the same order,
                    # so that a marker has the same name in each of them.
                    text = f"marker {markers.describe(mark)} of {clean(item.nodeid)}"
                    _, name = self._names.setdefault(id(mark), (mark, text))
                    self.marked.setdefault(name, set()).add(item.nodeid)

    def note_run(self, report: pytest.TestReport) -> None:
        """``report`` came in: a test that ran had its chance to use its markers."""
        skipped = report.skipped and not hasattr(report, "wasxfail")
        if report.when == "call" and not skipped:
            self._ran.add(report.nodeid)

    def idle(self, rules: bool = True) -> list[str]:
        """The ``allow`` markers, and ``rules``, that matched nothing.

        A marker is judged when all of its tests have run.
        """
        idle = self.rulebook.idle_allows() if rules else []
        return [f"rule {shown(rule.text)}" for rule in idle] + [
            name
            for name, nodeids in self.marked.items()
            if name not in self.used and nodeids <= self._ran
        ]

    def nobodys(self) -> list[Counted]:
        """What fails the run, since it belongs to no test."""
        return [(f, n) for f, n in self.settled if not f.owner.nodeid and f.action == FAIL]

    def unsent(self) -> list[Counted]:
        """What was settled since the last call."""
        sent, self._sent = self._sent, len(self.settled)
        return self.settled[sent:]

    def take_over(self, finding: Finding, count: int, worker: str) -> bool:
        """Add what ``worker`` has settled; returns whether it is news.

        Each worker imports all modules, and the controller imports each conftest.py: what belongs
        to no test is found by each of them.
        """
        if not finding.owner.nodeid and not self._is_news(finding, worker):
            return False
        self.settled.append((finding, count))
        return True

    def _is_news(self, finding: Finding, process: str) -> bool:
        """Whether no other process has found as many of this cause as ``process`` has by now."""
        cause = _cause(finding)
        self._heard[process][cause] += 1
        if self._heard[process][cause] <= self._told[cause]:
            return False
        self._told[cause] += 1
        return True


def _cause(finding: Finding) -> tuple[object, ...]:
    """What findings of one cause have in common."""
    return (finding.kind, finding.owner, finding.origin, finding.location, finding.exception)


def _grouped(findings: list[Finding]) -> list[Counted]:
    """Findings of one cause as one, with how often it was met."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(_cause(finding), []).append(finding)
    return [(max(group, key=lambda f: f.duration or 0.0), len(group)) for group in groups.values()]
