"""One cause is one finding, in whatever ways it shows."""

from __future__ import annotations

import textwrap

import pytest

from ..run import XDIST, Suite

HEAD = """
import asyncio, contextlib
import pytest

KEPT = []

async def handle(reader, writer):
    with contextlib.closing(writer):
        await reader.read()
"""

#: A test each, with the kind of its one finding.
ONCE = {
    "a coroutine that another one was given": (
        """
        async def test_it():
            asyncio.wait_for(asyncio.sleep(0), 1)  # here
        """,
        "never-awaited",
    ),
    "a coroutine among the arguments": (
        """
        async def runs(*coroutines):
            await asyncio.gather(*coroutines)

        async def test_it():
            runs(asyncio.sleep(0), asyncio.sleep(0))  # here
        """,
        "never-awaited",
    ),
    "a coroutine that is kept, with the one that it was given": (
        """
        async def runs(coroutine):
            await coroutine

        async def test_it():
            KEPT.append(runs(asyncio.sleep(0)))  # here
        """,
        "never-awaited",
    ),
    "a service with its server and its child": (
        """
        async def child(queue):
            await queue.get()

        async def serve():
            queue = asyncio.Queue()
            task = asyncio.create_task(child(queue))
            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            KEPT.append(server)
            while True:
                await asyncio.sleep(0.1)

        async def test_it():
            KEPT.append(asyncio.create_task(serve()))  # here
            await asyncio.sleep(0.05)
        """,
        "pending-task",
    ),
    "a client and the handler that asyncio started for it": (
        """
        async def test_it():
            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            KEPT.append(await asyncio.open_connection(*address))  # here
            await asyncio.sleep(0.01)
            server.close()
        """,
        "unclosed-transport",
    ),
    "a task in the middle of a generator": (
        """
        async def numbers():
            while True:
                yield 1
                await asyncio.sleep(0.01)

        async def consume():
            async for number in numbers():
                pass

        async def test_it():
            asyncio.create_task(consume())  # here
            await asyncio.sleep(0.02)
        """,
        "pending-task",
    ),
}

#: ... and what looks alike, but is two.
TWICE = {
    "two tasks of a test": (
        """
        async def test_it():
            asyncio.create_task(asyncio.sleep(60))
            asyncio.create_task(asyncio.sleep(61))
            await asyncio.sleep(0)
        """,
        ["pending-task", "pending-task"],
    ),
    "a task and a server of a test": (
        """
        async def test_it():
            KEPT.append(asyncio.create_task(asyncio.sleep(60)))
            KEPT.append(await asyncio.start_server(handle, "127.0.0.1", 0))
        """,
        ["pending-task", "unclosed-transport"],
    ),
    "a handler that waits for something else": (
        """
        async def waits(reader, writer):
            with contextlib.closing(writer):
                await asyncio.Event().wait()

        async def test_it():
            server = await asyncio.start_server(waits, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            await asyncio.sleep(0.01)
            writer.close()
            await writer.wait_closed()
            server.close()
        """,
        ["pending-task"],
    ),
}


@pytest.mark.parametrize("name", ONCE)
def test_once(suite: Suite, name: str) -> None:
    text, kind = ONCE[name]
    outcome = suite.test(HEAD + textwrap.dedent(text))

    outcome.no_fault()
    finding = outcome.only()
    assert finding["kind"] == kind
    assert finding["origin"]["line"] == suite.line_of("here")


@pytest.mark.parametrize("name", TWICE)
def test_as_often_as_there_are_causes(suite: Suite, name: str) -> None:
    text, kinds = TWICE[name]
    outcome = suite.test(HEAD + textwrap.dedent(text))

    outcome.no_fault()
    assert sorted(outcome.kinds) == kinds


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_a_conftest_leaks(suite: Suite, args: tuple[str, ...]) -> None:
    """The controller of pytest-xdist and each worker import it."""
    suite.write(
        conftest="async def work(): pass\nwork()\n",
        test_it="def test_a(): pass\ndef test_b(): pass\n",
    )

    outcome = suite.run(*args, plugins=XDIST)

    assert outcome.only()["count"] == 1
