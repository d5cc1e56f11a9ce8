"""Tests that wait for something that can never happen."""

import asyncio


# [bad]
async def consume(queue):
    return await queue.get()


async def test_bad():
    queue = asyncio.Queue()

    consumer = asyncio.create_task(consume(queue))

    assert await consumer == "job"  # here


# [bad end]


# [good]
async def test_good():
    queue = asyncio.Queue()

    consumer = asyncio.create_task(consume(queue))
    queue.put_nowait("job")

    assert await consumer == "job"


# [good end]


# [bad locks]
async def move(source, target):
    async with source:
        await asyncio.sleep(0)
        async with target:
            pass


async def test_bad_locks():
    here, there = asyncio.Lock(), asyncio.Lock()

    await asyncio.gather(move(here, there), move(there, here))  # here


# [bad locks end]


# [good locks]
async def test_good_locks():
    here, there = asyncio.Lock(), asyncio.Lock()

    await asyncio.gather(move(here, there), move(here, there))  # always in one order


# [good locks end]
