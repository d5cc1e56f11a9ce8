"""Loops and what is bound to them, used while another loop of the same thread runs."""

from __future__ import annotations

import sys
import textwrap

import pytest

from ..run import Suite
from .variants import HEAD, check

#: A loop of the session, in which a task waits for the object that the fixture ``kept`` makes.
FIXTURES = """
        import pytest_asyncio

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def start():
            started = []
            async def begin(function):
                task = asyncio.get_running_loop().create_task(function())
                started.append(task)
                await asyncio.sleep(0)
            yield begin
            for task in started:
                task.cancel()
            await asyncio.gather(*started, return_exceptions=True)

        def kept(make, wait):
            @pytest_asyncio.fixture(scope="session", loop_scope="session")
            async def fixture(start):
                obj = await make() if asyncio.iscoroutinefunction(make) else make()
                await start(lambda: wait(obj))
                return obj
            return fixture

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def session_loop():
            return asyncio.get_running_loop()

        async def wait_for(obj): await obj
"""


def test_loops(suite: Suite) -> None:
    """Methods of a loop that does not run."""
    outcome = check(
        suite,
        FIXTURES
        + """
        async def test_call_soon(session_loop):
            session_loop.call_soon(int)  # here

        async def test_call_later(session_loop):
            session_loop.call_later(0, int)  # here

        async def test_call_at(session_loop):
            session_loop.call_at(session_loop.time(), int)  # here

        async def test_create_task(session_loop):
            KEPT.append(session_loop.create_task(work()))  # here

        async def test_ensure_future(session_loop):
            KEPT.append(asyncio.ensure_future(work(), loop=session_loop))  # here

        async def test_in_debug_mode(session_loop):
            session_loop.set_debug(True)
            session_loop.call_soon(int)  # here
            session_loop.set_debug(False)

        @pytest.mark.asyncio(loop_scope="session")
        async def test_the_rest_runs():
            await asyncio.gather(*KEPT)
            KEPT.clear()
        """,
        "wrong-loop",
    )

    assert [f["summary"].partition("()")[0] for f in outcome.findings] == [
        "loop.call_soon", "loop.call_later", "loop.call_at", "loop.create_task", "ensure_future",
        "loop.call_soon",
    ]  # fmt: skip


def test_what_wakes_a_task(suite: Suite) -> None:
    """Queues, events, locks, futures and tasks, for which something waits in the other loop."""
    outcome = check(
        suite,
        FIXTURES
        + """
        async def locked():
            lock = asyncio.Lock()
            await lock.acquire()
            return lock

        async def future(): return asyncio.get_running_loop().create_future()
        async def plain(): return asyncio.Future()

        def full():
            queue = asyncio.Queue(1)
            queue.put_nowait(1)
            return queue

        async def wait_in(condition):
            async with condition:
                await condition.wait()

        queue = kept(asyncio.Queue, lambda queue: queue.get())
        other_queue = kept(asyncio.Queue, lambda queue: queue.get())
        full_queue = kept(full, lambda queue: queue.put(2))
        joined = kept(full, lambda queue: queue.join())
        condition = kept(asyncio.Condition, wait_in)
        stream = kept(asyncio.StreamReader, lambda stream: stream.read(1))
        event = kept(asyncio.Event, lambda event: event.wait())
        lock = kept(locked, lambda lock: lock.acquire())
        semaphore = kept(lambda: asyncio.Semaphore(0), lambda semaphore: semaphore.acquire())
        result = kept(future, wait_for)
        failure = kept(future, wait_for)
        lost = kept(future, wait_for)
        plain_result = kept(plain, wait_for)
        plain_failure = kept(plain, wait_for)

        async def test_queue(queue):
            queue.put_nowait(1)  # here

        async def test_put(other_queue):
            await other_queue.put(1)  # here

        async def test_full_queue(full_queue):
            full_queue.get_nowait()  # here

        async def test_joined(joined):
            joined.get_nowait()
            joined.task_done()  # here

        async def test_condition(condition):
            async with condition:
                condition.notify()  # here

        async def test_stream(stream):
            stream.feed_data(b"x")  # here

        async def test_event(event):
            event.set()  # here

        async def test_lock(lock):
            lock.release()  # here

        async def test_semaphore(semaphore):
            semaphore.release()  # here

        async def test_set_result(result):
            result.set_result(1)  # here

        async def test_set_exception(failure):
            failure.set_exception(ValueError())  # here

        async def test_cancel(lost):
            lost.cancel()  # here

        async def test_plain_result(plain_result):
            plain_result.set_result(1)  # here

        async def test_plain_failure(plain_failure):
            plain_failure.set_exception(ValueError())  # here

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def poller():
            task = asyncio.create_task(poll())
            await work()
            yield task
            task.cancel()
            await asyncio.wait([task])

        async def test_cancel_a_task(poller):
            poller.cancel()  # here
        """,
        "wrong-loop",
    )

    assert [f["summary"].partition("()")[0] for f in outcome.findings] == [
        "Queue.put_nowait", "Queue.put", "Queue.get_nowait", "Queue.task_done", "Condition.notify",
        "StreamReader.feed_data", "Event.set", "Lock.release", "Semaphore.release",
        "Future.set_result", "Future.set_exception", "cancel", "Future.set_result",
        "Future.set_exception", "cancel",
    ]  # fmt: skip


