"""Exceptions that nobody is there to catch."""

from __future__ import annotations

import pytest

from ..run import Suite
from .variants import check


def test_variants(suite: Suite) -> None:
    """Callbacks of all sorts, protocols, connection handlers, finalizers."""
    check(
        suite,
        """
        def fail(*args):
            raise ValueError("nobody is there")

        async def test_call_soon():
            def callback():
                raise ValueError("nobody is there")  # here
            asyncio.get_running_loop().call_soon(callback)
            await work()

        async def test_call_later():
            asyncio.get_running_loop().call_later(0, lambda: 1 / 0)  # here
            await asyncio.sleep(0.01)

        async def test_call_soon_threadsafe():
            loop = asyncio.get_running_loop()
            await asyncio.to_thread(loop.call_soon_threadsafe, lambda: 1 / 0)  # here
            await asyncio.sleep(0.01)

        async def test_done_callback():
            future = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda _: 1 / 0)  # here
            future.set_result(1)
            await work()

        async def test_reader():
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair()
            def read():
                loop.remove_reader(ours)
                raise ValueError("nobody is there")  # here
            loop.add_reader(ours, read)
            theirs.send(b"1")
            await asyncio.sleep(0.01)
            ours.close()
            theirs.close()

        async def test_protocol():
            loop = asyncio.get_running_loop()
            class Protocol(asyncio.Protocol):
                def data_received(self, data):
                    raise ValueError("nobody is there")  # here
            ours, theirs = socket.socketpair()
            transport, _ = await loop.create_connection(Protocol, sock=ours)
            theirs.send(b"1")
            while not transport.is_closing():
                await asyncio.sleep(0.001)
            theirs.close()

        async def test_connection_made():
            loop = asyncio.get_running_loop()
            class Protocol(asyncio.Protocol):
                def connection_made(self, transport):
                    KEPT.append(transport)
                    raise ValueError("nobody is there")  # here
            ours, theirs = socket.socketpair()
            with contextlib.suppress(ValueError):
                await asyncio.wait_for(loop.create_connection(Protocol, sock=ours), 0.05)
            KEPT.pop().abort()
            theirs.close()
            await asyncio.sleep(0.01)

        async def test_connection_lost():
            loop = asyncio.get_running_loop()
            class Protocol(asyncio.Protocol):
                def connection_lost(self, exc):
                    raise ValueError("nobody is there")  # here
            ours, theirs = socket.socketpair()
            transport, _ = await loop.create_connection(Protocol, sock=ours)
            transport.close()
            await asyncio.sleep(0.01)
            theirs.close()

        async def test_async_generator():
            async def numbers():
                try:
                    yield 1
                finally:
                    raise ValueError("nobody is there")  # here
            async with contextlib.AsyncExitStack() as stack:
                generator = numbers()
                await anext(generator)
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "closing", "exception": await caught(generator), "asyncgen": generator}
                )

        async def caught(generator):
            try:
                await generator.aclose()
            except ValueError as exc:
                return exc
        """,
        "callback-exception",
    )


def test_connection_handler(suite: Suite) -> None:
    """The task of ``client_connected_cb`` is asyncio's own: it is told where the server is."""
    outcome = suite.test("""
        import asyncio
        import sys
        import pytest

        async def handle(reader, writer):
            raise ValueError("nobody is there")  # raised

        @pytest.mark.skipif(sys.version_info < (3, 11, 7), reason="a task that fails, before")
        async def test_it():
            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:  # made
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                await reader.read()
                writer.close()
                await writer.wait_closed()
    """)

    if outcome.findings:
        finding = outcome.only()
        assert finding["kind"] == "callback-exception"
        assert finding["location"]["line"] == suite.line_of("raised")
        assert finding["origin"]["line"] == suite.line_of("made")
        assert finding["nodeid"] == "test_it.py::test_it"
    else:
        outcome.result.assert_outcomes(skipped=1)


def test_what_a_dropped_generator_raises(suite: Suite) -> None:
    """asyncio closes it in a task of its own: both the drop and the exception are told."""
    outcome = suite.test("""
        import asyncio

        async def numbers():
            try:
                yield 1
            finally:
                raise ValueError("nobody is there")  # raised

        async def test_it():
            async for _ in numbers():  # dropped
                break
            await asyncio.sleep(0.01)
    """)

    places = {f["kind"]: f["location"]["line"] for f in outcome.findings}
    assert places["callback-exception"] == suite.line_of("raised")
    assert set(places) == {"callback-exception", "unclosed-asyncgen"}


