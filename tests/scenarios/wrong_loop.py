"""Objects that one loop made, used in another."""

import asyncio

import pytest
import pytest_asyncio


# [bad]
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mailbox():
    letters, read = asyncio.Queue(), []

    async def reader():
        while True:
            read.append(await letters.get())

    task = asyncio.create_task(reader())
    await asyncio.sleep(0)
    yield letters, read
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.asyncio(loop_scope="function")
async def test_bad(mailbox):
    letters, _ = mailbox
    letters.put_nowait("hello")  # here
    await asyncio.sleep(0.01)  # the reader is not run meanwhile


# [bad end]


# [good]
@pytest.mark.asyncio(loop_scope="module")
async def test_good(mailbox):
    letters, read = mailbox
    letters.put_nowait("hello")
    await asyncio.sleep(0.01)

    assert read[-1] == "hello"


# [good end]


# [good fixture]
@pytest_asyncio.fixture(scope="function", loop_scope="function")
async def own_mailbox():
    letters, read = asyncio.Queue(), []

    async def reader():
        while True:
            read.append(await letters.get())

    task = asyncio.create_task(reader())
    yield letters, read
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.asyncio(loop_scope="function")
async def test_good_fixture(own_mailbox):
    letters, read = own_mailbox
    letters.put_nowait("hello")
    await asyncio.sleep(0.01)

    assert read == ["hello"]


# [good fixture end]


# [good handover]
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def main_loop():
    return asyncio.get_running_loop()


@pytest.mark.asyncio(loop_scope="function")
async def test_good_handover(mailbox, main_loop):
    letters, _ = mailbox
    main_loop.call_soon_threadsafe(letters.put_nowait, "for later")


# [good handover end]