def test_streams(suite: Suite) -> None:
    check(
        suite,
        FIXTURES
        + """
        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def writer():
            async def handle(reader, writer):
                await reader.read()
                writer.close()
            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                yield writer
                writer.close()
                await writer.wait_closed()

        async def test_close(writer):
            writer.close()  # here
        """,
        "wrong-loop",
    )


def test_both_loops_are_named(suite: Suite) -> None:
    """By their scopes, with the line that waits, and both ways to mend it."""
    outcome = suite.test("""
        import asyncio
        import pytest_asyncio

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def jobs():
            queue = asyncio.Queue()
            task = asyncio.create_task(queue.get())  # waits
            await asyncio.sleep(0)
            yield queue
            task.cancel()
            await asyncio.wait([task])

        async def test_it(jobs):
            jobs.put_nowait(1)  # uses
    """)

    finding = outcome.only()
    assert finding["kind"] == "wrong-loop"
    assert finding["origin"]["line"] == suite.line_of("uses")
    assert finding["location"]["line"] == suite.line_of("waits")
    assert finding["summary"] == (
        "Queue.put_nowait() was called in the function-scoped loop, but acts on the module-scoped "
        "loop, which was not running"
    )
    text = " ".join(outcome.result.stdout.str().replace("\nE", "").split())
    assert '@pytest.mark.asyncio(loop_scope="module");' in text
    assert 'with loop_scope="function" on its fixture' in text
    assert "pytest-asyncio made the module-scoped loop for test_it.py." in text


def test_loops_of_ones_own(suite: Suite) -> None:
    """Named by who made them."""
    outcome = suite.test("""
        import asyncio
        import pytest

        async def work(): pass

        @pytest.fixture(scope="module")
        def background():
            with asyncio.Runner() as runner:
                runner.run(work())
                yield runner.get_loop()

        def test_it(background):
            async def main():
                background.call_soon(int)
            asyncio.run(main())
    """)

    assert outcome.only()["summary"] == (
        "loop.call_soon() was called in the loop of test test_it.py::test_it, but acts on the "
        "loop of the module fixture 'background', which was not running"
    )


def test_loops_of_each_scope(suite: Suite) -> None:
    """Each loop is named by its scope, and by the part of the suite that has it."""
    suite.write(
        test_it="""
            import asyncio, pytest, pytest_asyncio

            def fixture(scope):
                @pytest_asyncio.fixture(scope=scope, loop_scope=scope)
                async def loop():
                    return asyncio.get_running_loop()
                return loop

            class_, module, package, session = map(
                fixture, ["class", "module", "package", "session"]
            )

            class TestIt:
                @pytest.mark.parametrize("_", ["a::b"])
                async def test_class(self, class_, _):
                    class_.call_soon(int)

            async def test_module(module):
                module.call_soon(int)

            async def test_package(package):
                package.call_soon(int)

            async def test_session(session):
                session.call_soon(int)

            @pytest_asyncio.fixture
            async def user(module):
                module.call_soon(int)

            async def test_in_a_fixture(user): pass
        """,
    )
    outcome = suite.run()

    found = {f["nodeid"].rpartition("::test_")[2]: f["summary"] for f in outcome.findings}
    assert found == {
        name: f"loop.call_soon() was called in the {here}-scoped loop, but acts on the "
        f"{theirs}-scoped loop, which was not running"
        for name, here, theirs in [
            ("class[a::b]", "function", "class"),
            ("module", "function", "module"),
            ("package", "function", "package"),
            ("session", "function", "session"),
            ("in_a_fixture", "function", "module"),
        ]
    }
    text = " ".join(outcome.result.stdout.str().replace("\nE", "").split())
    for says in (
        "pytest-asyncio made the class-scoped loop for test_it.py::TestIt.",
        "pytest-asyncio made the session-scoped loop for the session.",
        'with @pytest_asyncio.fixture(loop_scope="module");',
    ):
        assert says in text


