"""What the plugin costs, counted in function calls, which do not depend on the machine.

``benchmarks`` measures time. These tests count how many functions of the plugin are called, and how
many it calls, for one operation and for one test: every run gives the same numbers. A change that
raises one of them has to raise its ceiling here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.metadata import version

import pytest

from .run import Suite

COUNTER = """
import asyncio, gc, json, os, sys, threading
from pathlib import Path
import pytest
from pytest_asyncio_traps.profiler.sampler import StepSampler

StepSampler.READING_LIFETIME = 3600.0  # what is due by the clock is no price of a test
HERE = os.path.join("pytest_asyncio_traps", "")
counted = {}

def note(name, count):
    # The least of several times: now and then the plugin does what is due by the clock.
    counted[name] = min(count, counted.get(name, count))

class Calls:
    '''Counts the functions that the plugin's code is called for, and that it calls itself.'''

    def __init__(self):
        self.count = 0

    def __enter__(self):
        sys.setprofile(self.profile)
        return self

    def __exit__(self, *exc):
        sys.setprofile(None)

    def profile(self, frame, event, arg):
        if event in ("call", "c_call") and HERE in frame.f_code.co_filename:
            self.count += 1

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    if not item.name.startswith("test_plain"):
        return (yield)
    gc.disable()
    full = gc.get_stats()[2]["collections"]
    with Calls() as calls:
        result = yield
    gc.enable()
    name = item.name.rstrip("0123456789")
    note(name, calls.count)
    note(name + ", full collections", gc.get_stats()[2]["collections"] - full)
    return result

def pytest_sessionfinish(session):
    counted["threads left"] = threading.active_count() - 1
    Path("counted.json").write_text(json.dumps(counted))
"""

OPERATIONS = """
import asyncio, gc, pytest
from conftest import Calls, note

MANY = 50
def noop(): pass
async def coroutine(): pass

async def call_soon():
    for _ in range(MANY):
        asyncio.get_running_loop().call_soon(noop)
    await asyncio.sleep(0)

async def call_later():
    for _ in range(MANY):
        asyncio.get_running_loop().call_later(0, noop)
    await asyncio.sleep(0.001)

async def create_task():
    for _ in range(MANY):
        await asyncio.create_task(coroutine())

async def create_future():
    for _ in range(MANY):
        asyncio.get_running_loop().create_future()

async def sleep():
    for _ in range(MANY):
        await asyncio.sleep(0)

async def await_future():
    loop = asyncio.get_running_loop()
    for _ in range(MANY):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future

async def coroutine_call():
    for _ in range(MANY):
        await coroutine()

async def queue():
    queue = asyncio.Queue()
    for _ in range(MANY):
        await queue.put(1)
        await queue.get()
        queue.task_done()

@pytest.mark.parametrize("operation", [
    call_soon, call_later, create_task, create_future, sleep, await_future, coroutine_call, queue,
])
async def test_operation(operation):
    await operation()
    gc.collect()
    gc.disable()
    for _ in range(3):
        with Calls() as calls:
            await operation()
        note(operation.__name__, calls.count / MANY)
    gc.enable()
"""

PLAIN = """
import asyncio

