"""The samples of a loop, and what can be derived from them once a step has turned out slow.

The sampler thread adds samples while steps run. Adding one must cost next to nothing, and must not
look up files or lines: during a file look-up, the sampled thread goes on. So a sample keeps the
stack as marks. Only the methods that are called for a slow step look up places.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import groupby
from typing import Final, NamedTuple

from ..core.places import place_of
from ..core.stacks import Mark
from ..core.thread_stacks import Stack, first_time, marks_of, user_mark_of, within_step
from ..model.finding import Earlier, Place, Span, Timeline

#: How many samples of one step are kept; an even number.
MAX_SAMPLES: Final = 64
#: How many samples are kept of what the loop did before that step.
MAX_EARLIER: Final = 24
#: How many lines of a stack a timeline has, counted from the innermost.
MAX_DEPTH: Final = 40

_EMPTY: Final[Stack] = []


class Sample(NamedTuple):
    """What a loop was doing at one moment.

    ``at`` and ``step``, the beginning of the step that was running, are times of `clock.REAL`.
    Where the loop was waiting for events, ``step`` is 0 and ``stack`` is empty.
    """

    at: float
    step: float
    stack: Stack


class SampleBuffer:
    """The samples of the current step of a loop, and a few of what the loop did before it.

    The number of samples is bounded, since each is an object that the garbage collector tracks
    (see `gc_reserve`).
    """

    __slots__ = ("_earlier", "_latest", "_samples", "_stride", "_taken")

    def __init__(self) -> None:
        # The last sample of each earlier step, and samples of the loop while it waited.
        self._earlier: deque[Sample] = deque(maxlen=MAX_EARLIER)
        # Of the current step: the samples that are kept, and the last one, kept or not.
        self._samples: list[Sample] = []
        self._latest: Sample | None = None
        # How many samples were taken of the current step. One in so many of them is kept.
        self._taken = 0
        self._stride = 1

    def __len__(self) -> int:
        """How many samples were taken of the current step, including those that are not kept."""
        return self._taken

    def begin_step(self, now: float, step: float) -> None:
        """At ``now``, the loop is in the step begun at ``step``; 0 if it waits for events."""
        if self._latest is not None:
            self._earlier.append(self._latest)
        if not step:
            self._earlier.append(Sample(now, 0.0, _EMPTY))
        self._samples = []
        self._latest = None
        self._taken = 0
        self._stride = 1

    def add(self, now: float, step: float, stack: Stack) -> None:
        """At ``now``, the step begun at ``step`` is at ``stack``.

        Of a long step, every second sample is kept, then every fourth, and so on. Each kept sample
        stands for the same number of samples, so the lines keep their shares.
        """
        self._latest = sample = Sample(now, step, stack)
        if self._taken % self._stride == 0:
            if len(self._samples) == MAX_SAMPLES:
                self._samples = self._samples[::2]
                self._stride *= 2
            self._samples.append(sample)
        self._taken += 1

    def lines(self) -> Counter[Place]:
        """The user's lines at which the step was, each with the number of kept samples."""
        lines: Counter[Place] = Counter()
        for sample in list(self._samples):  # the sampler thread goes on
            place = place_of(user_mark_of(marks_of(sample.stack)))
            if place is not None:
                lines[place] += 1
        return lines

    def first_time(self) -> str:
        """What most samples of the step are at that a process does only once, or an empty string.

        See `stacks.first_time`.
        """
        samples = list(self._samples)
        reasons = Counter(first_time(marks_of(sample.stack)) for sample in samples)
        reason, count = max(reasons.items(), key=lambda item: item[1], default=("", 0))
        return reason if 2 * count > len(samples) else ""

    def to_timeline(
        self, began: float, ended: float, threshold: float, waited: float, paused: float
    ) -> Timeline:
        """The timeline of the current step, which ran from ``began`` to ``ended``."""
        places: dict[tuple[int, int], Place] = {}

        def cached_place(mark: Mark | None) -> Place | None:
            if mark is None:
                return None
            key = id(mark[0]), mark[1]  # hashing a code object reads all of it
            if key not in places and (place := place_of(mark)) is not None:
                places[key] = place
            return places.get(key)

        def lines_of(stack: Stack) -> tuple[Place, ...]:
            innermost = within_step(marks_of(stack))[:MAX_DEPTH]
            return tuple(place for mark in reversed(innermost) if (place := cached_place(mark)))

        spans = []
        stacks = [(s.at - began, lines_of(s.stack)) for s in list(self._samples)]
        for lines, group in groupby(stacks, key=lambda pair: pair[1]):
            times = [round(at, 6) for at, _ in group]
            spans.append(Span(times[0], times[-1], len(times), lines))
        earlier = tuple(
            Earlier(
                round(at - began, 6),
                round(step - began, 6) if step else None,
                cached_place(user_mark_of(marks_of(stack))),
            )
            for at, step, stack in self._earlier.copy()  # the sampler thread goes on
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
