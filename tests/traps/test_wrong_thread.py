"""Loops and what is bound to them, touched from other threads."""

from __future__ import annotations

import pytest

from ..run import Suite
from .variants import check

IN_THREAD = """
        async def in_thread(function, *args):
            lost = []
            def run():
                try:
                    function(*args)
                except BaseException as exc:
                    lost.append(exc)
            thread = threading.Thread(target=run, name="worker")
            thread.start()
            while thread.is_alive():
                await asyncio.sleep(0.001)
            assert lost == []
"""


def test_loops(suite: Suite) -> None:
    """Each method that debug mode checks, and `stop`, which it does not."""
    check(
        suite,
        IN_THREAD
        + """
        async def test_call_soon():
            loop = asyncio.get_running_loop()
            await in_thread(lambda: loop.call_soon(print))  # here

        async def test_call_later():
            loop = asyncio.get_running_loop()
            await in_thread(lambda: loop.call_later(0, print))  # here

        async def test_call_at():
            loop = asyncio.get_running_loop()
            await in_thread(lambda: loop.call_at(loop.time(), print))  # here

        async def test_create_task():
            loop = asyncio.get_running_loop()
            await in_thread(lambda: KEPT.append(loop.create_task(work())))  # here
            await KEPT.pop()

        async def test_by_hand():
            loop = asyncio.get_running_loop()
            thread = threading.Thread(target=loop.call_soon, args=(print,))
            thread.start()  # here
            await asyncio.to_thread(thread.join)

        async def test_after_set_debug_false():
            loop = asyncio.get_running_loop()
            loop.set_debug(False)
            await in_thread(lambda: loop.call_soon(print))  # here

        def test_stop():
            loop = asyncio.new_event_loop()
            def stop():
                loop.stop()  # here
            thread = threading.Thread(target=stop)
            loop.call_soon(thread.start)
            loop.call_later(0.5, loop.stop)
            loop.run_forever()
            thread.join()
            loop.close()
        """,
        "wrong-thread",
    )


def test_tasks_and_futures(suite: Suite) -> None:
    check(
        suite,
        IN_THREAD
        + """
        async def test_cancel():
            task = asyncio.create_task(asyncio.sleep(3600))
            await work()
            await in_thread(lambda: task.cancel())  # here
            with pytest.raises(asyncio.CancelledError):
                await task

        async def test_set_result():
            future = asyncio.get_running_loop().create_future()
            await in_thread(lambda: future.set_result(1))  # here

        async def test_set_result_of_an_awaited_future():
            future = asyncio.get_running_loop().create_future()
            task = asyncio.ensure_future(future)
            task.add_done_callback(print)
            await in_thread(lambda: future.set_result(1))  # here

        async def test_set_exception():
            future = asyncio.get_running_loop().create_future()
            await in_thread(lambda: future.set_exception(ValueError()))  # here
            with pytest.raises(ValueError):
                await future

        async def test_cancel_a_future():
            future = asyncio.get_running_loop().create_future()
            await in_thread(lambda: future.cancel())  # here

        async def test_plain_future():
            future = asyncio.Future()
            future.add_done_callback(print)
            await in_thread(lambda: future.set_result(1))  # here
        """,
        "wrong-thread",
    )


def test_primitives_and_transports(suite: Suite) -> None:
    check(
        suite,
        IN_THREAD
        + """
        async def wait_a_moment(awaitable):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(awaitable, 0.001)

        async def test_queue():
            queue = asyncio.Queue()
            await wait_a_moment(queue.get())
            await in_thread(lambda: queue.put_nowait(1))  # here
            await in_thread(lambda: queue.get_nowait())  # here

        async def test_queue_with_a_getter():
            queue = asyncio.Queue()
            task = asyncio.create_task(queue.get())
            await work()
            await in_thread(lambda: queue.put_nowait(1))  # here
            assert await task == 1

        async def test_event():
            event = asyncio.Event()
            task = asyncio.create_task(event.wait())
            await work()
            await in_thread(lambda: event.set())  # here
            await task

        async def test_lock():
            lock = asyncio.Lock()
            await lock.acquire()
            await wait_a_moment(lock.acquire())
            await in_thread(lambda: lock.release())  # here

        async def test_semaphore():
            semaphore = asyncio.Semaphore(0)
            await wait_a_moment(semaphore.acquire())
            await in_thread(lambda: semaphore.release())  # here

        async def test_writer():
            async def handle(reader, writer):
                await reader.read()
                writer.close()
            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                await in_thread(lambda: writer.write(b"1"))  # here
                await in_thread(lambda: writer.close())  # here
                await writer.wait_closed()
        """,
        "wrong-thread",
    )


