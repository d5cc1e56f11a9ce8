"""Each test has the asyncio bug that it is named for. Without the plugin, all of them
pass, except the deadlock, which hangs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from jobs import Client, Pool, Session, State, serving
from jobs.tasks import TASKS


async def test_never_awaited(client: Client) -> None:
    number = await client.submit("square", "3")

    assert client.result(number)  # a coroutine is always true


async def test_unretrieved_exception(client: Client) -> None:
    numbers = [await client.submit("square", argument) for argument in ("3", "three")]

    tasks = [asyncio.create_task(client.result(number)) for number in numbers]
    done, _ = await asyncio.wait(tasks)

    assert len(done) == 2  # both have finished; their results are never read


@pytest.fixture
async def pool() -> Pool:
    pool = Pool(TASKS)
    pool.start()
    return pool  # nothing stops its workers


async def test_pending_task(pool: Pool) -> None:
    job = await pool.submit("square", "3")

    await pool.store.finished(job.number)

    assert (job.state, job.result) == (State.DONE, "9")


async def test_unclosed_transport(address: tuple[str, int]) -> None:
    client = await Client.connect(*address)  # never closed

    number = await client.submit("square", "3")

    assert await client.result(number) == "9"


async def square(argument: str) -> str:
    """Use the service as a script would."""
    async with serving(TASKS) as address, await Client.connect(*address) as client:
        return await client.result(await client.submit("square", argument))


def test_unclosed_loop() -> None:
    loop = asyncio.new_event_loop()

    assert loop.run_until_complete(square("3")) == "9"


def look_up(name: str) -> str:
    """Stands for a driver that blocks until it gets a reply."""
    time.sleep(0.25)
    return name.upper()


async def look_up_task(name: str) -> str:
    return look_up(name)  # blocks the event loop of the server


async def test_slow_callback() -> None:
    async with (
        serving({"look-up": look_up_task}) as address,
        await Client.connect(*address) as client,
    ):
        number = await client.submit("look-up", "ada")

        assert await client.result(number) == "ADA"


async def test_unclosed_asyncgen(client: Client) -> None:
    numbers = [await client.submit("square", argument) for argument in ("3", "4")]

    async for result in results(client, numbers):
        assert result == "9"
        break


async def results(client: Client, numbers: list[int]) -> AsyncIterator[str]:
    """Yield the result of each job."""
    for number in numbers:
        yield await client.result(number)


async def test_unclosed_resource(address: tuple[str, int]) -> None:
    session = Session(*address)  # never closed

    assert await session.run("square", "3") == "9"


async def test_wrong_thread() -> None:
    finished: asyncio.Queue[str] = asyncio.Queue()
    waiting = asyncio.create_task(finished.get())
    await asyncio.sleep(0)

    def driver() -> None:
        finished.put_nowait("ADA")

    await asyncio.to_thread(driver)

    assert await waiting == "ADA"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def printed() -> AsyncIterator[asyncio.Queue[str]]:
    queue: asyncio.Queue[str] = asyncio.Queue()
    printer = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    yield queue
    await printer


async def test_wrong_loop(printed: asyncio.Queue[str]) -> None:
    printed.put_nowait("9")  # the printer does not run before the test has ended

    assert printed.qsize() == 1


async def test_invalid_state() -> None:
    loop = asyncio.get_running_loop()
    reply = loop.create_future()
    loop.call_soon(reply.set_result, "9")

    reply.cancel()  # the client has disconnected

    await asyncio.sleep(0)


async def test_callback_exception(client: Client) -> None:
    async def ask() -> str:
        return await client.result(await client.submit("square", "3"))

    task = asyncio.create_task(ask())
    task.add_done_callback(lambda task: show(int(task.result()), unit=""))

    assert await task == "9"


def show(number: int, unit: str) -> str:
    """Format a number for people."""
    return f"{number} {unit[0]}"


async def test_blocking_call() -> None:
    jobs = await read_jobs(Path(__file__).with_name("jobs.txt"))

    assert jobs == ["square 3", "square 4"]


async def read_jobs(path: Path) -> list[str]:
    """The jobs in a file, one per line."""
    return path.read_text(encoding="utf-8").splitlines()


async def test_lingering_timer(client: Client) -> None:
    asyncio.get_running_loop().call_later(60, print, "no request for a minute")

    assert await client.result(await client.submit("square", "3")) == "9"


async def test_swallowed_cancellation() -> None:
    worker = asyncio.create_task(work_until_cancelled())
    await asyncio.sleep(0)

    worker.cancel()

    assert await worker is None


async def work_until_cancelled() -> None:
    """Stands for a worker that ignores its cancellation."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return


async def test_deadlock() -> None:
    answers: asyncio.Queue[str] = asyncio.Queue()

    assert await answers.get() == "9"  # nobody puts the answer