def test_warm_up(): pass
async def test_warm_up_async(): await asyncio.sleep(0)
""" + "".join(
    f"def test_plain_sync{n}(): pass\nasync def test_plain_async{n}(): await asyncio.sleep(0)\n"
    for n in range(5)
)

#: At most so many calls of the plugin's: from Python 3.12 on, and before.
_CEILINGS = {
    "call_soon": (6.5, 6.5),
    "call_later": (12.5, 12.5),
    # Four and a half are for traces: the task that runs, and how it came to be made.
    "create_task": (18, 19),
    "create_future": (3, 5),  # who asks is dearer to know
    "sleep": (4.5, 4.5),
    "await_future": (17.5, 19.5),
    "coroutine_call": (0, 0),
    "queue": (0, 0),
    "test_plain_sync": (34, 34),
    "test_plain_async": (254, 258),
}
CEILINGS = {
    **{name: pair[sys.version_info < (3, 12)] for name, pair in _CEILINGS.items()},
    "test_plain_sync, full collections": 0,
    "test_plain_async, full collections": 0,
    "threads left": 0,
}
HOW_TO_ACCEPT = (
    "Look for a cheaper way first. To accept the higher number, raise it in _CEILINGS in "
    "tests/test_price.py, and give the reason in the message of that commit."
)


_OLD = tuple(int(part) for part in version("pytest-asyncio").split(".")[:2]) < (1, 2)


@pytest.mark.skipif(_OLD, reason="leaves a loop open, so that each step is asked whose it is")
@pytest.mark.skipif(
    hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled(), reason="counted with the GIL"
)
def test_the_price_has_not_risen(suite: Suite) -> None:
    suite.fresh = True  # full collections depend on how many objects there are
    suite.write(conftest=COUNTER, test_operations=OPERATIONS, test_plain=PLAIN)
    outcome = suite.run("-p", "no:randomly")

    outcome.clean()
    counted = json.loads((suite.pytester.path / "counted.json").read_text())
    assert counted.keys() == CEILINGS.keys()
    exceeded = any(number > CEILINGS[name] for name, number in counted.items())
    assert not exceeded, comparison(counted)


def comparison(counted: Mapping[str, float]) -> str:
    """Each operation with its ceiling, what was counted, and the difference."""
    lines = [f"{'operation':36} {'ceiling':>9} {'counted':>9} {'difference':>11}"]
    for name, number in counted.items():
        difference = number - CEILINGS[name]
        line = f"{name:36} {CEILINGS[name]:9.2f} {number:9.2f} {difference:+11.2f}"
        lines.append(f"{line}  too high" if difference > 0 else line)
    return "\n".join(["calls by operation:", *lines, "", HOW_TO_ACCEPT])


def test_a_higher_price_is_shown_with_its_operation() -> None:
    """The message gives each operation, the difference, and how to accept it."""
    counted = {**CEILINGS, "call_soon": CEILINGS["call_soon"] + 2.5, "queue": -1}

    lines = comparison(counted).splitlines()

    call_soon, ceiling = counted["call_soon"], CEILINGS["call_soon"]
    (line,) = (line for line in lines if line.endswith("too high"))
    assert line.split() == [
        "call_soon",
        f"{ceiling:.2f}",
        f"{call_soon:.2f}",
        "+2.50",
        "too",
        "high",
    ]
    assert ["queue", "0.00", "-1.00", "-1.00"] in [line.split() for line in lines]
    assert {name for name in CEILINGS if any(line.startswith(f"{name} ") for line in lines)} == set(
        CEILINGS
    )
    assert "_CEILINGS in tests/test_price.py" in lines[-1]


ALIVE = """
import asyncio, pytest, pytest_asyncio

async def forever():
    await asyncio.Event().wait()

@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def tasks():
    tasks = [asyncio.create_task(forever()) for _ in range(MANY)]
    await asyncio.sleep(0)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

@pytest.mark.asyncio(loop_scope="session")
async def test_warm_up():
    pass
""" + "".join(
    f"@pytest.mark.asyncio(loop_scope='session')\nasync def test_plain{n}(): await asyncio.sleep(0)\n"
    for n in range(5)
)


@pytest.mark.skipif(_OLD, reason="has no loop of its own for fixtures of a session")
@pytest.mark.skipif(
    hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled(), reason="counted with the GIL"
)
def test_a_test_costs_the_same_however_many_tasks_live(suite: Suite) -> None:
    suite.fresh = True
    counted = []
    for many in (10, 1_000):
        suite.write(conftest=COUNTER, test_alive=ALIVE.replace("MANY", str(many)))
        suite.run("-p", "no:randomly").clean()
        counted.append(json.loads((suite.pytester.path / "counted.json").read_text())["test_plain"])

    few, more = counted
    assert more <= few + 20
