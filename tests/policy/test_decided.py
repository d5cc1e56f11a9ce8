"""The findings that were decided about, of one process and of several."""

from __future__ import annotations

from pytest_asyncio_traps.model.finding import Finding, Owner
from pytest_asyncio_traps.policy.decided import DecidedFindings

OF_TEST = Owner("test", "t.py::test", "function", "t.py::test")
OF_MODULE = Owner("module", "t.py", "module", "")


def finding(owner: Owner = OF_MODULE, action: str = "fail") -> Finding:
    return Finding("leak", "a task leaked", "close it", owner, action=action)


def test_what_belongs_to_no_test_is_recorded_once_for_all_processes() -> None:
    """Each worker finds it; one that finds it more often than the others adds to it."""
    decided = DecidedFindings()

    added = [decided.add(finding(), 1, process) for process in ("gw0", "gw1", "", "gw1", "gw0")]

    assert added == [True, False, False, True, False]
    assert len(decided.findings) == 2


def test_what_belongs_to_a_test_is_recorded_each_time() -> None:
    decided = DecidedFindings()

    assert decided.add(finding(OF_TEST), 1, "gw0")
    assert decided.add(finding(OF_TEST), 2, "gw0")
    assert [count for _, count in decided.findings] == [1, 2]


def test_each_finding_is_sent_once() -> None:
    decided = DecidedFindings()
    decided.add(finding(OF_TEST), 1)
    assert len(decided.take_unsent()) == 1

    decided.add(finding(OF_TEST), 2)

    assert decided.take_unsent() == [(finding(OF_TEST), 2)]
    assert decided.take_unsent() == []


def test_what_fails_the_run() -> None:
    decided = DecidedFindings()
    decided.add(finding(OF_TEST), 1)
    decided.add(finding(OF_MODULE, "warn"), 1)
    assert decided.without_test() == []

    decided.add(finding(OF_MODULE._replace(name="u.py")), 1)

    assert len(decided.without_test()) == 1
