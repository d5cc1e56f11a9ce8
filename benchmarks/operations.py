"""Times asyncio's operations within a test; run by ``python -m benchmarks``."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

COUNT = 20_000
REPEATS = 5


def noop() -> None:
    pass


async def coroutine() -> None:
    pass


async def call_soon() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(COUNT):
        loop.call_soon(noop)
    await asyncio.sleep(0)


async def call_later() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(COUNT):
        loop.call_later(0, noop)
    await asyncio.sleep(0.001)


async def create_task() -> None:
    for _ in range(COUNT):
        await asyncio.create_task(coroutine())


async def create_future() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(COUNT):
        loop.create_future()


async def sleep_0() -> None:
    for _ in range(COUNT):
        await asyncio.sleep(0)


async def await_future() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(COUNT):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


async def coroutine_call() -> None:
    for _ in range(COUNT):
        await coroutine()


OPERATIONS: dict[str, Callable[[], Awaitable[None]]] = {
    "call_soon": call_soon,
    "call_later": call_later,
    "create_task, and run": create_task,
    "create_future": create_future,
    "sleep(0)": sleep_0,
    "a future awaited": await_future,
    "a coroutine called and awaited": coroutine_call,
}


async def test_operations() -> None:
    best = {}
    for name, operation in OPERATIONS.items():
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            await operation()
            times.append(time.perf_counter() - began)
        best[name] = min(times) / COUNT * 1e9
    Path(os.environ["BENCHMARK_OUT"]).write_text(json.dumps(best), encoding="utf-8")
