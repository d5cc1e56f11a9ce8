"""Rules, parsed and applied."""

from __future__ import annotations

import pytest

from pytest_asyncio_traps.model.finding import Finding, Owner, from_plain, to_plain
from pytest_asyncio_traps.policy.rules import BadRuleError, Rulebook, parse_rule, parse_threshold

KINDS = ("leak", "block")
OWNER = Owner("test", "t.py::test", "function", "t.py::test")


def finding(kind: str = "leak", summary: str = "a task leaked") -> Finding:
    return Finding(kind, summary, "mend it", OWNER)


@pytest.mark.parametrize(
    ("text", "action", "kind", "pattern"),
    [
        ("fail", "fail", None, None),
        (" warn : leak ", "warn", "leak", None),
        ("allow::task", "allow", None, "task"),
        ("off:leak:a: b", "off", "leak", "a: b"),
    ],
)
def test_a_rule_is_read(text: str, action: str, kind: str | None, pattern: str | None) -> None:
    rule = parse_rule(text, KINDS)

    assert (rule.action, rule.kind) == (action, kind)
    assert (rule.pattern.pattern if rule.pattern else None) == pattern


@pytest.mark.parametrize("text", ["", "skip", "fail:what", "allow:leak:(", ":leak"])
def test_a_rule_that_cannot_be_understood(text: str) -> None:
    """The message quotes the rule."""
    with pytest.raises(BadRuleError, match="rule "):
        parse_rule(text, KINDS)


def test_the_last_match_wins() -> None:
    book = Rulebook(parse_rule(text, KINDS) for text in ("allow", "warn:leak", "off:block:x"))

    assert book.decide(finding())[0] == "warn"
    assert book.decide(finding("block"))[0] == "allow"
    assert book.decide(finding("block", "xyz"))[0] == "off"
    assert Rulebook(()).decide(finding())[0] == "fail"


def test_allows_that_nothing_matched() -> None:
    book = Rulebook(parse_rule(text, KINDS) for text in ("allow:leak", "allow:block", "warn:block"))
    book.decide(finding())

    assert [rule.text for rule in book.unused_allows()] == ["allow:block"]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon", "", None, True, [1]])
def test_a_threshold_that_is_none(value: object) -> None:
    with pytest.raises(BadRuleError, match="here"):
        parse_threshold(value, "here")


def test_a_threshold() -> None:
    assert parse_threshold("0.25", "here") == parse_threshold(0.25, "here") == 0.25


def test_a_finding_crosses_processes() -> None:
    assert from_plain(to_plain(finding())) == finding()
