"""Calls that block, however short."""

import asyncio
import pathlib


# [bad]
async def read_settings(path):
    return path.read_text()  # here


async def test_bad():
    text = await read_settings(pathlib.Path(__file__))

    assert "settings" in text


# [bad end]


# [good]
async def read_settings_aside(path):
    return await asyncio.to_thread(path.read_text)


async def test_good():
    text = await read_settings_aside(pathlib.Path(__file__))

    assert "settings" in text


# [good end]
