"""Rules, and the values of options and markers: from text to what is done. Without pytest."""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ..core.reprs import shown
from ..model.finding import Finding
from ..model.text import clean

FAIL: Final = "fail"
WARN: Final = "warn"
ALLOW: Final = "allow"
OFF: Final = "off"
#: The action for what would fail or warn, and is in the baseline. No rule can name it.
BASELINE: Final = "baseline"
ACTIONS: Final = (FAIL, WARN, ALLOW, OFF)


class BadRuleError(ValueError):
    """A rule, marker or threshold that is wrong; the message says why."""


class Rule(NamedTuple):
    """``ACTION[:KIND[:REGEX]]``: do ``action`` about findings of ``kind`` whose summary matches.

    ``kind`` None stands for every kind, ``pattern`` None for every summary. ``where`` says where
    the rule was given: the path of an ini file, or an option.
    """

    text: str
    action: str
    kind: str | None = None
    pattern: re.Pattern[str] | None = None
    where: str = ""

    def matches(self, finding: Finding) -> bool:
        """Whether ``finding`` is of the rule's kind, and its summary fits the rule's pattern."""
        if self.kind is not None and self.kind != finding.kind:
            return False
        return self.pattern is None or self.pattern.search(finding.summary) is not None


def parse_rule(text: str, kinds: Sequence[str] | None, where: str = "") -> Rule:
    """The rule that ``text``, given at ``where``, stands for. Raises `BadRuleError`.

    The rule may name any of ``kinds``, or any kind at all where ``kinds`` is None.
    """
    action, _, rest = text.strip().partition(":")
    kind, _, pattern = rest.partition(":")
    action, kind = action.strip(), kind.strip()
    if action not in ACTIONS:
        raise BadRuleError(
            f"rule {shown(text)}: unknown action {shown(action)}{guess(action, ACTIONS)}, "
            f"must be one of {', '.join(ACTIONS)}"
        )
    if kind and kinds is not None:
        check_kind(kind, kinds, f"rule {shown(text)}")
    return Rule(
        text.strip(),
        action,
        kind or None,
        parse_pattern(pattern, f"rule {shown(text)}") if pattern else None,
        where,
    )


def check_kind(kind: object, kinds: Sequence[str], where: str) -> str:
    """``kind`` as a plain string. Raises `BadRuleError` unless it is one of ``kinds``."""
    # A subclass of str may do anything when it is compared.
    plain = str.__str__(kind) if isinstance(kind, str) else None
    if plain is None or plain not in kinds:
        raise BadRuleError(
            f"{where}: unknown kind {shown(kind)}{guess(plain, kinds)}, "
            f"must be one of {', '.join(kinds)}"
        )
    return plain


def guess(text: str | None, words: Sequence[str]) -> str:
    """The one of ``words`` that ``text`` probably stands for, in brackets, if there is one."""
    import difflib  # only needed for an error

    close = difflib.get_close_matches((text or "")[:100], words, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def one_message(errors: Sequence[str]) -> str:
    """The text of a usage error, for one or more ``errors``."""
    if len(errors) == 1:
        return f"asyncio-traps: {errors[0]}"
    return "\n  ".join([f"asyncio-traps: {len(errors)} errors:", *errors])


def parse_pattern(text: str, where: str) -> re.Pattern[str]:
    """A compiled regular expression. Raises `BadRuleError`."""
    try:
        return re.compile(text)
    except Exception as exc:
        # Not only re.error: numbers and nesting may be too large, and warnings may be errors.
        why = clean(str(exc)) or type(exc).__name__
        raise BadRuleError(f"{where}: {shown(text)} is not a regular expression: {why}") from None


def parse_threshold(value: object, where: str) -> float:
    """Seconds, finite and above zero. Raises `BadRuleError`."""
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        seconds = float(value)
    except Exception:  # also a number that is too large, or whatever a class of the user's raises
        raise BadRuleError(f"{where}: {shown(value)} is not a number of seconds") from None
    if not 0 < seconds < float("inf"):
        raise BadRuleError(f"{where}: {shown(value)} must be more than 0 seconds, and finite")
    return seconds


def parse_hang(value: object, where: str) -> float:
    """Seconds, finite, and 0 or more. Raises `BadRuleError`."""
    try:
        seconds = float(str.__str__(value) if isinstance(value, str) else "")
    except ValueError:
        raise BadRuleError(f"{where}: {shown(value)} is not a number of seconds") from None
    if not 0 <= seconds < float("inf"):
        raise BadRuleError(f"{where}: {shown(value)} must be 0 seconds or more, and finite")
    return seconds


class Rulebook:
    """Rules in their order, of which the last that matches wins; remembers those that matched."""

    rules: tuple[Rule, ...]

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.matched: set[Rule] = set()

    def decide(self, finding: Finding) -> tuple[str, Rule | None]:
        """`FAIL`, `WARN`, `ALLOW` or `OFF`, and the rule that says so; None where none matches."""
        last = None
        for rule in self.rules:
            if rule.matches(finding):
                self.matched.add(rule)
                last = rule
        return (FAIL if last is None else last.action), last

    def unused_allows(self) -> list[Rule]:
        """The ``allow`` rules that have matched no finding."""
        return [rule for rule in self.rules if rule.action == ALLOW and rule not in self.matched]
