"""The test tools of aiohttp and tornado."""

from __future__ import annotations

import pytest

from ..run import Suite
from .mixed import is_there, need, seen

# -- aiohttp ------------------------------------------------------------------

AIOHTTP = """
import asyncio, time
import aiohttp
from aiohttp import web

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)
async def boom(): raise ValueError("nobody reads this")

async def hello(request):
    await work()
    return web.Response(text="hello")

async def forgets(request):
    work()  # forgets
    return web.Response(text="hello")

async def leaves(request):
    task = asyncio.create_task(poll())  # leaves
    return web.Response(text="hello")

async def blocks(request):
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # blocks
    return web.Response(text="hello")

async def fails(request):
    task = asyncio.create_task(boom())  # fails
    await asyncio.sleep(0.01)
    return web.Response(text="hello")

async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket

def app():
    made = web.Application()
    for handler in (hello, forgets, leaves, blocks, fails, echo):
        made.router.add_get("/" + handler.__name__, handler)
    return made

async def get(aiohttp_client, path):
    client = await aiohttp_client(app())
    response = await client.get(path)
    assert await response.text() == "hello"

async def test_innocent_client(aiohttp_client): await get(aiohttp_client, "/hello")
async def test_forgets(aiohttp_client): await get(aiohttp_client, "/forgets")

async def test_innocent_unread(aiohttp_client):
    client = await aiohttp_client(app())
    assert (await client.get("/hello")).status == 200

async def test_leaves(aiohttp_client): await get(aiohttp_client, "/leaves")

async def test_innocent_socket(aiohttp_client):
    client = await aiohttp_client(app())
    async with client.ws_connect("/echo") as socket:
        await socket.send_str("hello")
        assert (await socket.receive()).data == "hello"

async def test_blocks(aiohttp_client): await get(aiohttp_client, "/blocks")

async def test_innocent_server(aiohttp_server):
    server = await aiohttp_server(app())
    async with aiohttp.ClientSession() as session:
        async with session.get(server.make_url("/hello")) as response:
            assert await response.text() == "hello"

async def test_fails(aiohttp_client): await get(aiohttp_client, "/fails")

async def test_innocent_raw(aiohttp_raw_server, aiohttp_client):
    client = await aiohttp_client(await aiohttp_raw_server(hello))
    assert await (await client.get("/")).text() == "hello"

async def test_itself(aiohttp_client):
    work()  # itself

async def test_innocent_last(aiohttp_client): await get(aiohttp_client, "/hello")
"""


@pytest.mark.parametrize("how", ["pytest-aiohttp", "aiohttp alone", "aiohttp, asyncio strict"])
def test_an_app_and_its_client(suite: Suite, how: str) -> None:
    """What a handler does is the test's that asked; apps, clients and servers are silent."""
    if how == "pytest-aiohttp":
        need("aiohttp", "pytest_aiohttp")
        outcome = suite.test(AIOHTTP, plugins=("pytest_aiohttp.plugin",))
    else:
        need("aiohttp")
        if not is_there("aiohttp.pytest_plugin"):
            pytest.skip("this aiohttp has no plugin")
        if how == "aiohttp alone":
            suite.pytester.makeini("[pytest]\n")
            suite.write(test_it=AIOHTTP)
            outcome = suite.run(plugins=("asyncio_traps", "aiohttp.pytest_plugin"))
        else:
            outcome = suite.test(
                AIOHTTP, "--asyncio-mode=strict", plugins=("aiohttp.pytest_plugin",)
            )

    assert {
        (f["kind"], f["nodeid"].rpartition("::")[2].partition("[")[0], seen(f)[3])
        for f in outcome.findings
    } == {
        ("never-awaited", "test_forgets", suite.line_of("forgets")),
        ("pending-task", "test_leaves", suite.line_of("leaves")),
        ("slow-callback", "test_blocks", suite.line_of("blocks")),
        ("unretrieved-exception", "test_fails", suite.line_of("fails")),
        ("never-awaited", "test_itself", suite.line_of("itself")),
    }
    # A task that is left fails the teardown of a test that has passed.
    outcome.result.assert_outcomes(passed=7, failed=4, errors=1)
    outcome.no_fault()


def test_aiohttps_check_of_warnings_leaves_a_tests_own_alone(suite: Suite) -> None:
    """A test that asserts the warning has still dealt with it."""
    need("aiohttp")
    if not is_there("aiohttp.pytest_plugin"):
        pytest.skip("this aiohttp has no plugin")
    suite.pytester.makeini("[pytest]\n")
    suite.write(
        test_it="""
        import asyncio, pytest

        async def work(): pass

        async def test_it(loop):
            with pytest.warns(RuntimeWarning, match="never awaited"):
                work()
        """
    )

    outcome = suite.run(plugins=("asyncio_traps", "aiohttp.pytest_plugin"))

    outcome.clean()


# -- tornado ------------------------------------------------------------------

