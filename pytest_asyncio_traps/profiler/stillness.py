"""The proof that a loop waits for something that can never happen.

A false alarm would break a sound test, so the proof counts everything that can wake a loop, and
anything unknown counts as able to. `profiler.observation` collects the facts; this module judges
them, and depends on nothing but them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class LoopFacts(NamedTuple):
    """A loop, as far as it could be woken from within.

    ``readable`` says that the loop is asyncio's own, so that the other facts are known. ``asleep``
    says that its thread is in the call in which the loop waits. The numbers count callbacks that
    are ready, timers that are not cancelled, descriptors besides the loop's own wake-up socket, and
    signals that the loop handles.
    """

    readable: bool
    asleep: bool
    ready: int
    timers: int
    descriptors: int
    signals: int


class ProcessFacts(NamedTuple):
    """What else in the process could wake a loop.

    ``threads`` is the number of threads that may go on by themselves: not those that wait for
    another thread, run a loop that sleeps as well, or belong to the test runner. ``children`` says
    whether there are child processes. ``handlers`` are the signals that the user's code handles,
    and ``timers`` says whether a timer of the system will send one. ``debugger`` says whether a
    person may be debugging.
    """

    threads: int
    children: bool
    handlers: tuple[int, ...]
    timers: bool
    debugger: bool


class Activity(NamedTuple):
    """What the system says of the threads of the process, except the one that looks.

    ``turns`` is how often each thread was given a processor, by the system's id of the thread;
    ``asleep`` says whether all of them sleep.
    """

    asleep: bool
    turns: Mapping[int, int]


class Observation(NamedTuple):
    """The facts of one moment. ``activity`` was read last."""

    loop: LoopFacts
    process: ProcessFacts
    activity: Activity


def waker(seen: Observation) -> str:
    """What could wake the loop, in a few words; empty if nothing could."""
    process, activity = seen.process, seen.activity
    return waker_of(seen.loop) or _first(
        (process.debugger, "a debugger"),
        (process.threads, "another thread"),
        (process.children, "a child process"),
        (process.handlers, "a signal handler"),
        (process.timers, "a timer of the system"),
        (not activity.asleep, "a thread is running"),
        (any(turns < 0 for turns in activity.turns.values()), UNKNOWN),
        (not activity.turns, UNKNOWN),
    )


def waker_of(loop: LoopFacts) -> str:
    """What could wake a loop from within, in a few words; empty if nothing could."""
    return _first(
        (not loop.readable, "the queue of this loop cannot be read"),
        (not loop.asleep, "the loop does not wait for events"),
        (loop.ready, "a callback is ready"),
        (loop.timers, "a timer of the loop"),
        (loop.descriptors, "a descriptor that the loop watches"),
        (loop.signals, "a signal that the loop handles"),
    )


def _first(*found: tuple[object, str]) -> str:
    return next((what for is_there, what in found if is_there), "")


UNKNOWN: Final = "the system does not tell whether threads run"


def proves(earlier: Observation, later: Observation) -> bool:
    """Whether the loop waits forever: nothing can wake it, and no thread has run in between.

    A single observation takes time, in which another thread might run. As no thread has run since
    the end of the ``earlier`` one, the facts of the ``later`` one are those of a single moment.
    """
    return not waker(earlier) and not waker(later) and earlier.activity == later.activity
