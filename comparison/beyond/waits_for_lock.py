"""A short wait for a `threading.Lock` in the thread of the loop."""

import asyncio
import threading


# [bad]
async def count(lock):
    lock.acquire()  # here
    try:
        return 1
    finally:
        lock.release()


async def test_bad():
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.03, lock.release).start()
    assert await count(lock) == 1


# [bad end]


# [good]
async def test_good():
    lock = asyncio.Lock()
    async with lock:
        assert lock.locked()


# [good end]
