"""The tests of test_broken.py without their bugs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio
from jobs import Client, JobError, Pool, Session, State, serving
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
    """Use the service as a script would."""
    async with serving(TASKS) as address, await Client.connect(*address) as client:
        return await client.result(await client.submit("square", argument))


def test_unclosed_loop() -> None:
    assert asyncio.run(square("3")) == "9"


def look_up(name: str) -> str:
    """Stands for a driver that blocks until it gets a reply."""
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


async def test_unclosed_asyncgen(client: Client) -> None:
    numbers = [await client.submit("square", argument) for argument in ("3", "4")]

    async with aclosing(results(client, numbers)) as found:
        async for result in found:
            assert result == "9"
            break


async def results(client: Client, numbers: list[int]) -> AsyncGenerator[str, None]:
    """Yield the result of each job."""
    for number in numbers:
        yield await client.result(number)


async def test_unclosed_resource(address: tuple[str, int]) -> None:
    async with Session(*address) as session:
        assert await session.run("square", "3") == "9"


async def test_wrong_thread() -> None:
    finished: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(finished.get())
    await asyncio.sleep(0)

    def driver() -> None:
        loop.call_soon_threadsafe(finished.put_nowait, "ADA")

    await asyncio.to_thread(driver)

    assert await waiting == "ADA"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def printed() -> AsyncIterator[asyncio.Queue[str]]:
    queue: asyncio.Queue[str] = asyncio.Queue()
    printer = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    yield queue
    await printer


@pytest.mark.asyncio(loop_scope="module")
async def test_wrong_loop(printed: asyncio.Queue[str]) -> None:
    printed.put_nowait("9")
    await asyncio.sleep(0)

    assert printed.qsize() == 0


async def test_invalid_state() -> None:
    loop = asyncio.get_running_loop()
    reply = loop.create_future()
    loop.call_soon(lambda: reply.done() or reply.set_result("9"))

    reply.cancel()

    await asyncio.sleep(0)


async def test_callback_exception(client: Client) -> None:
    async def ask() -> str:
        return await client.result(await client.submit("square", "3"))

    result = await asyncio.create_task(ask())

    assert show(int(result), unit="m") == "9 m"


def show(number: int, unit: str) -> str:
    """Format a number for people."""
    return f"{number} {unit[0]}"


async def test_blocking_call() -> None:
    jobs = await read_jobs(Path(__file__).with_name("jobs.txt"))

    assert jobs == ["square 3", "square 4"]


async def read_jobs(path: Path) -> list[str]:
    """The jobs in a file, one per line."""
    text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    return text.splitlines()


async def test_lingering_timer(client: Client) -> None:
    timer = asyncio.get_running_loop().call_later(60, print, "no request for a minute")
    try:
        assert await client.result(await client.submit("square", "3")) == "9"
    finally:
        timer.cancel()


async def test_swallowed_cancellation() -> None:
    worker = asyncio.create_task(work_until_cancelled())
    await asyncio.sleep(0)

    worker.cancel()

    with pytest.raises(asyncio.CancelledError):
        await worker


async def work_until_cancelled() -> None:
    """Stands for a worker that stops when it is cancelled."""
    await asyncio.sleep(60)


async def test_deadlock() -> None:
    answers: asyncio.Queue[str] = asyncio.Queue()

    answers.put_nowait("9")

    assert await answers.get() == "9"
