"""A quick file system call in the thread of the loop."""

import asyncio
import os


# [bad]
async def size_of(path):
    return os.stat(path).st_size  # here


async def test_bad():
    assert await size_of(__file__) > 0


# [bad end]


# [good]
async def test_good():
    assert await asyncio.to_thread(os.stat, __file__)


# [good end]
