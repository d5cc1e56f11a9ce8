"""What tests share: pools, queues, loops, servers. Each finding is charged to the test whose work it was.

A suite is made for each kind of shared thing: one module for each kind of trap and each position of
the guilty test, with a shared thing of its own and innocent tests around the guilty one. Every
innocent test stays green, in one process and under pytest-xdist, on asyncio's loop and on uvloop.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product
from textwrap import dedent

import pytest

from ..cases import cases
from ..run import XDIST, Suite

#: What is done in the shared thing, by kind: in a thread, and on a loop.
SPRINGS = """
import asyncio, socket, threading, time

KEPT = []

async def work():
    pass

async def boom():
    raise ValueError("boom")

async def forever():
    await asyncio.Event().wait()

async def numbers():
    yield 1
    yield 2

# -- in a thread; `loop` and `queue` are those of the test, where it has them

def t_nothing(loop, queue):
    pass

def t_never_awaited(loop, queue):
    work()

def t_unclosed_loop(loop, queue):
    asyncio.new_event_loop().run_until_complete(asyncio.sleep(0))

def t_wrong_thread(loop, queue):
    queue.put_nowait(1)

def t_unretrieved_exception(loop, queue):
    asyncio.run_coroutine_threadsafe(boom(), loop)

# -- on a loop

async def l_nothing():
    await asyncio.sleep(0)

async def l_never_awaited():
    work()

async def l_unretrieved_exception():
    asyncio.create_task(boom())
    await asyncio.sleep(0)

async def l_pending_task():
    asyncio.create_task(forever())
    await asyncio.sleep(0)

async def l_callback_exception():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.01)

async def l_invalid_state():
    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    asyncio.get_running_loop().call_soon(future.set_result, 2)
    await asyncio.sleep(0.01)

async def l_unclosed_asyncgen():
    async for number in numbers():
        break

async def l_slow_callback():
    time.sleep(0.4)

async def l_unclosed_transport():
    ours, theirs = socket.socketpair()
    KEPT.append(theirs)
    KEPT.append(await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours))

async def l_dropped_by_the_loop():
    "The last reference to a coroutine is one of the loop's own."
    async def run(coro):
        await coro
    task = asyncio.create_task(run(work()))
    task.cancel()
    await asyncio.wait([task])

async def l_dropped_callback():
    asyncio.get_running_loop().call_soon(lambda coro: None, work())
    await asyncio.sleep(0)
"""

#: The kind of what is not called for it.
KINDS = {"dropped_by_the_loop": "never-awaited", "dropped_callback": "never-awaited"}

HEAD = """
import asyncio, concurrent.futures, queue, socket, threading
import pytest, pytest_asyncio
import springs
from loops import new_loop
"""

#: Modules whose tests share a loop of pytest-asyncio's.
LOOP = """
        pytestmark = pytest.mark.asyncio(loop_scope="{scope}")

        @pytest.fixture
        def shared():
            pass

        async def use(name, shared):
            await getattr(springs, name)()
            await asyncio.sleep(0.01)
        """
#: What a server does with a request.
HANDLE = """
        async def handle(reader, writer):
            name = (await reader.readline()).decode().strip()
            await getattr(springs, name)()
            await asyncio.sleep(0.01)
            writer.write(b"done")
            writer.close()
            await writer.wait_closed()
        """

#: For each shared thing: whether it runs functions or coroutines, and the beginning of a module
#: with `async def use(name, shared)` or `def use(name, shared)`, and the fixture `shared`.
THINGS = {
    "thread pool": (
        "t_",
        """
        @pytest.fixture(scope="module")
        def shared():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                yield pool

        async def use(name, shared):
            loop, calls = asyncio.get_running_loop(), asyncio.Queue()
            waiting = asyncio.create_task(calls.get())
            await asyncio.sleep(0)
            await loop.run_in_executor(shared, getattr(springs, name), loop, calls)
            await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.wait([waiting])
        """,
    ),
    "pool of the module, without a loop": (
        "t_",
        """
        POOL = concurrent.futures.ThreadPoolExecutor(1)

        @pytest.fixture
        def shared():
            return POOL

        def use(name, shared):
            if name in ("t_wrong_thread", "t_unretrieved_exception"):
                name = "t_never_awaited"
            for _ in shared.map(lambda name: getattr(springs, name)(None, None), [name]):
                pass
        """,
    ),
    "default executor": (
        "t_",
        """
        pytestmark = pytest.mark.asyncio(loop_scope="module")

        @pytest.fixture
        def shared():
            pass

        async def use(name, shared):
            loop, calls = asyncio.get_running_loop(), asyncio.Queue()
            waiting = asyncio.create_task(calls.get())
            await asyncio.sleep(0)
            await loop.run_in_executor(None, getattr(springs, name), loop, calls)
            await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.wait([waiting])
        """,
    ),
    "queue worker": (
        "t_",
        """
        @pytest.fixture(scope="module")
        def shared():
            jobs = queue.Queue()

            def serve():
                while (job := jobs.get()) is not None:
                    function, args, done = job
                    function(*args)
                    job = function = args = None
                    done.set()

            thread = threading.Thread(target=serve)
            thread.start()
            yield jobs
            jobs.put(None)
            thread.join()

        async def use(name, shared):
            loop, calls, done = asyncio.get_running_loop(), asyncio.Queue(), threading.Event()
            waiting = asyncio.create_task(calls.get())
            await asyncio.sleep(0)
            shared.put((getattr(springs, name), (loop, calls), done))
            while not done.is_set():
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.wait([waiting])
        """,
    ),
    "loop thread": (
        "l_",
        """
        @pytest.fixture(scope="module")
        def shared():
            loop = new_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            yield loop
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        def use(name, shared):
            asyncio.run_coroutine_threadsafe(getattr(springs, name)(), shared).result(10)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), shared).result(10)
        """,
    ),
    "module loop": ("l_", LOOP.format(scope="module")),
    "session loop": ("l_", LOOP.format(scope="session")),
    "server in a thread": (
        "l_",
        HANDLE
        + """
        @pytest.fixture(scope="module")
        def shared():
            loop, address, stop = new_loop(), [], asyncio.Event()
            ready = threading.Event()

            async def serve():
                server = await asyncio.start_server(handle, "127.0.0.1", 0)
                async with server:
                    address.append(server.sockets[0].getsockname())
                    ready.set()
                    await stop.wait()

            def run():
                loop.run_until_complete(serve())

            thread = threading.Thread(target=run)
            thread.start()
            assert ready.wait(10)
            yield address[0]
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()

        def use(name, shared):
            with socket.create_connection(shared) as client:
                client.sendall(name.encode() + b"\\n")
                assert client.recv(10) == b"done"
        """,
    ),
    "server on the loop": (
        "l_",
        HANDLE
        + """
        pytestmark = pytest.mark.asyncio(loop_scope="module")

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def shared():
            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                yield server.sockets[0].getsockname()

        async def use(name, shared):
            reader, writer = await asyncio.open_connection(*shared)
            writer.write(name.encode() + b"\\n")
            assert await reader.read() == b"done"
            writer.close()
            await writer.wait_closed()
        """,
    ),
}

POSITIONS = ("first", "middle", "last")

LOOPS = {
    "asyncio": "import asyncio\nnew_loop = asyncio.new_event_loop\n",
    "uvloop": "import uvloop\nnew_loop = uvloop.new_event_loop\n",
}
POLICY = """
import pytest, {module}

