"""unclosed-resource, in its variants."""

from __future__ import annotations

import sys
import textwrap

import pytest

from ..run import Outcome, Suite, guilty, place_of
from .variants import HEAD, check

KIND = "unclosed-resource"

#: An installed library: clients that tell of themselves by one channel or the other.
LIBRARY = """
import asyncio, gc, socket, sqlite3, tempfile, warnings

class Base:
    closed = False

    def __init__(self, loop=None):
        self.loop = loop

    async def close(self):
        self.closed = True

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        await self.close()

class Warns(Base):
    def __init__(self, loop=None, *parts):
        super().__init__(loop)
        self.parts = parts

    def __del__(self):
        if not self.closed:
            warnings.warn(f"Unclosed {self!r}", ResourceWarning, source=self)

class Tells(Base):
    def __del__(self):
        if not self.closed:
            self.loop.call_exception_handler({"client": self, "message": "Unclosed client"})

class Silent(Base):
    def __del__(self): pass

class Sync:
    closed = False
    def __init__(self): pass
    def close(self): pass
    def __del__(self): warnings.warn("unclosed", ResourceWarning)

class Stream(Sync):
    async def aclose(self): pass

class Response(Sync):
    def __init__(self, loop=None): self.loop = loop
    async def __aexit__(self, *exc): pass
    def __del__(self):
        warnings.warn("unclosed", ResourceWarning)
        if self.loop: self.loop.call_exception_handler({"response": self, "message": "unclosed"})

class Awaitable:
    def __init__(self): self.name = "it"
    def close(self) -> "Awaitable[None]": return asyncio.sleep(0)
    async def __aexit__(self, *exc): pass
    def __del__(self): warnings.warn("unclosed", ResourceWarning)

class Slotted:
    __slots__ = ("name",)
    def __init__(self, name): self.name = name
    async def disconnect(self): pass
    def __del__(self): warnings.warn("unclosed", ResourceWarning)

class Part(Warns): pass

class Whole(Warns):
    def __init__(self):
        super().__init__()
        self.part = Part()

class Looks:
    def __init__(self):
        import sys
        self.caller = sys._getframe(1).f_code.co_name
        warnings.warn("deprecated", DeprecationWarning, stacklevel=2)
    async def close(self): pass
    def __del__(self): pass

class Connected(Warns):
    async def connect(self, address):
        reader, self.writer = await asyncio.open_connection(*address)
        return self

    def __del__(self):
        super().__del__()
        if not self.closed:
            self.writer.transport.abort()

def connect():
    return Warns()

class Pool(Base):
    # Complains of nothing itself; its connections do.
    def __init__(self, *parts):
        super().__init__()
        self.parts = list(parts)

    async def get(self):
        await asyncio.sleep(0)
        self.parts.append(Part())
        return self.parts[-1]

    def __del__(self): pass

class Wrapper:
    def __init__(self): self.client = Warns()
    async def close(self): await self.client.close()

class PointsAtCaller(Base):
    def __del__(self): warnings.warn("unclosed", ResourceWarning, stacklevel=2)

class DropsOthers(Base):
    # Closed, but holds what was not, and drops it in its destructor.
    def __init__(self):
        super().__init__()
        self.file, self.socket = open(__file__), socket.socket()
        self.database, self.folder = sqlite3.connect(":memory:"), tempfile.TemporaryDirectory()
        self.sync = Sync()

    def __del__(self):
        self.file = self.socket = self.database = self.folder = self.sync = None

class Collects(Base):
    def __del__(self): gc.collect()
"""


@pytest.fixture
def library(suite: Suite) -> Suite:
    """A suite next to an installed ``clients``."""
    folder = suite.pytester.path / "site-packages"
    folder.mkdir()
    (folder / "clients.py").write_text(LIBRARY)
    suite.write(
        conftest=f"""
        import sys
        sys.path.insert(0, {str(folder)!r})
        """
    )
    return suite


def run(suite: Suite, text: str, *args: str) -> Outcome:
    return suite.test(HEAD + "import clients\n" + textwrap.dedent(text), *args)


