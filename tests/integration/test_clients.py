"""unclosed-resource, with the clients of real libraries, and of real servers where installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..run import Suite, guilty
from ..servers import ServerMissingError, postgres_server, redis_server
from ..traps.variants import HEAD, check

KIND = "unclosed-resource"


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    """The port of a Redis server."""
    try:
        with redis_server() as port:
            yield port
    except ServerMissingError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    try:
        with postgres_server() as url:
            yield url
    except ServerMissingError as exc:
        pytest.skip(str(exc))


#: A server in the process of the test, which also passes for one of Elasticsearch.
WEB = """
import aiohttp
import pytest_asyncio
from aiohttp import web

@pytest.fixture
async def url():
    async def hello(request):
        info = {"version": {"number": "9.0.0"}, "tagline": "You Know, for Search"}
        return web.json_response(info, headers={"X-Elastic-Product": "Elasticsearch"})

    async def much(request):
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(10):
                await response.write(bytes(100_000))
        return response

    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/much", much)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    yield f"http://{host}:{port}"
    await runner.cleanup()
"""


def test_aiohttp(suite: Suite) -> None:
    """Session, connector and response, each at its line, and no connection besides."""
    pytest.importorskip("aiohttp")
    outcome = check(
        suite,
        WEB
        + """
async def test_unused():
    aiohttp.ClientSession()  # here

async def test_used(url):
    session = aiohttp.ClientSession()  # here
    async with session.get(url) as response:
        await response.text()

async def test_in_a_cycle(url):
    session = aiohttp.ClientSession()  # here
    session.itself = session
    async with session.get(url) as response:
        await response.text()

async def test_collect():
    gc.collect()

async def test_kept_until_the_loop_is_closed(url):
    KEPT.append(aiohttp.ClientSession())  # here
    async with KEPT[0].get(url) as response:
        await response.text()

async def test_drop():
    KEPT.clear()

class Api:
    def __init__(self, url):
        self.url = url
        self.session = aiohttp.ClientSession()

    async def get(self):
        async with self.session.get(self.url) as response:
            return await response.text()

async def test_connector(url):
    connector = aiohttp.TCPConnector()  # here
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
        async with session.get(url) as response:
            await response.text()

async def test_session_with_a_connector(url):
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector())  # here
    async with session.get(url) as response:
        await response.text()

async def test_response(url):
    async with aiohttp.ClientSession() as session:
        response = await session.get(url + "/much")  # here
        assert response.status == 200

@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared():
    session = aiohttp.ClientSession()
    yield session
    await session.close()

async def test_sound(url, session, shared):
    async with aiohttp.request("GET", url) as response:
        await response.text()
    async with session.get(url) as response:
        await response.text()
    response = await session.get(url)
    assert response.status == 200  # received as a whole
    response = await session.get(url + "/much")
    response.release()
    api = Api(url)
    assert await api.get()
    await api.session.close()
""",
        KIND,
    )

    stdout = outcome.result.stdout
    stdout.fnmatch_lines(
        [
            "E   unclosed-resource: aiohttp.ClientSession was never closed",
            "*Call await ClientSession.close() on it before*",
        ]
    )
    stdout.fnmatch_lines(["*Call await TCPConnector.close() on it before*"])
    stdout.fnmatch_lines(
        ["*It was made by aiohttp.ClientSession.*", "*call ClientResponse.close() on it*"]
    )


def test_a_server_of_aiohttp(suite: Suite) -> None:
    """It reports nothing itself: its listening socket is found."""
    pytest.importorskip("aiohttp")
    check(
        suite,
        WEB
        + """
async def test_server(url):
    async def hello(request):
        return web.Response(text="hi")
    runner = web.ServerRunner(web.Server(hello))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()  # here
