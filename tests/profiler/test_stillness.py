"""The proof that a loop waits forever, over facts that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_asyncio_traps.profiler.stillness import (
    Activity,
    LoopFacts,
    Observation,
    ProcessFacts,
    proves,
    waker,
)

LOOP = LoopFacts(readable=True, asleep=True, ready=0, timers=0, descriptors=0, signals=0)
PROCESS = ProcessFacts(threads=0, children=False, handlers=(), timers=False, debugger=False)
STILL = Observation(LOOP, PROCESS, Activity(asleep=True, turns={1: 7, 2: 9}))

#: Each waker alone, and what it is called.
WAKERS: list[tuple[dict[str, Any], str]] = [
    ({"readable": False}, "the queue of this loop cannot be read"),
    ({"asleep": False}, "the loop does not wait for events"),
    ({"ready": 1}, "a callback is ready"),
    ({"timers": 1}, "a timer of the loop"),
    ({"descriptors": 1}, "a descriptor that the loop watches"),
    ({"signals": 1}, "a signal that the loop handles"),
    ({"threads": 1}, "another thread"),
    ({"children": True}, "a child process"),
    ({"handlers": (10,)}, "a signal handler"),
    ({"timers": True}, "a timer of the system"),
    ({"debugger": True}, "a debugger"),
]


def observation(facts: dict[str, Any], what: str) -> Observation:
    of_loop = set(facts) <= set(LoopFacts._fields) and "system" not in what
    if of_loop:
        return STILL._replace(loop=LOOP._replace(**facts))
    return STILL._replace(process=PROCESS._replace(**facts))


@pytest.mark.parametrize(("facts", "what"), WAKERS, ids=[what for _, what in WAKERS])
def test_each_waker_counts(facts: dict[str, Any], what: str) -> None:
    """There is no proof if either observation has met it."""
    seen = observation(facts, what)

    assert waker(seen) == what
    assert not proves(seen, STILL)
    assert not proves(STILL, seen)


@pytest.mark.parametrize(
    "activity",
    [
        Activity(asleep=False, turns={1: 7, 2: 9}),
        Activity(asleep=True, turns={1: -1, 2: 9}),
        Activity(asleep=True, turns={}),
    ],
    ids=["runs", "unknown", "no list"],
)
def test_threads_have_to_be_known_to_sleep(activity: Activity) -> None:
    seen = STILL._replace(activity=activity)

    assert waker(seen)
    assert not proves(seen, seen)


@pytest.mark.parametrize("turns", [{1: 8, 2: 9}, {1: 7}, {1: 7, 2: 9, 3: 1}])
def test_no_thread_may_run_in_between(turns: dict[int, int]) -> None:
    """Nor begin, nor end."""
    later = STILL._replace(activity=Activity(asleep=True, turns=turns))

    assert not waker(later)
    assert not proves(STILL, later)


def test_a_loop_that_nothing_can_wake() -> None:
    assert waker(STILL) == ""
    assert proves(STILL, STILL)
