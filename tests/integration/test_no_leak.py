"""The plugin keeps nothing of the user's alive, and grows by nothing of its own."""

from __future__ import annotations

from ..run import Suite

COLLECTOR = """
import asyncio, gc, threading

IN = []
collecting, go_on = threading.Lock(), threading.Event()

class Slow:
    def __init__(self):
        self.me = self  # only a collection destroys it
    def __del__(self):
        IN.append(threading.current_thread())
        if IN[-1] is not threading.main_thread():
            collecting.release()
            go_on.wait(20)

class Custom(Exception):
    pass

async def work():
    try:
        raise Custom
    except Custom as exc:
        kept = exc  # a cycle: the exception, its traceback, the frame

async def test_it():
    gc.collect()
    collecting.acquire()
    Slow()
    count, made, limit = gc.get_count, [], gc.get_threshold()[0]
    while count()[0] < limit - 3:
        made.append([])
    # Whoever makes the next objects collects. This thread makes none while it waits.
    collecting.acquire(True, 0.3)
    await work()
    gc.collect()
    left = [obj for obj in gc.get_objects() if type(obj) is Custom]
    go_on.set()
    assert left == []
    assert IN == [threading.main_thread()]
"""


def test_a_collection_of_the_users_does_its_work(suite: Suite) -> None:
    """None of the plugin's own goes on meanwhile, in which the user's would do nothing."""
    suite.test(COLLECTOR, "--asyncio-slow-callback-duration=9").clean()
