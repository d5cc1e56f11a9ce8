"""Mistakes that a type checker finds, each in a line that says so.

Both checkers complain of a comment that excuses nothing, so each of these is an error to both.
"""

from __future__ import annotations

import asyncio

import pytest

from pytest_asyncio_traps import Drop, Finding, Here, Owner, Place, Trap, TrapRecorder


def expects(asyncio_traps: TrapRecorder) -> None:
    asyncio_traps.expect(match="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    asyncio_traps.expect("x", match=7)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    asyncio_traps.findings = []  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    asyncio_traps.found  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] # noqa: B018


def reads(finding: Finding, loop: asyncio.AbstractEventLoop) -> None:
    finding.kind = "x"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    finding.place.line  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess] # noqa: B018
    Place("a.py", "1", "f")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Owner("tests", "n", "function", "")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Drop.KEEP  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] # noqa: B018


class Wrong(Trap):
    kind = 7  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]
    enabled = "often"  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]

    def arm(self) -> int:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        self.report("x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        self.report(7, self.here())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        self.report("x", self.here(), "y")  # type: ignore[call-arg, arg-type] # pyright: ignore[reportCallIssue]
        self.before(asyncio, "run", None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        here: Here = self.made(self)  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]
        return here.ended

    def judge(self) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        """It lacks an argument."""


def pytest_asyncio_traps_finding(item: pytest.Item | None, finding: Finding) -> Finding:
    return finding.kind  # type: ignore[return-value] # pyright: ignore[reportReturnType]
