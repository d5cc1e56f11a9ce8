"""Tasks that are left pending."""

import asyncio
import contextlib
import gc


# [bad]
async def poll(queue):
    while True:
        await queue.put("tick")
        await asyncio.sleep(60)


async def test_bad():
    queue = asyncio.Queue()

    asyncio.create_task(poll(queue))  # here

    assert await queue.get() == "tick"


# [bad end]


# [good]
async def test_good():
    queue = asyncio.Queue()

    task = asyncio.create_task(poll(queue))
    try:
        assert await queue.get() == "tick"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# [good end]


# [bad chain]
async def create(steps, seconds):
    await asyncio.sleep(seconds)
    steps.append("create")


async def write(steps):
    await asyncio.sleep(0.01)
    steps.append("write")


async def close(steps):
    steps.append("close")


async def test_bad_chain():
    steps = []

    asyncio.create_task(create(steps, seconds=60))  # here
    asyncio.create_task(write(steps))
    asyncio.create_task(close(steps))
    await asyncio.sleep(0.1)

    assert steps == ["close", "write"]  # in the wrong order, and the first never comes


# [bad chain end]


# [good chain]
async def test_good_chain():
    steps = []

    await create(steps, seconds=0.02)
    await write(steps)
    await close(steps)

    assert steps == ["create", "write", "close"]


# [good chain end]


# [good tasks]
async def test_good_tasks():
    steps = []

    await asyncio.create_task(create(steps, seconds=0.02))
    await asyncio.create_task(write(steps))
    await asyncio.create_task(close(steps))

    assert steps == ["create", "write", "close"]


# [good tasks end]


# [bad destroyed]
async def wait_for_news(news):
    await news


async def test_bad_destroyed():
    loop = asyncio.get_running_loop()
    news = loop.create_future()
    task = loop.create_task(wait_for_news(news))  # here
    await asyncio.sleep(0)

    del task, news  # they refer to each other, and nobody else does
    gc.collect()


# [bad destroyed end]


# [good destroyed]
async def test_good_destroyed():
    loop = asyncio.get_running_loop()
    news = loop.create_future()
    task = loop.create_task(wait_for_news(news))
    await asyncio.sleep(0)

    news.set_result("it rains")
    await task


# [good destroyed end]
