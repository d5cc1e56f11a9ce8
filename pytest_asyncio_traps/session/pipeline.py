"""The path of a finding, from the trap that has made it to the report that shows it."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest

from ..compat.xdist import is_worker
from ..core.faults import Faults
from ..model.finding import Finding, bounded
from ..options import Settings
from ..policy import markers
from ..policy.decided import DecidedFindings
from ..policy.filters import AsyncioTrapWarning, Filters, Verdict, module_of
from ..policy.finding_hook import FindingHook
from ..policy.kinds import Kinds
from ..policy.merging import WHOLES, counted, merged
from ..policy.policy import Decision, Policy
from ..policy.rules import ALLOW, FAIL, OFF, WARN
from ..policy.usage import MarkerUsage
from ..reports.terminal import Reporter
from .deferred import DeferredFailures, place_of_item

if TYPE_CHECKING:
    from ..baseline.run import BaselineRun
    from ..model.causes import Counted


class FindingPipeline:
    """Takes findings through every step, and holds what the steps leave behind."""

    reporter: Reporter
    baseline: BaselineRun | None
    policy: Policy
    #: Every finding that was decided about.
    decided: DecidedFindings
    #: The allow markers that strict mode expects to be of use.
    usage: MarkerUsage
    #: What fails tests that have ended.
    deferred: DeferredFailures

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        faults: Faults,
        kinds: Kinds,
        find_item: Callable[[str], pytest.Item | None],
    ) -> None:
        self._config = config
        self._faults = faults
        self._find_item = find_item
        self._filters = Filters(config)
        self._finding_hook = FindingHook(config, kinds)
        #: Findings that fail or warn, and may have parts that show later.
        self._wholes: deque[Finding] = deque(maxlen=100)
        self._warned_once: set[str] = set()
        self.reporter = Reporter(config.rootpath, config.invocation_params.dir)
        self.baseline = _baseline_run(config, settings, self.reporter, kinds)
        self.policy = Policy(settings.rules, settings.strict)
        self.decided = DecidedFindings()
        self.usage = MarkerUsage()
        self.deferred = DeferredFailures(self.reporter, find_item, faults)

    def process(self, findings: list[Finding], when: str, running: str | None) -> list[Counted]:
        """Take ``findings`` that show in the phase ``when`` of the test ``running`` to their ends.

        Returns those that fail this phase. Those that warn are added to pytest's summary of
        warnings, and those that fail another test wait in `deferred`. ``running`` is a nodeid, or
        None where no test runs.
        """
        failing: list[Counted] = []
        warned: list[Counted] = []
        for found, count in counted(self._without_parts(findings)):
            nodeid = found.owner.nodeid
            item = self._find_item(nodeid)
            amended = self._finding_hook.amend(found, item)
            if amended is None:
                continue
            finding = bounded(amended)  # not earlier: the hook may have made texts longer
            action, consent = self._decide(finding, item)
            if action == OFF:
                continue
            shows = when if nodeid == running else "late" if nodeid else "session"
            finding = finding._replace(when=shows, action=action, consent=consent)
            if not self.decided.add(finding, count):
                continue
            if action == WARN:
                warned.append((finding, count))
            elif action == FAIL and nodeid == running:
                failing.append((finding, count))
            elif action == FAIL and nodeid:
                self.deferred.add(finding, count)
        for finding, count in warned:
            # Each worker of pytest-xdist finds what belongs to no test; the controller warns of it.
            if finding.owner.nodeid or not is_worker(self._config):
                self.warn(finding, count)
        return failing

    def action_of(self, finding: Finding) -> str:
        """What the rules make of ``finding``, which is not reported yet.

        Where there is no test to fail, such as during an import, it is what they make of a test's.
        """
        action = self._decide(finding, self._find_item(finding.owner.nodeid)).action
        if action == WARN and not finding.owner.nodeid:
            action, _ = self.policy.rulebook.decide(finding)
        return action

    # -- the steps --------------------------------------------------------

    def _without_parts(self, findings: Iterable[Finding]) -> list[Finding]:
        """``findings`` without those that are part of another one, of now or earlier."""
        findings = list(findings)
        for whole in findings:
            if whole.kind in WHOLES:
                decision = self._decide(whole, self._find_item(whole.owner.nodeid))
                if decision.action not in (OFF, ALLOW):
                    self._wholes.append(whole)
        return merged(findings, self._wholes)

    def _decide(self, finding: Finding, item: pytest.Item | None) -> Decision:
        """Gather what the policy needs to know of ``finding``, and have it decide."""
        allowances = markers.covering(item, finding)
        decision = self.policy.decide(
            finding,
            allowances,
            known=self._is_known(finding),
            raised=self._is_raised(finding, item),
        )
        if decision.consent is not None and decision.consent.by == "marker":
            self.usage.add_used(allowances)
        return decision

    def _is_known(self, finding: Finding) -> bool:
        """Whether the baseline has ``finding``. If the baseline fails, no test is to fail."""
        if self.baseline is None:
            return False
        with self._faults.guard("baseline"):
            return self.baseline.knows(finding)
        return True

    def _is_raised(self, finding: Finding, item: pytest.Item | None) -> bool:
        """Whether a warning filter turns ``finding`` into an error."""
        with self._faults.guard("warning filters"):
            return self._filtered(finding, item) == "error"
        return False

    def _filtered(self, finding: Finding, item: pytest.Item | None) -> Verdict:
        place = finding.place
        module = module_of(place.path, self.reporter.relative) if place else ""
        text = self.reporter.headline(finding)
        return self._filters.verdict(text, module, place.line if place else 0, item)

    def warn(self, finding: Finding, count: int) -> None:
        """Add ``finding`` to pytest's summary of warnings, unless a filter says otherwise."""
        item = self._find_item(finding.owner.nodeid)
        verdict, headline = self._filtered(finding, item), self.reporter.headline(finding)
        if verdict == "ignore" or (verdict == "once" and headline in self._warned_once):
            return
        self._warned_once.add(headline)
        path, line = str(self._config.rootpath), 0
        if finding.place is not None:
            path, line = finding.place.path, finding.place.line
        elif item is not None:
            path, line = place_of_item(item)
        text = self.reporter.warning(finding, count)
        message = warnings.WarningMessage(AsyncioTrapWarning(text), AsyncioTrapWarning, path, line)
        # Not by warnings.warn(), which applies the filters of whichever code runs now.
        with self._faults.user_code:
            self._config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": message,
                    "when": "runtest",
                    "nodeid": finding.owner.nodeid,
                    "location": None,
                }
            )


def _baseline_run(
    config: pytest.Config, settings: Settings, reporter: Reporter, kinds: Kinds
) -> BaselineRun | None:
    if settings.baseline is None:
        return None
    from ..baseline.run import BaselineRun  # not needed in most runs

    def can_find(kind: str) -> bool:
        trap = kinds.find(kind)
        return trap is not None and settings.turns_on(trap)

    def is_steady(kind: str) -> bool:
        trap = kinds.find(kind)
        return trap is not None and trap.steady

    return BaselineRun(
        config,
        settings.baseline,
        settings.known,
        update=settings.update,
        strict=settings.strict,
        rules=settings.rules,
        can_find=can_find,
        is_steady=is_steady,
        relative=reporter.relative,
    )
