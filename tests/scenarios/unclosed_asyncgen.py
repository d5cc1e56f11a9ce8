"""Async generators that are left suspended."""

import asyncio
import contextlib


# [bad]
async def rows(log):
    log.append("open")
    try:
        for number in range(3):
            yield number
            await asyncio.sleep(0)
    finally:
        log.append("close")


async def test_bad():
    log = []

    async for row in rows(log):  # here
        if row == 1:
            break

    assert log == ["open"]  # and when is it closed?


# [bad end]


# [good]
async def test_good():
    log = []

    async with contextlib.aclosing(rows(log)) as results:
        async for row in results:
            if row == 1:
                break

    assert log == ["open", "close"]


# [good end]