def test_variants(library: Suite) -> None:
    check(
        library,
        """
        import clients

        async def test_dropped():
            clients.Warns()  # here

        async def test_tells_the_loop():
            clients.Tells(asyncio.get_running_loop())  # here

        def test_in_run():
            async def main():
                client = clients.Warns()  # here
            asyncio.run(main())

        async def test_in_a_cycle():
            client = clients.Warns()  # here
            client.itself = client

        async def test_gc():
            gc.collect()

        async def test_made_by_the_library():
            clients.connect()  # here

        class Own(clients.Warns):
            def __init__(self):
                super().__init__()

        async def test_own_class():
            Own()  # here

        async def test_slots():
            clients.Slotted("it")  # here

        async def test_returns_an_awaitable():
            clients.Awaitable()  # here

        async def test_parts_belong_to_the_whole():
            clients.Whole()  # here

        @pytest.fixture
        async def client():
            return clients.Warns()

        async def test_constructed_by_keyword():
            clients.Warns(loop=None)  # here

        async def make(): return clients.connect()

        async def test_in_a_task_of_a_library():
            await asyncio.wait_for(clients.Pool().get(), 5)  # here

        async def test_in_gather():
            await asyncio.gather(clients.Pool().get(), asyncio.sleep(0))  # here

        async def test_pool():
            pool = clients.Pool()  # here
            await pool.get()
            await pool.get()

        async def test_pool_in_a_cycle():
            pool = clients.Pool()  # here
            pool.itself = pool
            await pool.get()

        async def test_collect_pool():
            gc.collect()

        async def test_connection_of_a_closed_pool():
            pool = clients.Pool()
            connection = await pool.get()  # here
            pool.parts.clear()
            await pool.close()

        async def test_made_for_another():
            pool = clients.Pool(
                clients.Warns())  # here

        async def test_part_is_destroyed_first():
            clients.Warns(clients.Warns())  # here

        async def test_part_is_collected_first():
            part = clients.Warns()  # here
            part.itself = clients.Warns(part)
            part.itself.itself = part.itself

        async def test_collect_part():
            gc.collect()
        """,
        KIND,
    )


def test_near_misses(library: Suite) -> None:
    check(
        library,
        """
        import clients

        async def test_closed():
            client = clients.Warns()
            await client.close()

        async def test_with():
            async with clients.Tells(asyncio.get_running_loop()): pass

        async def test_does_not_complain():
            clients.Silent()

        async def test_sync():
            clients.Sync()

        async def test_need_not_be_awaited():
            clients.Stream()
            clients.Response()

        async def test_kept():
            KEPT.append(clients.Warns())

        async def test_never_constructed():
            clients.Warns.__new__(clients.Warns)

        async def test_record():
            with warnings.catch_warnings(record=True):
                warnings.simplefilter("always")
                clients.Warns()

        async def test_warns():
            with pytest.warns(ResourceWarning):
                clients.Warns()

        @pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
        async def test_filter():
            clients.Warns()

        @pytest.mark.filterwarnings("ignore::ResourceWarning")
        async def test_filter_of_all():
            clients.Warns()

        async def test_handler():
            loop, told = asyncio.get_running_loop(), []
            loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
            clients.Tells(loop)
            assert told == ["Unclosed client"]
            loop.set_exception_handler(None)

        async def test_handler_with_a_filter_of_a_module():
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=ResourceWarning, module="clients")
                clients.Warns()

        async def test_filters_from_scratch():
            with warnings.catch_warnings():
                warnings.resetwarnings()
                warnings.simplefilter("ignore", ResourceWarning)
                clients.Warns()

        async def test_a_socket_of_its_own():
            socket.socket()

        async def test_what_it_drops():
            await clients.DropsOthers().close()

        async def test_what_is_collected_meanwhile():
            cycle = [clients.Sync()]
            cycle.append(cycle)
            del cycle
            clients.Collects()

        @pytest.fixture
        async def closed():
            client = clients.Warns()
            yield client
            await client.close()

        @pytest.fixture
        def closed_by_finalizer(request):
            client = clients.Warns()
            request.addfinalizer(lambda: asyncio.run(client.close()))
            return client

        @pytest.fixture(scope="session")
        def shared():
            client = clients.Warns()
            yield client
            asyncio.run(client.close())

        async def test_fixtures(closed, closed_by_finalizer, shared): pass

        async def test_mocks():
            from unittest.mock import AsyncMock, MagicMock, create_autospec, patch
            AsyncMock(spec=clients.Warns), MagicMock(clients.Warns), create_autospec(clients.Warns)()
            with patch.object(clients.Warns, "__init__", return_value=None):
                clients.Warns()
            client = clients.Pool(MagicMock(), AsyncMock())
            client.close = AsyncMock()
            await client.close()

        async def test_copy():
            import copy
            client = clients.Warns()
            copy.copy(client)
            await client.close()

        async def test_looked_at():
            import inspect
            client = clients.Warns()
            inspect.getmembers(client), client.__del__, hasattr(client, "__del__")
            await client.close()
            client.__del__()
        """,
        KIND,
    )