TORNADO = """
import asyncio, gc, time
import tornado.gen, tornado.ioloop, tornado.web, tornado.websocket
from tornado.testing import AsyncHTTPTestCase, AsyncTestCase, gen_test

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)
async def boom(): raise ValueError("nobody reads this")

class Hello(tornado.web.RequestHandler):
    async def get(self):
        await work()
        self.write("hello")

class Forgets(tornado.web.RequestHandler):
    def get(self):
        work()  # http-forgets

class Leaves(tornado.web.RequestHandler):
    def get(self):
        task = asyncio.create_task(poll())  # http-leaves

class Blocks(tornado.web.RequestHandler):
    async def get(self):
        end = time.thread_time() + 0.3
        while time.thread_time() < end: pass  # http-blocks

class Slow(tornado.web.RequestHandler):
    async def get(self):
        await asyncio.sleep(3600)

class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message): self.write_message(message)

def make_app():
    return tornado.web.Application([
        ("/hello", Hello), ("/forgets", Forgets), ("/leaves", Leaves), ("/blocks", Blocks),
        ("/slow", Slow), ("/echo", Echo),
    ])
"""

TORNADO_CASES = (
    TORNADO
    + """
class TestPlain(AsyncTestCase):
    @gen_test
    def test_a_innocent_generator(self):
        yield tornado.gen.sleep(0.01)
        yield work()

    @gen_test
    async def test_forgets(self):
        work()  # forgets

    @gen_test
    async def test_g_innocent(self): await work()

    @gen_test
    async def test_leaves(self):
        task = asyncio.create_task(poll())  # leaves
        await work()

    def test_m_innocent_collection(self): gc.collect()

    @gen_test
    async def test_raises(self):
        task = asyncio.create_task(boom())  # raises
        await asyncio.sleep(0.01)

    def test_s_innocent_callback(self):
        self.io_loop.call_later(0.01, self.stop)
        self.wait()

    @gen_test
    async def test_sleeps(self):
        await work()
        end = time.thread_time() + 0.3
        while time.thread_time() < end: pass  # sleeps

    @gen_test
    async def test_t_innocent_cancelled(self):
        task = asyncio.create_task(poll())
        await work()
        task.cancel()

class TestHTTP(AsyncHTTPTestCase):
    def get_app(self): return make_app()

    def test_a_innocent(self): assert self.fetch("/hello").body == b"hello"
    def test_http_forgets(self): self.fetch("/forgets")
    def test_http_i_innocent(self): assert self.fetch("/hello").body == b"hello"
    def test_http_leaves(self): self.fetch("/leaves")
    def test_http_blocks(self): self.fetch("/blocks")

    @gen_test
    async def test_z_innocent_socket(self):
        url = f"ws://127.0.0.1:{self.get_http_port()}/echo"
        socket = await tornado.websocket.websocket_connect(url)
        await socket.write_message("hello")
        assert await socket.read_message() == "hello"

    @gen_test
    async def test_z_innocent_impatience(self):
        try:
            await self.http_client.fetch(self.get_url("/slow"), request_timeout=0.05)
        except Exception:
            pass
"""
)


@pytest.mark.parametrize("asyncio_too", [True, False], ids=["with asyncio", "alone"])
def test_tornados_test_cases(suite: Suite, asyncio_too: bool) -> None:
    """Traps are found in them and in what they fetch; the innocent stay silent."""
    need("tornado")
    suite.write(test_it=TORNADO_CASES)
    if not asyncio_too:
        suite.pytester.makeini("[pytest]\n")

    outcome = suite.run(plugins=(("asyncio",) if asyncio_too else ()) + ("asyncio_traps",))

    kinds = {
        "forgets": "never-awaited",
        "leaves": "pending-task",
        "raises": "unretrieved-exception",
        "sleeps": "slow-callback",
        "http-forgets": "never-awaited",
        "http-leaves": "pending-task",
        "http-blocks": "slow-callback",
    }
    assert {(f["kind"], f["nodeid"].rpartition("::")[2], seen(f)[3]) for f in outcome.findings} == {
        (kind, f"test_{tag.replace('-', '_')}", suite.line_of(tag)) for tag, kind in kinds.items()
    }
    outcome.result.assert_outcomes(passed=9, failed=7)
    outcome.no_fault()


def test_tornasync(suite: Suite) -> None:
    """Its fixtures and its runner are silent, and a trap is the test's."""
    need("tornado", "pytest_tornasync")
    suite.pytester.makeini("[pytest]\n")
    suite.write(
        test_it=TORNADO
        + """
import pytest

@pytest.fixture
def app(): return make_app()

async def test_innocent_1(http_server_client):
    assert (await http_server_client.fetch("/hello")).body == b"hello"

async def test_forgets(http_server_client):
    await http_server_client.fetch("/forgets")

async def test_itself(io_loop):
    work()  # itself

async def test_innocent_2(io_loop): await work()
def test_innocent_3(): gc.collect()
"""
    )

    outcome = suite.run(plugins=("asyncio_traps", "pytest_tornasync.plugin"))

    assert {(f["kind"], f["nodeid"].rpartition("::")[2], seen(f)[3]) for f in outcome.findings} == {
        ("never-awaited", "test_forgets", suite.line_of("http-forgets")),
        ("never-awaited", "test_itself", suite.line_of("itself")),
    }
    outcome.result.assert_outcomes(passed=3, failed=2)
    outcome.no_fault()
