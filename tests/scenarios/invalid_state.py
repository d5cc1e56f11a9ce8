"""Futures that are completed twice."""

import asyncio

import pytest


# [bad]
async def test_bad():
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    def deliver():
        answer.set_result(42)  # here

    loop.call_later(0.02, deliver)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer, timeout=0.01)

    await asyncio.sleep(0.02)  # the answer comes after all


# [bad end]


# [good]
async def test_good():
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    def deliver():
        if not answer.done():
            answer.set_result(42)

    loop.call_later(0.02, deliver)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer, timeout=0.01)

    await asyncio.sleep(0.02)


# [good end]


# [bad scheduled]
async def test_bad_scheduled():
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    loop.call_soon(answer.set_result, 42)  # here
    answer.cancel()  # before its turn has come

    await asyncio.sleep(0)


# [bad scheduled end]


# [good scheduled]
async def test_good_scheduled():
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    loop.call_soon(lambda: answer.cancelled() or answer.set_result(42))
    answer.cancel()

    await asyncio.sleep(0)


# [good scheduled end]


# [good early]
async def report(answer, lines):
    if answer.cancelled():
        return  # nobody is going to read it
    lines.append("It took seven and a half million years.")
    lines.append(f"The answer is {await answer}.")


async def test_good_early():
    lines = []
    answer = asyncio.get_running_loop().create_future()
    answer.cancel()

    await report(answer, lines)

    assert lines == []


# [good early end]
