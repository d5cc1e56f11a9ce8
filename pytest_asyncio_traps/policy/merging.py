"""One cause is one finding: drops findings that are part of another one's cause."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from ..core.stacks import is_user_file
from ..model.finding import Finding, Place

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
    if finding.location is None or is_user_file(finding.location.path):
        return False
    return (finding.owner.nodeid, finding.origin) in opened
