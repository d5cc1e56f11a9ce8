"""Findings, grouped by cause."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from pytest_asyncio_traps.model.causes import Cause, cause_of, grouped, without_parameters
from pytest_asyncio_traps.model.finding import Finding, Owner, Place

HERE, THERE = Place("/a.py", 3, "start"), Place("/b.py", 5, "poll")


def finding(nodeid: str, origin: Place | None = HERE, **changes: Any) -> Finding:
    owner = Owner("test", nodeid, "function", nodeid)
    made = Finding("pending-task", "a task", "mend it", owner, origin=origin, action="fail")
    return made._replace(**changes)


def test_what_most_tests_sprang_comes_first() -> None:
    """Not what was met most often."""
    groups = grouped(
        [
            (finding("t.py::rare", THERE), 100),
            (finding("t.py::one"), 1),
            (finding("t.py::two"), 1),
            (finding("t.py::two", when="late"), 1),
        ]
    )

    assert [group.cause for group in groups] == [
        Cause("pending-task", "/a.py", 3, "start"),
        Cause("pending-task", "/b.py", 5, "poll"),
    ]
    assert groups[0].nodeids == ("t.py::one", "t.py::two")
    assert groups[0].times == 3
    assert groups[1].actions == {"fail": 100}


def test_the_order_of_the_findings_does_not_matter() -> None:
    findings = [
        (finding(nodeid, place, kind=kind, summary=nodeid), 1)
        for nodeid, place, kind in itertools.product(
            ("t.py::a", "t.py::b"), (HERE, THERE, None), ("pending-task", "unclosed-loop")
        )
    ]
    expected = grouped(findings)

    for seed in range(5):
        random.Random(seed).shuffle(findings)
        assert grouped(findings) == expected


def test_the_sample_fails_if_one_of_them_does() -> None:
    (group,) = grouped(
        [(finding("t.py::a", action="allow"), 1), (finding("t.py::b", action="fail"), 1)]
    )

    assert group.sample.owner.nodeid == "t.py::b"


def test_the_line_is_the_one_that_the_reader_is_pointed_to() -> None:
    blocked = finding("t.py::a", location=THERE, at_location=True)
    waiting = finding("t.py::a", location=THERE)

    assert cause_of(blocked).path == "/b.py"
    assert cause_of(waiting).path == "/a.py"
    assert cause_of(waiting._replace(origin=None)).path == "/b.py"


@pytest.mark.parametrize(
    ("owner", "path", "function"),
    [
        (Owner("test", "t.py::T::a[x::y[1]]", "function", "t.py::T::a[x::y[1]]"), "t.py", "T::a"),
        (Owner("fixture", "db", "session", "t.py::a"), "", "db"),
        (Owner("module", "t.py", "module", ""), "t.py", "<module>"),
        (Owner("session", "session", "session", ""), "", "session"),
    ],
)
def test_without_a_line_the_owner_stands_for_it(owner: Owner, path: str, function: str) -> None:
    assert cause_of(Finding("unclosed-loop", "s", "a", owner)) == Cause(
        "unclosed-loop", path, 0, function
    )


@pytest.mark.parametrize(
    ("nodeid", "function"),
    [
        ("a.py::test", "a.py::test"),
        ("a.py::test[1]", "a.py::test"),
        ("a[1].py::T::test[a::b[2]]", "a[1].py::T::test"),
        ("a[1].py", "a[1].py"),
        ("", ""),
    ],
)
def test_a_nodeid_without_parameters(nodeid: str, function: str) -> None:
    assert without_parameters(nodeid) == function
