"""The plugin keeps nothing of the user's alive, and grows by nothing of its own."""

from __future__ import annotations

import json

import pytest

from benchmarks.leak import SUITE

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

#: A busy machine may keep a step for long.
PATIENT = ("-o", "asyncio_slow_callback_duration=60")


def test_a_collection_of_the_users_does_its_work(suite: Suite) -> None:
    """None of the plugin's own goes on meanwhile, in which the user's would do nothing."""
    suite.fresh = True
    suite.test(COLLECTOR, "--asyncio-slow-callback-duration=9").clean()


LIFE = '''
import asyncio, gc, json, socket, sys, threading, unittest, weakref
import pytest

gc.disable()  # when a collection begins by itself depends on how much was allocated

EVENTS = []   # what dies, in its order, and between which steps of the tests
REFS = {}     # how many references there are to what
ALIVE = {}

def watch(name, obj):
    ALIVE[name] = weakref.ref(obj, lambda _: EVENTS.append(f"{name} dies"))
    return obj

def count(name, obj):
    REFS[name] = sys.getrefcount(obj)

class Thing:
    """Has a destructor that says so."""
    def __init__(self, name):
        self.name = name
    def __del__(self):
        EVENTS.append(f"{self.name} is destroyed")

class Boom(Exception):
    pass

@pytest.fixture(autouse=True)
def told(request):
    EVENTS.append(f"{request.node.name} begins")
    yield
    EVENTS.append(f"{request.node.name} ends")

@pytest.fixture
def value():
    return watch("fixture value", Thing("fixture value"))

async def hold(thing):
    await asyncio.sleep(0)

async def boom(thing):
    raise Boom

async def test_task(value):
    thing = Thing("argument of a coroutine")
    coroutine = watch("coroutine", hold(thing))
    task = watch("task", asyncio.create_task(coroutine))
    count("task", task)
    count("coroutine", coroutine)
    del coroutine
    await task
    count("done task", task)
    count("argument", thing)
    del thing
    EVENTS.append("task is let go of")
    del task
    EVENTS.append("task was let go of")

async def test_exception():
    task = watch("failed task", asyncio.create_task(boom(Thing("local of a failed frame"))))
    try:
        await task
    except Boom as exc:
        watch("exception", exc)
        count("exception", exc)
        exc.__traceback__ = None
    EVENTS.append("failed task is let go of")
    del task
    EVENTS.append("failed task was let go of")

async def test_exception_in_a_cycle():
    task = watch("cyclic task", asyncio.create_task(boom(Thing("local in a cycle"))))
    await asyncio.wait([task])
    watch("cyclic exception", task.exception())
    del task
    gc.collect()
    EVENTS.append("collected")

async def test_gather():
    await asyncio.gather(*(boom(Thing(f"gathered {n}")) for n in range(3)), return_exceptions=True)
    EVENTS.append("gathered")
    gc.collect()

async def test_future_and_handles():
    loop = asyncio.get_running_loop()
    future = watch("future", loop.create_future())
    count("future", future)
    future.set_result(watch("result", Thing("result")))
    await future
    del future
    EVENTS.append("future was let go of")
    def callback(thing):
        count("argument of a callback", thing)
    handle = watch("handle", loop.call_soon(callback, Thing("argument of call_soon")))
    timer = watch("timer", loop.call_later(0, callback, Thing("argument of call_later")))
    count("handle", handle)
    count("timer", timer)
    await asyncio.sleep(0.01)
    del handle, timer
    EVENTS.append("handles were let go of")
    cancelled = loop.call_later(3600, callback, Thing("argument of a cancelled timer"))
    cancelled.cancel()
    EVENTS.append("timer was cancelled")

async def test_transport():
    async def serve(reader, writer):
        writer.close()
    server = watch("server", await asyncio.start_server(serve, "127.0.0.1", 0))
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    watch("transport", writer.transport)
    count("transport", writer.transport)
    await reader.read()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()

async def test_asyncgen():
    async def numbers(thing):
        yield 1
        yield 2
    generator = watch("generator", numbers(Thing("argument of a generator")))
    async for _ in generator:
        break
    count("generator", generator)
    await generator.aclose()
    del generator
    EVENTS.append("generator was let go of")

def test_loop():
    loop = watch("loop", asyncio.new_event_loop())
    count("loop", loop)
    loop.run_until_complete(hold(Thing("argument in a loop of its own")))
    count("loop that ran", loop)
    loop.close()

def test_thread():
    thread = watch("thread", threading.Thread(target=lambda: asyncio.run(hold(Thing("in a thread")))))
    count("thread", thread)
    thread.start()
    thread.join()

class TestInstance(unittest.IsolatedAsyncioTestCase):
    async def test_instance(self):
        watch("test case", self)
        self.thing = Thing("attribute of a test case")
        self.addCleanup(lambda: None)

class TestPlain:
    async def test_plain(self):
        watch("test instance", self)
        self.thing = Thing("attribute of a test instance")

def test_last():
    gc.collect()
    alive = sorted(name for name, ref in ALIVE.items() if ref() is not None)
    with open("life.json", "w") as file:
        json.dump({"events": EVENTS, "refs": REFS, "alive": alive}, file, indent=1)
'''


def test_nothing_lives_longer_or_dies_earlier(suite: Suite) -> None:
    """Tasks, coroutines, frames, exceptions, transports, futures, handles, loops, instances.

    The order in which they die, what happens in between, and the number of references to each
    are those of a run without the plugin.
    """
    suite.fresh = True
    lives = []
    for plugins in (("asyncio",), ("asyncio", "asyncio_traps")):
        suite.write(test_it=LIFE)
        outcome = suite.run("-p", "no:unraisableexception", *PATIENT, plugins=plugins)
        assert outcome.result.ret == 0, outcome.result.stdout.str()
        lives.append(json.loads((suite.pytester.path / "life.json").read_text()))
    without, with_ = lives

    assert with_["events"] == without["events"]
    assert with_["refs"] == without["refs"]
    assert with_["alive"] == without["alive"]
    # The last instance of a class is pytest's to keep.
    assert without["alive"] in ([], ["test instance"])
    assert len(without["events"]) > 60


#: What is known of the dead is forgotten by the thousand: there are never more than these.
PRUNED = {
    "weakref.ReferenceType": 15_000,
    "pytest_asyncio_traps.core.ownership.Tenure": 2_500,
    "pytest_asyncio_traps.model.finding.Owner": 2_500,
}


@pytest.mark.thorough
def test_it_grows_by_nothing(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the 500th test to the 2,000th: no object of asyncio's or the plugin's more."""
    monkeypatch.setenv("COUNT", "2000")
    monkeypatch.setenv("MARKS", "500,2000")
    suite.fresh = True
    grown = []
    for plugins in (("asyncio",), ("asyncio", "asyncio_traps")):
        suite.write(test_it=SUITE)
        outcome = suite.run("-q", *PATIENT, plugins=plugins)
        assert outcome.result.ret == 0
        seen = json.loads((suite.pytester.path / "growth.json").read_text())
        early, late = seen["500"], seen["2000"]
        assert late["files"] == early["files"]
        assert late["threads"] == early["threads"]
        assert all(late["kinds"].get(name, 0) < most for name, most in PRUNED.items())
        grown.append({n: late["kinds"].get(n, 0) - c for n, c in early["kinds"].items()})
    without, with_ = grown

    for name, more in with_.items():
        if name in PRUNED:
            continue
        assert more <= max(0, without.get(name, 0)) + 5, (name, more, without.get(name))
