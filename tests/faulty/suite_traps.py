"""A trap of each kind, so that what tells of it is run. Their outcomes depend on the plugin."""

import asyncio
import functools
import threading
import time
import warnings

import pytest

from test_sound import LOOPS, count, fail, work

KEPT = []


async def poll():
    await asyncio.sleep(3600)


async def never_awaited():
    work()


async def unretrieved_exception():
    asyncio.create_task(fail())
    await asyncio.sleep(0.001)


async def unretrieved_future():
    asyncio.get_running_loop().create_future().set_exception(LookupError("lost"))


async def unretrieved_behind_a_shield():
    task = asyncio.create_task(fail())
    outer = asyncio.shield(task)
    outer.cancel()
    await asyncio.sleep(0.001)


async def unretrieved_in_a_thread():
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(fail(), loop))
    await asyncio.sleep(0.001)


async def pending_task():
    KEPT.append(asyncio.create_task(poll()))
    await asyncio.sleep(0)


async def unclosed_transport():
    KEPT.append(await asyncio.start_server(print, "127.0.0.1", 0))


async def slow_callback():
    await asyncio.sleep(0)
    time.sleep(0.15)


async def invalid_state():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.cancel()
    loop.call_soon(future.set_result, 1)
    await asyncio.sleep(0)


async def callback_exception():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)


async def unclosed_asyncgen():
    async for _ in count():
        break
    await asyncio.sleep(0.001)


class Client:
    def __init__(self, loop):
        self.loop = loop

    async def close(self):
        self.loop = None

    def __del__(self):
        if self.loop is not None:
            warnings.warn("a client was not closed", ResourceWarning)
            context = {"client": self, "message": "a client was not closed"}
            self.loop.call_exception_handler(context)


async def unclosed_resource():
    Client(asyncio.get_running_loop())


async def wrong_thread():
    loop = asyncio.get_running_loop()
    future, event = loop.create_future(), asyncio.Event()
    event._get_loop()

    def touch():
        loop.call_soon(print)
        loop.call_later(0.001, print)
        future.set_result(1)
        event.set()

    await asyncio.to_thread(touch)
    await asyncio.sleep(0.002)


async def wrong_thread_in_debug_mode():
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    thread = threading.Thread(target=loop.call_soon, args=(print,))
    thread.start()
    thread.join()


async def wrong_loop():
    running, loop = asyncio.get_running_loop(), type(asyncio.get_running_loop())()

    def run_within_this():
        asyncio._set_running_loop(None)
        loop.call_soon(loop.stop)
        loop.run_forever()
        asyncio._set_running_loop(running)

    run_within_this()
    loop.call_soon(print)
    run_within_this()
    loop.call_later(0.001, print)
    loop.create_task(work())
    run_within_this()
    loop.call_soon(print)
    loop.close()


async def wrong_loop_that_asyncio_refuses():
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()
    await asyncio.gather(asyncio.get_running_loop().create_future(), future)


async def blocking_call():
    open(__file__).close()


async def lingering_timer():
    asyncio.get_running_loop().call_later(3600, print)


async def swallowed_cancellation():
    async def stubborn():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    await task


TRAPS = [
    never_awaited, unretrieved_exception, unretrieved_future, unretrieved_behind_a_shield, unretrieved_in_a_thread,
    pending_task, unclosed_transport, pytest.param(slow_callback, marks=pytest.mark.asyncio_slow_callback_duration(0.05), id="slow_callback"), invalid_state, callback_exception,
    unclosed_asyncgen, unclosed_resource, wrong_thread, wrong_thread_in_debug_mode, wrong_loop, wrong_loop_that_asyncio_refuses, blocking_call, lingering_timer,
    swallowed_cancellation,
]  # fmt: skip


@pytest.mark.parametrize("make", LOOPS, ids=["asyncio", "uvloop"][: len(LOOPS)])
@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
@pytest.mark.filterwarnings("ignore")
def test_trap(trap, make):
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(trap())
    KEPT.clear()


def test_unclosed_loop():
    asyncio.new_event_loop()


@pytest.mark.asyncio_allow(reason="tried")
def test_allowed():
    work()


@pytest.mark.xfail
def test_expected():
    work()


def test_joins_a_failure():
    work()
    raise LookupError("the test's own")


def test_late():
    KEPT.append(asyncio.new_event_loop())
    KEPT.append(work())


def test_of_another():
    KEPT.clear()


#: The plugin does not expect that the timer of pytest-timeout wakes a loop: what it takes for that
#: timer ends the test where the plugin is not there to do so.
AS_TIMEOUT = {}
exec(
    compile("def call(function): function()", "/site-packages/pytest_timeout.py", "exec"),
    AS_TIMEOUT,
)


def test_deadlock():
    async def main():
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        wake = functools.partial(loop.call_soon_threadsafe, event.set)
        timer = threading.Timer(2, AS_TIMEOUT["call"], [wake])
        timer.start()
        try:
            await event.wait()
        finally:
            timer.cancel()

    asyncio.run(main())
