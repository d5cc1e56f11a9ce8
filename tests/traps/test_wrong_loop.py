"""Loops and what is bound to them, used while another loop of the same thread runs."""

from __future__ import annotations

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


REFUSED = """
        async def make_future(): return asyncio.get_running_loop().create_future()
        async def make_lock():
            lock = asyncio.Lock()
            await lock.acquire()
            return lock
        async def make_queue(): return asyncio.Queue()

        def session(make):
            return pytest_asyncio.fixture(scope="session", loop_scope="session")(make)

        # Once refused, a future says something else.
        future, grouped, gathered, caught = map(session, [make_future] * 4)
        lock = kept(make_lock, lambda lock: lock.acquire())
        queue = kept(make_queue, lambda queue: queue.get())

        async def test_future(future):
            await future  # here

        async def test_in_a_group(grouped):
            async with asyncio.TaskGroup() as group:
                group.create_task(wait(grouped))

        async def wait(future):
            await future

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
        "test_future": "Future", "test_in_a_group": "Future", "test_lock": "Lock",
        "test_queue": "Queue", "test_gather": "Future",
    }  # fmt: skip
    assert {name: found[name]["summary"] for name in found} == {
        name: f"a {cls} of the session-scoped loop was used in the function-scoped loop"
        for name, cls in names.items()
    }
    outcome.result.assert_outcomes(failed=5, passed=1)
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


NEAR_MISSES = """
        async def in_loop(loop):
            return loop

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

        async def test_reentry():
            running = asyncio.get_running_loop()
            for _ in range(2):
                asyncio._set_running_loop(None)
                loop = KEPT[0] if KEPT else asyncio.new_event_loop()
                KEPT[:] = [loop]
                try:
                    loop.run_until_complete(work())
                    running.call_soon(int)
                finally:
                    asyncio._set_running_loop(running)
            await work()
            KEPT.pop().close()

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
"""


def test_near_misses(suite: Suite) -> None:
    outcome = suite.test(HEAD + textwrap.dedent(FIXTURES + NEAR_MISSES))

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

        @pytest.fixture(scope="module")
        def kept():
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                async def make():
                    queue = asyncio.Queue()
                    task = asyncio.create_task(queue.get())
                    await asyncio.sleep(0)
                    return queue, task, asyncio.get_running_loop()
                queue, task, loop = runner.run(make())
                yield queue, loop
                async def end():
                    task.cancel()
                    await asyncio.wait([task])
                runner.run(end())

        def run(use):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(use())

        def test_queue(kept):
            async def use():
                kept[0].put_nowait(1)
            run(use)

        def test_call_soon(kept):
            async def use():
                kept[1].call_soon(int)
            run(use)

        def test_call_later(kept):
            async def use():
                kept[1].call_later(0, int)
            run(use)

        def test_future(kept):
            async def use():
                future = kept[1].create_future()
                await future
            run(use)

        def test_closed():
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                loop = runner.get_loop()
                runner.run(work())
            async def use():
                loop.call_soon(int)
            run(use)

        def test_in_turn(kept):
            kept[1].call_soon(int)
            kept[1].run_until_complete(work())
            run(work)

        def test_threadsafe(kept):
            async def use():
                kept[1].call_soon_threadsafe(int)
            run(use)
    """)

    assert [f["nodeid"].partition("::")[2] for f in outcome.findings] == [
        "test_queue", "test_call_soon", "test_call_later", "test_future", "test_closed",
    ]  # fmt: skip
    assert set(outcome.kinds) == {"wrong-loop"}
    outcome.no_fault()
