"""Loops that are touched from other threads."""

import asyncio
import threading


# [bad]
async def test_bad():
    loop = asyncio.get_running_loop()
    measured = loop.create_future()

    def measure():
        measured.set_result(21.5)  # here

    threading.Thread(target=measure).start()
    while not measured.done():
        await asyncio.sleep(0.001)

    assert measured.result() == 21.5


# [bad end]


# [good]
async def test_good():
    loop = asyncio.get_running_loop()
    measured = loop.create_future()

    def measure():
        loop.call_soon_threadsafe(measured.set_result, 21.5)

    threading.Thread(target=measure).start()

    assert await measured == 21.5


# [good end]


# [bad coroutine]
async def refresh(cache):
    cache["fresh"] = True


async def test_bad_coroutine():
    loop = asyncio.get_running_loop()
    cache = {}

    def work():
        loop.create_task(refresh(cache))  # here

    await asyncio.to_thread(work)
    await asyncio.sleep(0.01)


# [bad coroutine end]


# [good coroutine]
async def test_good_coroutine():
    loop = asyncio.get_running_loop()
    cache = {}

    def work():
        asyncio.run_coroutine_threadsafe(refresh(cache), loop).result()

    await asyncio.to_thread(work)

    assert cache["fresh"]


# [good coroutine end]


# [bad cancel]
async def test_bad_cancel():
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)

    def give_up():
        task.cancel()  # here

    await asyncio.to_thread(give_up)
    await asyncio.wait([task])


# [bad cancel end]


# [good cancel]
async def test_good_cancel():
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)

    def give_up():
        loop.call_soon_threadsafe(task.cancel)

    await asyncio.to_thread(give_up)
    await asyncio.wait([task])


# [good cancel end]