""",
        "unclosed-transport",
    )


def test_aiosqlite(suite: Suite) -> None:
    pytest.importorskip("aiosqlite")
    outcome = check(
        suite,
        """
        import aiosqlite

        async def test_dropped():
            connection = await aiosqlite.connect(":memory:")  # here
            await connection.execute("select 1")

        async def test_in_a_task():
            await asyncio.wait_for(aiosqlite.connect(":memory:"), 5)  # here

        async def test_one_of_two():
            both = [aiosqlite.connect(":memory:") for _ in range(2)]  # here
            first, second = await asyncio.gather(*both)
            await first.close()

        async def test_sound():
            async with aiosqlite.connect(":memory:") as connection:
                async with connection.execute("select 1") as cursor:
                    await cursor.fetchall()
            connection = await aiosqlite.connect(":memory:")
            await connection.close()
            aiosqlite.connect(":memory:").close  # never opened
        """,
        KIND,
    )

    outcome.result.stdout.fnmatch_lines(
        [
            "E   unclosed-resource: aiosqlite.Connection was never closed",
            "*Call await Connection.close() on it before*",
        ]
    )


@pytest.mark.parametrize("library", ["aiohttp", "aiosqlite"])
def test_consent(suite: Suite, library: str) -> None:
    """A test that expects the warning, and a filter that ignores it."""
    pytest.importorskip(library)
    make = {
        "aiohttp": "aiohttp.ClientSession()",
        "aiosqlite": 'await aiosqlite.connect(":memory:")',
    }[library]
    head = f"{HEAD}\nimport {library}\n"
    expects = suite.test(
        f"""{head}
async def test_expects():
    with pytest.warns(ResourceWarning):
        {make}

@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_marker():
    {make}

async def test_neither():
    {make}
"""
    )
    ini = suite.pytester.path / "tox.ini"
    ini.write_text(f"{ini.read_text()}\nfilterwarnings = ignore::ResourceWarning\n")
    ignores = suite.test(f"{head}\nasync def test_it():\n    {make}\n")

    assert guilty(expects) == [(KIND, "test_neither", "fail")]
    ignores.clean()


def test_redis(suite: Suite, redis_port: int) -> None:
    """The client that keeps the connection, and not the connection that complains."""
    pytest.importorskip("redis")
    outcome = check(
        suite,
        f"""
        import redis.asyncio as redis

        ADDRESS = {{"host": "127.0.0.1", "port": {redis_port}}}

        async def test_client():
            client = redis.Redis(**ADDRESS)  # here
            await client.ping()

        async def test_collected():
            client = redis.Redis(**ADDRESS)  # here
            await client.ping()
            del client
            gc.collect()

        async def test_many_connections():
            client = redis.from_url("redis://127.0.0.1:{redis_port}")  # here
            await asyncio.gather(*[client.ping() for _ in range(3)])

        async def test_single_connection():
            client = redis.Redis(**ADDRESS, single_connection_client=True)  # here
            await client.ping()

        async def test_pool():
            pool = redis.ConnectionPool(**ADDRESS)  # here
            async with redis.Redis(connection_pool=pool) as client:
                await client.ping()

        async def test_sound():
            async with redis.Redis(**ADDRESS) as client:
                await client.set("key", 1)
                async with client.pipeline() as pipeline:
                    await pipeline.get("key").get("key").execute()
                async with client.pubsub() as subscription:
                    await subscription.subscribe("channel")
            client = redis.from_url("redis://127.0.0.1:{redis_port}")
            await client.ping()
            await client.aclose()
            redis.Redis(**ADDRESS)  # never connected

        async def test_collect():
            gc.collect()
        """,
        KIND,
    )

    outcome.result.stdout.fnmatch_lines(
        [
            "E   unclosed-resource: redis.asyncio.Redis was never closed",
            "*Call await Redis.aclose() on it before*",
        ]
    )


def test_psycopg(suite: Suite, postgres_url: str) -> None:
    pytest.importorskip("psycopg")
    outcome = check(
        suite,
        f"""
        import psycopg

        def connect(): return psycopg.AsyncConnection.connect({postgres_url!r})

        async def test_dropped():
            connection = await psycopg.AsyncConnection.connect({postgres_url!r})  # here
            await connection.execute("select 1")

        async def test_in_a_task():
            url = {postgres_url!r}
            await asyncio.wait_for(psycopg.AsyncConnection.connect(url), 5)  # here

        async def test_cursor_on_the_server():
            async with await connect() as connection:
                cursor = connection.cursor("name")  # here
                await cursor.execute("select 1")

        async def test_sound():
            async with await connect() as connection:
                async with connection.cursor() as cursor:
                    await cursor.execute("select 1")
                async with connection.cursor("name") as cursor:
                    await cursor.execute("select 1")
            connection = await connect()
            await connection.close()
            psycopg.connect({postgres_url!r})  # out of scope
        """,
        KIND,
    )

    outcome.result.stdout.fnmatch_lines(
        [
            "E   unclosed-resource: psycopg.AsyncConnection was never closed",
            "*Call await AsyncConnection.close() on it before*",
        ]
    )


def test_asyncpg(suite: Suite, postgres_url: str) -> None:
    """The connections of a pool are one finding, which names the pool."""
    pytest.importorskip("asyncpg")
    outcome = check(
        suite,
        f"""
        import asyncpg

        URL = {postgres_url!r}

        async def test_dropped():
            connection = await asyncpg.connect(URL)  # here
            await connection.fetch("select 1")

        async def test_pool():
            pool = await asyncpg.create_pool(URL, min_size=3)  # here
            async with pool.acquire() as connection:
                await connection.fetch("select 1")

        async def test_collect():
            gc.collect()

        async def test_sound():
            connection = await asyncpg.connect(URL)
            await connection.fetch("select 1")
            await connection.close()
            async with asyncpg.create_pool(URL, min_size=1) as pool:
                async with pool.acquire() as connection:
                    await connection.fetch("select 1")
        """,
        KIND,
    )

    outcome.result.stdout.fnmatch_lines(
        [
            "E   unclosed-resource: asyncpg.Connection was never closed (3 times)",
            "*It was made by asyncpg.Pool. If that keeps it, call await Pool.close() on that instead.",
        ]
    )


def test_httpx(suite: Suite) -> None:
    """It reports nothing; its transports give it away, at the line of the first request."""
    pytest.importorskip("httpx")
    pytest.importorskip("aiohttp")
    check(
        suite,
        WEB
        + """
