"""The tasks of the service."""

from __future__ import annotations

import asyncio

from .worker import Task


async def square(argument: str) -> str:
    """The square of a whole number."""
    await asyncio.sleep(0.01)
    return str(int(argument) ** 2)


TASKS: dict[str, Task] = {"square": square}
