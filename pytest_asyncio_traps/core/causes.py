"""Findings of many tests, by what they have in common.

A cause is a kind and a line: the line to which a finding points its reader. All
reports of a whole run show their findings in groups of one cause, so that a line
which a hundred tests run is one thing to mend::

    for group in grouped(findings):
        print(group.cause.kind, group.cause.path, len(group.nodeids), group.sample.summary)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from .finding import Finding, Place
from .stacks import is_users

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


#: Kinds of findings that others may be a part of.
WHOLES: Final = frozenset({"pending-task", "unclosed-transport"})


def merged(findings: Iterable[Finding], wholes: Iterable[Finding]) -> list[Finding]:
    """``findings`` without those that are part of the cause of one of ``wholes``.

    ``wholes`` are of `WHOLES`, and are those that count: one that is allowed is no reason to keep
    silent about another.
    """
    wholes = list(wholes)
    opened = {
        (finding.owner.nodeid, finding.origin)
        for finding in wholes
        if finding.kind == "unclosed-transport" and finding.origin is not None
    }
    kinds = {(finding.owner.nodeid, finding.kind) for finding in wholes}
    return [
        finding._replace(part_of="")
        for finding in findings
        if (finding.owner.nodeid, finding.part_of) not in kinds
        and not _is_librarys_part(finding, opened)
    ]


def _is_librarys_part(finding: Finding, opened: Collection[tuple[str, Place | None]]) -> bool:
    """Whether a library made it for a connection that it opened at a line of the user's.

    Tasks and timers of that kind end when the connection is closed.
    """
    if finding.kind not in ("pending-task", "lingering-timer"):
        return False
    if finding.location is None or is_users(finding.location.path):
        return False
    return (finding.owner.nodeid, finding.origin) in opened


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