import httpx

async def test_used(url):
    client = httpx.AsyncClient()
    await client.get(url)  # here

async def test_unused():
    httpx.AsyncClient()  # holds nothing yet

async def test_sound(url):
    async with httpx.AsyncClient() as client:
        await client.get(url)
    client = httpx.AsyncClient()
    await client.get(url)
    await client.aclose()
""",
        "unclosed-transport",
    )


def test_elasticsearch(suite: Suite) -> None:
    """The session of aiohttp complains; the finding names the client that made it."""
    pytest.importorskip("elasticsearch")
    pytest.importorskip("aiohttp")
    outcome = check(
        suite,
        WEB
        + """
from elasticsearch import AsyncElasticsearch

async def test_used(url):
    client = AsyncElasticsearch(url)
    await client.info()  # here

async def test_sound(url):
    async with AsyncElasticsearch(url) as client:
        await client.info()

async def test_collect():
    gc.collect()
""",
        KIND,
    )

    outcome.result.stdout.fnmatch_lines(
        [
            "E   unclosed-resource: aiohttp.ClientSession was never closed",
            "*It was made by elasticsearch.AsyncElasticsearch. *call await "
            "AsyncElasticsearch.close() on that instead.",
        ]
    )


def test_pymongo(suite: Suite) -> None:
    """A client that has tried to connect. No server is needed for that."""
    pytest.importorskip("pymongo", minversion="4.9")
    outcome = check(
        suite,
        """
        import pymongo

        async def test_dropped():
            client = pymongo.AsyncMongoClient("127.0.0.1", 1, serverSelectionTimeoutMS=50)  # here
            with pytest.raises(pymongo.errors.PyMongoError):
                await client.admin.command("ping")

        async def test_unused():
            pymongo.AsyncMongoClient("127.0.0.1", 1)

        async def test_sound():
            address = "127.0.0.1", 1
            async with pymongo.AsyncMongoClient(*address, serverSelectionTimeoutMS=50) as client:
                with pytest.raises(pymongo.errors.PyMongoError):
                    await client.admin.command("ping")
        """,
        KIND,
    )

    outcome.result.stdout.fnmatch_lines(["*Call await AsyncMongoClient.close() on it before*"])
