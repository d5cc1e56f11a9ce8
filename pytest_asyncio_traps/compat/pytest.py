"""The private parts of pytest that the plugin uses, each named in this file only.

pytest prints a failure as a traceback, sends it from worker to controller and writes it to JUnit
files only if the failure is made of pytest's own classes, which have no public name. Where a
version of pytest lacks a private name, the plugin does without it and reports a blind spot.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

import pytest

from .missing import missing

__all__ = [
    "TEST_CASE_CONTEXT",
    "Block",
    "Failed",
    "TestCaseFunction",
    "WarningFilter",
    "add_error",
    "add_to_junit",
    "end_fixtures",
    "expected_failure",
    "finish_teardown",
    "is_from_pytest",
    "is_to_fail",
    "make_longrepr",
    "parse_filter",
    "print_past_capture",
    "reads_filters",
    "shows_log",
]

#: A block of text: its lines, and the (path, line, message) at its end, if there is one.
Block = tuple[Sequence[str], tuple[str, int, str] | None]

#: Action, pattern of the message, category, pattern of the module, line or 0.
WarningFilter = tuple[str, str, type[Warning], str, int]

if TYPE_CHECKING:
    from _pytest.outcomes import Failed
else:
    #: The exception that `pytest.fail` raises.
    Failed = pytest.fail.Exception


#: The attribute of a test case of ``unittest`` that holds the context in which its test runs.
#: unittest makes the context before the test begins, so that its owner has to be set there.
#: Where the attribute is missing, what such a test makes belongs to no test.
TEST_CASE_CONTEXT: Final = "_asyncioTestContext"


def _find(module: str, name: str, lost: str) -> Any:
    """The private ``name`` of a module of pytest's, or None, with a blind spot of text ``lost``."""
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
#: The class of items that are methods of a `unittest.TestCase`.
TestCaseFunction: Final = _find(
    "_pytest.unittest", "TestCaseFunction", "which tests are those of unittest"
)

_junit_key: Final = _find(
    "_pytest.junitxml", "xml_key", "errors that belong to no test, in JUnit's XML"
)
#: What holds the fixtures that are set up.
_setup_state: Any = _find(
    "_pytest.runner", "SetupState", "the fixtures left when a teardown was ended as a deadlock"
)
#: Where pytest keeps the descriptor on which faulthandler writes: a copy of standard error.
_stderr_key: Final = _find(
    "_pytest.faulthandler", "fault_handler_stderr_fd_key", "deadlock: printing past output capture"
)
_Outcome: Final = (pytest.fail.Exception, pytest.skip.Exception)


def parse_filter(text: str, *, escape: bool) -> WarningFilter | None:
    """A warning filter as pytest reads it, or None for one that pytest itself refuses."""
    try:
        filter_: WarningFilter = _parse_warning_filter(text, escape=escape)
    except Exception:
        return None
    return filter_


def make_longrepr(blocks: Sequence[Block], crash: tuple[str, int, str]) -> Any:
    """A failure printed as pytest prints tracebacks: ``blocks`` of lines, and where it ``crash``ed.

    ``crash`` is a path, a line and a message. Without pytest's classes the failure is plain text.
    """
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
    """The reason of the ``xfail`` marker that lets ``item`` fail by a trap, or None."""
    xfail = _evaluate_xfail_marks(item) if _evaluate_xfail_marks is not None else None
    if xfail is None or item.config.option.runxfail or xfail.raises is not None:
        return None
    return str(xfail.reason)


def is_to_fail(item: pytest.Item) -> bool:
    """Whether ``item`` has a strict ``xfail`` marker: if its test passes, pytest fails it."""
    xfail = _evaluate_xfail_marks(item) if _evaluate_xfail_marks is not None else None
    return xfail is not None and xfail.strict and not item.config.option.runxfail