@pytest.mark.parametrize(
    ("theirs", "here", "end"),
    [
        ("session", "module", ", whose scope must then not be wider than 'module'."),
        ("module", "session", ". To allow it:"),
    ],
)
def test_scopes_that_do_not_match(suite: Suite, theirs: str, here: str, end: str) -> None:
    """Both ways to make them match; a fixture's scope is no wider than that of its loop."""
    outcome = suite.test(f"""
        import asyncio, pytest, pytest_asyncio

        @pytest_asyncio.fixture(scope="{theirs}", loop_scope="{theirs}")
        async def loop():
            return asyncio.get_running_loop()

        @pytest.mark.asyncio(loop_scope="{here}")
        async def test_it(loop):
            loop.call_soon(int)
    """)

    assert outcome.only()["summary"] == (
        f"loop.call_soon() was called in the {here}-scoped loop, but acts on the {theirs}-scoped "
        "loop, which was not running"
    )
    text = " ".join(outcome.result.stdout.str().replace("\nE", "").split())
    assert (
        f"The loop scopes {theirs!r} and {here!r} do not match. Run what uses the object in its "
        f'loop, with @pytest.mark.asyncio(loop_scope="{theirs}"); or make the object in the '
        f'{here}-scoped loop, with loop_scope="{here}" on its fixture{end}'
    ) in text


def test_loops_of_two_modules(suite: Suite) -> None:
    text = """
        import asyncio, pytest

        KEPT = []

        @pytest.mark.asyncio(loop_scope="module")
        async def test_it():
            for module in ("test_a", "test_b"):
                for loop in __import__(module).KEPT:
                    loop.call_soon(int)
            KEPT.append(asyncio.get_running_loop())
    """
    suite.write(test_a=text, test_b=text)
    outcome = suite.run()

    assert outcome.only()["summary"] == (
        "the module-scoped loop of test_a.py, which is closed, was used in the module-scoped loop"
    )
    outcome.result.stdout.fnmatch_lines(["*Each module has a loop of its own.*"])
    outcome.result.assert_outcomes(passed=1, failed=1)


def test_loops_of_other_runners(suite: Suite) -> None:
    """unittest, anyio and asyncio.run() have loops of a test or fixture."""
    suite.write(
        test_it="""
        import asyncio, unittest
        import pytest

        @pytest.fixture(scope="module")
        def anyio_backend(): return "asyncio"

        @pytest.fixture(scope="module")
        def loop():
            with asyncio.Runner() as runner:
                runner.run(asyncio.sleep(0))
                yield runner.get_loop()

        @pytest.fixture
        def its_loop(request, loop):
            request.cls.loop = loop

        @pytest.mark.usefixtures("its_loop")
        class TestCase(unittest.IsolatedAsyncioTestCase):
            async def test_unittest(self):
                self.loop.call_soon(int)

        @pytest.mark.anyio
        async def test_anyio(loop):
            loop.call_soon(int)

        def test_run(loop):
            async def main():
                loop.call_soon(int)
            asyncio.run(main())  # runs

        def test_two():
            async def kept():
                return asyncio.get_running_loop()
            async def main(loop):
                loop.call_soon(int)
            with asyncio.Runner() as runner:
                asyncio.run(main(runner.run(kept())))
    """
    )
    outcome = suite.run("-o", "asyncio_mode=strict", plugins=("anyio", "asyncio", "asyncio_traps"))

    theirs = "the loop of the module fixture 'loop'"
    assert [f["summary"] for f in outcome.findings] == [
        f"loop.call_soon() was called in {here}, but acts on {theirs}, which was not running"
        for here, theirs in [
            ("the loop of test test_it.py::TestCase::test_unittest", theirs),
            ("the loop of test test_it.py::test_anyio", theirs),
            ("the loop of test test_it.py::test_run", theirs),
            ("the loop of test test_it.py::test_two", "another loop of test test_it.py::test_two"),
        ]
    ]
    line = suite.line_of("runs")
    text = outcome.result.stdout.str()
    assert (
        f"The loop of test test_it.py::test_run was created at test_it.py:{line}, in test_" in text
    )
    outcome.no_fault()


