"""Sound code, each test of which comes close to a trap. Run by test_no_false_alarm.py."""

import asyncio
import contextlib
import gc
import sys
import threading
import time
import unittest
import warnings
from unittest.mock import AsyncMock

import anyio
import anyio.to_process
import pytest
import pytest_asyncio


async def work():
    await asyncio.sleep(0)


async def boom():
    raise ValueError("x")


async def poll():
    while True:
        await asyncio.sleep(3600)


async def test_closed():
    c = work()
    c.close()


async def test_awaited_exc():
    t = asyncio.create_task(boom())
    with pytest.raises(ValueError):
        await t


async def test_gather():
    r = await asyncio.gather(boom(), boom(), return_exceptions=True)


async def test_gather2():
    with pytest.raises(ValueError):
        await asyncio.gather(boom(), boom(), work())


async def test_cb():
    t = asyncio.create_task(boom())
    t.add_done_callback(lambda t: t.exception())
    await asyncio.sleep(0.01)


async def test_exception():
    t = asyncio.create_task(boom())
    await asyncio.wait([t])
    t.exception()


async def test_cancel_await():
    t = asyncio.create_task(poll())
    await asyncio.sleep(0)
    t.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await t


def test_coroutine_of_a_task_is_closed():
    loop = asyncio.new_event_loop()
    t = loop.create_task(poll())
    t._log_destroy_pending = False
    t.cancel()
    t.get_coro().close()
    loop.close()
    del t
    gc.collect()


def test_coroutine_of_a_begun_task_is_closed():
    loop = asyncio.new_event_loop()
    t = loop.create_task(poll())
    loop.run_until_complete(asyncio.sleep(0))
    t._log_destroy_pending = False
    t.get_coro().close()
    loop.close()
    del t
    gc.collect()


async def test_ends_next():
    asyncio.create_task(work())


async def test_event_next():
    e = asyncio.Event()

    async def w():
        await e.wait()

    t = asyncio.create_task(w())
    await asyncio.sleep(0)
    e.set()


async def test_chain_next():
    e = asyncio.Event()

    async def w():
        await e.wait()

    async def w2(t):
        await t

    t = asyncio.create_task(w())
    t2 = asyncio.create_task(w2(t))
    await asyncio.sleep(0)
    e.set()


async def test_timeout():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)


async def test_wait_for():
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(poll(), 0.01)


async def test_tg():
    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as tg:
            tg.create_task(boom())
            tg.create_task(poll())


async def test_shield():
    t = asyncio.create_task(asyncio.sleep(0.02))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(t), 0.005)
    await t


async def test_executor():
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.2)
    await asyncio.to_thread(time.sleep, 0.2)


async def test_long_sleep():
    await asyncio.sleep(0.3)


def test_slow_sync():
    time.sleep(0.3)


@pytest.fixture
def slow():
    time.sleep(0.2)
    yield
    time.sleep(0.2)


async def test_slow_fixture(slow):
    await work()


async def test_skip():
    pytest.skip("x")


@pytest.mark.xfail
async def test_xfail():
    assert 0


async def test_asyncgen():
    async def g():
        yield 1
        yield 2

    assert [x async for x in g()] == [1, 2]


async def test_threadsafe():
    loop = asyncio.get_running_loop()
    f = loop.create_future()
    threading.Thread(target=lambda: loop.call_soon_threadsafe(f.set_result, 1)).start()
    assert await f == 1


async def test_run_threadsafe():
    loop = asyncio.get_running_loop()

    def t():
        return asyncio.run_coroutine_threadsafe(work(), loop).result(1)

    await asyncio.to_thread(t)


async def test_streams():
    async def h(r, w):
        w.write(await r.readline())
        await w.drain()
        w.close()
        await w.wait_closed()

    async with await asyncio.start_server(h, "127.0.0.1", 0) as s:
        r, w = await asyncio.open_connection(*s.sockets[0].getsockname())
        w.write(b"x\n")
        assert await r.read() == b"x\n"
        w.close()
        await w.wait_closed()


async def test_close_no_wait():
    async def h(r, w):
        w.close()

    async with await asyncio.start_server(h, "127.0.0.1", 0) as s:
        r, w = await asyncio.open_connection(*s.sockets[0].getsockname())
        w.close()


async def test_subprocess():
    p = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(1)", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await p.communicate()
    assert out.strip() == b"1"


async def test_subprocess_wait():
    p = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await p.wait()


async def test_udp():
    t, p = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    t.close()


def test_loop():
    l = asyncio.new_event_loop()
    l.run_until_complete(work())
    l.close()


def test_get_event_loop():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            asyncio.get_event_loop()
        except RuntimeError:
            pass


async def test_warns():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        work()


async def test_record():
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        work()


async def test_handler():
    seen = []
    asyncio.get_running_loop().set_exception_handler(lambda l, c: seen.append(c))
    t = asyncio.create_task(boom())
    await asyncio.sleep(0.01)
    del t
    gc.collect()
    assert seen


class TestI(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.t = asyncio.create_task(poll())

    async def asyncTearDown(self):
        self.t.cancel()
        try:
            await self.t
        except asyncio.CancelledError:
            pass

    async def test_it(self):
        await work()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker():
    t = asyncio.create_task(poll())
    yield t
    t.cancel()
    try:
        await t
    except asyncio.CancelledError:
        pass


@pytest.mark.asyncio(loop_scope="module")
async def test_w1(worker):
    await work()


@pytest.mark.asyncio(loop_scope="module")
async def test_w2(worker):
    await work()


async def test_debug_time(monkeypatch):
    real = time.monotonic
    loop = asyncio.get_running_loop()
    off = [0]
    loop.time = lambda: real() + off[0]
    off[0] = 3600
    monkeypatch.setattr(time, "perf_counter", lambda: 1e9)
    await asyncio.sleep(0.01)


async def test_self_fail_unraised():
    async def inner():
        raise SystemError("x")

    with pytest.raises(SystemError):
        await asyncio.ensure_future(inner())


def test_runner_debug_false():
    async def m():
        assert not asyncio.get_running_loop().get_debug()

    asyncio.run(m(), debug=False)


def test_mock():
    m = AsyncMock(return_value=3)

    async def main():
        assert await m() == 3

    asyncio.run(main())


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio(anyio_backend):
    async with anyio.create_task_group() as tg:
        tg.start_soon(anyio.sleep, 0.01)
        with anyio.move_on_after(0.01):
            await anyio.sleep(10)
        tg.start_soon(anyio.sleep, 10)
        await anyio.sleep(0.02)
        tg.cancel_scope.cancel()


async def test_anyio_process():
    assert await anyio.to_process.run_sync(int, "3") == 3


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def session_event():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    task = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    yield loop, event
    await task


async def test_another_loop_is_told_threadsafe(session_event):
    loop, event = session_event
    loop.call_soon_threadsafe(event.set)


def test_loops_in_turn():
    with asyncio.Runner() as first, asyncio.Runner() as second:
        queue = asyncio.Queue()
        task = first.get_loop().create_task(queue.get())
        first.run(work())
        second.run(work())
        queue.put_nowait(1)

        async def result():
            return await task

        assert first.run(result()) == 1
