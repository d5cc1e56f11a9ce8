"""A connection that stays open."""

import asyncio

import pytest


@pytest.fixture
async def address():
    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()


# [bad]
async def test_bad(address):
    reader, writer = await asyncio.open_connection(*address)  # here
    writer.write(b"hello\n")

    assert await reader.readline() == b"hello\n"


# [bad end]


# [good]
async def test_good(address):
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(b"hello\n")

        assert await reader.readline() == b"hello\n"
    finally:
        writer.close()
        await writer.wait_closed()


# [good end]