def test_expected_and_allowed(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + textwrap.dedent(FIXTURES)
        + textwrap.dedent("""
        async def test_expected(session_loop, asyncio_traps):
            with asyncio_traps.expect("wrong-loop", match="session-scoped"):
                session_loop.call_soon(int)
            assert asyncio_traps.findings == []

        @pytest.mark.asyncio_allow("wrong-loop", match="call_soon", reason="it runs later")
        async def test_allowed(session_loop):
            session_loop.call_soon(int)

        async def test_allowed_by_rule(session_loop):
            for _ in range(3):
                session_loop.call_later(0, int)
        """),
        "--asyncio-traps=allow:wrong-loop:call_later",
    )

    assert [(f["action"], f["count"]) for f in outcome.findings] == [("allow", 1), ("allow", 1)]
    outcome.result.assert_outcomes(passed=3)
    outcome.no_fault()


REFUSED = """
        async def make_future(): return asyncio.get_running_loop().create_future()
        async def make_lock():
            lock = asyncio.Lock()
            await lock.acquire()
            return lock
        async def wait_in(condition):
            async with condition:
                await condition.wait()

        async def make_queue(): return asyncio.Queue()

        def session(make):
            return pytest_asyncio.fixture(scope="session", loop_scope="session")(make)

        # Once refused, a future says something else.
        future, grouped, gathered, caught, skipped, completed = map(session, [make_future] * 6)
        event = kept(asyncio.Event, lambda event: event.wait())
        semaphore = kept(lambda: asyncio.Semaphore(0), lambda semaphore: semaphore.acquire())
        barrier = kept(lambda: asyncio.Barrier(3), lambda barrier: barrier.wait())
        condition = kept(asyncio.Condition, wait_in)
        lock = kept(make_lock, lambda lock: lock.acquire())
        queue = kept(make_queue, lambda queue: queue.get())

        async def test_future(future):
            await future  # here

        async def test_in_a_group(grouped):
            async with asyncio.TaskGroup() as group:
                group.create_task(wait(grouped))

        async def wait(future):
            await future

        def test_in_a_sync_test(completed):
            async def complete():
                await asyncio.sleep(0)
            with asyncio.Runner() as runner:
                runner.run(complete())
                runner.get_loop().run_until_complete(completed)  # here

        async def test_event(event):
            await event.wait()

        async def test_semaphore(semaphore):
            await semaphore.acquire()

        async def test_barrier(barrier):
            await barrier.wait()

        async def test_condition(condition):
            async with condition:
                await condition.wait()

        async def test_skipped(skipped):
            try:
                await skipped
            except RuntimeError:
                pytest.skip("the future is of no use here")

        async def test_lock(lock):
            await lock.acquire()  # here

        async def test_queue(queue):
            await queue.get()  # here

        async def test_gather(gathered):
            await asyncio.gather(asyncio.get_running_loop().create_future(), gathered)  # here

        async def test_caught(caught):
            with pytest.raises(RuntimeError, match="different loop"):
                await caught
"""


def test_what_asyncio_refuses(suite: Suite) -> None:
    """The finding joins the failure; code that catches the error has dealt with it."""
    outcome = suite.test(HEAD + textwrap.dedent(FIXTURES + REFUSED))

    found = {f["nodeid"].rpartition("::")[2]: f for f in outcome.findings}
    assert set(outcome.kinds) == {"wrong-loop"}
    names = {
        "test_future": "Future", "test_in_a_group": "Future", "test_gather": "Future",
        "test_in_a_sync_test": "Future", "test_event": "Event", "test_semaphore": "Semaphore",
        "test_barrier": "Barrier", "test_condition": "Condition", "test_lock": "Lock",
        "test_queue": "Queue",
    }  # fmt: skip
    loops = {"test_in_a_sync_test": "the loop of test test_it.py::test_in_a_sync_test"}
    assert {name: found[name]["summary"] for name in found} == {
        name: f"a {cls} of the session-scoped loop was used in "
        + loops.get(name, "the function-scoped loop")
        for name, cls in names.items()
    }
    lines = (suite.pytester.path / "test_it.py").read_text().splitlines()
    for name in ("test_future", "test_gather", "test_in_a_sync_test", "test_lock", "test_queue"):
        assert lines[found[name]["origin"]["line"] - 1].endswith("# here")
    outcome.result.assert_outcomes(failed=10, passed=1, skipped=1)
    outcome.no_fault()


