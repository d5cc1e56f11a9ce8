"""The thread that rings when a time has passed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.profiler.alarm import PART, Alarm


class Bell:
    """Notes what rings."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.rung: list[int] = []
        self._event = threading.Semaphore(0)
        self.alarm = Alarm(self._ring, self.faults)

    def _ring(self, index: int) -> None:
        self.rung.append(index)
        self._event.release()

    def wait(self) -> bool:
        return self._event.acquire(timeout=10)


@pytest.fixture
def bell() -> Iterator[Bell]:
    bell = Bell()
    yield bell
    bell.alarm.stop()
    assert not bell.faults.texts


def test_it_rings_at_each_time(bell: Bell) -> None:
    bell.alarm.set(0.02, 0.05)

    assert bell.wait()
    assert bell.wait()
    assert bell.rung == [0, 1]


def test_it_rings_again_after_it_was_parked(bell: Bell) -> None:
    for _ in range(3):
        bell.alarm.set(0.01)
        assert bell.wait()
        time.sleep(0.02)

    assert bell.rung == [0, 0, 0]


def test_what_is_cleared_does_not_ring(bell: Bell) -> None:
    bell.alarm.set(0.05)
    bell.alarm.clear()
    time.sleep(0.1)

    assert bell.rung == []


def test_a_later_time_takes_the_place_of_an_earlier_one(bell: Bell) -> None:
    for _ in range(5):
        bell.alarm.set(0.05)
        time.sleep(0.02)

    assert bell.rung == []
    assert bell.wait()
    assert bell.rung == [0]


def test_it_stops_and_resumes(bell: Bell) -> None:
    bell.alarm.set(0.05)
    bell.alarm.stop()
    time.sleep(0.1)
    assert bell.rung == []

    bell.alarm.resume()

    assert bell.wait()


def test_a_fault_ends_it() -> None:
    faults = Faults()
    faults.isolated.add(PART)

    def fail(index: int) -> None:
        raise ValueError(index)

    alarm = Alarm(fail, faults)
    alarm.set(0.01)
    for _ in range(500):
        if faults.is_off(PART):
            break
        time.sleep(0.01)

    assert faults.is_off(PART)
    alarm.stop()
