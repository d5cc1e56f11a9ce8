"""Lays out the timeline of a slow step for the HTML report, in percent of its width.

Time runs from left to right. The top row is the loop; the rows below are the calls of the step,
outermost first. The stack is known only at the samples; between two samples, the stack of the
nearer one is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import Final, NamedTuple

from ..core.stacks import is_user_file
from ..model.finding import Finding, Place, Span, Timeline
from ..model.lines import line_at
from .run import Run

#: The share of the width that the time before the step may take.
_LEAD: Final = 1 / 3
#: The narrowest bar that is visible, in percent.
_NARROWEST: Final = 0.4
#: The number of lines that are listed below the drawing.
_LISTED: Final = 8


class Bar(NamedTuple):
    """A bar of the timeline. ``x`` and ``width`` are in percent; ``row`` 0 is the top row."""

    x: float
    width: float
    row: int
    form: str
    label: str
    hint: str


class SampledLine(NamedTuple):
    """A line at which ``samples`` of all samples, ``share`` percent, found the step."""

    where: str
    function: str
    code: str
    samples: int
    share: int


class Frame(NamedTuple):
    """A line of the stack. ``form`` is ``user`` or ``other``."""

    where: str
    function: str
    code: str
    form: str


class Drawing(NamedTuple):
    """A slow step.

    ``counted`` is the time in seconds that is compared with the threshold. ``parts`` break the
    total time down into form, words, seconds and percent. ``zero`` is the x of the start of the
    step, and ``limit`` that of the threshold, both in percent; ``limit`` is None if it lies outside
    of the drawing. ``rows`` is the number of rows. ``more`` is the number of sampled lines that are
    not listed. ``samples`` is the number of all samples.
    """

    name: str
    summary: str
    timeline: Timeline
    counted: float
    parts: Sequence[tuple[str, str, float, float]]
    zero: float
    limit: float | None
    rows: int
    bars: Sequence[Bar]
    sampled_lines: Sequence[SampledLine]
    more: int
    samples: int
    stack: Sequence[Frame]


def draw(run: Run, finding: Finding) -> Drawing:
    """The drawing of ``finding``, which must have a timeline."""
    timeline = finding.timeline
    assert timeline is not None
    length = max(timeline.length, 1e-6)
    lead = min(length * _LEAD / (1 - _LEAD), -min((e.at for e in timeline.earlier), default=0.0))
    whole = lead + length

    def at(seconds: float) -> float:
        return round(100 * (min(max(seconds, -lead), length) + lead) / whole, 3)

    def bar(start: float, end: float, row: int, form: str, label: str, hint: str) -> Bar:
        x = at(start)
        return Bar(x, max(round(at(end) - x, 3), _NARROWEST), row, form, label, hint)

    bars = [bar(0.0, length, 0, "step", f"{length:.3f} s", "the slow step")]
    bars += [
        bar(start, end, 0, form, "", hint)
        for start, end, form, hint in _before(run, timeline)
        if end > -lead
    ]
    for start, end, depth, place in _frames(timeline):
        label = f"{place.function}  {run.where(place)}"
        bars.append(bar(start, end, depth + 1, _form(place), label, label))
    counted = max(0.0, timeline.length - timeline.waited - timeline.paused)
    samples = sum(span.samples for span in timeline.spans)
    lines = [*_sampled_lines(run, timeline.spans, samples)]
    return Drawing(
        finding.owner.nodeid or finding.owner.name,
        finding.summary,
        timeline,
        counted,
        _parts(timeline, counted),
        at(0.0),
        at(timeline.threshold) if timeline.threshold < length else None,
        1 + max((len(span.stack) for span in timeline.spans), default=0),
        bars,
        lines[:_LISTED],
        max(0, len(lines) - _LISTED),
        samples,
        _stack(run, timeline.spans),
    )


def _parts(timeline: Timeline, counted: float) -> list[tuple[str, str, float, float]]:
    """The parts of the total time: form, words, seconds and percent of each."""
    parts = (
        ("counted", "counted", counted),
        ("waited", "waiting for a processor", timeline.waited),
        ("paused", "paused by the collector", timeline.paused),
    )
    whole = sum(seconds for _, _, seconds in parts) or 1.0
    return [
        (form, words, seconds, round(100 * seconds / whole, 3))
        for form, words, seconds in parts
        if seconds >= 0.0005 or form == "counted"
    ]


def _before(run: Run, timeline: Timeline) -> Iterator[tuple[float, float, str, str]]:
    """Start, end, form and words of what the loop did before the step."""
    for earlier, after in zip_longest(timeline.earlier, timeline.earlier[1:]):
        if earlier.since is None:
            end = 0.0 if after is None else after.at if after.since is None else after.since
            yield earlier.at, max(earlier.at, end), "idle", "the loop waits for something to do"
        else:
            where = f" at {run.where(earlier.place)}" if earlier.place is not None else ""
            yield earlier.since, earlier.at, "before", f"another step{where}"


def _frames(timeline: Timeline) -> Iterator[tuple[float, float, int, Place]]:
    """Start, end, depth and line of each call.

    A call lasts while consecutive samples find the same lines down to its depth.
    """
    spans = timeline.spans
    edges = [0.0]
    edges += [(one.last + other.first) / 2 for one, other in pairwise(spans)]
    edges.append(timeline.length)
    depth = max((len(span.stack) for span in spans), default=0)
    for row in range(depth):
        begun, calls = 0, [span.stack[: row + 1] for span in spans]
        for number in range(1, len(calls) + 1):
            if number == len(calls) or calls[number] != calls[begun]:
                if len(calls[begun]) > row:
                    yield edges[begun], edges[number], row, calls[begun][row]
                begun = number


def _form(place: Place) -> str:
    return "user" if is_user_file(place.path) else "other"


def _blamed(span: Span) -> Place | None:
    """The innermost line of user code; if there is none, the innermost line."""
    users = [place for place in span.stack if is_user_file(place.path)]
    places = users or [*span.stack]
    return places[-1] if places else None


def _sampled_lines(run: Run, spans: Sequence[Span], whole: int) -> Iterator[SampledLine]:
    lines: Counter[Place] = Counter()
    for span in spans:
        place = _blamed(span)
        if place is not None:
            lines[place] += span.samples
    for place, samples in lines.most_common():
        share = round(100 * samples / whole)
        yield SampledLine(run.where(place), place.function, _code(place), samples, share)


def _stack(run: Run, spans: Sequence[Span]) -> list[Frame]:
    """The stack that most samples found."""
    if not spans:
        return []
    stacks: Counter[tuple[Place, ...]] = Counter()
    for span in spans:
        stacks[span.stack] += span.samples
    ((stack, _),) = stacks.most_common(1)
    return [Frame(run.where(p), p.function, _code(p), _form(p)) for p in stack]


def _code(place: Place) -> str:
    return line_at(place).strip()