def test_both_lines_are_named(suite: Suite) -> None:
    """Who touched, and who owns."""
    outcome = suite.test("""
        import asyncio, contextlib, threading

        async def test_it():
            task = asyncio.create_task(asyncio.sleep(3600))  # owns
            await asyncio.sleep(0)
            def stop():
                task.cancel()  # touches
            thread = threading.Thread(target=stop, name="worker")
            thread.start()
            while thread.is_alive():
                await asyncio.sleep(0.001)
            with contextlib.suppress(asyncio.CancelledError):
                await task
    """)

    finding = outcome.only()
    assert finding["kind"] == "wrong-thread"
    assert finding["origin"]["line"] == suite.line_of("touches")
    assert finding["location"]["line"] == suite.line_of("owns")
    assert "'worker'" in finding["summary"]
    assert "'MainThread'" in finding["summary"]


def test_the_thread_may_go_on(suite: Suite) -> None:
    """Nothing is raised in it; in debug mode, which a test has asked for, asyncio raises."""
    outcome = suite.test("""
        import asyncio, threading
        import pytest

        async def test_it():
            loop = asyncio.get_running_loop()
            called = asyncio.Event()
            thread = threading.Thread(target=loop.call_soon, args=(called.set,))
            thread.start()
            await asyncio.wait_for(called.wait(), 5)
            thread.join()

        async def test_debug_mode_and_caught():
            loop = asyncio.get_running_loop()
            loop.set_debug(True)
            def touch():
                with pytest.raises(RuntimeError, match="thread-safe"):
                    loop.call_soon(print)
            await asyncio.to_thread(touch)

        @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
        async def test_debug_mode_and_lost():
            loop = asyncio.get_running_loop()
            loop.set_debug(True)
            thread = threading.Thread(target=lambda: loop.call_soon(print))
            thread.start()
            await asyncio.to_thread(thread.join)

        async def test_debug_mode_and_raised():
            loop = asyncio.get_running_loop()
            loop.set_debug(True)
            await asyncio.to_thread(lambda: loop.call_soon(print))
    """)

    assert [f["nodeid"].partition("::")[2] for f in outcome.findings] == [
        "test_it", "test_debug_mode_and_lost", "test_debug_mode_and_raised",
    ]  # fmt: skip
    outcome.result.assert_outcomes(passed=1, failed=3)


def test_debug_mode_of_uvloop(suite: Suite) -> None:
    """There, too, what debug mode refuses is found only where nobody has caught the error."""
    pytest.importorskip("uvloop")
    outcome = suite.test("""
        import asyncio, threading
        import pytest, uvloop

        def run(touch):
            async def main():
                loop = asyncio.get_running_loop()
                loop.set_debug(True)
                await touch(loop)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())

        def test_caught():
            async def touch(loop):
                def in_thread():
                    with pytest.raises(RuntimeError, match="thread-safe"):
                        loop.call_soon(print)
                    with pytest.raises(RuntimeError, match="thread-safe"):
                        loop.call_later(1, print)
                    with pytest.raises(RuntimeError, match="thread-safe"):
                        loop.call_at(loop.time() + 1, print)
                await asyncio.to_thread(in_thread)
            run(touch)

        @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
        def test_lost():
            async def touch(loop):
                thread = threading.Thread(target=lambda: loop.call_soon(print))
                thread.start()
                await asyncio.to_thread(thread.join)
            run(touch)

        def test_raised():
            async def touch(loop):
                await asyncio.to_thread(lambda: loop.call_later(1, print))
            run(touch)
    """)

    assert [f["nodeid"].partition("::")[2] for f in outcome.findings] == [
        "test_lost", "test_raised",
    ]  # fmt: skip
    outcome.result.assert_outcomes(passed=1, failed=2)


