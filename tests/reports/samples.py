"""Test modules that the tests of several reports run."""

from __future__ import annotations

#: One finding, of the kind pending-task, made in the line that ends in ``# here``.
PENDING_TASK = """
import asyncio

async def poll():
    await asyncio.sleep(3600)

async def test_it():
    task = asyncio.create_task(poll())  # here
    await asyncio.sleep(0)
"""
