"""What the plugin advises is literally true: applied to the code, it silences the finding."""

from __future__ import annotations

import textwrap

import pytest

from ..run import Suite

HEAD = """
import asyncio, contextlib, threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import AsyncMock, MagicMock
import pytest, pytest_asyncio

async def work():
    return 1

async def forever():
    await asyncio.Event().wait()

async def numbers():
    yield 1
    yield 2

class Session:
    def add(self, row): ...
    async def commit(self): ...

async def store(session):
    session.add(1)
    await session.commit()

@contextlib.asynccontextmanager
async def resource():
    yield 1

KEPT = []
"""

#: The code that is found, words of the advice, and the code as the advice has it.
ADVICE = {
    "never-awaited": (
        "async def test_it():\n    work()\n",
        "Await it, or pass it to asyncio.create_task() or a TaskGroup.",
        "async def test_it():\n    await work()\n",
    ),
    "a mock, with a MagicMock": (
        "async def test_it():\n    double = AsyncMock()\n    await store(double)\n",
        "give the double a MagicMock for it (double.add = MagicMock())",
        "async def test_it():\n"
        "    double = AsyncMock()\n"
        "    double.add = MagicMock()\n"
        "    await store(double)\n",
    ),
    "a mock, with a spec": (
        "async def test_it():\n    double = AsyncMock()\n    await store(double)\n",
        "or a spec (AsyncMock(spec=TheClass))",
        "async def test_it():\n    double = AsyncMock(spec=Session)\n    await store(double)\n",
    ),
    "an async function in an executor": (
        "async def test_it():\n    await asyncio.get_running_loop().run_in_executor(None, work)\n",
        "a function to the executor that calls asyncio.run()",
        "async def test_it():\n"
        "    def run():\n"
        "        return asyncio.run(work())\n"
        "    await asyncio.get_running_loop().run_in_executor(None, run)\n",
    ),
    "an async function as a callback": (
        "async def test_it():\n"
        "    asyncio.get_running_loop().call_soon(work)\n"
        "    await asyncio.sleep(0.01)\n",
        "Let a plain function call asyncio.create_task(), and keep the task.",
        "async def test_it():\n"
        "    tasks = []\n"
        "    asyncio.get_running_loop().call_soon(\n"
        "        lambda: tasks.append(asyncio.create_task(work()))\n"
        "    )\n"
        "    await asyncio.sleep(0.01)\n"
        "    await asyncio.gather(*tasks)\n",
    ),
    "a generator": (
        "async def test_it():\n    async for number in numbers():\n        break\n",
        "async with contextlib.aclosing(generator) does so",
        "async def test_it():\n"
        "    async with contextlib.aclosing(numbers()) as generator:\n"
        "        async for number in generator:\n"
        "            break\n",
    ),
    "a context manager that was entered by hand": (
        "async def test_it():\n    KEPT.append(resource())\n    await KEPT[-1].__aenter__()\n",
        "Enter it by async with, or by enter_async_context() of an AsyncExitStack that is left.",
        "async def test_it():\n"
        "    async with resource():\n"
        "        pass\n"
        "    async with contextlib.AsyncExitStack() as stack:\n"
        "        await stack.enter_async_context(resource())\n",
    ),
    "a job in an executor of the user's": (
        "async def test_it():\n"
        "    pool = ThreadPoolExecutor(1)\n"
        "    go = threading.Event()\n"
        "    asyncio.get_running_loop().run_in_executor(pool, go.wait, 0.4)\n",
        "Await what run_in_executor() returns before the test or fixture ends.",
        "async def test_it():\n"
        "    pool = ThreadPoolExecutor(1)\n"
        "    go = threading.Event()\n"
        "    await asyncio.get_running_loop().run_in_executor(pool, go.wait, 0.01)\n",
    ),
    "pending-task": (
        "async def test_it():\n    asyncio.create_task(forever())\n    await asyncio.sleep(0)\n",
        "cancel it and await it",
        "async def test_it():\n"
        "    task = asyncio.create_task(forever())\n"
        "    await asyncio.sleep(0)\n"
        "    task.cancel()\n"
        "    with contextlib.suppress(asyncio.CancelledError):\n"
        "        await task\n",
    ),
}


def advice_of(text: str) -> str:
    """The output, with folded lines joined."""
    return " ".join(text.replace("\nE ", " ").split())


@pytest.mark.parametrize("name", ADVICE)
def test_the_advice_is_right(suite: Suite, name: str) -> None:
    bad, words, good = ADVICE[name]

    before = suite.test(HEAD + bad)
    before.no_fault()
    assert len(before.findings) == 1, before.findings
    assert words in advice_of(before.result.stdout.str())

    suite.test(HEAD + good).clean()


def test_the_rule_for_a_fixture(suite: Suite) -> None:
    """pytest refuses markers on fixtures; the rule that is printed allows the finding."""
    text = HEAD + textwrap.dedent(
        """
        @pytest_asyncio.fixture
        async def service():
            asyncio.create_task(forever())
            yield

        async def test_it(service):
            await asyncio.sleep(0)
        """
    )
    outcome = suite.test(text)
    assert outcome.only()["owner"]["type"] == "fixture"
    said = advice_of(outcome.result.stdout.str())
    assert "asyncio_allow" not in said
    rule = said.partition("To allow it: the rule ")[2].partition(" (ini asyncio_traps")[0]

    allowed = suite.test(text, f"--asyncio-traps={rule}")

    assert allowed.only()["action"] == "allow"
    assert allowed.result.ret == 0


def test_a_mock_is_named(suite: Suite) -> None:
    outcome = suite.test(
        HEAD + "async def test_it():\n    await store(AsyncMock(name='session'))\n"
    )

    assert "a call of 'session.add', which is part of an AsyncMock" in advice_of(
        outcome.result.stdout.str()
    )
