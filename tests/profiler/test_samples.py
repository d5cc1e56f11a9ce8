"""The samples that are kept of a step, and what is derived from them."""

from __future__ import annotations

import json
import re
import sys
from types import CodeType

import pytest

from pytest_asyncio_traps.core.places import line_of
from pytest_asyncio_traps.core.stacks import Mark
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
from pytest_asyncio_traps.profiler.samples import MAX_EARLIER, MAX_SAMPLES, SampleBuffer


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


def test_samples_at_the_same_lines_are_one_span() -> None:
    """From the first to the last of them, with the lines from the outermost to the innermost."""
    samples = SampleBuffer()
    samples.begin_step(10.01, 10.0)
    for now, mark in ((10.01, ONE), (10.03, ONE), (10.06, OTHER)):
        samples.add(now, 10.0, [*mark, *OUTER])

    timeline = samples.to_timeline(10.0, 10.1, 0.05, 0.0, 0.02)

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


def test_what_the_loop_did_before_the_step() -> None:
    """The loop waited, then ran another step, of which the last sample is shown."""
    samples = SampleBuffer()
    samples.begin_step(9.0, 0.0)
    samples.begin_step(9.5, 9.4)
    samples.add(9.5, 9.4, [*ONE])
    samples.add(9.6, 9.4, [*OTHER])
    samples.begin_step(10.5, 10.0)
    samples.add(10.5, 10.0, [*ONE])

    timeline = samples.to_timeline(10.0, 11.0, 0.1, 0.0, 0.0)

    assert timeline.earlier == (
        Earlier(-1.0, None, None),
        Earlier(-0.4, -0.6, place(OTHER)),
    )
    assert [span.first for span in timeline.spans] == [0.5]


def test_a_long_step_is_thinned_out() -> None:
    """A bounded number of samples is kept, evenly from the beginning of the step to its end."""
    samples = SampleBuffer()
    samples.begin_step(0.0, 1.0)
    count = 10 * MAX_SAMPLES
    for number in range(count):
        samples.add(1.0 + number, 1.0, [*(ONE if number % 2 else OTHER), *OUTER])

    spans = samples.to_timeline(1.0, 1.0 + count, 0.1, 0.0, 0.0).spans

    assert sum(span.samples for span in spans) <= MAX_SAMPLES
    assert spans[0].first == 0.0
    assert spans[-1].last >= count * (1 - 2 / MAX_SAMPLES)


def test_lines_keep_their_shares_in_a_long_step() -> None:
    """Three quarters of the samples are at one line, however many samples are kept."""
    samples = SampleBuffer()
    samples.begin_step(1.0, 1.0)
    count = 10 * MAX_SAMPLES
    for number in range(count):
        samples.add(1.0 + number, 1.0, [*(ONE if number < count * 3 / 4 else OTHER), *OUTER])

    lines = samples.lines()

    assert len(samples) == count
    assert lines.keys() == {place(ONE), place(OTHER)}
    assert lines[place(ONE)] / lines.total() == pytest.approx(0.75, abs=0.02)


def test_lines_and_timeline_are_of_the_last_step() -> None:
    samples = SampleBuffer()
    for step, mark in ((1.0, ONE), (2.0, OTHER)):
        samples.begin_step(step, step)
        samples.add(step + 0.1, step, [*mark])

    assert samples.lines() == {place(OTHER): 1}
    assert [span.stack for span in samples.to_timeline(2.0, 3.0, 0.1, 0.0, 0.0).spans] == [
        (place(OTHER),)
    ]


def compiles_a_regular_expression() -> Mark:
    code = re._compiler.compile.__code__  # type: ignore[attr-defined]
    return code, 0


@pytest.mark.parametrize(
    ("once", "often", "expected"),
    [(3, 2, "compiling a regular expression"), (2, 2, ""), (0, 3, ""), (0, 0, "")],
)
def test_what_is_done_once_counts_if_most_samples_are_at_it(
    once: int, often: int, expected: str
) -> None:
    samples = SampleBuffer()
    samples.begin_step(1.0, 1.0)
    for mark in [compiles_a_regular_expression()] * once + [OTHER] * often:
        samples.add(1.1, 1.0, [*mark, *OUTER])

    assert samples.first_time() == expected


def test_a_bounded_number_of_earlier_samples_is_kept() -> None:
    samples = SampleBuffer()
    for number in range(10 * MAX_EARLIER):
        samples.begin_step(float(number), 0.0)

    earlier = samples.to_timeline(1e6, 1e6 + 1, 0.1, 0.0, 0.0).earlier

    assert len(earlier) == MAX_EARLIER
    assert earlier[-1].at == 10 * MAX_EARLIER - 1 - 1e6


@pytest.mark.parametrize("consent", [None, Consent("rule", "allow:slow-callback")])
def test_a_finding_crosses_processes_whole(consent: Consent | None) -> None:
    """As JSON, which knows no tuples."""
    samples = SampleBuffer()
    samples.begin_step(9.0, 0.0)
    samples.begin_step(10.0, 10.0)
    samples.add(10.5, 10.0, [*ONE, *OUTER])
    finding = Finding(
        "slow-callback",
        "slow",
        "Be quick.",
        Owner("test", "t.py::test", "function", "t.py::test"),
        origin=place(OUTER),
        notes=("a note",),
        timeline=samples.to_timeline(10.0, 11.0, 0.1, 0.0, 0.0),
        consent=consent,
    )

    assert from_plain(json.loads(json.dumps(to_plain(finding)))) == finding
