"""An event loop that stays open."""

import asyncio


# [bad]
async def answer():
    await asyncio.sleep(0)
    return 42


def test_bad():
    loop = asyncio.new_event_loop()  # here

    assert loop.run_until_complete(answer()) == 42


# [bad end]


# [good]
def test_good():
    with asyncio.Runner() as runner:
        assert runner.run(answer()) == 42


# [good end]
