"""The lines of a finding with the code around them, as the HTML report shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ..model.finding import Finding, Place
from ..model.lines import lines_of
from .run import Run

#: The number of lines shown before and after the line of a finding.
_CONTEXT: Final = 3


class Line(NamedTuple):
    """A line of source. ``marked`` is true for the line of the finding."""

    number: int
    code: str
    marked: bool


class Excerpt(NamedTuple):
    """A line of a finding (``where`` is its ``path:line``) and the code around it."""

    label: str
    where: str
    function: str
    lines: Sequence[Line]


def excerpts_of(run: Run, finding: Finding) -> Iterator[Excerpt]:
    """Origin and location of ``finding``, as far as it has them. ``finding.place`` comes first."""
    places = [(finding.origin_label, finding.origin), (finding.location_label, finding.location)]
    places.sort(key=lambda labelled: labelled[1] != finding.place)
    seen: set[Place] = set()
    for label, place in places:
        if place is not None and place not in seen:
            seen.add(place)
            yield Excerpt(label, run.where(place), place.function, _lines(place))


def _lines(place: Place) -> list[Line]:
    """The code around ``place`` that belongs to the same function; empty if it cannot be read."""
    source = [line.expandtabs(4).rstrip() for line in lines_of(place.path)]
    if not 0 < place.line <= len(source):
        return []
    here = place.line - 1
    depth = _indent(source[here])
    first = last = here
    while first > max(0, here - _CONTEXT) and not _opens(source[first], depth):
        first -= 1
    while last + 1 < min(len(source), here + _CONTEXT + 1):
        if source[last + 1] and _indent(source[last + 1]) < depth:
            break
        last += 1
    while not source[first] and first < here:
        first += 1
    while not source[last] and last > here:
        last -= 1
    shift = min(_indent(line) for line in source[first : last + 1] if line or first == last)
    return [Line(n + 1, source[n][shift:], n == here) for n in range(first, last + 1)]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _opens(line: str, depth: int) -> bool:
    """Whether ``line`` opens the function or class around a line that is indented by ``depth``."""
    opens = line.lstrip().startswith(("def ", "async def ", "class ", "@"))
    return opens and _indent(line) <= depth
