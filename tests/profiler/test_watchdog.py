"""The thread that looks at running loops."""

from __future__ import annotations

import gc
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator

import pytest
from pytest_asyncio_traps.profiler.sampler import ThreadSampler, Watchdog, asleep, waited

from pytest_asyncio_traps.core import watchdog as watchdog_module
from pytest_asyncio_traps.core.faults import Faults


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    faults = Faults()
    watchdog = Watchdog(lambda: 0.0, faults)
    yield watchdog
    watchdog.stop()
    assert faults.texts == {}


def until(condition: Callable[[], object]) -> None:
    """Wait, for much longer than it should take."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_it_notes_where_a_step_stands(watchdog: Watchdog) -> None:
    loop = types.SimpleNamespace(_asyncio_traps_step=0.0)
    watchdog.enter(loop)
    sampler = watchdog.sampler()
    assert sampler is not None
    loop._asyncio_traps_step = time.perf_counter()

    until(lambda: sum(sampler.lines().values()) > 2)

    watchdog.leave()
    assert watchdog.sampler() is None
    assert {place.path for place in sampler.lines()} == {__file__}


def test_it_stands_still_without_a_loop(watchdog: Watchdog) -> None:
    """And wakes for the next one."""
    loop = types.SimpleNamespace(_asyncio_traps_step=0.0)
    watchdog.enter(loop)
    watchdog.leave()
    until(lambda: watchdog._parked)

    watchdog.enter(loop)
    until(lambda: not watchdog._parked)
    watchdog.leave()


def test_it_ends_and_begins_again(watchdog: Watchdog) -> None:
    loop = types.SimpleNamespace(_asyncio_traps_step=0.0)
    for _ in range(3):
        watchdog.start()
        watchdog.enter(loop)
        watchdog.leave()
        watchdog.stop()
        assert not watchdog._started


def test_nobody_sees_the_thread(watchdog: Watchdog) -> None:
    before = threading.active_count()
    watchdog.start()

    assert threading.active_count() == before


def test_waiting_time_of_an_unknown_thread() -> None:
    assert waited(None) == (0.0, -1)
    assert waited(2**30) == (0.0, -1)
    assert waited(threading.get_native_id())[0] >= 0.0


def test_a_look_keeps_no_object_of_the_thread_alive(watchdog: Watchdog) -> None:
    """A user who counts objects after a collection would find them."""

    class Held:
        pass

    standing, go_on, gone = threading.Event(), threading.Event(), threading.Event()
    weak: list[weakref.ref[Held]] = []

    def work() -> None:
        held = Held()
        weak.append(weakref.ref(held))
        standing.set()
        go_on.wait(20)

    def run() -> None:
        work()
        gone.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert standing.wait(20)
    assert thread.ident is not None
    sampler = ThreadSampler(types.SimpleNamespace(_asyncio_traps_step=0.0), thread.ident, None)

    watchdog._sample(sampler)
    go_on.set()
    assert gone.wait(20)

    assert weak[0]() is None
    assert [place.function for place in sampler.lines()] == ["work"]
    thread.join()


def test_who_sleeps(watchdog: Watchdog) -> None:
    """A thread that waits for an event does; the one that asks does not."""
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, args=(20,))
    thread.start()

    assert asleep(None) is False
    assert asleep(threading.get_native_id()) is False
    if waited(threading.get_native_id())[1] > 0:  # where there is a schedstat
        until(lambda: asleep(thread.native_id))
    go_on.set()
    thread.join()


class Told:
    """A thread whose waiting time, turns and sleep are what a test says, and a clock as well."""

    def __init__(self, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waited, self.turns, self.asleep, self.now = 1.0, 7, False, 100.0
        monkeypatch.setattr(watchdog_module, "waited", lambda native_id: (self.waited, self.turns))
        monkeypatch.setattr(watchdog_module, "asleep", lambda native_id: self.asleep)
        monkeypatch.setattr(Watchdog, "_sample", lambda self, sampler: None)
        watchdog._now = lambda: self.now
        watchdog._knows_waiting = True
        loop = types.SimpleNamespace(_asyncio_traps_step=100.0)
        self.sampler = ThreadSampler(loop, threading.get_ident(), 1)
        self._watchdog = watchdog
        watchdog._samplers[threading.get_ident()] = [self.sampler]
        watchdog.renew(loop, 100.0)

    def look(self, after: float) -> None:
        """The watchdog looks, so many seconds later."""
        self.now += after
        self._watchdog._look()

    def excused(self) -> float:
        """What is excused if the step is over at this moment."""
        return self._watchdog.excused(self.sampler, 100.0)


@pytest.fixture
def told(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    yield Told(watchdog, monkeypatch)
    watchdog._samplers.clear()


def test_what_counts_as_waiting_while_asleep_is_no_excuse(told: Told) -> None:
    """Linux may count the beginning of a sleep as waiting for a processor."""
    told.look(after=0.5)

    told.waited, told.turns = 1.5, 8
    told.look(after=0.5)
    assert told.excused() == pytest.approx(0.5)

    told.waited, told.turns, told.asleep = 3.5, 9, True
    told.look(after=2.0)
    assert told.excused() == pytest.approx(0.5)

    told.waited, told.turns, told.asleep = 3.75, 10, False
    told.now += 0.25
    assert told.excused() == pytest.approx(0.75)


def test_a_sleep_that_counts_as_waiting_once_it_is_over_is_no_excuse(told: Told) -> None:
    """As Linux has it from 6.12 on. What comes after the last look, nobody can tell."""
    told.asleep = True
    for _ in range(6):
        told.look(after=0.025)  # as many turns as before: it has not waited for one

    told.now += 0.01
    told.waited, told.turns, told.asleep = 1.16, 8, False
    assert told.excused() == pytest.approx(0.01)


def test_who_had_turns_may_have_waited_for_them(told: Told) -> None:
    """That a thread is found asleep each time says nothing of the time between."""
    told.asleep = True
    for turns in range(8, 14):
        told.turns = turns
        told.look(after=0.025)

    told.waited = 1.1
    assert told.excused() == pytest.approx(0.1)


def test_nobody_has_waited_longer_than_the_step_took(told: Told) -> None:
    told.waited, told.turns = 9.0, 8
    told.now += 0.3

    assert told.excused() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("worked", "excused"),
    [
        (0.30, 0.0),  # it worked all the time
        (0.10, 0.20),  # it got a third of a busy processor
        (0.001, 0.0),  # it slept
    ],
)
def test_where_nothing_tells_who_waits(watchdog: Watchdog, worked: float, excused: float) -> None:
    """A step that works gets its share of a processor, one that sleeps next to nothing."""
    clock = {"now": 10.0, "worked": 5.0}
    watchdog._knows_waiting = False
    watchdog._now = lambda: clock["now"]
    watchdog._worked = lambda: clock["worked"]
    loop = types.SimpleNamespace(_asyncio_traps_step=10.0)
    sampler = ThreadSampler(loop, threading.get_ident(), None)
    watchdog._samplers[threading.get_ident()] = [sampler]
    watchdog.renew(loop, 10.0)

    clock["now"] += 0.3
    clock["worked"] += worked

    assert watchdog.excused(sampler, 10.0) == pytest.approx(excused)
    watchdog._samplers.clear()


def test_no_collection_begins_in_the_thread(watchdog: Watchdog) -> None:
    """The user's destructors would run there, and a collection of the user's own do nothing."""
    collected_in: list[int] = []

    def collector(phase: str, info: dict[str, int]) -> None:
        collected_in.append(threading.get_ident())

    loop = types.SimpleNamespace(_asyncio_traps_step=0.0)
    watchdog.enter(loop)
    sampler = watchdog.sampler()
    assert sampler is not None
    gc.collect()
    kept: list[list[None]] = []
    gc.callbacks.append(collector)
    try:
        while not kept or gc.get_count()[0] < gc.get_threshold()[0]:
            kept.append([])
        loop._asyncio_traps_step = time.perf_counter()  # the next object has all collected
        before = len(collected_in)
        until(lambda: sum(sampler.looks().values()) > 2)
        there = watchdog.thread_id in collected_in[before:]
    finally:
        gc.callbacks.remove(collector)
    watchdog.leave()

    assert not there


@pytest.mark.parametrize(
    ("looks", "worked", "doubtful"),
    [(0, 0.0, True), (0, 0.19, False), (1, 0.0, False)],
    ids=["nothing but the clock", "it worked", "it was seen"],
)
def test_a_step_that_only_the_clock_calls_slow(
    watchdog: Watchdog, looks: int, worked: float, doubtful: bool
) -> None:
    """On a machine that stood still, neither the step nor the watchdog did anything."""
    sampler = ThreadSampler(None, threading.get_ident(), None)
    sampler.step = 1.0
    sampler.worked = 5.0
    watchdog._worked = lambda: 5.0 + worked
    for _ in range(looks):
        sampler.note([])

    assert watchdog.is_doubtful(sampler, 1.0, 0.2) is doubtful
