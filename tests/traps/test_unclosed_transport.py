"""unclosed-transport, in its variants."""

from __future__ import annotations

import sys

import pytest

from ..run import Suite, guilty
from .variants import HEAD, check

KIND = "unclosed-transport"


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        async def closing(reader, writer): writer.close()

        async def test_server():
            server = await asyncio.start_server(closing, "127.0.0.1", 0)  # here

        async def test_stream():
            async with await asyncio.start_server(closing, "127.0.0.1", 0) as server:
                address = server.sockets[0].getsockname()
                reader, writer = await asyncio.open_connection(*address)  # here
                await reader.read()

        async def test_stream_kept():
            async with await asyncio.start_server(closing, "127.0.0.1", 0) as server:
                address = server.sockets[0].getsockname()
                KEPT.append(await asyncio.open_connection(*address))  # here
                await KEPT[-1][0].read()

        async def test_protocol():
            loop = asyncio.get_running_loop()
            async with await asyncio.start_server(closing, "127.0.0.1", 0) as server:
                address = server.sockets[0].getsockname()
                class Open(asyncio.Protocol):
                    def eof_received(self): return True
                await loop.create_connection(Open, *address)  # here
                await asyncio.sleep(0.01)

        async def test_datagram():
            loop = asyncio.get_running_loop()
            await loop.create_datagram_endpoint(  # here
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )

        async def test_subprocess():
            code = "import sys; sys.stdin.read()"
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=-1)  # here
            KEPT.append(process)
        """,
        KIND,
        # A destructor of asyncio's finds its loop closed, as it would without us.
        "-Wignore::pytest.PytestUnraisableExceptionWarning",
    )


#: Classes of user code whose destructors close what was left open.
CLOSED_BY_DESTRUCTOR = """
class Client:
    async def connect(self, address):
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_connection(asyncio.Protocol, *address)  # connects
        return self

    def __del__(self):
        self.transport.abort()

class Streams:
    async def connect(self, address):
        self.reader, self.writer = await asyncio.open_connection(*address)
        return self

    def close(self):
        self.writer.close()

    def __del__(self):
        self.close()

@pytest.fixture
async def address():
    async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()
"""


@pytest.mark.parametrize("policy", ["", "uvloop"])
def test_closed_by_a_destructor(suite: Suite, policy: str) -> None:
    head = HEAD + CLOSED_BY_DESTRUCTOR
    if policy:
        pytest.importorskip(policy)
        head += (
            "import uvloop\n\n@pytest.fixture\ndef event_loop_policy():\n"
            "    return uvloop.EventLoopPolicy()\n"
        )
    outcome = suite.test(
        head
        + """
async def test_dropped(address):
    await Client().connect(address)

async def test_streams(address):
    await Streams().connect(address)

async def test_closed(address):
    client = await Client().connect(address)
    client.transport.close()
    streams = await Streams().connect(address)
    streams.close()

async def test_unused():
    client = Client()
    client.transport = asyncio.Transport()
