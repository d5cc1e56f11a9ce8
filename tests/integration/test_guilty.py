"""Small suites in which it is easy to charge the wrong test: just the guilty ones are charged."""

from __future__ import annotations

import pytest

from ..run import Suite

HEAD = """
import asyncio, concurrent.futures, contextlib, operator, queue, threading
import pytest

KEPT = []

async def work():
    pass

async def forever():
    await asyncio.Event().wait()

def make():
    return work()

@contextlib.contextmanager
def thread(target, *args):
    started = threading.Thread(target=target, args=args)
    started.start()
    yield started
    started.join()

@contextlib.asynccontextmanager
async def serving(handle):
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
"""

#: A suite each, with the findings that it is to have: whose, and of which kind.
SUITES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "addresses of coroutines that another thread ran": (
        """
        def test_innocent():
            async def main():
                loop = asyncio.get_running_loop()
                submit = lambda: asyncio.run_coroutine_threadsafe(work(), loop).result()
                await loop.run_in_executor(None, submit)
            asyncio.run(main())

        def test_guilty():
            [work() for _ in range(20)]
        """,
        [("test_guilty", "never-awaited")],
    ),
    "addresses of coroutines that an executor returned": (
        """
        def test_innocent():
            async def main():
                await (await asyncio.get_running_loop().run_in_executor(None, make))
            asyncio.run(main())

        def test_guilty():
            [work() for _ in range(20)]
        """,
        [("test_guilty", "never-awaited")],
    ),
    "a pool of connections": (
        """
        POOL = queue.LifoQueue()
        POOL.put(object())

        def test_innocent():
            POOL.put(POOL.get())

        def use():
            connection = POOL.get()
            work()
            POOL.put(connection)

        def test_guilty():
            with thread(use):
                pass
        """,
        [("test_guilty", "never-awaited")],
    ),
    "a queue that a fixture has filled": (
        """
        @pytest.fixture(scope="session")
        def jobs():
            jobs = queue.Queue()
            jobs.put(make)
            return jobs

        def test_innocent(jobs):
            pass

        def test_guilty(jobs):
            with thread(lambda: jobs.get()()):
                pass
        """,
        [("test_guilty", "never-awaited")],
    ),
    "a worker that does something by itself": (
        """
        @pytest.fixture(scope="session")
        def worker():
            jobs, may, done = queue.Queue(), threading.Event(), threading.Event()

            def run():
                while (job := jobs.get()) is not None:
                    job()
                    try:
                        jobs.get(timeout=0.001)
                    except queue.Empty:
                        pass
                    may.wait()
                    work()
                    done.set()

            with thread(run):
                yield jobs, may, done
                jobs.put(None)

        def test_innocent(worker):
            ran = threading.Event()
            worker[0].put(ran.set)
            ran.wait()

        def test_guilty(worker):
            worker[1].set()
            worker[2].wait()
        """,
        [("test_guilty", "never-awaited")],
    ),
    "a worker in an executor": (
        """
        @pytest.fixture(scope="session")
        def jobs():
            jobs = queue.Queue()

            def run():
                while (item := jobs.get()) is not None:
                    job, done = item
                    job()
                    done.set()

            with concurrent.futures.ThreadPoolExecutor(1) as executor:
                executor.submit(run)
                yield jobs
                jobs.put(None)

        @pytest.mark.parametrize("job", [int, make, int])
        def test_it(jobs, job):
            done = threading.Event()
            jobs.put((job, done))
            done.wait()
        """,
        [("test_it[make]", "never-awaited")],
    ),
    "two tests that leave what the same code has made": (
        """
        pytestmark = pytest.mark.asyncio(loop_scope="module")

        async def session(begun):
            KEPT.append(asyncio.create_task(forever()))
            begun.set()
            await forever()

        async def test_one():
            begun = asyncio.Event()
            KEPT.append(asyncio.create_task(session(begun)))
            await begun.wait()

        async def test_other():
            begun = asyncio.Event()
            task = asyncio.create_task(session(begun))
            await begun.wait()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        """,
        [("test_one", "pending-task"), ("test_other", "pending-task")],
    ),
    "a task of a class whose attributes raise": (
        """
        class Task(asyncio.Task):
            def __getattr__(self, name):
                raise RuntimeError(name)

        async def parent():
            await asyncio.get_running_loop().create_task(work())

        def test_innocent():
            async def main():
                loop = asyncio.get_running_loop()
                loop.set_task_factory(lambda loop, coro, **kw: Task(coro, loop=loop, **kw))
                task = loop.create_task(parent())
                loop.set_task_factory(None)
                await task
            asyncio.run(main())

        def test_guilty():
            work()
        """,
        [("test_guilty", "never-awaited")],
    ),
    "a property in C that raises an exception of the user's": (
        """
        class Boom(Exception):
            pass

        def test_guilty():
            future = concurrent.futures.Future()
            broken = asyncio.Future(loop=(loop := asyncio.new_event_loop()))
            broken.set_exception(Boom())
            broken.exception()
            loop.close()

            class Protocol(asyncio.Protocol):
                go = staticmethod(broken.result)
                _client_connected_cb = property(operator.methodcaller("go"))

            async def main():
                loop = asyncio.get_running_loop()
                server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
                await loop.create_connection(Protocol, *server.sockets[0].getsockname())
                server.close()
            asyncio.run(main())

        def test_innocent():
            pass
        """,
        [("test_guilty", "unclosed-transport")],
    ),
    "what is part of a finding that is allowed": (
        """
        async def connect(address, held):
            reader, writer = await asyncio.open_connection(*address)
            if held is not None:
                writer.close()
                held.set()
                await forever()
            return writer

        @pytest.mark.asyncio_allow("pending-task", reason="known")
        async def test_guilty():
            async def handle(reader, writer):
                with contextlib.closing(writer):
                    await reader.read()
            async with serving(handle) as address:
                held = asyncio.Event()
                KEPT.append(asyncio.create_task(connect(address, held)))
                await held.wait()
                KEPT.append(await connect(address, None))
        """,
        [("test_guilty", "pending-task"), ("test_guilty", "unclosed-transport")],
    ),
    "a handler that does not end with its allowed client": (
        """
        @pytest.mark.asyncio_allow("unclosed-transport", reason="known")
        async def test_guilty():
            begun = asyncio.Event()

            async def handle(reader, writer):
                begun.set()
                await forever()
            async with serving(handle) as address:
                KEPT.append(await asyncio.open_connection(*address))
                await begun.wait()
        """,
        [("test_guilty", "pending-task"), ("test_guilty", "unclosed-transport")],
    ),
    "a protocol that cannot be made": (
        """
        async def test_guilty():
            loop = asyncio.get_running_loop()
            loop.set_debug(True)
            raised = asyncio.Event()

            def protocol():
                raised.set()
                raise KeyError("a bug")
            server = await loop.create_server(protocol, "127.0.0.1", 0)
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await raised.wait()
            await asyncio.sleep(0)
            writer.close()
            server.close()
        """,
        [("test_guilty", "callback-exception")],
    ),
    "a coroutine that another one was given by name": (
        """
        async def outer(**given):
            pass

        async def test_guilty():
            outer(inner=work())
        """,
        [("test_guilty", "never-awaited")],
    ),
}


