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


# [good chained]
async def refresh_or_keep(cache, log):
    try:
        await refresh(cache)
    except ConnectionError as error:
        log.append(str(error))


async def test_good_chained():
    cache, log = {"answer": 42}, []

    task = asyncio.create_task(refresh_or_keep(cache, log))
    await asyncio.wait([task])

    assert log == ["the server has gone away"]


# [good chained end]


# [bad loop]
def test_bad_loop():
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.create_task(refresh({}))  # here
        runner.run(asyncio.sleep(0.01))


# [bad loop end]


# [good loop]
def test_good_loop():
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(refresh({}))
        with pytest.raises(ConnectionError):
            loop.run_until_complete(task)


# [good loop end]
