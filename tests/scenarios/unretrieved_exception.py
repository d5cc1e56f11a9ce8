"""A task that fails, and nobody hears of it."""

import asyncio

import pytest


# [bad]
async def refresh(cache):
    raise ConnectionError("the server has gone away")


async def test_bad():
    cache = {"answer": 42}

    task = asyncio.create_task(refresh(cache))  # here
    await asyncio.wait([task])  # waits for the end, whatever end it is

    assert cache == {"answer": 42}


# [bad end]


# [good]
async def test_good():
    cache = {"answer": 42}

    task = asyncio.create_task(refresh(cache))
    with pytest.raises(ConnectionError):
        await task

    assert cache == {"answer": 42}


# [good end]