@pytest.mark.parametrize("name", SUITES)
def test_just_the_guilty_are_charged(suite: Suite, name: str) -> None:
    text, expected = SUITES[name]

    outcome = suite.test(HEAD + dedented(text), "-o", "asyncio_slow_callback_duration=5")

    found = {(f["nodeid"].partition("::")[2], f["kind"]) for f in outcome.findings}
    assert sorted(found) == expected, outcome.result.stdout.str()
    assert "a fault of pytest-asyncio-traps" not in outcome.result.stdout.str()


HARMLESS = """
import gc, logging, queue, sys, threading, weakref, _thread
from concurrent.futures import ThreadPoolExecutor

def test_a_failed_job_is_freed_at_once():
    class Argument:
        pass

    def fail(argument):
        raise ValueError

    gc.collect()
    gc.disable()
    try:
        with ThreadPoolExecutor(1) as executor:
            argument = Argument()
            future = executor.submit(fail, argument)
            kept = weakref.ref(argument)
            del argument
            assert future.exception() is not None
            del future
        assert kept() is None
    finally:
        gc.enable()

def test_records_that_were_made_elsewhere():
    seen = []
    handler = logging.Handler()
    handler.emit = seen.append
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    try:
        logger.debug("by its level, not to be seen")
        logger.handle(logging.makeLogRecord({"levelno": logging.DEBUG, "msg": "received"}))
    finally:
        logger.removeHandler(handler)
    assert [record.msg for record in seen] == ["received"]

def test_a_logger_as_the_function_of_a_thread(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    logger = logging.getLogger("asyncio")
    for function, argument in ((logger.debug, "text"), (logger.isEnabledFor, logging.DEBUG)):
        before = _thread._count()
        _thread.start_new_thread(function, (argument,))
        while _thread._count() > before:
            pass
    assert not told

def test_a_queue_keeps_nothing_of_what_has_left_it():
    items = queue.Queue()
    for _ in range(5):
        for item in range(1000, 3000):
            items.put(object())
        while not items.empty():
            items.get()
    assert not any(vars(items).get(name) for name in vars(items) if "traps" in name)

def test_a_queue_that_is_emptied_in_other_ways():
    items = queue.Queue()
    for _ in range(10):
        for item in range(1000):
            items.put(object())
        items.queue.clear()
    kept = [value for name, value in vars(items).items() if "traps" in name]
    assert sum(map(len, kept)) < 2000
"""


def test_harmless(suite: Suite) -> None:
    """Nothing that code may see of its own jobs, records and queues is changed."""
    outcome = suite.test(HARMLESS)

    outcome.result.assert_outcomes(passed=HARMLESS.count("def test"))


def test_hooks_of_a_plugin_that_cannot_be_imported(suite: Suite) -> None:
    """A suite that uses the plugin's own hooks starts all the same."""
    suite.pytester.makeconftest(
        """
        def pytest_asyncio_traps_finding(finding, item):
            return None

        def pytest_asyncio_traps_kinds():
            return []
        """
    )
    suite.pytester.makepyfile(
        broken="import sys; sys.modules['pytest_asyncio_traps.plugin'] = None",
        test_it="def test_it(): pass",
    )

    result = suite.pytester.runpytest_subprocess("-p", "broken", "-p", "asyncio_traps")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["It could not be imported, and watched nothing in this run."])


def dedented(text: str) -> str:
    """The text, whose first line is empty, without the indentation of the table."""
    lines = text.splitlines()
    return "\n".join(line.removeprefix("        ") for line in lines) + "\n"
