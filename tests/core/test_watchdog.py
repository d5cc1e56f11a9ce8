"""The thread that looks at running loops."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Callable, Iterator

import pytest

from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.core.watchdog import Watchdog, waited


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
    sentry = watchdog.sentry()
    assert sentry is not None
    loop._asyncio_traps_step = time.perf_counter()

    until(lambda: sum(sentry.lines.values()) > 2)

    watchdog.leave()
    assert watchdog.sentry() is None
    assert {place.path for place in sentry.lines} == {__file__}


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
    assert waited(None) == 0.0
    assert waited(2**30) == 0.0
    assert waited(threading.get_native_id()) >= 0.0
