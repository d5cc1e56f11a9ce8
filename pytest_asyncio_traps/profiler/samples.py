"""How a slow step went, out of what the watchdog's looks have found.

The watchdog adds looks while the step runs, which must cost next to nothing; only when the
step has turned out to be slow does `develop` find out which lines they were at.
"""

from __future__ import annotations

from collections import deque
from itertools import groupby

from ..core.places import place_of
from ..core.stacks import Mark
from ..core.thread_stacks import Stack, marks_of, user_mark_of, within_step
from ..model.finding import Earlier, Place, Span, Timeline

#: How many looks at one step are kept, and how many from before it.
MOST = 64
BEFORE = 24
#: How many lines of a stack are kept, of the innermost.
DEEPEST = 40


class SampleBuffer:
    """The looks at one loop, with the moments at which they were taken (in seconds)."""

    __slots__ = ("_before", "_every", "_looks", "_seen")

    def __init__(self) -> None:
        self._looks: list[tuple[float, Stack]] = []
        # When; when the step began that the loop was in, or 0; and where that stood.
        self._before: deque[tuple[float, float, Stack]] = deque(maxlen=BEFORE)
        self._seen = 0
        self._every = 1

    def cut(self, now: float, step: float) -> None:
        """At ``now``, the loop is in another step, begun at ``step``, or in none, which is 0."""
        if not step:
            self._before.append((now, 0.0, []))
        self._looks = []
        self._seen = 0
        self._every = 1

    def add(self, now: float, step: float, stack: Stack) -> None:
        """At ``now``, the step begun at ``step`` stands at ``stack``.

        Of a long step, each second look is kept, then each fourth, and so on.
        """
        if self._seen == 0:
            self._before.append((now, step, stack))
        elif self._before and self._before[-1][1] == step:
            self._before[-1] = (now, step, stack)
        if self._seen % self._every == 0:
            if len(self._looks) == MOST:
                self._looks = self._looks[::2]
                self._every *= 2
            if self._seen % self._every == 0:
                self._looks.append((now, stack))
        self._seen += 1

    def develop(
        self, began: float, ended: float, threshold: float, waited: float, paused: float
    ) -> Timeline:
        """The timeline of the step that was looked at last."""
        places: dict[tuple[int, int], Place] = {}

        def known(mark: Mark | None) -> Place | None:
            if mark is None:
                return None
            key = id(mark[0]), mark[1]
            if key not in places and (place := place_of(mark)) is not None:
                places[key] = place
            return places.get(key)

        def stack(seen: Stack) -> tuple[Place, ...]:
            inner = within_step(marks_of(seen))[:DEEPEST]
            return tuple(place for mark in reversed(inner) if (place := known(mark)))

        looks = [(at - began, stack(seen)) for at, seen in list(self._looks) if at >= began]
        spans = []
        for lines, group in groupby(looks, key=lambda look: look[1]):
            times = [round(at, 6) for at, _ in group]
            spans.append(Span(times[0], times[-1], len(times), lines))
        earlier = tuple(
            Earlier(
                round(at - began, 6),
                round(step - began, 6) if step else None,
                known(user_mark_of(marks_of(seen))),
            )
            for at, step, seen in self._before.copy()  # the watchdog goes on
            if at < began
        )
        return Timeline(
            round(ended - began, 6),
            threshold,
            round(waited, 6),
            round(paused, 6),
            tuple(spans),
            earlier,
        )