def test_destructors(suite: Suite) -> None:
    """What the destructor of a reported transport raises is no second finding."""
    outcome = suite.test("""
        import asyncio
        import gc
        import pytest

        @pytest.mark.filterwarnings("ignore")
        def test_it():
            loop = asyncio.new_event_loop()
            async def main():
                return await asyncio.create_subprocess_exec("sleep", "1")
            process = loop.run_until_complete(main())
            loop.close()
            del process
            gc.collect()
    """)

    assert outcome.only()["kind"] == "unclosed-transport"


def test_near_misses(suite: Suite) -> None:
    """Whoever catches it, handles it, or calls by itself, has lost nothing."""
    outcome = suite.test("""
        import asyncio
        import contextlib

        async def test_caught():
            def callback():
                with contextlib.suppress(ZeroDivisionError):
                    1 / 0
            asyncio.get_running_loop().call_soon(callback)
            await asyncio.sleep(0)

        async def test_a_handler_of_its_own():
            loop = asyncio.get_running_loop()
            told = []
            loop.set_exception_handler(lambda loop, context: told.append(context))
            loop.call_soon(lambda: 1 / 0)
            await asyncio.sleep(0)
            assert told

        async def test_a_message_without_an_exception():
            asyncio.get_running_loop().call_exception_handler({"message": "so what"})

        async def test_a_connection_that_is_reset():
            async def handle(reader, writer):
                writer.transport.abort()
            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
    """)

    outcome.clean()


def test_a_result_that_is_read_too_early_is_no_second_result(suite: Suite) -> None:
    """asyncio's futures of C and those of Python say it in other words."""
    outcome = suite.test("""
        import asyncio
        from asyncio import futures

        async def test_c():
            asyncio.get_running_loop().call_soon(asyncio.Future().result)  # c
            await asyncio.sleep(0)

        async def test_python():
            asyncio.get_running_loop().call_soon(futures._PyFuture().result)  # python
            await asyncio.sleep(0)
    """)

    assert outcome.kinds == ["callback-exception"] * 2
    lines = [finding["origin"]["line"] for finding in outcome.findings]
    assert lines == [suite.line_of("c"), suite.line_of("python")]
    outcome.no_fault()


def test_what_a_library_tells_in_its_own_words(suite: Suite) -> None:
    """Schedulers of jobs hand to the handler what a job has raised."""
    outcome = suite.test("""
        import asyncio

        async def test_it():
            try:
                1 / 0  # raised
            except ZeroDivisionError as exc:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "Job processing failed", "job": object(), "exception": exc}
                )
    """)

    finding = outcome.only()
    assert finding["location"]["line"] == suite.line_of("raised")
    assert "'Job processing failed'" in finding["summary"]


def test_a_generator_that_cannot_be_closed(suite: Suite) -> None:
    """What it raises has no line of the user's: it is told where the generator is defined."""
    outcome = suite.test("""
        import asyncio

        KEPT = []

        async def stuck():  # defined
            try:
                yield 1
            except BaseException:
                yield 2

        async def test_it():
            generator = stuck()
            KEPT.append(generator)
            await anext(generator)
    """)

    found = {finding["kind"]: finding for finding in outcome.findings}
    assert found["callback-exception"]["origin"]["line"] == suite.line_of("defined")
    assert "'stuck' raised RuntimeError" in found["callback-exception"]["summary"]
    assert found["callback-exception"]["nodeid"] == "test_it.py::test_it"


REFUSED = """
import asyncio, socket, ssl, unittest
import pytest, trustme

async def refuse():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0, ssl=context)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"this is no handshake")
    await reader.read()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()

async def test_of_pytest_asyncio():
    await refuse()

class TestOfUnittest(unittest.IsolatedAsyncioTestCase):
    async def test_it(self):
        await refuse()

def test_of_asyncio_run():
    asyncio.run(refuse())
    asyncio.run(refuse(), debug=True)
"""


def test_a_refused_client_is_reported_by_no_runner(suite: Suite) -> None:
    """asyncio says so in debug mode only, which unittest turns on and others do not."""
    pytest.importorskip("trustme")

    outcome = suite.test(REFUSED, "--asyncio-slow-callback-duration=60")

    outcome.clean()
    outcome.result.assert_outcomes(passed=3)
