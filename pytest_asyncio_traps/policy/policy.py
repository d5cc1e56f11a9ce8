"""What is done about a finding: rules, markers, baseline, strict mode and warning filters.

Nothing here uses pytest, and nothing is remembered but which rules have matched.
"""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..model.finding import Consent, Finding
from ..model.text import shorten
from .rules import ALLOW, BASELINE, FAIL, OFF, WARN, Rule, Rulebook

if TYPE_CHECKING:
    from typing import Protocol

    class Reasoned(Protocol):
        """What the policy needs of a marker that allows a finding, see `markers.Allowance`."""

        @property
        def reason(self) -> str | None: ...


class Decision(NamedTuple):
    """What is done about a finding and, where it neither fails nor warns, who has consented."""

    action: str
    consent: Consent | None = None


class Policy:
    """The rules of a run, and whether the run is strict."""

    rulebook: Rulebook

    def __init__(self, rules: Iterable[Rule] = (), strict: bool = False) -> None:
        self.rulebook = Rulebook(rules)
        self._strict = strict

    def decide(
        self,
        finding: Finding,
        allowances: "Sequence[Reasoned]" = (),
        *,
        known: bool = False,
        raised: bool = False,
    ) -> Decision:
        """What is done about ``finding``; the first of these that says something decides.

        A rule ``off``; the markers of its test that cover it, ``allowances``; a rule ``allow``;
        the baseline, which has it where it is ``known``; strict mode; the rules ``fail`` and
        ``warn``. ``raised`` says that the warning filters turn a warning of it into an error.
        """
        action, rule = self.rulebook.decide(finding)
        if action == OFF:
            return Decision(OFF)
        if allowances:
            reasons = (a.reason for a in allowances if (a.reason or "").strip())
            return Decision(ALLOW, Consent("marker", shorten(next(reasons, None) or "")))
        if action == ALLOW:
            return Decision(ALLOW, Consent("rule", shorten(rule.text if rule is not None else "")))
        if known:
            return Decision(BASELINE, Consent("baseline", ""))
        if self._strict:
            return Decision(FAIL)
        if action == FAIL and not finding.owner.nodeid:
            action = WARN  # there is no test to fail
        return Decision(FAIL if raised else action)
