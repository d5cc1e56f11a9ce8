"""The thread that looks at running loops."""

from __future__ import annotations

import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator

import pytest

from pytest_asyncio_traps.core import watchdog as watchdog_module
from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.core.stacks import Mark, user_mark_of
from pytest_asyncio_traps.core.watchdog import Sentry, Watchdog, waited


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


def test_a_look_keeps_no_object_of_the_thread_alive(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
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

    looked: list[bool] = []

    def while_the_user_goes_on(stack: list[Mark]) -> Mark | None:
        go_on.set()
        assert gone.wait(20)
        looked.append(weak[0]() is None)
        return user_mark_of(stack)

    thread = threading.Thread(target=run)
    thread.start()
    assert standing.wait(20)
    assert thread.ident is not None
    sentry = Sentry(types.SimpleNamespace(_asyncio_traps_step=0.0), thread.ident, None)
    monkeypatch.setattr(watchdog_module, "user_mark_of", while_the_user_goes_on)

    watchdog._sample(sentry)

    thread.join()
    assert looked == [True]
    assert [place.function for place in sentry.lines] == ["work"]