def test_a_client_kept_across_loops(suite: Suite) -> None:
    """The error says that the loop is closed, and no more."""
    outcome = suite.test("""
        import asyncio

        class Client:
            async def connect(self):
                self.loop = asyncio.get_running_loop()

            async def send(self):
                self.loop.call_soon(int)  # uses

        CLIENT = Client()

        async def test_first():
            await CLIENT.connect()
            await CLIENT.send()

        async def test_second():
            await CLIENT.send()

        def test_closed_for_another_reason():
            loop = asyncio.new_event_loop()
            loop.close()
            loop.call_soon(int)
    """)

    finding = outcome.only()
    assert finding["nodeid"].endswith("test_second")
    assert finding["origin"]["line"] == suite.line_of("uses")
    assert finding["summary"] == (
        "the function-scoped loop of test_it.py::test_first, which is closed, was used in the "
        "function-scoped loop"
    )
    outcome.result.assert_outcomes(passed=1, failed=2)


def test_a_connection_kept_across_loops(suite: Suite) -> None:
    """As a client does that is made once. Its transport belongs to the loop of the first test."""
    outcome = suite.test("""
        import asyncio, socket
        import pytest

        @pytest.fixture(scope="module")
        def peer():
            one, other = socket.socketpair()
            with one, other:
                other.send(b"hello")
                yield one

        class Client:
            async def get(self, peer):
                self.reader, self.writer = await asyncio.open_connection(sock=peer)
                return await self.reader.read(5)

            def close(self):
                self.writer.close()  # closes

        CLIENT = Client()

        @pytest.mark.asyncio_allow("unclosed-transport")
        async def test_first(peer):
            assert await CLIENT.get(peer) == b"hello"

        async def test_second():
            CLIENT.close()
    """)

    (finding,) = (f for f in outcome.findings if f["kind"] == "wrong-loop")
    assert finding["nodeid"].endswith("test_second")
    assert finding["origin"]["line"] == suite.line_of("closes")
    assert finding["summary"] == (
        "the function-scoped loop of test_it.py::test_first, which is closed, was used in the "
        "function-scoped loop"
    )
    outcome.no_fault()


def test_a_fixture_that_fails_in_every_test(suite: Suite) -> None:
    """pytest raises the same exception in each test that uses it, and this is one cause."""
    outcome = suite.test(
        HEAD
        + textwrap.dedent(FIXTURES)
        + textwrap.dedent("""
        async def future(): return asyncio.get_running_loop().create_future()
        future = pytest_asyncio.fixture(scope="session", loop_scope="session")(future)

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def broken(future):
            await future

        async def test_1(broken): pass
        async def test_2(broken): pass
        """)
    )

    assert outcome.only()["nodeid"].endswith("test_1")
    text = " ".join(outcome.result.stdout.str().split())
    assert 'with @pytest_asyncio.fixture(loop_scope="session");' in text
    outcome.result.assert_outcomes(errors=2)


