"""What a trap found: plain strings and numbers, safe to keep, pickle and print later.

The objects behind a finding change or die after it was noticed, so a finding
never refers to one of them.
"""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, Literal, NamedTuple

from .text import shorten

OwnerType = Literal["test", "fixture", "module", "session", "unknown"]


class Place(NamedTuple):
    """A line of source: an absolute ``path``, its 1-based ``line``, and the ``function``."""

    path: str
    line: int
    function: str


class Owner(NamedTuple):
    """The test or fixture that an object belongs to.

    ``nodeid`` is where a finding is charged: the test itself, or the test that
    had the fixture set up. It is empty for what belongs to no test. ``via`` names the
    shared thing in which the work was done, such as a server of a module fixture; it may be empty.
    """

    type: OwnerType
    name: str
    scope: str
    nodeid: str
    via: str = ""


class Span(NamedTuple):
    """Looks, one after the other, that found a step at the same lines.

    ``first`` and ``last`` are seconds since the step began. ``stack`` is what the step had
    called, the outermost first; it is empty where the stack could not be read.
    """

    first: float
    last: float
    looks: int
    stack: tuple[Place, ...]


class Earlier(NamedTuple):
    """What a look found the loop at before a slow step began.

    ``at``, when that was, and ``since``, when the step began that it was in, are seconds before
    the slow step, and so below zero. ``since`` is None where the loop was waiting for something
    to do. ``place`` is the user's line, if there was one.
    """

    at: float
    since: float | None
    place: Place | None


class Timeline(NamedTuple):
    """How a slow step went. All figures are seconds.

    ``length`` is how long it took in all. Of that, its thread ``waited`` for a processor, and
    the collector ``paused`` it: what is left counts, and came to more than ``threshold``.
    """

    length: float
    threshold: float
    waited: float
    paused: float
    spans: tuple[Span, ...]
    earlier: tuple[Earlier, ...]


class Consent(NamedTuple):
    """Why a finding fails nothing: a marker with its reason, a rule with its text, a baseline."""

    by: Literal["marker", "rule", "baseline"]
    text: str


class Finding(NamedTuple):
    """One trap that was sprung.

    ``origin`` is the user's line that made the object, ``location`` the line
    where it waits, blocks or raised; ``notes`` are further sentences for the
    reader. ``duration`` is in seconds. ``when`` and ``action`` are filled in
    once it is known which phase the finding shows in and what the rules say.
    """

    kind: str
    summary: str
    advice: str
    owner: Owner
    origin: Place | None = None
    origin_label: str = "made at"
    location: Place | None = None
    location_label: str = "at"
    #: Whether a reader is to be pointed to ``location`` first, rather than to ``origin``.
    at_location: bool = False
    notes: tuple[str, ...] = ()
    duration: float | None = None
    exception: str | None = None
    #: The name of the coroutine, callback or function that it is about, the same in every run.
    subject: str = ""
    when: str = ""
    action: str = ""
    #: For a slow step, what was seen of it.
    timeline: Timeline | None = None
    #: The kind of the finding that it is a part of, if that one counts, in the same test.
    part_of: str = ""
    #: Once it is known: who has consented to it.
    consent: Consent | None = None
    #: How the test or fixture came to ``origin``: the user's lines, the outermost call first,
    #: through tasks and threads that the user's code has started. Empty where it is not known.
    trace: tuple[Place, ...] = ()
    #: The chain of awaits of a task that waits, the outermost first.
    waits: tuple[Place, ...] = ()

    @property
    def place(self) -> Place | None:
        """The line to point a reader to first."""
        if self.at_location:
            return self.location or self.origin
        return self.origin or self.location


#: Where the name of a function is cut, and the path of a file.
_LONGEST_NAME: Final = 200
_LONGEST_PATH: Final = 4096


def bounded(finding: Finding) -> Finding:
    """``finding``, with every text but its nodeid cut to a length that a report can bear.

    Summary, exception, subject and each note are of at most `LIMIT` characters.
    """

    def place(value: Place | None) -> Place | None:
        if value is None:
            return None
        path = shorten(value.path, _LONGEST_PATH)
        return Place(path, value.line, shorten(value.function, _LONGEST_NAME))

    timeline, consent = finding.timeline, finding.consent
    if timeline is not None:
        spans = tuple(
            span._replace(stack=tuple(cut for line in span.stack if (cut := place(line))))
            for span in timeline.spans
        )
        earlier = tuple(look._replace(place=place(look.place)) for look in timeline.earlier)
        timeline = timeline._replace(spans=spans, earlier=earlier)
    if consent is not None:
        consent = consent._replace(text=shorten(consent.text))
    return finding._replace(
        timeline=timeline,
        consent=consent,
        summary=shorten(finding.summary),
        origin=place(finding.origin),
        location=place(finding.location),
        notes=tuple(map(shorten, finding.notes)),
        exception=None if finding.exception is None else shorten(finding.exception),
        subject=shorten(finding.subject),
        trace=tuple(cut for line in finding.trace if (cut := place(line))),
        waits=tuple(cut for line in finding.waits if (cut := place(line))),
    )


class Drop(Enum):
    """What `DROP` is of."""

    DROP = "drop"


#: What the hook ``pytest_asyncio_traps_finding`` returns so that nobody hears of a finding.
DROP: Final = Drop.DROP


def to_plain(finding: Finding) -> dict[str, Any]:
    """``finding`` as dicts, strings and numbers, to cross from one process to another."""

    def plain(value: object) -> object:
        return value._asdict() if isinstance(value, (Place, Owner)) else value

    return {name: plain(value) for name, value in finding._asdict().items()}


def from_plain(data: dict[str, Any]) -> Finding:
    """The finding that `to_plain` took apart, and JSON may have made lists of tuples since."""

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
            Span(first, last, looks, tuple(Place(*place) for place in stack))
            for first, last, looks, stack in spans
        ),
        tuple(Earlier(at, since, Place(*place) if place else None) for at, since, place in earlier),
    )
