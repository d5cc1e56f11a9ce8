"""The thread that samples running loops."""

from __future__ import annotations

import gc
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator

import pytest

from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.profiler import sampler as sampler_module
from pytest_asyncio_traps.profiler.sampler import StepSampler
from pytest_asyncio_traps.profiler.threads import NO_READING, SampledThread
from pytest_asyncio_traps.profiler.waiting import asleep, waited


@pytest.fixture
def sampler() -> Iterator[StepSampler]:
    faults = Faults()
    sampler = StepSampler(lambda: 0.0, faults)
    yield sampler
    sampler.stop()
    assert faults.texts == {}


def until(condition: Callable[[], object]) -> None:
    """Wait for ``condition``, for much longer than it should take."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_it_samples_the_lines_of_a_step(sampler: StepSampler) -> None:
    loop = types.SimpleNamespace(_asyncio_traps_step=0.0)
    sampler.enter(loop)
    thread = sampler.current_thread()
    assert thread is not None
    loop._asyncio_traps_step = began = time.perf_counter()

    until(lambda: len(thread.samples_of(began)) > 2)

    sampler.leave()
    assert sampler.current_thread() is None
    assert {place.path for place in thread.samples_of(began).lines()} == {__file__}


def test_it_parks_without_a_loop(sampler: StepSampler) -> None:
    """And wakes up for the next one."""
    loop = types.SimpleNamespace(_asyncio_traps_step=0.0)
    sampler.enter(loop)
    sampler.leave()
    until(lambda: sampler._parked)

    sampler.enter(loop)
    until(lambda: not sampler._parked)
    sampler.leave()


def test_it_stops_and_starts_again(sampler: StepSampler) -> None:
    loop = types.SimpleNamespace(_asyncio_traps_step=0.0)
    for _ in range(3):
        sampler.start()
        sampler.enter(loop)
        sampler.leave()
        sampler.stop()
        assert not sampler._started


def test_the_thread_is_not_counted(sampler: StepSampler) -> None:
    before = threading.active_count()
    sampler.start()

    assert threading.active_count() == before


def test_waiting_time_of_an_unknown_thread() -> None:
    assert waited(None) == (0.0, -1)
    assert waited(2**30) == (0.0, -1)
    assert waited(threading.get_native_id())[0] >= 0.0


def test_a_sample_keeps_no_object_of_the_thread_alive(sampler: StepSampler) -> None:
    """User code that counts objects after a collection would find them."""

    class Held:
        pass

    waiting, go_on, returned = threading.Event(), threading.Event(), threading.Event()
    weak: list[weakref.ref[Held]] = []

    def work() -> None:
        held = Held()
        weak.append(weakref.ref(held))
        waiting.set()
        go_on.wait(20)

    def run() -> None:
        work()
        returned.set()

    worker = threading.Thread(target=run)
    worker.start()
    assert waiting.wait(20)
    assert worker.ident is not None
    thread = SampledThread(types.SimpleNamespace(_asyncio_traps_step=1.0), worker.ident, None)
    thread.begin_step(1.0, 1.0)

    sampler._sample_stack(thread)
    go_on.set()
    assert returned.wait(20)

    assert weak[0]() is None
    assert [place.function for place in thread.samples_of(1.0).lines()] == ["work"]
    worker.join()


def test_which_thread_sleeps(sampler: StepSampler) -> None:
    """A thread that waits for an event does; the one that asks does not."""
    go_on = threading.Event()
    worker = threading.Thread(target=go_on.wait, args=(20,))
    worker.start()

    assert asleep(None) is False
    assert asleep(threading.get_native_id()) is False
    if waited(threading.get_native_id())[1] > 0:  # where there is a schedstat
        until(lambda: asleep(worker.native_id))
    go_on.set()
    worker.join()


class FakeThread:
    """A thread of which the test says how long it has waited, how many turns it had and so on."""

    def __init__(self, sampler: StepSampler, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waited, self.turns, self.asleep, self.now = 1.0, 7, False, 100.0
        monkeypatch.setattr(sampler_module, "waited", lambda native_id: (self.waited, self.turns))
        monkeypatch.setattr(sampler_module, "asleep", lambda native_id: self.asleep)
        monkeypatch.setattr(StepSampler, "_sample_stack", lambda self, thread: None)
        sampler._now = lambda: self.now
        sampler._knows_waiting = True
        loop = types.SimpleNamespace(_asyncio_traps_step=100.0)
        self._thread = SampledThread(loop, threading.get_ident(), 1)
        self._sampler = sampler
        sampler._threads[threading.get_ident()] = [self._thread]
        sampler.renew(loop, 100.0)

    def sample(self, after: float) -> None:
        """Take a sample when ``after`` more seconds have passed."""
        self.now += after
        self._sampler._sample_threads()

    def kept(self) -> float:
        """The seconds that do not count, if the step ends at this moment."""
        return sum(self._sampler.kept_from_running(self._thread, 100.0))


@pytest.fixture
def fake(sampler: StepSampler, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeThread]:
    yield FakeThread(sampler, monkeypatch)
    sampler._threads.clear()


def test_waiting_that_is_counted_during_a_sleep_is_ignored(fake: FakeThread) -> None:
    """Linux may count the beginning of a sleep as waiting for a processor."""
    fake.sample(after=0.5)

    fake.waited, fake.turns = 1.5, 8
    fake.sample(after=0.5)
    assert fake.kept() == pytest.approx(0.5)

    fake.waited, fake.turns, fake.asleep = 3.5, 9, True
    fake.sample(after=2.0)
    assert fake.kept() == pytest.approx(0.5)

    fake.waited, fake.turns, fake.asleep = 3.75, 10, False
    fake.now += 0.25
    assert fake.kept() == pytest.approx(0.75)


def test_a_sleep_that_is_counted_as_waiting_afterwards_is_ignored(fake: FakeThread) -> None:
    """Linux 6.12 and later count it so. The time after the last sample stays unknown."""
    fake.asleep = True
    for _ in range(6):
        fake.sample(after=0.025)  # no more turns than before, so it has not waited for one

    fake.now += 0.01
    fake.waited, fake.turns, fake.asleep = 1.16, 8, False
    assert fake.kept() == pytest.approx(0.01)


def test_a_thread_with_more_turns_may_have_waited_for_them(fake: FakeThread) -> None:
    """A thread that is asleep at each sample may have waited between the samples."""
    fake.asleep = True
    for turns in range(8, 14):
        fake.turns = turns
        fake.sample(after=0.025)

    fake.waited = 1.1
    assert fake.kept() == pytest.approx(0.1)


def test_the_wait_is_no_longer_than_the_step(fake: FakeThread) -> None:
    fake.waited, fake.turns = 9.0, 8
    fake.now += 0.3

    assert fake.kept() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("worked", "kept"),
    [
        (0.30, 0.0),  # it worked all the time
        (0.10, 0.20),  # it got a third of a busy processor
        (0.001, 0.0),  # it slept
    ],
)
def test_the_wait_is_guessed_where_the_system_does_not_count_it(
    sampler: StepSampler, worked: float, kept: float
) -> None:
    """A step that computes gets its share of a processor, one that sleeps next to nothing."""
    clock = {"now": 10.0, "worked": 5.0}
    sampler._knows_waiting = False
    sampler._now = lambda: clock["now"]
    sampler._worked = lambda: clock["worked"]
    loop = types.SimpleNamespace(_asyncio_traps_step=10.0)
    thread = SampledThread(loop, threading.get_ident(), None)
    sampler._threads[threading.get_ident()] = [thread]
    sampler.renew(loop, 10.0)

    clock["now"] += 0.3
    clock["worked"] += worked

    assert sum(sampler.kept_from_running(thread, 10.0)) == pytest.approx(kept)
    sampler._threads.clear()


def test_no_collection_starts_in_the_thread(sampler: StepSampler) -> None:
    """Destructors of the user's would run there, and the user's gc.collect() would do nothing."""
    collected_in: list[int] = []

    def collector(phase: str, info: dict[str, int]) -> None:
        collected_in.append(threading.get_ident())

    loop = types.SimpleNamespace(_asyncio_traps_step=0.0)
    sampler.enter(loop)
    thread = sampler.current_thread()
    assert thread is not None
    gc.collect()
    kept: list[list[None]] = []
    gc.callbacks.append(collector)
    try:
        while not kept or gc.get_count()[0] < gc.get_threshold()[0]:
            kept.append([])
        loop._asyncio_traps_step = began = time.perf_counter()  # the next object collects
        before = len(collected_in)
        until(lambda: len(thread.samples_of(began)) > 2)
        there = sampler.thread_id in collected_in[before:]
    finally:
        gc.callbacks.remove(collector)
    sampler.leave()

    assert not there


@pytest.mark.parametrize(
    ("samples", "worked", "unconfirmed"),
    [(0, 0.0, True), (0, 0.19, False), (1, 0.0, False)],
    ids=["nothing but the clock", "it worked", "it was sampled"],
)
def test_a_step_that_only_the_clock_calls_slow(
    sampler: StepSampler, samples: int, worked: float, unconfirmed: bool
) -> None:
    """While the machine stood still, neither the step nor the sampler did anything."""
    thread = SampledThread(None, threading.get_ident(), None)
    thread.start_reading = NO_READING._replace(worked=5.0)
    thread.begin_step(1.0, 1.0)
    sampler._worked = lambda: 5.0 + worked
    for _ in range(samples):
        thread.add_sample(1.0, 1.0, [])

    assert sampler.is_unconfirmed(thread, 1.0, 0.2) is unconfirmed


def test_a_step_that_was_not_sampled_has_no_samples() -> None:
    """Those of the step before are not taken for its own."""
    thread = SampledThread(None, threading.get_ident(), None)
    thread.begin_step(1.0, 1.0)
    thread.add_sample(1.1, 1.0, [])

    assert len(thread.samples_of(1.0)) == 1
    assert len(thread.samples_of(2.0)) == 0
