"""What is kept of the looks at a step, and what it comes to."""

from __future__ import annotations

import json
import sys
from types import CodeType

import pytest
from pytest_asyncio_traps.core.places import line_of
from pytest_asyncio_traps.model.finding import (
    Consent,
    Earlier,
    Finding,
    Owner,
    Place,
    Span,
    Timeline,
    from_plain,
    to_plain,
)
from pytest_asyncio_traps.profiler.samples import BEFORE, MOST, SampleBuffer

from pytest_asyncio_traps.core.stacks import Mark


def here() -> Mark:
    """The line of the caller, as a mark."""
    frame = sys._getframe(1)
    return frame.f_code, frame.f_lasti


def outer() -> Mark:
    return here()


def inner() -> tuple[Mark, Mark]:
    one = here()
    other = here()
    return one, other


def place(mark: Mark) -> Place:
    code: CodeType = mark[0]
    return Place(__file__, line_of(*mark), code.co_name)


OUTER = outer()
ONE, OTHER = inner()


def test_looks_at_the_same_lines_are_one_span() -> None:
    """From the first to the last of them, with the lines from the outermost to the innermost."""
    film = SampleBuffer()
    film.cut(10.01, 10.0)
    for now, mark in ((10.01, ONE), (10.03, ONE), (10.06, OTHER)):
        film.add(now, 10.0, [*mark, *OUTER])

    timeline = film.develop(10.0, 10.1, 0.05, 0.0, 0.02)

    assert timeline == Timeline(
        length=0.1,
        threshold=0.05,
        waited=0.0,
        paused=0.02,
        spans=(
            Span(0.01, 0.03, 2, (place(OUTER), place(ONE))),
            Span(0.06, 0.06, 1, (place(OUTER), place(OTHER))),
        ),
        earlier=(),
    )


def test_what_was_seen_before_the_step() -> None:
    """A loop that waited, and a step that was over before; the last look at it counts."""
    film = SampleBuffer()
    film.cut(9.0, 0.0)
    film.cut(9.5, 9.4)
    film.add(9.5, 9.4, [*ONE])
    film.add(9.6, 9.4, [*OTHER])
    film.cut(10.5, 10.0)
    film.add(10.5, 10.0, [*ONE])

    timeline = film.develop(10.0, 11.0, 0.1, 0.0, 0.0)

    assert timeline.earlier == (
        Earlier(-1.0, None, None),
        Earlier(-0.4, -0.6, place(OTHER)),
    )
    assert [span.first for span in timeline.spans] == [0.5]


def test_a_long_step_is_thinned_out() -> None:
    """It keeps no more looks than so many, from its beginning to its end, evenly."""
    film = SampleBuffer()
    film.cut(0.0, 1.0)
    count = 10 * MOST
    for number in range(count):
        film.add(1.0 + number, 1.0, [*(ONE if number % 2 else OTHER), *OUTER])

    spans = film.develop(1.0, 1.0 + count, 0.1, 0.0, 0.0).spans

    assert sum(span.samples for span in spans) <= MOST
    assert spans[0].first == 0.0
    assert spans[-1].last >= count * (1 - 2 / MOST)


def test_no_more_is_kept_of_the_time_before() -> None:
    film = SampleBuffer()
    for number in range(10 * BEFORE):
        film.cut(float(number), 0.0)

    earlier = film.develop(1e6, 1e6 + 1, 0.1, 0.0, 0.0).earlier

    assert len(earlier) == BEFORE
    assert earlier[-1].at == 10 * BEFORE - 1 - 1e6


@pytest.mark.parametrize("consent", [None, Consent("rule", "allow:slow-callback")])
def test_a_finding_crosses_processes_whole(consent: Consent | None) -> None:
    """As JSON, which knows no tuples."""
    film = SampleBuffer()
    film.cut(9.0, 0.0)
    film.cut(10.0, 10.0)
    film.add(10.5, 10.0, [*ONE, *OUTER])
    finding = Finding(
        "slow-callback",
        "slow",
        "Be quick.",
        Owner("test", "t.py::test", "function", "t.py::test"),
        origin=place(OUTER),
        notes=("a note",),
        timeline=film.develop(10.0, 11.0, 0.1, 0.0, 0.0),
        consent=consent,
    )

    assert from_plain(json.loads(json.dumps(to_plain(finding)))) == finding