def test_a_filter_of_another_warning_is_no_consent(library: Suite) -> None:
    outcome = run(
        library,
        """
        @pytest.mark.filterwarnings("ignore:something else:ResourceWarning", "error::UserWarning")
        async def test_it():
            clients.Warns()  # here
        """,
    )

    assert guilty(outcome) == [(KIND, "test_it", "fail")]


def test_an_error_filter(library: Suite) -> None:
    """The warning becomes an exception in the destructor, which nothing but pytest sees."""
    outcome = run(
        library,
        """
        @pytest.mark.filterwarnings("error::ResourceWarning")
        @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
        async def test_it():
            clients.Warns()  # here
        """,
    )

    assert guilty(outcome) == [(KIND, "test_it", "fail")]


def test_whom_it_blames(library: Suite) -> None:
    """The test or fixture that made the object, even if another test drops it."""
    outcome = run(
        library,
        """
        async def test_guilty():
            KEPT.append(clients.Warns())  # here

        async def test_innocent():
            KEPT.clear()

        @pytest.fixture(scope="module")
        def client():
            return [clients.Warns()]

        async def test_first(client): pass
        async def test_drops(client): client.clear()
        """,
    )

    assert {(f["owner"]["type"], f["owner"]["name"]) for f in outcome.findings} == {
        ("test", "test_it.py::test_guilty"),
        ("fixture", "client"),
    }
    assert {f["nodeid"] for f in outcome.findings} == {
        "test_it.py::test_guilty",
        "test_it.py::test_first",
    }
    assert place_of(outcome.findings[0])["line"] == library.line_of("here")
    outcome.no_fault()


def test_a_filter_in_the_ini_file(library: Suite) -> None:
    """It is consent; a filter of another module is not."""
    text = """
        async def test_it():
            clients.Warns()

        async def test_tells():
            clients.Tells(asyncio.get_running_loop())
    """
    ini = library.pytester.path / "tox.ini"
    original = ini.read_text()

    ini.write_text(f"{original}\nfilterwarnings = ignore::ResourceWarning\n")
    ignored = run(library, text)
    ini.write_text(f"{original}\nfilterwarnings = ignore::ResourceWarning:other\n")
    other = run(library, text)

    # The message to the loop is another channel, and no warning.
    assert guilty(ignored) == [(KIND, "test_tells", "fail")]
    assert guilty(other) == [(KIND, "test_it", "fail"), (KIND, "test_tells", "fail")]


def test_the_advice_names_the_class_and_its_method(library: Suite) -> None:
    outcome = run(
        library,
        """
        async def test_it(): clients.Warns()
        async def test_slots(): clients.Slotted("it")
        async def test_response(): clients.Response(asyncio.get_running_loop())
        async def test_wrapped(): clients.Wrapper()
        async def test_pooled():
            pool = clients.Pool()
            await pool.get()
        """,
    )

    stdout = outcome.result.stdout
    stdout.fnmatch_lines(
        [
            "E   unclosed-resource: clients.Warns was never closed",
            "*To fix it: Call await Warns.close() on it before *",
            "*use it in async with.",
        ]
    )
    stdout.fnmatch_lines(["*Call await Slotted.disconnect() on it before the test or fixture*"])
    stdout.fnmatch_lines(
        [
            "*It was made by clients.Wrapper. If that keeps it, call await Wrapper.close() on that "
            "instead.",
        ]
    )
    stdout.fnmatch_lines(
        [
            "E   unclosed-resource: clients.Pool was never closed",
            "*Its clients.Part was destroyed while open, and the destructor reported that.",
            "*Call await Pool.close() on it *",
        ]
    )