"""
    )

    assert guilty(outcome) == [(KIND, "test_dropped", "fail"), (KIND, "test_streams", "fail")]
    assert outcome.findings[0]["origin"]["line"] == suite.line_of("connects")
    outcome.result.stdout.fnmatch_lines(
        ["*It was open until the destructor of test_it.Client closed it."]
    )
    outcome.no_fault()


@pytest.mark.skipif(sys.platform == "win32", reason="UNIX sockets and pipes")
def test_unix_variants(suite: Suite) -> None:
    check(
        suite,
        """
        async def closing(reader, writer): writer.close()

        async def test_unix_server(tmp_path):
            server = await asyncio.start_unix_server(closing, tmp_path / "s")  # here

        async def test_read_pipe():
            loop = asyncio.get_running_loop()
            read, write = os.pipe()
            pipe = os.fdopen(read, "rb", 0)
            await loop.connect_read_pipe(asyncio.Protocol, pipe)  # here
            KEPT.append(write)

        async def test_write_pipe():
            loop = asyncio.get_running_loop()
            read, write = os.pipe()
            await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write, "wb", 0))  # here
            KEPT.append(read)
        """,
        KIND,
    )


def test_an_accepted_connection_that_its_handler_leaves_open(suite: Suite) -> None:
    """It is found at the line of the server that accepted it."""
    outcome = check(
        suite,
        """
        async def forgetful(reader, writer):
            await reader.read()
            KEPT.append(writer)

        async def test_it():
            server = await asyncio.start_server(forgetful, "127.0.0.1", 0)  # here
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            await writer.wait_closed()
            await asyncio.sleep(0.02)
            server.close()
        """,
        KIND,
    )

    assert outcome.only()["location"]["function"] == "forgetful"


def test_near_misses(suite: Suite) -> None:
    check(
        suite,
        """
        async def echo(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async def test_streams():
            async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"hello\\n")
                assert await reader.read() == b"hello\\n"
                writer.close()
                await writer.wait_closed()

        async def test_closed_without_waiting():
            async def close(reader, writer): writer.close()
            async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                await reader.read()
                writer.close()

        async def test_subprocess():
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(1)", stdout=-1)
            out, _ = await process.communicate()
            assert out.strip() == b"1"

        async def test_refused():
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                with pytest.raises(OSError):
                    await asyncio.open_connection(*sock.getsockname())

        async def test_no_such_program():
            with pytest.raises(OSError):
                await asyncio.create_subprocess_exec("/no/such/program")

        async def test_datagram():
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            transport.close()
        """,
        KIND,
    )


def test_a_subprocess_on_uvloop(suite: Suite) -> None:
    """It cannot be watched, which is said; other transports are."""
    pytest.importorskip("uvloop")
    outcome = suite.test(
        """
        import asyncio, sys, uvloop

        async def process():
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
            await process.wait()

        async def serve():
            server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)  # here

        def test_process(): run(process())
        def test_server(): run(serve())

        def run(coroutine):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(coroutine)
        """
    )

    assert outcome.only()["origin"]["line"] == suite.line_of("here")
    spots = [spot["what"] for spot in outcome.report["blind_spots"]]
    assert "unclosed-transport of a uvloop.loop.UVProcessTransport" in spots
    outcome.no_fault()


def test_a_stream_over_tls_on_uvloop(suite: Suite) -> None:
    """uvloop's class for these cannot be watched, which is said; the rest is."""
    pytest.importorskip("uvloop")
    outcome = suite.test(
        HEAD
        + TLS.partition("async def")[0]
        + """
import uvloop

def test_it(address, contexts):
    async def main():
        # Dropped, like the one that is watched.
        await asyncio.open_connection(*address, ssl=contexts[1], server_hostname="localhost")
        gc.collect()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

def test_plain(address):
    async def main():
        await asyncio.open_connection(*address)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
"""
    )

    outcome.no_fault()
    assert outcome.only()["nodeid"] == "test_it.py::test_plain"
    spots = [spot["what"] for spot in outcome.report["blind_spots"]]
    assert "unclosed-transport of a uvloop.loop._SSLProtocolTransport" in spots


TLS = """
import ssl
import trustme

@pytest.fixture(scope="module")
def contexts():
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client

@pytest.fixture
def address(contexts):
    # In a thread, by plain sockets: it waits until the client has gone.
    def serve():
        with listening:
            connection, _ = listening.accept()
        with contexts[0].wrap_socket(connection, server_side=True) as connection:
            over.wait(20)

    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()
    over.set()
    thread.join()

async def test_stream(address, contexts):
    reader, writer = await asyncio.open_connection(  # here
        *address, ssl=contexts[1], server_hostname="localhost"
    )

async def test_protocol(address, contexts):
    loop = asyncio.get_running_loop()
    KEPT.append(
        await loop.create_connection(  # here
            asyncio.Protocol, *address, ssl=contexts[1], server_hostname="localhost"
        )
    )

async def test_closed(address, contexts):
    reader, writer = await asyncio.open_connection(
        *address, ssl=contexts[1], server_hostname="localhost"
    )
    writer.close()

async def test_server(contexts):
    await asyncio.start_server(print, "127.0.0.1", 0, ssl=contexts[0])  # here
"""


def test_tls(suite: Suite) -> None:
    """What runs over TLS is the finding; the plain connection below it is none of its own."""
    outcome = check(suite, TLS, KIND, "-Wignore::pytest.PytestUnraisableExceptionWarning")

    summaries = [finding["summary"] for finding in outcome.findings]
    assert sorted(summaries) == [
        "server was left open",
        "stream (its writer) was left open",
        "transport was left open",
    ]