NEAR_MISSES = """
        import unittest, weakref

        def test_in_turn():
            first, second = asyncio.Runner(), asyncio.Runner()
            with first, second:
                queue = asyncio.Queue()
                task = first.get_loop().create_task(queue.get())
                first.run(work())
                queue.put_nowait(1)
                second.run(work())
                first.get_loop().call_soon(int)
                async def wait():
                    return await task
                assert first.run(wait()) == 1

        async def test_threadsafe(session_loop):
            session_loop.call_soon_threadsafe(int)
            KEPT.append(asyncio.run_coroutine_threadsafe(work(), session_loop))

        @pytest.mark.asyncio(loop_scope="session")
        async def test_threadsafe_later():
            await asyncio.wrap_future(KEPT.pop())

        async def test_prepared_and_run_in_a_thread():
            loop = asyncio.new_event_loop()
            task = loop.create_task(work())
            await asyncio.to_thread(loop.run_until_complete, task)
            again = loop.create_task(work())
            await asyncio.to_thread(loop.run_until_complete, again)
            loop.close()

        def test_nested_runners():
            with asyncio.Runner() as outer:
                outer.run(work())
                with asyncio.Runner() as inner:
                    inner.run(work())
                outer.run(work())

        def run_within_this(loop):
            "Without a task, since from Python 3.14 on, no task may run within another."
            running = asyncio.get_running_loop()
            asyncio._set_running_loop(None)
            loop.call_soon(loop.stop)
            loop.call_soon(running.call_soon, int)
            loop.run_forever()
            asyncio._set_running_loop(running)

        async def test_reentry():
            loop = asyncio.new_event_loop()
            for _ in range(2):
                run_within_this(loop)
            await work()
            loop.close()

        async def test_prepared_for_a_thread():
            loop = asyncio.new_event_loop()
            run_within_this(loop)
            loop.call_soon(int)
            await asyncio.to_thread(loop.run_until_complete, loop.create_task(work()))
            loop.close()

        async def test_prepared_for_a_run_within_this():
            loop = asyncio.new_event_loop()
            for _ in range(2):
                loop.call_soon(int)
                run_within_this(loop)
            loop.close()

        def test_prepared_in_a_thread():
            with asyncio.Runner() as runner:
                runner.run(work())
                loop, tasks = runner.get_loop(), []
                async def main():
                    tasks.append(loop.create_task(work()))
                thread = threading.Thread(target=asyncio.run, args=[main()])
                thread.start()
                thread.join()
                async def wait():
                    await tasks[0]
                runner.run(wait())

        @pytest.fixture(scope="module")
        def in_a_thread():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(work())
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            yield loop
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        async def test_a_thread(in_a_thread):
            async def reply(): return 1
            future = asyncio.run_coroutine_threadsafe(reply(), in_a_thread)
            assert await asyncio.wrap_future(future) == 1

        def test_suspended():
            "As in a greenlet: a loop is set as running, and does not run this code."
            thread, suspended = None, asyncio.new_event_loop()
            started = threading.Event()
            suspended.call_soon(started.set)
            thread = threading.Thread(target=suspended.run_forever)
            thread.start()
            started.wait()
            with asyncio.Runner() as runner:
                runner.run(work())
                asyncio._set_running_loop(suspended)
                runner.get_loop().call_soon(int)
                asyncio._set_running_loop(None)
                runner.run(work())
            suspended.call_soon_threadsafe(suspended.stop)
            thread.join()
            suspended.close()

        @pytest.fixture(scope="module")
        def made_in_a_loop():
            async def make():
                queue, event = asyncio.Queue(), asyncio.Event()
                queue.put_nowait(1)
                event.set()
                return queue, event, asyncio.Lock(), asyncio.Semaphore(), asyncio.Condition()
            return asyncio.run(make())

        @pytest.mark.parametrize("_", range(2))
        async def test_made_in_a_loop(made_in_a_loop, _):
            queue, event, lock, semaphore, condition = made_in_a_loop
            queue.put_nowait(await queue.get())
            await event.wait()
            event.clear()
            event.set()
            async with lock, semaphore, condition:
                condition.notify_all()

        class TestCase(unittest.IsolatedAsyncioTestCase):
            def setUp(self):
                self.queue, self.event = asyncio.Queue(), asyncio.Event()

            async def asyncSetUp(self):
                self.addAsyncCleanup(self.end)
                self.task = asyncio.create_task(self.event.wait())

            async def end(self):
                self.event.set()
                await self.task

            async def test_async(self):
                self.queue.put_nowait(1)
                assert await self.queue.get() == 1

            def test_sync(self):
                self.queue.put_nowait(1)
                self.task.cancel()
                self.task = asyncio.sleep(0)

        async def numbers():
            try:
                yield 1
            finally:
                await work()

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def generators():
            generator = numbers()
            await anext(generator)
            return [generator]

        async def test_a_generator_of_another_loop(generators):
            generators.clear()
            gc.collect()

        async def test_a_finalizer(guarded_by_finalizer):
            guarded_by_finalizer.clear()

        class Plain: pass

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def guarded_by_finalizer():
            event, plain = asyncio.Event(), Plain()
            task = asyncio.create_task(event.wait())
            await work()
            weakref.finalize(plain, event.set)
            objects = [plain]
            del plain
            yield objects
            await task

        async def test_nobody_waits(session_queue):
            session_queue.put_nowait(1)
            assert session_queue.get_nowait() == 1

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def session_queue():
            return asyncio.Queue()

        class Guard:
            def __init__(self, event): self.event = event
            def __del__(self): self.event.set()

        async def waits_for(event): await event.wait()

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def guarded():
            event = asyncio.Event()
            task = asyncio.create_task(waits_for(event))
            await work()
            yield [Guard(event)]
            await task

        async def test_destructor(guarded):
            guarded.clear()

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def suspended():
            event = asyncio.Event()
            task = asyncio.create_task(waits_for(event))
            await work()
            async def end():
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    event.set()
            coroutines = [end()]
            coroutines[0].send(None)
            yield coroutines
            await task

        async def test_dropped_coroutine(suspended):
            suspended.clear()

        def test_portal():
            import anyio.from_thread
            with anyio.from_thread.start_blocking_portal() as portal:
                portal.call(work)
                async def main():
                    portal.start_task_soon(work).result()
                asyncio.run(main())

        async def test_a_portal_in_a_loop():
            import anyio.from_thread, anyio.to_thread
            with anyio.from_thread.start_blocking_portal() as portal:
                assert await anyio.to_thread.run_sync(portal.call, anyio.sleep, 0) is None
                started, event = portal.start_task(wait_for_event)
                event_of_portal = await asyncio.wrap_future(portal.start_task_soon(make_event))
                portal.call(event.set)
                await asyncio.wrap_future(started)
            async with anyio.from_thread.BlockingPortal() as portal:
                await anyio.to_thread.run_sync(portal.call, event_of_portal.set)
                await anyio.to_thread.run_sync(portal.call, asyncio.sleep, 0)

        async def make_event():
            return asyncio.Event()

        async def wait_for_event(*, task_status):
            event = asyncio.Event()
            task_status.started(event)
            await event.wait()

        def test_portals_of_one_thread():
            import anyio.from_thread
            provider = anyio.from_thread.BlockingPortalProvider()
            for _ in range(2):
                with provider as portal, provider as same:
                    assert portal is same
                    portal.call(work)
                    same.start_task_soon(work).result()
"""


