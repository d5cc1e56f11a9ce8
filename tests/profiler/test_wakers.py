"""Which threads could wake a loop, as the system tells it."""

from __future__ import annotations

import _thread
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pytest_asyncio_traps.profiler import wakers
from pytest_asyncio_traps.profiler.wakers import count_wakers, tasks, waits_for_a_thread

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")


@pytest.fixture
def event() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def start(wait: Callable[[], object]) -> threading.Thread:
    """A thread that is about to ``wait``, and does so once it sleeps."""
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while time.monotonic() < end and count_runs(thread) != count_runs(thread):
        pass
    return thread


def count_runs(thread: threading.Thread) -> bytes:
    time.sleep(0.02)
    return wakers.read_proc(f"task/{thread.native_id}/schedstat")


def is_harmless(thread: threading.Thread) -> bool:
    return waits_for_a_thread(thread.native_id or 0)


def test_threads_that_wait_for_another_one(event: threading.Event) -> None:
    lock, jobs = threading.Lock(), queue.SimpleQueue[None]()
    lock.acquire()
    threads = [start(event.wait), start(lock.acquire), start(jobs.get)]
    threads.append(start(threads[0].join))
    known = [*tasks()]

    assert all(map(is_harmless, threads))
    assert count_wakers({*known} - {thread.native_id for thread in threads}) == 0

    lock.release()
    jobs.put(None)
    event.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def no_runners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no threads of test runners: a worker of pytest-xdist has one without an id."""
    monkeypatch.setattr(wakers, "_runners", lambda: (set(), 0))


@pytest.mark.usefixtures("no_runners")
def test_threads_that_may_go_on(event: threading.Event) -> None:
    ours, theirs = os.pipe()
    jobs: queue.Queue[None] = queue.Queue()
    stop: list[bool] = []

    def spin() -> None:
        while not stop:
            pass

    threads = [
        start(lambda: event.wait(60)),
        start(lambda: time.sleep(1)),
        start(lambda: os.read(ours, 1)),
        start(lambda: jobs.get(timeout=60)),
    ]
    threads.append(threading.Thread(target=spin, daemon=True))
    threads[-1].start()
    known = {*tasks()} - {thread.native_id for thread in threads}

    assert not any(map(is_harmless, threads))
    assert count_wakers(known) == len(threads)
    assert count_wakers({*known, threads[0].native_id}) == len(threads) - 1

    stop.append(True)
    os.write(theirs, b"x")
    event.set()
    jobs.put(None)
    for thread in threads:
        thread.join()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("{futex} 0x7f 0x189 0x0 0x0 0x0 0xffffffff 0x7f 0x7f", True),  # a semaphore
        ("{futex} 0x7f 0x80 0x2 0x0 0x0 0x0 0x7f 0x7f", True),  # a lock
        ("{futex} 0x7f 0xffffffff00000080 0x2 0x0 0x0 0x0 0x7f 0x7f", True),  # half a register
        ("{futex} 0x7f 0x189 0x0 0x7fdc 0x0 0xffffffff 0x7f 0x7f", False),  # with a limit
        ("{futex} 0x7f 0x109 0x0 0x0 0x0 0xffffffff 0x7f 0x7f", False),  # shared with others
        ("{futex} 0x7f 0x0 0x2 0x0 0x0 0x0 0x7f 0x7f", False),  # shared with others
        ("{futex} 0x7f 0x81 0x1 0x0 0x0 0x0 0x7f 0x7f", False),  # it wakes another
        ("{futex} 0x7f 0x8b 0x0 0x0 0x0 0x0 0x7f 0x7f", False),  # another operation
        ("999 0x7f 0x189 0x0 0x0 0x0 0xffffffff 0x7f 0x7f", False),  # another call
        ("-1 0x7f 0x7f", False),  # no call
        ("running", False),
        ("", False),
    ],
)
def test_what_the_system_says(monkeypatch: pytest.MonkeyPatch, text: str, harmless: bool) -> None:
    monkeypatch.setattr(wakers, "_FUTEX", 202)
    monkeypatch.setattr(wakers, "read_proc", lambda name: text.format(futex=202).encode())

    assert waits_for_a_thread(1) is harmless


def test_unknown_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other thread counts."""
    monkeypatch.setattr(wakers, "_FUTEX", None)
    monkeypatch.setattr(wakers, "read_proc", lambda name: b"-1 0x7f 0x80 0x0 0x0 0x0 0x0 0x7f")

    assert not waits_for_a_thread(1)


@pytest.mark.usefixtures("no_runners")
def test_this_thread_counts_unless_it_is_known() -> None:
    others = {*tasks()} - {_thread.get_native_id()}

    assert count_wakers(others) == 1
    assert count_wakers(tasks()) == 0
