"""What tasks wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pytest_asyncio_traps.core.awaits import await_chain, unawaited


async def forever() -> None:
    await asyncio.Event().wait()


async def awaits_a_task() -> None:
    await asyncio.create_task(forever(), name="inner")


async def gathers() -> None:
    await asyncio.gather(asyncio.create_task(forever(), name="inner"), asyncio.sleep(0))


async def has_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(forever(), name="inner")


async def waits() -> None:
    await asyncio.wait([asyncio.create_task(forever(), name="inner")])


WAYS = [awaits_a_task, gathers, has_a_group, waits]


async def suspended(function: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """A task that runs ``function`` and has come as far as it gets."""
    task = asyncio.create_task(function(), name="outer")
    for _ in range(5):
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("function", [awaits_a_task, gathers, has_a_group])
def test_a_chain_goes_on_in_the_task_that_is_awaited(
    function: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    async def main() -> None:
        chain = await_chain(await suspended(function))
        assert [place.function for place in chain] == [function.__name__, "forever"]

    asyncio.run(main())


@pytest.mark.parametrize("function", WAYS)
def test_a_task_that_another_one_waits_for_is_awaited(
    function: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    async def main() -> None:
        outer = await suspended(function)
        pending = sorted(asyncio.all_tasks() - {asyncio.current_task()}, key=asyncio.Task.get_name)
        assert [task.get_name() for task in pending] == ["inner", "outer"]
        assert unawaited(pending) == [outer]

    asyncio.run(main())


def test_a_ring_of_tasks_has_an_end() -> None:
    async def main() -> None:
        async def wait_for_it() -> None:
            await tasks[1]

        tasks: list[asyncio.Task[None]] = [asyncio.create_task(wait_for_it())]

        async def wait_for_the_first() -> None:
            await tasks[0]

        tasks.append(asyncio.create_task(wait_for_the_first()))
        await asyncio.sleep(0)
        chain = await_chain(tasks[0])
        assert [place.function for place in chain] == ["wait_for_it", "wait_for_the_first"]
        for task in tasks:
            task.get_coro().close()
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
