"""Times operations of asyncio and some realistic work; run by ``python -m benchmarks``."""

from __future__ import annotations

import asyncio
import importlib
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


async def echo() -> None:
    """A client sends messages to a server, which sends them back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(1_000):
            writer.write(b"x" * 100 + b"\n")
            await writer.drain()
            await reader.readline()
        writer.close()
        await writer.wait_closed()


async def queue() -> None:
    """A producer and a consumer share a queue."""
    items: asyncio.Queue[int] = asyncio.Queue(10)

    async def consume() -> None:
        while await items.get():
            items.task_done()

    consumer = asyncio.create_task(consume())
    for number in range(1, 10_000):
        await items.put(number)
    await items.put(0)
    await consumer


async def tree() -> None:
    """Tasks await tasks, five levels deep."""

    async def grow(depth: int) -> int:
        if not depth:
            await asyncio.sleep(0)
            return 1
        return sum(await asyncio.gather(*(grow(depth - 1) for _ in range(4))))

    await grow(5)


async def wait_for() -> None:
    for _ in range(2_000):
        await asyncio.wait_for(asyncio.sleep(0), 10)


async def chain() -> None:
    """Coroutines await coroutines, fifty levels deep."""

    async def descend(depth: int) -> None:
        if depth:
            await descend(depth - 1)
        else:
            await asyncio.sleep(0)

    for _ in range(200):
        await descend(50)


OPERATIONS: dict[str, Callable[[], Awaitable[None]]] = {
    "call_soon": call_soon,
    "call_later": call_later,
    "create_task, run once": create_task,
    "create_future": create_future,
    "sleep(0)": sleep_0,
    "await a future": await_future,
    "call and await a coroutine": coroutine_call,
}
#: Work that also waits for the system, so measured in CPU time of all threads.
WORK: dict[str, Callable[[], Awaitable[None]]] = {
    "echo server, CPU time": echo,
    "queue, CPU time": queue,
    "tree of tasks with gather, CPU time": tree,
    "wait_for, CPU time": wait_for,
    "deep chain of coroutines, CPU time": chain,
}
ON_UVLOOP = {"uvloop: call_soon": call_soon, "uvloop: create_task, run once": create_task}


async def best_of(operation: Callable[[], Awaitable[None]], clock: Callable[[], float]) -> float:
    """Seconds of the fastest of `REPEATS` calls of ``operation``."""
    times = []
    for _ in range(REPEATS):
        began = clock()
        await operation()
        times.append(clock() - began)
    return min(times)


def record(best: dict[str, float]) -> None:
    """Add ``best``, nanoseconds by operation, to the file that ``BENCHMARK_OUT`` names."""
    path = Path(os.environ["BENCHMARK_OUT"])
    sofar = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**sofar, **best}), encoding="utf-8")


async def test_operations() -> None:
    record(
        {
            name: await best_of(operation, time.perf_counter) / COUNT * 1e9
            for name, operation in OPERATIONS.items()
        }
    )


async def test_work() -> None:
    record({name: await best_of(work, time.process_time) * 1e9 for name, work in WORK.items()})


def test_uvloop() -> None:
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return

    async def measure() -> dict[str, float]:
        return {
            name: await best_of(operation, time.perf_counter) / COUNT * 1e9
            for name, operation in ON_UVLOOP.items()
        }

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        record(runner.run(measure()))