def end_fixtures(session: pytest.Session, theirs: AbstractContextManager[None]) -> None:
    """Tear down the fixtures that a run which was stopped half-way has left set up.

    They are torn down in the block ``theirs``, since their code is not the plugin's.
    """
    with theirs:
        session._setupstate.teardown_exact(None)


def finish_teardown(raised: BaseException, is_known: Callable[[BaseException], bool]) -> None:
    """Tear down what pytest has not, since a finalizer ``raised`` what pytest does not expect.

    pytest stops at a `asyncio.CancelledError`, and forgets the finalizers that are left. What they
    raise is added to ``raised`` as notes, unless it ``is_known``.
    """

    def note(exc: BaseException) -> None:
        if not is_known(exc):
            raised.add_note(f"Another finalizer raised {type(exc).__name__}: {exc}")

    failure: BaseException | None = raised if _setup_state is not None else None
    while failure is not None:
        values = _locals_of(failure, _setup_state)
        failure = None
        finalizers: Any = values.get("finalizers")
        state: Any = values.get("self")
        while type(finalizers) is list and finalizers:
            try:
                finalizers.pop()()
            except (Exception, asyncio.CancelledError, *_Outcome) as exc:
                note(exc)
        try:
            if type(state) is _setup_state:
                state.teardown_exact(values.get("nextitem"))
        except asyncio.CancelledError as exc:
            note(exc)
            failure = exc
        except (Exception, *_Outcome) as exc:
            note(exc)


def _locals_of(exc: BaseException, setup_state: Any) -> dict[str, Any]:
    """The variables of ``teardown_exact()`` in the traceback of ``exc``; empty without one."""
    code = setup_state.teardown_exact.__code__
    traceback = exc.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code is code:
            return dict(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next
    return {}


def print_past_capture(config: pytest.Config, text: str) -> None:
    """Print ``text`` on the standard error that pytest was started with. Safe in any thread."""
    descriptor = config.stash.get(_stderr_key, None) if _stderr_key is not None else None
    try:
        if descriptor is not None:
            os.write(descriptor, text.encode("utf-8", "backslashreplace"))
        elif sys.__stderr__ is not None:
            sys.__stderr__.write(text)
            sys.__stderr__.flush()
    except (OSError, ValueError):
        pass  # it is closed


def is_from_pytest(function: object) -> bool:
    """Whether pytest itself has defined the hook ``function``."""
    module: object = getattr(function, "__module__", None)
    return isinstance(module, str) and module.startswith("_pytest.")


def shows_log(config: pytest.Config) -> bool:
    """Whether pytest adds log records to reports of failures."""
    return config.pluginmanager.hasplugin("logging-plugin")


def reads_filters(config: pytest.Config) -> bool:
    """Whether pytest applies the warning filters of the command line, ini file and markers."""
    return config.pluginmanager.hasplugin("warnings")


def add_error(terminal: pytest.TerminalReporter, where: str, text: str) -> None:
    """Add an error that belongs to no test to the short summary, and end the run in red."""
    report = pytest.CollectReport(where, "failed", _longrepr_of(where, text), None)
    add: Any = getattr(terminal, "_add_stats", None)
    if add is not None:
        add("error", [report])  # it updates the colour of the last line as well
    else:
        terminal.stats.setdefault("error", []).append(report)


def add_to_junit(config: pytest.Config, suite: str, where: str, text: str) -> None:
    """Add a failed test case for an error that belongs to no test, if the run writes JUnit XML.

    ``suite`` is its class, and ``where`` its name. Other plugins do not see the test case, since
    they would look for its test.
    """
    if _junit_key is None or (junit := config.stash.get(_junit_key, None)) is None:
        return
    report = pytest.TestReport(
        nodeid=f"{suite}::{where}",
        location=(suite, None, where),
        keywords={},
        outcome="failed",
        longrepr=_longrepr_of(where, text),
        when="call",
    )
    junit.pytest_runtest_logreport(report)


def _longrepr_of(where: str, text: str) -> Any:
    return make_longrepr([((text,), None)], (where, 0, text))