def test_near_misses(suite: Suite) -> None:
    """The threadsafe ways, a loop that does not run, what no coroutine has waited for."""
    outcome = suite.test("""
        import asyncio, gc, threading

        async def work(): await asyncio.sleep(0)

        async def test_threadsafe():
            loop = asyncio.get_running_loop()
            task = asyncio.create_task(asyncio.sleep(3600))
            await asyncio.sleep(0)
            def use():
                loop.call_soon_threadsafe(print)
                assert asyncio.run_coroutine_threadsafe(work(), loop).result(20) is None
                loop.call_soon_threadsafe(task.cancel)
            await asyncio.to_thread(use)
            await asyncio.wait([task])

        def test_made_here_and_run_there():
            loop = asyncio.new_event_loop()
            task = loop.create_task(work())
            future = loop.create_future()
            loop.call_soon(future.set_result, 1)
            thread = threading.Thread(target=loop.run_until_complete, args=(task,))
            thread.start()
            thread.join()
            assert future.result() == 1
            loop.close()

        async def test_bound_to_no_loop():
            queue, event = asyncio.Queue(), asyncio.Event()
            def use():
                queue.put_nowait(1)
                event.set()
            await asyncio.to_thread(use)
            assert await queue.get() == 1
            await event.wait()

        async def test_a_loop_of_its_own():
            await asyncio.to_thread(asyncio.run, work())

        async def test_a_collection_in_another_thread():
            async def handle(reader, writer):
                writer.close()
            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.close()
                await writer.wait_closed()
                ring = [writer, reader]
                ring.append(ring)
                del writer, reader, ring
                await asyncio.to_thread(gc.collect)
    """)

    outcome.clean()


def test_what_looks_like_the_call_before(suite: Suite) -> None:
    """In a later test, the thread and the loop may have the numbers of those before."""
    outcome = suite.test("""
        import asyncio, threading
        import pytest

        @pytest.mark.parametrize("number", range(20))
        def test_each(number):
            async def main():
                loop = asyncio.get_running_loop()
                def touch():
                    loop.call_soon(int)
                thread = threading.Thread(target=touch)
                thread.start()
                while thread.is_alive():
                    await asyncio.sleep(0)
            asyncio.run(main())
    """)

    owners = {finding["owner"]["name"].partition("::")[2] for finding in outcome.findings}
    assert owners == {f"test_each[{number}]" for number in range(20)}
    outcome.no_fault()


@pytest.mark.parametrize("started", ["before the plugin", "by C code", "in an earlier test"])
def test_threads_that_nobody_has_seen_start(suite: Suite, started: str) -> None:
    """Queues, locks and transports are checked from the next test on."""
    suite.write(
        jobs="""
        import queue, threading, _thread

        jobs = queue.SimpleQueue()
        running = threading.Event()

        def work():
            threading.current_thread()  # as logging does: from here on the thread is known
            running.set()
            while True:
                jobs.get()()

        def start(how):
            if how == "thread":
                threading.Thread(target=work, daemon=True).start()
            else:
                _thread.start_new_thread(work, ())
            running.wait()
        """,
        early="import jobs\njobs.start('thread')\n" if started == "before the plugin" else "",
        test_it="""
        import asyncio, threading
        import jobs

        def test_begin():
            if {started!r} != "before the plugin":
                jobs.start("thread" if {started!r} == "in an earlier test" else "C")

        async def test_it():
            items, done = asyncio.Queue(), threading.Event()
            getting = asyncio.create_task(items.get())  # which binds the queue to the loop
            await asyncio.sleep(0)
            items.put_nowait(0)
            await getting
            jobs.jobs.put(lambda: (items.put_nowait(1), done.set()))
            while not done.is_set():
                await asyncio.sleep(0)
        """.replace("{started!r}", repr(started)),
    )
    outcome = suite.run("--strict-markers", plugins=("early", "asyncio", "asyncio_traps"))

    finding = outcome.only()
    assert finding["kind"] == "wrong-thread"
    # A thread is its starter's for all of its life, where it is known who that was.
    owner = "test_begin" if started == "in an earlier test" else "test_it"
    assert finding["nodeid"] == f"test_it.py::{owner}"
    assert "Queue.put_nowait()" in finding["summary"]


def test_the_checks_stay_while_tests_have_threads(suite: Suite) -> None:
    """To put them in their places for each test would cost more than they do."""
    suite.write(
        test_it="""
        import asyncio, threading

        def method(): return vars(asyncio.Queue)["put_nowait"]

        PLAIN, SEEN = method(), set()

        def test_alone(): assert method() is PLAIN

        def test_a_thread():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
            SEEN.add(method())
            assert PLAIN not in SEEN

        def test_the_next(): assert method() in SEEN
        """
        + "".join(f"\n        def test_{n}(): pass" for n in range(40))
        + """
        def test_another_thread():
            threading.Thread(target=int).start()
            assert method() in SEEN
        """
        + "".join(f"\n        def test_{n}_more(): pass" for n in range(40))
        + """
        def test_still(): assert method() in SEEN
        """
        + "".join(f"\n        def test_{n}_in_the_end(): pass" for n in range(20))
        + """
        def test_alone_again(): assert method() is PLAIN
        """
    )

    suite.run().clean()
