"""Findings of many tests, by what they have in common.

A cause is a kind and a line: the line to which a finding points its reader. All
reports of a whole run show their findings in groups of one cause, so that a line
which a hundred tests run is one thing to mend::

    for group in grouped(findings):
        print(group.cause.kind, group.cause.path, len(group.nodeids), group.sample.summary)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .finding import Finding

#: A finding, and how often it was met.
Counted = tuple[Finding, int]


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """A kind, and the line behind it.

    ``path`` is absolute. Where a finding has no line, ``line`` is 0, and ``path`` and
    ``function`` are those of its owner: a test's file and name without its parameters.
    """

    kind: str
    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one cause, in the order of their nodeids."""

    cause: Cause
    findings: tuple[Counted, ...]

    @property
    def sample(self) -> Finding:
        """One finding that speaks for all: of those that fail, if there are any."""
        return self.findings[0][0]

    @property
    def nodeids(self) -> tuple[str, ...]:
        """The tests that sprang it, each once; none for what belongs to no test."""
        return tuple(sorted({f.owner.nodeid for f, _ in self.findings if f.owner.nodeid}))

    @property
    def times(self) -> int:
        """How often it was met."""
        return sum(count for _, count in self.findings)

    @property
    def actions(self) -> Counter[str]:
        """How often it was met, by what was done about it."""
        actions: Counter[str] = Counter()
        for finding, count in self.findings:
            actions[finding.action] += count
        return actions


def grouped(findings: Iterable[Counted]) -> list[Group]:
    """``findings`` by cause: what most tests sprang comes first.

    The order depends on the findings alone, not on the order in which they came.
    """
    causes: dict[Cause, list[Counted]] = {}
    for finding, count in findings:
        causes.setdefault(cause_of(finding), []).append((finding, count))
    groups = [Group(cause, tuple(sorted(of, key=_rank))) for cause, of in causes.items()]
    return sorted(groups, key=lambda group: (-len(group.nodeids), -group.times, group.cause))


def cause_of(finding: Finding) -> Cause:
    """What ``finding`` has in common with others."""
    place = finding.place
    if place is not None:
        return Cause(finding.kind, place.path, place.line, place.function)
    path, name = owner_of(finding)
    return Cause(finding.kind, path, 0, name)


def owner_of(finding: Finding) -> tuple[str, str]:
    """The file and the name of the owner, in words that are the same in every run.

    A wider fixture is charged to the first of its tests, which may be another one next
    time: it has no file.
    """
    owner = finding.owner
    if owner.type == "test":
        path, _, name = without_parameters(owner.nodeid).partition("::")
        return path, name
    if owner.type == "module":
        return owner.name, "<module>"
    return "", owner.name


def without_parameters(nodeid: str) -> str:
    """The nodeid of the function, without the parameters of one of its tests."""
    path, mark, names = nodeid.partition("::")
    return path + mark + names.partition("[")[0]


def _rank(counted: Counted) -> tuple[object, ...]:
    finding, count = counted
    return (finding.action != "fail", finding.owner.nodeid, finding.summary, finding.when, count)
