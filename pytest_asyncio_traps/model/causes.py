"""Groups findings by cause.

A cause is a kind and the line that a finding points to first. Reports about a whole run show one
group for each cause, so that a line that a hundred tests run is one item to fix::

    for group in grouped(findings):
        print(group.cause.kind, group.cause.path, len(group.nodeids), group.sample.summary)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .finding import Finding

#: A finding and how often it occurred.
Counted = tuple[Finding, int]


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """A kind and a line of source.

    ``path`` is absolute. If a finding has no line, ``line`` is 0, and ``path`` and ``function`` are
    the file and the name of its owner (see `owner_of`).
    """

    kind: str
    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one cause: failing ones first, then in the order of their nodeids."""

    cause: Cause
    findings: tuple[Counted, ...]

    @property
    def sample(self) -> Finding:
        """A finding that represents the group: one that fails, if there is one."""
        return self.findings[0][0]

    @property
    def nodeids(self) -> tuple[str, ...]:
        """Sorted nodeids of the affected tests. Findings without a test contribute none."""
        return tuple(sorted({f.owner.nodeid for f, _ in self.findings if f.owner.nodeid}))

    @property
    def times(self) -> int:
        """How often the cause occurred."""
        return sum(count for _, count in self.findings)

    @property
    def actions(self) -> Counter[str]:
        """How often the cause occurred, by action: fail, warn, allow or baseline."""
        actions: Counter[str] = Counter()
        for finding, count in self.findings:
            actions[finding.action] += count
        return actions


def grouped(findings: Iterable[Counted]) -> list[Group]:
    """Group ``findings`` by cause. The cause that affects most tests comes first.

    The result does not depend on the order of ``findings``.
    """
    causes: dict[Cause, list[Counted]] = {}
    for finding, count in findings:
        causes.setdefault(cause_of(finding), []).append((finding, count))
    groups = [Group(cause, tuple(sorted(of, key=_rank))) for cause, of in causes.items()]
    return sorted(groups, key=lambda group: (-len(group.nodeids), -group.times, group.cause))


def cause_of(finding: Finding) -> Cause:
    """The cause of ``finding``."""
    place = finding.place
    if place is not None:
        return Cause(finding.kind, place.path, place.line, place.function)
    path, name = owner_of(finding)
    return Cause(finding.kind, path, 0, name)


def owner_of(finding: Finding) -> tuple[str, str]:
    """The file and the name of the owner of ``finding``, stable across runs.

    A test is named without its parameters. Only tests and modules have a file. A fixture has none:
    it is charged to the first test that uses it, which may be in another file in the next run.
    """
    owner = finding.owner
    if owner.type == "test":
        path, _, name = without_parameters(owner.nodeid).partition("::")
        return path, name
    if owner.type == "module":
        return owner.name, "<module>"
    return "", owner.name


def without_parameters(nodeid: str) -> str:
    """``nodeid`` without the parameters of a test."""
    path, mark, names = nodeid.partition("::")
    return path + mark + names.partition("[")[0]


def _rank(counted: Counted) -> tuple[object, ...]:
    finding, count = counted
    return (finding.action != "fail", finding.owner.nodeid, finding.summary, finding.when, count)
