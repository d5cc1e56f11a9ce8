"""What the sampler knows of a thread that runs a loop."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ..core.objects import ask
from ..core.thread_stacks import Stack
from .samples import SampleBuffer


class Reading(NamedTuple):
    """What was read of a thread shortly before a step began.

    ``at`` is a time of `clock.REAL`. The other figures are totals up to that time, in seconds: how
    long the thread has ``waited`` for a processor, how long the collector has ``paused`` it, and
    how much processor time it has used (``worked``). It was given a processor ``turns`` times.
    Where the system does not count the waiting time, ``waited`` is 0 and ``turns`` is -1.
    """

    at: float
    thread_id: int
    waited: float
    paused: float
    turns: int
    worked: float


#: No thread was read yet.
NO_READING: Final = Reading(0.0, 0, 0.0, 0.0, -1, 0.0)


class SampledThread:
    """What is known of a thread while it runs one loop.

    The thread itself calls `enter` and `leave`, and sets ``start_reading`` and ``due``. The sampler
    thread writes the rest.
    """

    __slots__ = (
        "_asleep",
        "_not_waited",
        "_sampled_at",
        "_samples",
        "_step_source",
        "_turns",
        "_waited",
        "due",
        "loop",
        "native_id",
        "start_reading",
        "step",
        "thread_id",
    )

    thread_id: int
    #: The system's id of the thread, if the system counts the waiting time of threads.
    native_id: int | None
    #: The loop that the thread runs; None once it has left it.
    loop: Any
    #: The reading that the current step is measured against.
    start_reading: Reading
    #: From this moment on, ``start_reading`` is too old for a step that begins.
    due: float
    #: When the step began that the sampler has met last; 0 if it met the loop between two steps.
    step: float
    _step_source: Any
    _samples: SampleBuffer | None

    def __init__(self, loop: Any, thread_id: int, native_id: int | None) -> None:
        self.thread_id = thread_id
        self.native_id = native_id
        self.enter(loop)
        self.start_reading = NO_READING
        self.due = 0.0
        # At the last sample: the time, the waiting time and the number of turns.
        self._sampled_at = 0.0
        self._waited = 0.0
        self._turns = -1
        # Seconds of this step that Linux counts as waiting although the thread slept.
        self._asleep = 0.0
        # Seconds of this step in which the thread has certainly not waited for a processor.
        self._not_waited = 0.0

    def enter(self, loop: Any) -> None:
        """The thread runs ``loop`` from now on."""
        self.loop = loop
        # What has the attribute `_asyncio_traps_step`: the loop itself, or its runner on uvloop.
        self._step_source = ask(loop, "_asyncio_traps_runner", loop)
        self.step = 0.0
        self._samples = None

    def leave(self) -> None:
        """The thread has left the loop.

        The sampler thread may be reading this object, and must not hold the last reference to the
        loop.
        """
        self.loop = self._step_source = None

    def current_step(self) -> float:
        """When the step began that the loop is in; 0 if it is in none."""
        began: float = ask(self._step_source, "_asyncio_traps_step", 0.0)
        return began

    def begin_step(self, now: float, step: float) -> None:
        """At ``now``, the loop is in another step, begun at ``step``; 0 if it is in none."""
        samples = self._samples  # the thread may call `enter` at any moment
        if samples is None:
            samples = self._samples = SampleBuffer()
        samples.begin_step(now, step)
        self._asleep = self._not_waited = 0.0
        self.step = step  # last: the loop's thread asks for the rest if this is its step

    def add_sample(self, now: float, step: float, stack: Stack) -> None:
        """At ``now``, the step begun at ``step`` is at ``stack``."""
        samples = self._samples
        if samples is not None:
            samples.add(now, step, stack)

    def samples_of(self, step: float) -> SampleBuffer:
        """The samples of the step begun at ``step``; an empty buffer if the sampler missed it."""
        samples = self._samples
        return samples if samples is not None and self.step == step else SampleBuffer()

    def update_waiting(
        self, first: bool, sleeps: bool, waited: float, turns: int, now: float
    ) -> None:
        """Note what was read of the thread at a sample, which may be the ``first`` of the step.

        Linux may count the beginning of a sleep as waiting. From 6.12 on, it may count a whole
        sleep as waiting, once the sleep is over. But a thread that ``sleeps`` and was given no
        processor since the last sample has not waited in between, whatever Linux counts.
        """
        if first:
            since, turns_before = self.step, self.start_reading.turns
        else:
            since, turns_before = self._sampled_at, self._turns
            if sleeps:
                self._asleep += waited - self._waited
        if sleeps and turns == turns_before:
            self._not_waited += now - since
        self._waited, self._turns, self._sampled_at = waited, turns, now

    def waited_in(self, step: float, waited: float, lasted: float) -> float:
        """For how many seconds the thread has waited for a processor in the step begun at ``step``.

        ``waited`` is the total that Linux counts for the thread by now. ``lasted`` is how long ago
        the step began. Both are in seconds.
        """
        in_step = waited - self.start_reading.waited
        if self.step == step:
            in_step -= self._asleep
            lasted -= self._not_waited
        return max(0.0, min(in_step, lasted))
