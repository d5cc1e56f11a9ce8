"""Tests that spring no trap: their outcomes are the same, whatever is wrong with the plugin."""

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading
import time
import unittest
import warnings

import pytest
import pytest_asyncio

try:
    import uvloop
except ImportError:
    uvloop = None

try:
    from tornado.testing import AsyncTestCase, gen_test
except ImportError:
    AsyncTestCase = None

LOOPS = [asyncio.new_event_loop, *([uvloop.new_event_loop] if uvloop else [])]


async def work(result=None):
    await asyncio.sleep(0)
    return result


async def fail():
    await asyncio.sleep(0)
    raise LookupError("the test's own")


@pytest.fixture(scope="module")
def loop_of_module():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest_asyncio.fixture
async def resource():
    task = asyncio.create_task(asyncio.sleep(3600))
    yield task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_plain():
    assert True


async def test_awaits():
    assert await work(1) == 1


async def test_uses_fixture(resource):
    assert not resource.done()


def test_loop_of_module(loop_of_module):
    assert loop_of_module.run_until_complete(work(2)) == 2


def test_loop_of_module_again(loop_of_module):
    assert loop_of_module.run_until_complete(work(3)) == 3


async def test_fails():
    assert await work(1) == 2


async def test_raises():
    await fail()


@pytest.fixture
def broken():
    raise LookupError("in a fixture")


async def test_error_in_set_up(broken):
    pass


@pytest.fixture
def broken_later():
    yield
    raise LookupError("in a teardown")


async def test_error_in_teardown(broken_later):
    await work()


@pytest.mark.xfail(strict=True)
async def test_xfails():
    await fail()


@pytest.mark.xfail(strict=True)
async def test_xpasses():
    await work()


async def test_skips():
    await work()
    pytest.skip("for a reason")


@pytest.mark.skip(reason="for another reason")
async def test_is_skipped():
    pass


@pytest.mark.asyncio_allow("pending-task", reason="nothing to allow")
@pytest.mark.asyncio_slow_callback_duration(5)
async def test_markers():
    await work()


@pytest.mark.parametrize("make", LOOPS)
def test_runner(make):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_later(0.001, future.set_result, 4)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(work(5))
            eager = loop.run_in_executor(None, len, "six")
        failing = asyncio.gather(fail(), fail(), return_exceptions=True)
        cancelled = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        lost = loop.create_future()
        lost.set_exception(LookupError("seen"))
        with pytest.raises(LookupError):
            await lost
        dropped = loop.create_future()
        assert dropped.cancel()
        timer = loop.call_later(3600, print)
        timer.cancel()
        loop.call_soon(loop.set_debug, False)
        await asyncio.sleep(0)
        loop.set_debug(True)
        soon = loop.call_soon(print)
        soon.cancel()
        loop.call_at(loop.time() + 3600, print).cancel()
        debugged = loop.create_future()
        debugged.cancel()
        await loop.create_task(work())
        loop.set_debug(False)
        assert [len(await failing), await future, task.result(), await eager] == [2, 4, 5, 3]

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())


@pytest.mark.parametrize("make", LOOPS)
def test_streams(make):
    async def main():
        async def echo(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())


async def test_subprocess():
    process = await asyncio.create_subprocess_exec("/bin/echo", "x", stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert out == b"x\n"


async def test_threads():
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    queue = asyncio.Queue()

    def touch():
        loop.call_soon_threadsafe(done.set)
        queue_job = asyncio.run_coroutine_threadsafe(queue.put(1), loop)
        queue_job.result(5)

    thread = threading.Thread(target=touch)
    thread.start()
    await done.wait()
    assert await queue.get() == 1
    await asyncio.to_thread(thread.join)
    asyncio.Lock().locked()


def test_loop_in_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(work(6))))
    thread.start()
    thread.join()
    assert results == [6]


def test_error_in_a_thread():
    seen = []
    before, threading.excepthook = threading.excepthook, lambda args: seen.append(args.exc_type)
    try:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    assert seen == [ZeroDivisionError]


async def test_times_out():
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.sleep(3600), 0.001)


async def count():
    for number in range(3):
        yield number


async def test_generators():
    assert [number async for number in count()] == [0, 1, 2]
    async with contextlib.aclosing(count()) as numbers:
        async for _ in numbers:
            break


def test_asserts_the_warning():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        work()


async def test_handles_by_itself():
    seen = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: seen.append(context["exception"]))
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)
    assert [type(exc) for exc in seen] == [ZeroDivisionError]


async def test_warns():
    warnings.warn("the test's own", UserWarning, stacklevel=1)
    logging.getLogger("asyncio").debug("the test's own")


def test_subclass_of_a_loop():
    class Loop(asyncio.SelectorEventLoop):
        def call_soon(self, callback, *args, context=None):
            return super().call_soon(callback, *args, context=context)

        def create_task(self, coro, **kwargs):
            return super().create_task(coro, **kwargs)

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(work(7)) == 7


def test_depth_of_origins():
    sys.set_coroutine_origin_tracking_depth(2)
    assert sys.get_coroutine_origin_tracking_depth() == 2
    sys.set_coroutine_origin_tracking_depth(0)


def test_loop_is_destroyed_closed():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    del loop


async def test_expects(asyncio_traps_or_none):
    """What a test asks the plugin for fails no test while a part of the plugin is off."""
    if asyncio_traps_or_none is None:
        work().close()
        return
    with asyncio_traps_or_none.expect("never-awaited"):
        work()
    assert len(asyncio_traps_or_none.findings) == 0
    assert asyncio_traps_or_none.records is not asyncio_traps_or_none.warnings


def test_debug_loop(request):
    if request.config.pluginmanager.hasplugin("asyncio_traps"):
        loop = request.getfixturevalue("debug_loop")
        assert loop.run_until_complete(work(8)) == 8


class TestUnittest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.task = asyncio.create_task(work(9))

    async def test_unittest(self):
        self.assertEqual(await self.task, 9)


@pytest.mark.anyio
async def test_anyio(anyio_backend):
    await work()


def test_blocks_without_a_loop():
    time.sleep(0)
    open(__file__).close()


def test_destructor_raises():
    class Broken:
        def __del__(self):
            raise LookupError("in a destructor")

    Broken()


async def test_aiohttp():
    await work()


if AsyncTestCase is not None:

    class TestTornado(AsyncTestCase):
        @gen_test
        async def test_tornado(self):
            await work()
