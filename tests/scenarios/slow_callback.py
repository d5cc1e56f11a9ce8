"""A step of the loop that blocks it."""

import asyncio
import time


# [bad]
async def fetch():
    time.sleep(0.3)  # here
    return "page"


async def test_bad():
    assert await fetch() == "page"


# [bad end]


# [good]
async def fetch_in_thread():
    await asyncio.to_thread(time.sleep, 0.3)
    return "page"


async def test_good():
    assert await fetch_in_thread() == "page"


# [good end]


# [good executor]
async def fetch_in_executor():
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, time.sleep, 0.3)
    return "page"


async def test_good_executor():
    assert await fetch_in_executor() == "page"


# [good executor end]
