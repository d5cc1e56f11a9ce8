"""Exceptions in callbacks."""

import asyncio


# [bad]
async def test_bad():
    prices = {"tea": 3}
    done = asyncio.Event()

    def report():
        done.set()
        prices["total"] = prices["tea"] + prices["milk"]  # here

    asyncio.get_running_loop().call_later(0.01, report)
    await done.wait()

    assert prices["tea"] == 3


# [bad end]


# [good]
async def test_good():
    prices = {"tea": 3, "milk": 1}

    async def report():
        await asyncio.sleep(0.01)
        prices["total"] = prices["tea"] + prices["milk"]

    await asyncio.create_task(report())

    assert prices["total"] == 4


# [good end]
