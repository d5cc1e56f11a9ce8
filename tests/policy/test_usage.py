"""Which markers have allowed something, without a run of pytest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_asyncio_traps.policy.markers import Allowance
from pytest_asyncio_traps.policy.usage import MarkerUsage

MARK: Any = SimpleNamespace(name="asyncio_allow", args=("leak",), kwargs={})
A, B = "t.py::test_a", "t.py::test_b"
NAME = (A, "asyncio_allow('leak')")


def item(nodeid: str) -> Any:
    return SimpleNamespace(nodeid=nodeid, iter_markers=lambda name: [MARK])


def report(nodeid: str, outcome: Any = "passed") -> pytest.TestReport:
    return pytest.TestReport(nodeid, (nodeid, None, nodeid), {}, outcome, None, "call")


def usage() -> MarkerUsage:
    """Of a marker on a module with two tests."""
    made = MarkerUsage()
    made.expect([item(A), item(B)])
    return made


def test_a_marker_is_unused_once_all_of_its_tests_have_run() -> None:
    markers = usage()
    markers.add_report(report(A))
    assert markers.unused() == []

    markers.add_report(report(B))

    assert markers.unused() == [NAME]


def test_a_skipped_test_has_not_run() -> None:
    markers = usage()
    markers.add_report(report(A))
    markers.add_report(report(B, "skipped"))

    assert markers.unused() == []


def test_a_marker_that_has_allowed_something_is_used() -> None:
    markers = usage()
    markers.add_report(report(A))
    markers.add_report(report(B))
    markers.add_used([Allowance((), None, None, MARK)])

    assert markers.unused() == []


def test_what_a_worker_has_used() -> None:
    """The controller of pytest-xdist has collected nothing itself."""
    controller, worker = MarkerUsage(), usage()
    worker.add_used([Allowance((), None, None, MARK)])
    for nodeid in (A, B):
        controller.add_report(report(nodeid))

    controller.add_of_worker(worker.expected, [])
    assert controller.unused() == [NAME]
    controller.add_of_worker({}, worker.used)
    assert controller.unused() == []
