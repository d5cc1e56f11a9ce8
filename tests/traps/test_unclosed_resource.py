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
import asyncio, warnings

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
    async def __aexit__(self, *exc): pass

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

        async def test_a_socket_of_its_own():
            socket.socket()
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


def test_the_advice_names_the_class_and_its_method(library: Suite) -> None:
    outcome = run(
        library,
        """
        async def test_it(): clients.Warns()
        async def test_slots(): clients.Slotted("it")
        async def test_library(): clients.connect()
        """,
    )

    stdout = outcome.result.stdout
    stdout.fnmatch_lines(
        [
            "E   unclosed-resource: clients.Warns was never closed",
            "*To mend it: Call await Warns.close() on it before *",
            "*or use it in async with.",
        ]
    )
    stdout.fnmatch_lines(["*Call await Slotted.disconnect() on it before the test or fixture*"])
    stdout.fnmatch_lines(
        ["*A library made it. If a client or a pool holds it, close that instead.*"]
    )


def test_its_transports_are_part_of_it(library: Suite) -> None:
    """Whichever is found first is the only finding."""
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
        """,
    )

    assert sorted((f["nodeid"].rpartition("::")[2], f["kind"]) for f in outcome.findings) == [
        ("test_dropped", KIND),
        ("test_in_a_cycle", "unclosed-transport"),
        ("test_kept_until_the_loop_is_closed", "unclosed-transport"),
    ]
    outcome.no_fault()


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

        async def test_class():
            assert str(inspect.signature(clients.Warns)) == "(loop=None)"
            assert inspect.isfunction(clients.Base.__init__)
            assert clients.Base.__init__.__qualname__ == "Base.__init__"
            with pytest.raises(TypeError, match=r"^Base.__init__\\(\\) got an unexpected"):
                clients.Warns(wrong=1)

        async def test_filters():
            before = list(warnings.filters)
            with pytest.warns(ResourceWarning):
                clients.Warns()
            assert warnings.filters == before
        """,
    )

    outcome.clean()
    outcome.result.assert_outcomes(passed=3)


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
