"""The tests of test_broken.py, mended: none of them springs a trap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from jobs import Client, JobError, Pool, State, serving
from jobs.tasks import TASKS


async def test_never_awaited(client: Client) -> None:
    number = await client.submit("square", "3")

    assert await client.result(number) == "9"


async def test_unretrieved_exception(client: Client) -> None:
    numbers = [await client.submit("square", argument) for argument in ("3", "three")]

    tasks = [asyncio.create_task(client.result(number)) for number in numbers]
    await asyncio.wait(tasks)

    assert tasks[0].result() == "9"
    with pytest.raises(JobError, match="invalid literal"):
        tasks[1].result()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    async with Pool(TASKS) as pool:
        yield pool


async def test_pending_task(pool: Pool) -> None:
    job = await pool.submit("square", "3")

    await pool.store.finished(job.number)

    assert (job.state, job.result) == (State.DONE, "9")


async def test_unclosed_transport(address: tuple[str, int]) -> None:
    async with await Client.connect(*address) as client:
        number = await client.submit("square", "3")

        assert await client.result(number) == "9"


async def square(argument: str) -> str:
    """As a script would use the service."""
    async with serving(TASKS) as address, await Client.connect(*address) as client:
        return await client.result(await client.submit("square", argument))


def test_unclosed_loop() -> None:
    assert asyncio.run(square("3")) == "9"


def look_up(name: str) -> str:
    """Stands for a driver that waits for its answer."""
    time.sleep(0.25)
    return name.upper()


async def look_up_task(name: str) -> str:
    return await asyncio.to_thread(look_up, name)


async def test_slow_callback() -> None:
    async with (
        serving({"look-up": look_up_task}) as address,
        await Client.connect(*address) as client,
    ):
        number = await client.submit("look-up", "ada")

        assert await client.result(number) == "ADA"
