"""Where the parts of a drawing of a slow step stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_asyncio_traps.model.finding import (
    Earlier,
    Finding,
    Owner,
    Place,
    Span,
    Timeline,
)
from pytest_asyncio_traps.reports.drawing import Bar, Drawing, draw
from pytest_asyncio_traps.reports.run import Run

OUTER, ONE, OTHER = (Place(f"/app/{name}.py", 1, name) for name in ("outer", "one", "other"))


def drawn(timeline: Timeline) -> Drawing:
    owner = Owner("test", "t.py::t", "function", "t.py::t")
    finding = Finding("slow-callback", "slow", "Be quick.", owner, timeline=timeline)
    return draw(Run([], {}, [], {}, Path("/app"), lambda path: path), finding)


def rows(drawing: Drawing, row: int) -> list[tuple[float, float, str]]:
    """Start, end and label of the bars in ``row``."""
    bars = [bar for bar in drawing.bars if bar.row == row]
    return [(bar.x, bar.x + bar.width, bar.label.partition(" ")[0]) for bar in bars]


def test_calls_last_as_long_as_they_were_seen() -> None:
    """What goes on below is one bar; between two looks, the nearer one counts."""
    spans = (
        Span(0.1, 0.3, 3, (OUTER, ONE)),
        Span(0.5, 0.5, 1, (OUTER, OTHER)),
        Span(0.7, 0.9, 2, (OUTER, ONE)),
    )

    drawing = drawn(Timeline(1.0, 0.1, 0.0, 0.0, spans, ()))

    assert drawing.zero == 0.0
    assert drawing.limit == 10.0
    assert rows(drawing, 1) == [(0.0, 100.0, "outer")]
    assert rows(drawing, 2) == [(0.0, 40.0, "one"), (40.0, 60.0, "other"), (60.0, 100.0, "one")]
    assert [(line.function, line.share) for line in drawing.sampled_lines] == [
        ("one", 83),
        ("other", 17),
    ]
    assert [frame.function for frame in drawing.stack] == ["outer", "one"]


def test_what_came_before_takes_a_third_at_most() -> None:
    """The step begins where that ends; what lies further back is left out."""
    earlier = (
        Earlier(-9.0, None, None),
        Earlier(-8.0, -8.5, ONE),
        Earlier(-0.4, None, None),
        Earlier(-0.1, -0.2, ONE),
    )

    drawing = drawn(Timeline(1.0, 2.0, 0.0, 0.0, (), earlier))

    assert drawing.zero == pytest.approx(100 / 3, abs=0.01)
    assert drawing.limit is None
    forms = [(bar.form, round(bar.x, 1), round(bar.width, 1)) for bar in drawing.bars]
    assert forms == [("step", 33.3, 66.7), ("idle", 6.7, 13.3), ("before", 20.0, 6.7)]


def test_parts_make_up_the_whole() -> None:
    drawing = drawn(Timeline(1.0, 0.1, 0.25, 0.0, (), ()))

    assert [(form, seconds, share) for form, _, seconds, share in drawing.parts] == [
        ("counted", 0.75, 75.0),
        ("waited", 0.25, 25.0),
    ]


@pytest.mark.parametrize("length", [0.0, 1e-9, 0.1, 1e6])
def test_nothing_leaves_the_width(length: float) -> None:
    """Even where clocks disagree: a look may come after the end, or an excuse be too large."""
    spans = (Span(0.0, 0.2, 3, (OUTER,)), Span(0.3, 2 * length + 1, 2, ()))
    timeline = Timeline(length, 0.1, 3 * length, 0.0, spans, (Earlier(-1e9, -2e9, None),))

    drawing = drawn(timeline)

    def inside(bar: Bar) -> bool:
        return 0 <= bar.x <= 100 and bar.width > 0 and bar.x + bar.width <= 100.5

    assert all(map(inside, drawing.bars))
    assert 0 <= drawing.zero <= 100
    assert drawing.counted >= 0.0
