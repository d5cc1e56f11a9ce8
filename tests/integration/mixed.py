"""A suite with a test for each kind, and what a run of it comes to, with or without another plugin."""

from __future__ import annotations

import functools
import importlib.util
import re
from dataclasses import dataclass
from typing import Any

import pytest

from ..run import Outcome, Suite, place_of

#: One test for each kind, one late, one in a fixture, one expected to fail; innocent ones between.
#: What is slow here computes, since Linux may count the sleep of a thread as a wait for a processor.
MIXED = """
import asyncio
import time
import unittest
import warnings

import pytest
import pytest_asyncio

KEPT = []

async def work():
    await asyncio.sleep(0)

async def poll():
    while True:
        await asyncio.sleep(3600)

async def boom():
    raise ValueError("nobody reads this")

async def test_never_awaited():
    work()  # never-awaited

async def test_innocent_1():
    await work()

async def test_unretrieved_exception():
    task = asyncio.create_task(boom())  # unretrieved-exception
    await asyncio.sleep(0.01)

def test_innocent_2():
    asyncio.run(work())

async def test_pending_task():
    task = asyncio.create_task(poll())  # pending-task
    await work()

@pytest.fixture
def nothing():
    yield

async def test_innocent_3(nothing):
    await asyncio.gather(work(), work())

async def test_unclosed_transport():
    server = await asyncio.start_server(print, "127.0.0.1", 0)  # unclosed-transport

class TestInnocent(unittest.IsolatedAsyncioTestCase):
    async def test_innocent_4(self):
        await work()

def test_unclosed_loop():
    KEPT.append(asyncio.new_event_loop())  # unclosed-loop

async def test_innocent_5():
    await asyncio.to_thread(time.sleep, 0.2)

async def test_slow_callback():
    await work()
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # slow-callback

async def test_innocent_6():
    await work()

async def test_invalid_state():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.cancel()
    loop.call_soon(future.set_result, 1)  # invalid-state
    await work()

async def test_callback_exception():
    def callback():
        raise ValueError("nobody is there")  # callback-exception
    asyncio.get_running_loop().call_soon(callback)
    await work()

async def numbers():
    yield 1
    yield 2

async def test_unclosed_asyncgen():
    async for _ in numbers():  # unclosed-asyncgen
        break
    await asyncio.sleep(0.01)

class Client:
    def __init__(self):
        self.name = "client"
    async def close(self):
        pass
    def __del__(self):
        warnings.warn("a client was not closed", ResourceWarning)

async def test_unclosed_resource():
    Client()  # unclosed-resource

async def test_wrong_thread():
    loop = asyncio.get_running_loop()
    def touch():
        loop.call_soon(print)  # wrong-thread
    await asyncio.to_thread(touch)

async def test_blocking_call():
    open(__file__).close()  # blocking-call

async def test_lingering_timer():
    asyncio.get_running_loop().call_later(3600, print)  # lingering-timer

async def stubborn():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        return

async def test_swallowed_cancellation():
    task = asyncio.create_task(stubborn())  # swallowed-cancellation
    await work()
    task.cancel()
    await task

async def test_late():
    KEPT.append(work())  # late

def test_innocent_7():
    pass

@pytest_asyncio.fixture
async def leaky():
    yield
    task = asyncio.create_task(poll())  # fixture

async def test_fixture(leaky):
    await work()

@pytest.mark.xfail(strict=True)
async def test_expected():
    work()  # expected

async def test_innocent_8():
    await work()
"""

#: Turns on the kinds that are off unless a rule names them.
NAMED = tuple(
    f"--asyncio-traps=fail:{kind}"
    for kind in ("blocking-call", "lingering-timer", "swallowed-cancellation")
)

#: The kinds of those marked by something else than their kind.
OTHERS = {"late": "never-awaited", "fixture": "pending-task", "expected": "never-awaited"}

#: A finding, as far as it is the same in every run.
Seen = tuple[str, str, str, int, str, str]

LINES = re.compile(r"^(FAILED|ERROR|PASSED|XFAIL|XPASS) (\S+::\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What a run has come to, whatever the order of its tests."""

    findings: tuple[Seen, ...]
    outcomes: tuple[tuple[str, str], ...]
    code: int


def seen(finding: dict[str, Any]) -> Seen:
    """Kind, test, phase, line, and the owner's type and name."""
    place = place_of(finding)
    owner = finding["owner"]
    nodeid, name = finding["nodeid"], owner["name"]
    return finding["kind"], nodeid, finding["when"], place["line"], owner["type"], name


def run_of(outcome: Outcome) -> Run:
    """What ``outcome``, of a run with ``-rA``, amounts to."""
    outcome.no_fault()
    return Run(
        tuple(sorted(seen(finding) for finding in outcome.findings)),
        tuple(sorted(LINES.findall(outcome.result.stdout.str()))),
        int(outcome.result.ret),
    )


_reference: list[Run] = []


def reference(suite: Suite) -> Run:
    """The run of ``MIXED`` without any other plugin, made once."""
    if not _reference:
        _reference.append(run_of(suite.test(MIXED, "-rA", *NAMED)))
    return _reference[0]


def need(*modules: str) -> None:
    """Skip where one of ``modules`` cannot be imported."""
    for module in modules:
        if not is_there(module):
            pytest.skip(f"{module} is not installed")


@functools.cache
def is_there(module: str) -> bool:
    """Whether ``module`` is installed. Nothing is imported that pytest would rewrite."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


def names(outcome: Outcome, kind: str | None = None) -> list[str]:
    """The tests that findings (of ``kind``) are charged to, by their short names, in order."""
    return sorted(
        finding["nodeid"].rpartition("::")[2]
        for finding in outcome.findings
        if kind in (None, finding["kind"])
    )


def in_summary(outcome: Outcome) -> list[tuple[str, str]]:
    """The outcome and short name of each line of a summary made by ``-rA``."""
    found = LINES.findall(outcome.result.stdout.str())
    return sorted((word, nodeid.rpartition("::")[2]) for word, nodeid in found)
