"""Timers that are left scheduled."""

import asyncio


# [bad]
class Session:
    def __init__(self):
        self.alive = True
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(60, self.expire)  # here

    def expire(self):
        self.alive = False

    def close(self):
        self.timer.cancel()


async def test_bad():
    session = Session()

    assert session.alive


# [bad end]


# [good]
async def test_good():
    session = Session()
    try:
        assert session.alive
    finally:
        session.close()


# [good end]
