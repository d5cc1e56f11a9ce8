"""A client that is dropped without being closed."""

import asyncio
import warnings


class Client:
    """Stands for the client of a library. Its destructor does what that of aiohttp's session does."""

    def __init__(self):
        self.closed = False

    async def get(self, name):
        await asyncio.sleep(0)
        return name.upper()

    async def close(self):
        await asyncio.sleep(0)
        self.closed = True

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc_info):
        await self.close()

    def __del__(self):
        if not self.closed:
            warnings.warn(f"Unclosed client {self!r}", ResourceWarning, source=self)


# [bad]
async def test_bad():
    client = Client()  # here

    assert await client.get("ada") == "ADA"


# [bad end]


# [good]
async def test_good():
    async with Client() as client:
        assert await client.get("ada") == "ADA"


# [good end]