def test_its_transports_are_part_of_it(library: Suite) -> None:
    """Whether the object or its loop goes first, and in which order a collection takes them."""
    outcome = run(
        library,
        """
        @pytest.fixture
        async def address():
            async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0) as server:
                yield server.sockets[0].getsockname()

        async def test_dropped(address):
            await clients.Connected().connect(address)

        async def test_kept_until_the_loop_is_closed(address):
            KEPT.append(await clients.Connected().connect(address))

        async def test_next():
            KEPT.clear()

        async def test_in_a_cycle(address):
            client = await clients.Connected().connect(address)
            client.itself = client

        async def test_collects():
            gc.collect()

        async def test_collected(address):
            client = clients.Connected()
            client.itself = client
            await client.connect(address)
            del client
            gc.collect()

        async def test_transport_is_collected_first(address):
            reader, writer = await asyncio.open_connection(*address)
            client = clients.Connected()
            client.itself, client.reader, client.writer = client, reader, writer
            writer.client = client
            del reader, writer, client
            gc.collect()

        async def test_closed(address):
            client = await clients.Connected().connect(address)
            client.writer.close()
            await client.close()
        """,
    )

    assert sorted(guilty(outcome)) == [
        (KIND, name, "fail")
        for name in (
            "test_collected",
            "test_dropped",
            "test_in_a_cycle",
            "test_kept_until_the_loop_is_closed",
            "test_transport_is_collected_first",
        )
    ]
    outcome.no_fault()


def test_a_pending_task_covers_what_it_holds(library: Suite) -> None:
    outcome = run(
        library,
        """
        async def serve():
            client = clients.Warns()
            await asyncio.sleep(3600)

        async def test_it():
            asyncio.create_task(serve())
            await asyncio.sleep(0)
        """,
    )

    assert guilty(outcome) == [("pending-task", "test_it", "fail")]


def test_the_library_notices_nothing(library: Suite) -> None:
    """No frame, no attribute, no other signature; and all is put back."""
    outcome = run(
        library,
        """
        import inspect

        def test_frame():
            with pytest.warns(DeprecationWarning) as caught:
                looks = clients.Looks()
            assert looks.caller == "test_frame"
            assert caught[0].filename == __file__
            assert vars(looks) == {"caller": "test_frame"}

        def test_caller_of_the_destructor():
            with pytest.warns(ResourceWarning) as caught:
                clients.PointsAtCaller()
            assert caught[0].filename == __file__

        async def test_class():
            assert str(inspect.signature(clients.Tells)) == "(loop=None)"
            assert inspect.isfunction(clients.Base.__init__)
            assert clients.Base.__init__.__qualname__ == "Base.__init__"
            with pytest.raises(TypeError, match=r"^Base.__init__\\(\\) got an unexpected"):
                clients.Tells(wrong=1)

        async def test_filters():
            before = list(warnings.filters)
            with pytest.warns(ResourceWarning):
                clients.Warns()
            assert warnings.filters == before
        """,
    )

    outcome.clean()
    outcome.result.assert_outcomes(passed=4)


def test_a_session_of_aiohttp(suite: Suite) -> None:
    """Used or not, it is one finding at the line of the session, and its connections are none."""
    pytest.importorskip("aiohttp")
    check(
        suite,
        """
        import aiohttp
        from aiohttp import web

        @pytest.fixture
        async def url():
            async def hello(request):
                return web.Response(text="hi")
            app = web.Application()
            app.router.add_get("/", hello)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0]
            yield f"http://{host}:{port}/"
            await runner.cleanup()

        async def test_unused():
            aiohttp.ClientSession()  # here

        async def test_used(url):
            session = aiohttp.ClientSession()  # here
            async with session.get(url) as response:
                assert await response.text() == "hi"

        async def test_connector(url):
            connector = aiohttp.TCPConnector()  # here
            async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
                async with session.get(url) as response:
                    await response.text()

        async def test_closed(url):
            async with aiohttp.ClientSession() as session:
                async with session.get(url) as response:
                    await response.text()

        async def test_response_that_is_not_read(url):
            async with aiohttp.ClientSession() as session:
                response = await session.get(url)
                assert response.status == 200
        """,
        KIND,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not exist there")
def test_on_uvloop(library: Suite) -> None:
    pytest.importorskip("uvloop")
    outcome = run(
        library,
        """
        import uvloop

        @pytest.fixture
        def event_loop_policy():
            return uvloop.EventLoopPolicy()

        async def test_warns():
            clients.Warns()

        async def test_tells():
            clients.Tells(asyncio.get_running_loop())

        async def test_near():
            async with clients.Warns(): pass
        """,
    )

    assert sorted(guilty(outcome)) == [(KIND, "test_tells", "fail"), (KIND, "test_warns", "fail")]
    outcome.no_fault()
