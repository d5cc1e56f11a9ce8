"""What a library keeps for itself is not the user's; what it hands to the user is.

Each rule has a test on each side of it. The library lies in a folder ``site-packages``, which makes
it an installed one.
"""

from __future__ import annotations

import textwrap

import pytest

from ..run import Outcome, Suite

LIBRARY = """
import asyncio, contextlib, threading

# -- generators

async def inner():
    for number in range(3):
        yield number

async def outer():
    async for number in inner():
        yield number

class Cursor:
    async def __aiter__(self):
        for number in range(3):
            yield number

async def first_of(numbers):
    return await anext(numbers)

# -- loops

_loop = None

def run(coroutine):
    "Runs it on a loop that the library keeps for the life of the process."
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
    return _loop.run_until_complete(coroutine)

_runner = None

def run_by_runner(coroutine):
    global _runner
    if _runner is None:
        _runner = asyncio.Runner()
    return _runner.run(coroutine)

_thread_loop = None

def run_in_thread(coroutine):
    global _thread_loop
    if _thread_loop is None:
        _thread_loop = asyncio.new_event_loop()
        threading.Thread(target=_thread_loop.run_forever, daemon=True).start()
    return asyncio.run_coroutine_threadsafe(coroutine, _thread_loop).result(10)

async def poll():
    import time
    time.sleep(0.3)

# -- timers

def expire_later(seconds):
    asyncio.get_running_loop().call_later(seconds, print)

# -- tasks

_watchers = set()

async def watch():
    while True:
        await asyncio.sleep(20)

def spawn(coroutine):
    return asyncio.create_task(coroutine)

async def begin_watching():
    asyncio.create_task(watch())
    await asyncio.sleep(0)

async def begin_watching_in_a_global():
    _watchers.add(asyncio.create_task(watch()))
    await asyncio.sleep(0)

class Client:
    async def open(self):
        self.task = asyncio.create_task(self.poll())
        await asyncio.sleep(0)

    async def poll(self):
        while True:
            await asyncio.sleep(20)

# -- connections

class Connection:
    "Has a task of its own, and a transport."
    async def open(self, host, port):
        self.reader, self.writer = await asyncio.open_connection(host, port)
        self.task = asyncio.create_task(self.keep_alive())
        return self

    async def keep_alive(self):
        while True:
            await asyncio.sleep(20)

    async def close(self):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.writer.close()
        await self.writer.wait_closed()
"""

HEAD = """
import asyncio, contextlib, time
import pytest
import minilib

async def work():
    return 1
"""


@pytest.fixture
def library(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite in which ``minilib`` is installed."""
    site = suite.pytester.mkdir("site-packages")
    (site / "minilib.py").write_text(textwrap.dedent(LIBRARY), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(site))
    return suite


def run(library: Suite, text: str, *args: str) -> Outcome:
    outcome = library.test(HEAD + textwrap.dedent(text), *args)
    outcome.no_fault()
    return outcome


SILENT = {
    "a generator that the library iterates": """
        async def test_it():
            async with contextlib.aclosing(minilib.outer()) as numbers:
                async for number in numbers:
                    break
        """,
    "a generator that the user cannot reach": """
        async def test_it():
            async for number in minilib.Cursor():
                break
        """,
    "a loop for the life of the process": """
        def test_it():
            assert minilib.run(work()) == 1
        """,
    "a runner for the life of the process": """
        def test_it():
            assert minilib.run_by_runner(work()) == 1
        """,
    "a loop in a thread for the life of the process": """
        def test_it():
            assert minilib.run_in_thread(work()) == 1
        """,
    "a slow step on a loop of the library's own": """
        def test_it():
            minilib.run(minilib.poll())
        """,
    "a timer of the library's": """
        async def test_it():
            minilib.expire_later(60)
        """,
    "a task that the library keeps nowhere": """
        async def test_it():
            await minilib.begin_watching()
        """,
    "a task that the library keeps in a global": """
        async def test_it():
            await minilib.begin_watching_in_a_global()
        """,
    "a connection that is closed": """
        async def test_it():
            server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
            async with server:
                address = server.sockets[0].getsockname()
                connection = await minilib.Connection().open(*address)
                await connection.close()
        """,
    "a loop that a hook opens and another one closes": """
        def test_it(request):
            assert request.config.loop.run_until_complete(work()) == 1
        """,
}

HOOKS = """
import asyncio

def pytest_sessionstart(session):
    session.config.loop = asyncio.new_event_loop()

def pytest_unconfigure(config):
    config.loop.close()
"""

REPORTED = {
    "a generator that the user iterates": (
        """
        async def test_it():
            async for number in minilib.outer():  # here
                break
        """,
        "unclosed-asyncgen",
    ),
    "a generator of the user's that the library iterates": (
        """
        async def numbers():
            yield 1
            yield 2

        async def test_it():
            await minilib.first_of(numbers())  # here
        """,
        "unclosed-asyncgen",
    ),
    "a loop of the user's": (
        """
        def test_it():
            loop = asyncio.new_event_loop()  # here
            loop.run_until_complete(work())
        """,
        "unclosed-loop",
    ),
    "a slow step of the user's on a loop of the library's": (
        """
        async def slow():
            time.sleep(0.3)  # here

        def test_it():
            minilib.run(slow())
        """,
        "slow-callback",
    ),
    "a timer of the user's": (
        """
        async def test_it():
            asyncio.get_running_loop().call_later(60, minilib.print)  # here
        """.replace("minilib.print", "print"),
        "lingering-timer",
    ),
    "a task of an object that the user has": (
        """
        async def test_it():
            client = minilib.Client()
            await client.open()  # here
        """,
        "pending-task",
    ),
    "a task that the library makes of a coroutine of the user's": (
        """
        KEPT = []

        async def poll():
            await asyncio.sleep(20)

        async def test_it():
            KEPT.append(minilib.spawn(poll()))  # here
            await asyncio.sleep(0)
        """,
        "pending-task",
    ),
    "a connection that is left open, with what is its own": (
        """
        KEPT = []

        async def handle(reader, writer):
            with contextlib.closing(writer):
                await reader.read()

        async def test_it():
            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            KEPT.append(await minilib.Connection().open(*address))  # here
            await asyncio.sleep(0.01)
            server.close()
        """,
        "unclosed-transport",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent(library: Suite, name: str) -> None:
    if "hook" in name:
        library.write(conftest=HOOKS)

    run(library, SILENT[name], "--asyncio-strict").clean()


@pytest.mark.parametrize("name", REPORTED)
def test_reported(library: Suite, name: str) -> None:
    """One finding, at the user's line."""
    text, kind = REPORTED[name]

    finding = run(library, text, "--asyncio-strict").only()

    assert finding["kind"] == kind
    lines = [place["line"] for place in (finding["origin"], finding["location"]) if place]
    assert library.line_of("here") in lines
