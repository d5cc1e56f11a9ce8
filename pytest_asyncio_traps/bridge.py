"""The one file that names private parts of pytest.

A failure that pytest prints in its own way, ships between processes and writes
to JUnit files has to be made of pytest's own pieces, which have no public name.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import pytest
from _pytest._code.code import (
    ExceptionRepr,
    ReprEntry,
    ReprExceptionInfo,
    ReprFileLocation,
    ReprTraceback,
)
from _pytest.config import parse_warning_filter
from _pytest.outcomes import Failed
from _pytest.skipping import evaluate_xfail_marks
from _pytest.unittest import TestCaseFunction

__all__ = [
    "Block",
    "ExceptionRepr",
    "Failed",
    "TestCaseFunction",
    "WarningFilter",
    "end_fixtures",
    "expected_failure",
    "is_to_fail",
    "make_longrepr",
    "parse_filter",
]

#: A block of text: its lines, and the (path, line, message) it ends with, if any.
Block = tuple[Sequence[str], tuple[str, int, str] | None]


#: Action, pattern of the message, category, pattern of the module, line or 0.
WarningFilter = tuple[str, str, type[Warning], str, int]


def parse_filter(text: str, *, escape: bool) -> WarningFilter | None:
    """A warning filter as pytest reads it, or None if it cannot be read, which pytest tells."""
    try:
        return parse_warning_filter(text, escape=escape)
    except Exception:
        return None


def make_longrepr(blocks: Sequence[Block], crash: tuple[str, int, str]) -> ExceptionRepr:
    """A failure that prints ``blocks`` as pytest prints tracebacks, and crashed at ``crash``."""
    entries = [
        ReprEntry(list(lines), None, None, ReprFileLocation(*end) if end else None, "long")
        for lines, end in blocks
    ]
    return ReprExceptionInfo(
        reprtraceback=ReprTraceback(entries, None, "long"), reprcrash=ReprFileLocation(*crash)
    )


def expected_failure(item: pytest.Item) -> str | None:
    """The reason for which ``item`` is expected to fail by a trap, or None where it is not."""
    xfail = evaluate_xfail_marks(item)
    if xfail is None or item.config.option.runxfail or xfail.raises is not None:
        return None
    return xfail.reason


def is_to_fail(item: pytest.Item) -> bool:
    """Whether ``item``, which has run, is a failure if it has not failed."""
    xfail = evaluate_xfail_marks(item)
    return xfail is not None and xfail.strict and not item.config.option.runxfail


def end_fixtures(session: pytest.Session, theirs: AbstractContextManager[None]) -> None:
    """Tear down, in the block ``theirs``, what a run that was stopped half-way has left set up."""
    with theirs:
        session._setupstate.teardown_exact(None)
