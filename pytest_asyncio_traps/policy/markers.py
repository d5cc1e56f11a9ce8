"""The markers ``asyncio_allow`` and ``asyncio_slow_callback_duration``."""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pytest

from ..core.reprs import shown
from ..model.finding import Finding
from ..model.text import clean
from .kinds import kinds_of
from .rules import BadRuleError, check_kind, one_message, parse_pattern, parse_threshold

NAMES = frozenset({"asyncio_allow", "asyncio_slow_callback_duration"})
LINES = (
    "asyncio_allow(*kinds, match=None, reason=None): allow these kinds of asyncio traps "
    "(all of them, if none is named) on this test, class or module; match is a regular "
    "expression searched in the summary.",
    "asyncio_slow_callback_duration(seconds): how long a step of a loop may take here.",
)


class Allowance(NamedTuple):
    """One ``asyncio_allow`` marker."""

    kinds: tuple[str, ...]
    pattern: re.Pattern[str] | None
    reason: str | None
    mark: pytest.Mark

    def covers(self, finding: Finding) -> bool:
        """Whether the marker allows ``finding``."""
        if self.kinds and finding.kind not in self.kinds:
            return False
        return self.pattern is None or self.pattern.search(finding.summary) is not None


def describe(mark: pytest.Mark) -> str:
    """``mark`` about as the user has written it."""
    given = [shown(arg) for arg in mark.args]
    given += [f"{clean(name)}={shown(value)}" for name, value in mark.kwargs.items()]
    return f"{mark.name}({', '.join(given)})"


def allowances(item: pytest.Item) -> list[Allowance]:
    """The allow markers of ``item``, the closest first. Raises `BadRuleError` for a wrong one."""
    marks = list(item.iter_markers("asyncio_allow"))
    if not marks:
        return []
    known = kinds_of(item.config).names
    return [_allowance(mark, item.nodeid, known) for mark in marks]


def covering(item: pytest.Item | None, finding: Finding) -> list[Allowance]:
    """The allow markers of ``item`` that allow ``finding``."""
    try:
        return [a for a in allowances(item) if a.covers(finding)] if item is not None else []
    except BadRuleError:
        return []  # a marker that was added too late to be a usage error


def _allowance(mark: pytest.Mark, nodeid: str, known: Sequence[str]) -> Allowance:
    where = f"{clean(nodeid)}: marker asyncio_allow"
    kinds = tuple(check_kind(kind, known, where) for kind in mark.args)
    unknown = set(mark.kwargs) - {"match", "reason"}
    if unknown:
        raise BadRuleError(
            f"{where}: unknown argument {shown(sorted(unknown)[0])}, must be match or reason"
        )
    match = mark.kwargs.get("match")
    if isinstance(match, str):
        match = parse_pattern(match, where)
    if match is not None and not (isinstance(match, re.Pattern) and isinstance(match.pattern, str)):
        raise BadRuleError(f"{where}: match must be a string, not {clean(type(match).__name__)}")
    reason = mark.kwargs.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise BadRuleError(f"{where}: reason must be a string, not {clean(type(reason).__name__)}")
    return Allowance(kinds, match, str.__str__(reason) if reason is not None else None, mark)


def _threshold(mark: pytest.Mark, nodeid: str) -> float:
    """The seconds of a duration marker. Raises `BadRuleError`."""
    where = f"{clean(nodeid)}: marker asyncio_slow_callback_duration"
    values: Sequence[object] = (*mark.args, *mark.kwargs.values())
    if len(values) != 1 or set(mark.kwargs) - {"seconds"}:
        raise BadRuleError(f"{where}: takes one argument, seconds")
    return parse_threshold(values[0], where)


def with_markers(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Those of ``items`` that carry this plugin's markers, also from their class or module."""
    marked: dict[pytest.Collector | None, bool] = {}
    for item in items:
        above = item.parent
        if above not in marked:
            marked[above] = above is not None and any(
                mark.name in NAMES for mark in above.iter_markers()
            )
        if marked[above] or any(mark.name in NAMES for mark in item.own_markers):
            yield item


def check(items: Sequence[pytest.Item], strict: bool) -> dict[str, float]:
    """The thresholds that markers set, in seconds, by nodeid.

    Raises `pytest.UsageError` with all markers that are wrong or, where ``strict``, lack a reason.
    A marker on a class or module is named once, with the first of its tests.
    """
    thresholds = {}
    errors: dict[int, str] = {}
    for item in with_markers(items):
        mark = item.get_closest_marker("asyncio_slow_callback_duration")
        if mark is not None and id(mark) not in errors:
            try:
                thresholds[item.nodeid] = _threshold(mark, item.nodeid)
            except BadRuleError as exc:
                errors[id(mark)] = str(exc)
        known = kinds_of(item.config).names
        for mark in item.iter_markers("asyncio_allow"):
            if id(mark) not in errors:
                try:
                    _check_reason(_allowance(mark, item.nodeid, known), item.nodeid, strict)
                except BadRuleError as exc:
                    errors[id(mark)] = str(exc)
    if errors:
        raise pytest.UsageError(one_message(list(errors.values())))
    return thresholds


def _check_reason(allowance: Allowance, nodeid: str, strict: bool) -> None:
    if strict and not (allowance.reason or "").strip():
        raise BadRuleError(
            f"{clean(nodeid)}: marker {describe(allowance.mark)} has no reason; "
            "--asyncio-strict requires one"
        )