@pytest.fixture(scope="session")
def event_loop_policy():
    return {module}.{policy}()
"""


def modules(thing: str, loop: str) -> dict[str, str]:
    """The modules of a suite, by name; the guilty tests are called ``test_<position>_guilty``."""
    prefix, head = THINGS[thing]
    names = [
        line.partition("(")[0].split(prefix, 1)[1]
        for line in SPRINGS.splitlines()
        if line.startswith((f"def {prefix}", f"async def {prefix}"))
    ]
    if loop == "uvloop":
        # What uvloop does not show: see Limitations.
        names = [name for name in names if (prefix, name) not in UNSEEN]
    found = {}
    for name, position in product([n for n in names if n != "nothing"], POSITIONS):
        tests = []
        for other in POSITIONS:
            guilty = other == position
            is_async = "async def use" in head
            call = f"use({prefix + (name if guilty else 'nothing')!r}, shared)"
            tests.append(
                f"{'async ' * is_async}def test_{other}{'_guilty' * guilty}(shared):\n"
                f"    {'await ' * is_async}{call}\n"
            )
        import_ = dedent(head)
        found[f"test_{name}_{position}"] = HEAD + import_ + "\n\n".join(tests)
    return found


UNSEEN = {("l_", "unclosed_transport")}


ALONE = ()
SPREAD = ("-n", "2", "--dist", "loadfile")


@pytest.mark.parametrize(
    ("loop", "args"),
    [
        pytest.param("asyncio", ALONE, id="asyncio-alone"),
        pytest.param("uvloop", SPREAD, id="uvloop-xdist"),
        pytest.param("asyncio", SPREAD, id="asyncio-xdist", marks=pytest.mark.thorough),
        pytest.param("uvloop", ALONE, id="uvloop-alone", marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize("thing", cases(THINGS, list(THINGS)[::2]))
def test_the_right_test(suite: Suite, thing: str, loop: str, args: tuple[str, ...]) -> None:
    """Each module has one finding, of its kind, charged to its guilty test."""
    if find_spec(loop) is None:
        pytest.skip(f"{loop} is not installed")
    policies = {"asyncio": "DefaultEventLoopPolicy", "uvloop": "EventLoopPolicy"}
    suite.write(springs=SPRINGS, loops=LOOPS[loop])
    if loop != "asyncio":
        suite.write(conftest=POLICY.format(module=loop, policy=policies[loop]))
    written = modules(thing, loop)
    suite.write(**written)

    outcome = suite.run(*("-W", "ignore", *args), plugins=XDIST)

    outcome.no_fault()
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in written}
    for finding in outcome.findings:
        module, _, test = finding["nodeid"].partition(".py::")
        found.setdefault(module, []).append((finding["kind"], test))
    expected = {}
    for name in written:
        spring, _, position = name.removeprefix("test_").rpartition("_")
        kind = KINDS.get(spring, spring.replace("_", "-"))
        if thing == "pool of the module, without a loop" and spring in (
            "wrong_thread",
            "unretrieved_exception",
        ):
            kind = "never-awaited"
        expected[name] = [(kind, f"test_{position}_guilty")]
    wrong = {name: found[name] for name in found if found[name] != expected.get(name)}
    assert wrong == {}
