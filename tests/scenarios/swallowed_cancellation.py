"""Tasks that were cancelled and returned as if they had not been."""

import asyncio
import contextlib


# [bad]
async def consume(queue, log):
    try:
        while True:
            log.append(await queue.get())
    except asyncio.CancelledError:
        log.append("end")


async def test_bad():
    log = []

    task = asyncio.create_task(consume(asyncio.Queue(), log))  # here
    await asyncio.sleep(0)
    task.cancel()
    await task

    assert log == ["end"]


# [bad end]


# [good]
async def consume_well(queue, log):
    try:
        while True:
            log.append(await queue.get())
    finally:
        log.append("end")


async def test_good():
    log = []

    task = asyncio.create_task(consume_well(asyncio.Queue(), log))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert log == ["end"]


# [good end]
