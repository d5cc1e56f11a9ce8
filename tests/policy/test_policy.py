"""What is done about a finding, without a run of pytest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_asyncio_traps.model.finding import Consent, Finding, Owner
from pytest_asyncio_traps.model.text import LIMIT
from pytest_asyncio_traps.policy.policy import Decision, Policy
from pytest_asyncio_traps.policy.rules import parse_rule

OF_TEST = Owner("test", "t.py::test", "function", "t.py::test")
OF_MODULE = Owner("module", "t.py", "module", "")


def policy(*rules: str, strict: bool = False) -> Policy:
    return Policy([parse_rule(text, None) for text in rules], strict)


def finding(owner: Owner = OF_TEST) -> Finding:
    return Finding("leak", "a task leaked", "close it", owner)


def marker(reason: str | None = None) -> Any:
    """What the policy needs of a marker that covers the finding."""
    return SimpleNamespace(reason=reason)


@pytest.mark.parametrize(
    ("rules", "given", "decision"),
    [
        ((), {}, Decision("fail")),
        (("warn",), {}, Decision("warn")),
        (("warn",), {"raised": True}, Decision("fail")),
        (("allow:leak",), {}, Decision("allow", Consent("rule", "allow:leak"))),
        ((), {"known": True}, Decision("baseline", Consent("baseline", ""))),
        (("warn",), {"known": True, "raised": True}, Decision("baseline", Consent("baseline", ""))),
        (("allow",), {"known": True}, Decision("allow", Consent("rule", "allow"))),
        (("off",), {"known": True, "raised": True}, Decision("off")),
    ],
)
def test_without_markers(rules: tuple[str, ...], given: Any, decision: Decision) -> None:
    assert policy(*rules).decide(finding(), **given) == decision


@pytest.mark.parametrize("rules", [(), ("warn",), ("allow",)])
def test_a_marker_allows(rules: tuple[str, ...]) -> None:
    """It comes before rules that fail, warn or allow, and before the baseline."""
    allowances = [marker(), marker(" "), marker("it is slow"), marker("another")]

    decision = policy(*rules).decide(finding(), allowances, known=True)

    assert decision == Decision("allow", Consent("marker", "it is slow"))


def test_a_rule_that_turns_a_kind_off_comes_before_markers() -> None:
    assert policy("off:leak").decide(finding(), [marker("why")]) == Decision("off")


@pytest.mark.parametrize("rule", ["fail", "warn"])
def test_strict_mode_fails(rule: str) -> None:
    """A warning, and what belongs to no test."""
    strict = policy(rule, strict=True)

    assert strict.decide(finding()) == Decision("fail")
    assert strict.decide(finding(OF_MODULE)) == Decision("fail")
    assert strict.decide(finding(), known=True).action == "baseline"


def test_what_belongs_to_no_test_warns() -> None:
    """There is no test to fail; a warning filter may still make it an error."""
    assert policy().decide(finding(OF_MODULE)) == Decision("warn")
    assert policy().decide(finding(OF_MODULE), raised=True) == Decision("fail")


def test_a_long_reason_is_cut() -> None:
    consent = policy().decide(finding(), [marker("x" * (LIMIT + 1))]).consent

    assert consent is not None
    assert len(consent.text) == LIMIT
