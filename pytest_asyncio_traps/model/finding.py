"""Findings: plain strings and numbers, safe to keep, pickle and print later.

A finding never refers to the objects that it is about: these may change or be destroyed before the
finding is reported.
"""

# No `from __future__ import annotations`: NamedTuple would compile the annotation of each field.
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, Literal, NamedTuple

from .text import shorten

OwnerType = Literal["test", "fixture", "module", "session", "unknown"]


class Place(NamedTuple):
    """A line of source: absolute ``path``, 1-based ``line``, and name of the ``function``."""

    path: str
    line: int
    function: str


class Owner(NamedTuple):
    """The test or fixture that an object belongs to.

    ``nodeid`` is the test that a finding is charged to: the test itself, or the test for which the
    fixture was set up. It is empty for an object that belongs to no test. ``via`` names the shared
    object that did the work, such as a server of a module fixture; it may be empty.
    """

    type: OwnerType
    name: str
    scope: str
    nodeid: str
    via: str = ""


class Span(NamedTuple):
    """Consecutive samples of a step that found the same stack.

    ``first`` and ``last`` are the times of the first and last of these ``samples``, in seconds
    since the step began. ``stack`` holds the lines that the step had called, outermost first; it is
    empty if the stack could not be read.
    """

    first: float
    last: float
    samples: int
    stack: tuple[Place, ...]


class Earlier(NamedTuple):
    """A sample of the loop from before a slow step.

    ``at`` is the time of the sample, and ``since`` the time at which the step began that was then
    running, both in seconds relative to the start of the slow step, and so negative. ``since`` is
    None if the loop was waiting for events. ``place`` is the user's line, if there was one.
    """

    at: float
    since: float | None
    place: Place | None


class Timeline(NamedTuple):
    """The course of a slow step. All times are in seconds.

    ``length`` is the total duration. ``waited`` is the time for which the thread waited for a CPU,
    and ``paused`` the time for which the garbage collector ran. The rest is compared with
    ``threshold``, and exceeded it.
    """

    length: float
    threshold: float
    waited: float
    paused: float
    spans: tuple[Span, ...]
    earlier: tuple[Earlier, ...]


class Consent(NamedTuple):
    """Why a finding does not fail its test.

    ``text`` is the reason that a marker gives, or the text of a rule.
    """

    by: Literal["marker", "rule", "baseline"]
    text: str


class Finding(NamedTuple):
    """One asyncio bug that a trap has found.

    ``origin`` is the user's line that created the object, ``location`` the line where it waits,
    blocks or raised. ``notes`` are further sentences for the reader. ``duration`` is in seconds.
    ``when``, the phase in which the finding is reported, and ``action``, what the rules make of it,
    are empty until the end of that phase.
    """

    kind: str
    summary: str
    advice: str
    owner: Owner
    origin: Place | None = None
    origin_label: str = "created at"
    location: Place | None = None
    location_label: str = "at"
    #: Whether reports point to ``location`` first, rather than to ``origin``.
    at_location: bool = False
    notes: tuple[str, ...] = ()
    duration: float | None = None
    exception: str | None = None
    #: The name of the coroutine, callback or function it is about, the same in every run.
    subject: str = ""
    when: str = ""
    action: str = ""
    #: For a slow step, its course.
    timeline: Timeline | None = None
    #: A kind whose findings cover this one: it is dropped if the same test has one that counts.
    part_of: str = ""
    #: What allows the finding; None until that is known, or if nothing does.
    consent: Consent | None = None
    #: The call stack that led from the test or fixture to ``origin``: the user's lines, outermost
    #: first, across tasks and threads that the user's code started. Empty if it is not known.
    trace: tuple[Place, ...] = ()
    #: The lines at which a pending task and the coroutines that it awaits wait, outermost first.
    waits: tuple[Place, ...] = ()

    @property
    def place(self) -> Place | None:
        """The line that reports point to first, or None."""
        if self.at_location:
            return self.location or self.origin
        return self.origin or self.location


#: The longest name of a function and the longest path, in characters.
_LONGEST_NAME: Final = 200
_LONGEST_PATH: Final = 4096


def bounded_place(place: Place | None) -> Place | None:
    """``place`` with path and function cut to a length that a report can show."""
    if place is None:
        return None
    path = shorten(place.path, _LONGEST_PATH)
    return Place(path, place.line, shorten(place.function, _LONGEST_NAME))


def bounded(finding: Finding) -> Finding:
    """``finding`` with each text except the nodeid cut to a length that a report can show.

    Summary, exception, subject, consent and each note get at most `LIMIT` characters.
    """
    timeline, consent = finding.timeline, finding.consent
    if timeline is not None:
        spans = tuple(
            span._replace(stack=tuple(cut for line in span.stack if (cut := bounded_place(line))))
            for span in timeline.spans
        )
        earlier = tuple(look._replace(place=bounded_place(look.place)) for look in timeline.earlier)
        timeline = timeline._replace(spans=spans, earlier=earlier)
    if consent is not None:
        consent = consent._replace(text=shorten(consent.text))
    return finding._replace(
        timeline=timeline,
        consent=consent,
        summary=shorten(finding.summary),
        origin=bounded_place(finding.origin),
        location=bounded_place(finding.location),
        notes=tuple(map(shorten, finding.notes)),
        exception=None if finding.exception is None else shorten(finding.exception),
        subject=shorten(finding.subject),
        trace=tuple(cut for line in finding.trace if (cut := bounded_place(line))),
        waits=tuple(cut for line in finding.waits if (cut := bounded_place(line))),
    )


class Drop(Enum):
    """The type of `DROP`."""

    DROP = "drop"


#: Returned by a ``pytest_asyncio_traps_finding`` hook to discard a finding.
DROP: Final = Drop.DROP


def to_plain(finding: Finding) -> dict[str, Any]:
    """``finding`` as dicts, strings and numbers, to be sent to another process."""

    def plain(value: object) -> object:
        return value._asdict() if isinstance(value, (Place, Owner)) else value

    return {name: plain(value) for name, value in finding._asdict().items()}


def from_plain(data: dict[str, Any]) -> Finding:
    """The inverse of `to_plain`. Accepts lists in place of tuples, as JSON produces them."""

    def place(value: dict[str, Any] | None) -> Place | None:
        return None if value is None else Place(**value)

    return Finding(
        **{
            **data,
            "owner": Owner(**data["owner"]),
            "origin": place(data["origin"]),
            "location": place(data["location"]),
            "notes": tuple(data["notes"]),
            "trace": tuple(Place(*line) for line in data["trace"]),
            "waits": tuple(Place(*line) for line in data["waits"]),
            "timeline": _timeline(data["timeline"]),
            "consent": None if data["consent"] is None else Consent(*data["consent"]),
        }
    )


def _timeline(data: Sequence[Any] | None) -> Timeline | None:
    if data is None:
        return None
    length, threshold, waited, paused, spans, earlier = data
    return Timeline(
        length,
        threshold,
        waited,
        paused,
        tuple(
            Span(first, last, samples, tuple(Place(*place) for place in stack))
            for first, last, samples, stack in spans
        ),
        tuple(Earlier(at, since, Place(*place) if place else None) for at, since, place in earlier),
    )