def test_near_misses(suite: Suite) -> None:
    text = HEAD + textwrap.dedent(FIXTURES + NEAR_MISSES)
    outcome = suite.test(text, "--asyncio-traps=off:unclosed-asyncgen")

    outcome.clean()


def test_a_loop_of_a_library(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that hides a loop schedules on it for itself; it may not use the user's."""
    site = suite.pytester.mkdir("site-packages")
    (site / "library.py").write_text(LIBRARY, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(site))
    check(
        suite,
        """
        import library

        @pytest.fixture(scope="module")
        def client():
            client = library.Client(library.new_loop())
            yield client
            client.finish()

        async def test_its_own(client):
            client.submit(work())

        @pytest.fixture(scope="module")
        def clients():
            client = library.Client(asyncio.new_event_loop())
            yield client
            client.finish()

        async def test_the_users(clients):
            clients.submit(work())  # here
        """,
        "wrong-loop",
    )


LIBRARY = """
import asyncio

def new_loop():
    return asyncio.new_event_loop()

class Client:
    def __init__(self, loop):
        self.loop, self.tasks = loop, []
        loop.run_until_complete(asyncio.sleep(0))

    def submit(self, coroutine):
        self.tasks.append(self.loop.create_task(coroutine))

    def finish(self):
        self.loop.run_until_complete(asyncio.gather(*self.tasks))
        self.loop.close()
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="nest_asyncio does not work there")
def test_nest_asyncio(suite: Suite) -> None:
    """With it, a loop may run within another, or within itself."""
    pytest.importorskip("nest_asyncio")
    outcome = suite.test("""
        import asyncio
        import nest_asyncio, pytest_asyncio

        async def work(): await asyncio.sleep(0)

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def other():
            queue = asyncio.Queue()
            task = asyncio.create_task(queue.get())
            await work()
            yield asyncio.get_running_loop(), queue
            task.cancel()
            await asyncio.wait([task])

        async def test_a_loop_that_has_run(other):
            nest_asyncio.apply()
            loop, queue = other
            loop.run_until_complete(loop.create_task(work()))
            queue.put_nowait(1)
            loop.run_until_complete(work())

        async def test_a_new_loop():
            loop = asyncio.new_event_loop()
            for _ in range(2):
                loop.run_until_complete(loop.create_task(work()))
            loop.close()

        async def test_the_same_loop():
            loop, event = asyncio.get_running_loop(), asyncio.Event()
            task = asyncio.create_task(event.wait())
            await work()
            async def inner():
                event.set()
                await task
            loop.run_until_complete(inner())
            asyncio.run(work())
    """)

    outcome.clean()


def test_other_errors_with_these_words(suite: Suite) -> None:
    """Those that user code raises, and that of a loop which is closed while no other runs."""
    outcome = suite.test("""
        import asyncio

        async def test_attached():
            raise RuntimeError("the plug is attached to a different loop")

        async def test_closed():
            raise RuntimeError("Event loop is closed")

        def test_bound():
            raise RuntimeError("it is bound to a different event loop")
    """)

    assert outcome.findings == []
    outcome.result.assert_outcomes(failed=3)
    outcome.no_fault()


def test_uvloop(suite: Suite) -> None:
    """What uvloop schedules in Python code, and what asyncio refuses."""
    pytest.importorskip("uvloop")
    outcome = suite.test("""
        import asyncio
        import pytest, uvloop

        async def work(): await asyncio.sleep(0)

        class Kept:
            async def make(self):
                self.loop = asyncio.get_running_loop()
                self.queue, self.event, self.lock = asyncio.Queue(), asyncio.Event(), asyncio.Lock()
                self.result, self.lost = self.loop.create_future(), self.loop.create_future()
                await self.lock.acquire()
                async def wait(future): await future
                waits = (
                    self.queue.get(), self.event.wait(), self.lock.acquire(), wait(self.result),
                    wait(self.lost), asyncio.sleep(3600),
                )
                self.tasks = [asyncio.create_task(wait) for wait in waits]
                await asyncio.sleep(0)

            async def end(self):
                for task in self.tasks:
                    task.cancel()
                await asyncio.wait(self.tasks)

        @pytest.fixture(scope="module")
        def kept():
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                kept = Kept()
                runner.run(kept.make())
                yield kept
                runner.run(kept.end())

        def run(use):
            async def main():
                use()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())

        def test_queue(kept): run(lambda: kept.queue.put_nowait(1))
        def test_event(kept): run(kept.event.set)
        def test_lock(kept): run(kept.lock.release)
        def test_set_result(kept): run(lambda: kept.result.set_result(1))
        def test_cancel(kept): run(lambda: kept.lost.cancel())
        def test_cancel_task(kept): run(lambda: kept.tasks[-1].cancel())
        def test_call_soon(kept): run(lambda: kept.loop.call_soon(int))
        def test_call_later(kept): run(lambda: kept.loop.call_later(0, int))
        def test_create_task(kept): run(lambda: kept.tasks.append(kept.loop.create_task(work())))

        def test_future(kept):
            async def use():
                future = kept.loop.create_future()
                await future
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(use())

        def test_closed():
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                loop = runner.get_loop()
                runner.run(work())
            run(lambda: loop.call_soon(int))

        def test_in_turn(kept):
            kept.loop.call_soon(int)
            kept.loop.run_until_complete(work())
            asyncio.run(work())

        def test_threadsafe(kept):
            run(lambda: kept.loop.call_soon_threadsafe(int))

        def test_prepared_for_a_thread():
            async def main():
                running = asyncio.get_running_loop()
                asyncio._set_running_loop(None)
                loop = uvloop.new_event_loop()
                loop.call_soon(loop.stop)
                loop.run_forever()
                asyncio._set_running_loop(running)
                loop.call_soon(int)
                await asyncio.to_thread(loop.run_until_complete, loop.create_task(work()))
                loop.close()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
    """)

    names = {
        "test_queue": "Queue.put_nowait", "test_event": "Event.set", "test_lock": "Lock.release",
        "test_set_result": "Future.set_result", "test_cancel": "cancel",
        "test_cancel_task": "cancel", "test_call_soon": "loop.call_soon",
        "test_call_later": "loop.call_later", "test_create_task": "loop.create_task",
    }  # fmt: skip
    found = {f["nodeid"].partition("::")[2]: f["summary"] for f in outcome.findings}
    theirs = "the loop of the module fixture 'kept'"
    assert {name: found[name] for name in names} == {
        name: f"{method}() was called in the loop of test test_it.py::{name}, but acts on "
        f"{theirs}, which was not running"
        for name, method in names.items()
    }
    assert {name: found[name] for name in set(found) - set(names)} == {
        "test_future": f"a Future of {theirs} was used in the loop of test test_it.py::test_future",
        "test_closed": "another loop of test test_it.py::test_closed, which is closed, was used in "
        "the loop of test test_it.py::test_closed",
    }
    assert set(outcome.kinds) == {"wrong-loop"}
    outcome.no_fault()
