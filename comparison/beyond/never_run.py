"""A bug in code that no test runs."""

import asyncio


# [bad]
async def refresh(seconds):
    asyncio.create_task(asyncio.sleep(seconds))  # here


async def test_bad():
    assert refresh.__name__ == "refresh"


# [bad end]


# [good]
async def refresh_and_wait(seconds):
    await asyncio.create_task(asyncio.sleep(seconds))


async def test_good():
    assert await refresh_and_wait(0) is None


# [good end]
