"""The one file that names private parts of pytest.

A failure that pytest prints in its own way, ships between processes and writes
to JUnit files has to be made of pytest's own pieces, which have no public name. Where a version of
pytest lacks one of them, the plugin does without and says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

import pytest

from .missing import missing

__all__ = [
    "Block",
    "Failed",
    "TestCaseFunction",
    "WarningFilter",
    "add_error",
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

if TYPE_CHECKING:
    from _pytest.outcomes import Failed
else:
    #: What a failed test raises.
    Failed = pytest.fail.Exception


def _find(module: str, name: str, lost: str) -> Any:
    """The private ``name`` of a module of pytest's, or None; ``lost`` is what goes with it."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        missing(lost, f"this pytest has no {module}.{name}")
        return None


_code: Final = {
    name: _find("_pytest._code.code", name, "the lines of code in failures")
    for name in ("ReprEntry", "ReprExceptionInfo", "ReprFileLocation", "ReprTraceback")
}
_parse_warning_filter: Final = _find(
    "_pytest.config", "parse_warning_filter", "the warning filters of pytest"
)
_evaluate_xfail_marks: Final = _find(
    "_pytest.skipping", "evaluate_xfail_marks", "whether a test is expected to fail"
)
#: What a method of a `unittest.TestCase` is an item of.
TestCaseFunction: Final = _find(
    "_pytest.unittest", "TestCaseFunction", "which tests are those of unittest"
)


def parse_filter(text: str, *, escape: bool) -> WarningFilter | None:
    """A warning filter as pytest reads it, or None if it cannot be read, which pytest says."""
    try:
        filter_: WarningFilter = _parse_warning_filter(text, escape=escape)
    except Exception:
        return None
    return filter_


def make_longrepr(blocks: Sequence[Block], crash: tuple[str, int, str]) -> Any:
    """A failure that prints ``blocks`` as pytest prints tracebacks, and crashed at ``crash``."""
    if None in _code.values():
        lines = [line for block, _ in blocks for line in block]
        return "\n".join([*lines, f"{crash[0]}:{crash[1]}: {crash[2]}"])
    location = _code["ReprFileLocation"]
    entries = [
        _code["ReprEntry"](list(lines), None, None, location(*end) if end else None, "long")
        for lines, end in blocks
    ]
    return _code["ReprExceptionInfo"](
        reprtraceback=_code["ReprTraceback"](entries, None, "long"), reprcrash=location(*crash)
    )


def expected_failure(item: pytest.Item) -> str | None:
    """The reason for which ``item`` is expected to fail by a trap, or None where it is not."""
    xfail = _evaluate_xfail_marks(item) if _evaluate_xfail_marks is not None else None
    if xfail is None or item.config.option.runxfail or xfail.raises is not None:
        return None
    return str(xfail.reason)


def is_to_fail(item: pytest.Item) -> bool:
    """Whether ``item``, which has run, is a failure if it has not failed."""
    xfail = _evaluate_xfail_marks(item) if _evaluate_xfail_marks is not None else None
    return xfail is not None and xfail.strict and not item.config.option.runxfail


def end_fixtures(session: pytest.Session, theirs: AbstractContextManager[None]) -> None:
    """Tear down, in the block ``theirs``, what a run that was stopped half-way has left set up."""
    with theirs:
        session._setupstate.teardown_exact(None)


def add_error(terminal: pytest.TerminalReporter, where: str, text: str) -> None:
    """Have the run end with an error that belongs to no test: in the short summary, and in red."""
    report = pytest.CollectReport(where, "failed", _longrepr_of(where, text), None)
    add: Any = getattr(terminal, "_add_stats", None)
    if add is not None:
        add("error", [report])  # it counts the colour of the last line, too
    else:
        terminal.stats.setdefault("error", []).append(report)


def _longrepr_of(where: str, text: str) -> Any:
    return make_longrepr([((text,), None)], (where, 0, text))
