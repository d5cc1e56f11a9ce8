"""One cause is one finding: drops parts of other findings, and counts equal ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from ..core.stacks import is_user_file
from ..model.finding import Finding, Place

if TYPE_CHECKING:
    from ..model.causes import Counted

#: Kinds of findings that others may be a part of.
WHOLES: Final = frozenset({"pending-task", "unclosed-resource", "unclosed-transport"})
#: Of these, the kinds of connections and of what holds them.
_CONNECTIONS: Final = frozenset({"unclosed-resource", "unclosed-transport"})


def merged(findings: Iterable[Finding], wholes: Iterable[Finding]) -> list[Finding]:
    """``findings`` without those that are part of the cause of one of ``wholes``.

    ``wholes`` are of the kinds `WHOLES`, and fail or warn: a finding that is allowed does not
    hide another one.
    """
    wholes = list(wholes)
    opened = {
        (finding.owner.nodeid, finding.origin)
        for finding in wholes
        if finding.kind in _CONNECTIONS and finding.origin is not None
    }
    kinds = {(finding.owner.nodeid, finding.kind) for finding in wholes}
    return [
        finding._replace(part_of="")
        for finding in findings
        if (finding.owner.nodeid, finding.part_of) not in kinds
        and not _is_part_of_connection(finding, opened)
    ]


def _is_part_of_connection(finding: Finding, opened: Collection[tuple[str, Place | None]]) -> bool:
    """Whether a library made the object for a connection that a user's line has opened.

    Such tasks and timers end when the connection is closed.
    """
    if finding.kind not in ("pending-task", "lingering-timer"):
        return False
    if finding.location is None or is_user_file(finding.location.path):
        return False
    return (finding.owner.nodeid, finding.origin) in opened


def cause_key(finding: Finding) -> tuple[object, ...]:
    """What findings of one cause have in common, within one test."""
    return (finding.kind, finding.owner, finding.origin, finding.location, finding.exception)


def counted(findings: Iterable[Finding]) -> list[Counted]:
    """For each cause the finding of the longest duration, and how many findings there are."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(cause_key(finding), []).append(finding)
    return [(max(group, key=lambda f: f.duration or 0.0), len(group)) for group in groups.values()]
