"""The user's line, behind tasks, threads, executors and callbacks; and how the test came there."""

from __future__ import annotations

import textwrap

import pytest

from ..run import Suite

HEAD = """
import asyncio, concurrent.futures, threading, time
import pytest

async def job():
    await asyncio.sleep(50)

async def boom():
    raise ValueError("boom")

def fails():
    raise ConnectionError("down")

POOL = concurrent.futures.ThreadPoolExecutor(1)
"""

#: A test each, with the kind of its one finding and the words before the line.
LINES = {
    "run_coroutine_threadsafe, of an own coroutine": (
        """
        async def test_it():
            loop = asyncio.get_running_loop()
            def hand_over():
                asyncio.run_coroutine_threadsafe(job(), loop)  # here
            thread = threading.Thread(target=hand_over)
            thread.start()
            thread.join()
            await asyncio.sleep(0.01)
        """,
        ("pending-task", "created at"),
    ),
    "run_coroutine_threadsafe, of a coroutine of asyncio's": (
        """
        async def test_it():
            loop = asyncio.get_running_loop()
            def hand_over():
                asyncio.run_coroutine_threadsafe(asyncio.sleep(50), loop)  # here
            await asyncio.to_thread(hand_over)
            await asyncio.sleep(0.01)
        """,
        ("pending-task", "created at"),
    ),
    "run_coroutine_threadsafe, of a server": (
        """
        async def test_it():
            loop = asyncio.get_running_loop()
            async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0) as server:
                def hand_over():
                    asyncio.run_coroutine_threadsafe(server.serve_forever(), loop)  # here
                await asyncio.to_thread(hand_over)
                await asyncio.sleep(0.01)
                KEPT.append(server)

        KEPT = []
        """,
        None,
    ),
    "run_in_executor, dropped with an exception": (
        """
        async def test_it():
            asyncio.get_running_loop().run_in_executor(None, fails)  # here
            await asyncio.sleep(0.05)
        """,
        ("unretrieved-exception", "handed to the executor at"),
    ),
    "a job that outlives its loop": (
        """
        async def test_it():
            go = threading.Event()
            asyncio.get_running_loop().run_in_executor(POOL, go.wait, 0.5)  # here
        """,
        ("pending-task", "handed to the executor at"),
    ),
    "an async function in an executor": (
        """
        async def test_it():
            await asyncio.get_running_loop().run_in_executor(None, boom)  # here
        """,
        ("never-awaited", "handed to an executor at"),
    ),
    "an async function in a thread": (
        """
        async def test_it():
            await asyncio.to_thread(boom)  # here
        """,
        ("never-awaited", "handed to an executor at"),
    ),
    "an async function as a callback": (
        """
        async def test_it():
            asyncio.get_running_loop().call_later(0.001, boom)  # here
            await asyncio.sleep(0.02)
        """,
        ("never-awaited", "made by a callback that was scheduled at"),
    ),
    "an async function as a done callback": (
        """
        async def on_done(task):  # here
            pass

        async def test_it():
            task = asyncio.create_task(asyncio.sleep(0))
            task.add_done_callback(on_done)
            await task
            await asyncio.sleep(0)
        """,
        ("never-awaited", "defined at"),
    ),
    "a shield whose outer future complains": (
        """
        async def test_it():
            inner = asyncio.create_task(boom())
            outer = asyncio.shield(inner)  # here
            await asyncio.wait([inner])
            assert inner.exception()
            await asyncio.sleep(0)
            del outer
        """,
        ("unretrieved-exception", "shielded at"),
    ),
    "a done callback that raises what its task did": (
        """
        def on_done(task):
            task.result()  # here

        async def test_it():
            task = asyncio.create_task(boom())
            task.add_done_callback(on_done)
            await asyncio.wait([task])
            await asyncio.sleep(0)
        """,
        ("callback-exception", "came out in the callback at"),
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_the_line(suite: Suite, name: str) -> None:
    text, expected = LINES[name]
    if expected is None:
        pytest.skip("closed with its server: there is nothing to find")
    outcome = suite.test(HEAD + textwrap.dedent(text))

    outcome.no_fault()
    finding = outcome.only()
    kind, label = expected
    assert finding["kind"] == kind
    assert finding["origin"]["line"] == suite.line_of("here")
    outcome.result.stdout.fnmatch_lines([f"*{label} test_it.py:{suite.line_of('here')}*"])


def test_a_task_behind_a_task(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only a library's lines are on the stack, the task that runs leads to the user's."""
    site = suite.pytester.mkdir("site-packages")
    (site / "minilib.py").write_text(
        "import asyncio\n"
        "async def forever():\n"
        "    await asyncio.Event().wait()\n"
        "async def spawn():\n"
        "    task = asyncio.create_task(forever())\n"
        "    await asyncio.sleep(0)\n"
        "    return task\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    outcome = suite.test(
        """
        import asyncio, minilib

        KEPT = []

        async def test_it():
            KEPT.append(await asyncio.create_task(minilib.spawn()))  # here
        """
    )

    assert outcome.only()["origin"]["line"] == suite.line_of("here")


TRACED = """
import asyncio

async def poll():
    await inner()

async def inner():
    await asyncio.sleep(60)  # waits

def helper():
    asyncio.create_task(poll())  # made

def start():
    helper()  # start

async def spawn():
    start()  # spawn

async def gathers():
    await asyncio.gather(asyncio.sleep(0), poll())  # gathers

async def groups():
    async with asyncio.TaskGroup() as group:
        group.create_task(poll())  # groups
"""


@pytest.mark.parametrize(
    ("body", "trace"),
    [
        ("start()", ["call", "start", "made"]),
        ("await spawn()", ["call", "spawn", "start", "made"]),
        ("await asyncio.create_task(spawn())", ["call", "spawn", "start", "made"]),
    ],
    ids=["calls", "coroutines", "tasks"],
)
def test_a_trace(suite: Suite, body: str, trace: list[str]) -> None:
    """It leads from the test to the line, through calls and tasks, the outermost first."""
    outcome = suite.test(
        TRACED + f"\nasync def test_it():\n    {body}  # call\n    await asyncio.sleep(0.01)\n"
    )

    finding = outcome.only()
    assert [place["line"] for place in finding["trace"]] == [suite.line_of(tag) for tag in trace]
    assert finding["trace"][-1] == finding["origin"]
    assert finding["trace"][0]["function"] == "test_it"
    text = " ".join(outcome.result.stdout.str().replace("\nE  ", " ").split())
    assert f"created at test_it.py:{suite.line_of('made')} helper \u2190 test_it.py:" in text


@pytest.mark.parametrize(
    ("body", "first"), [("poll", None), ("gathers", "gathers"), ("groups", None)]
)
def test_the_chain_of_awaits(suite: Suite, body: str, first: str | None) -> None:
    """It leads to the innermost await; of what is gathered, to that which blocks."""
    outcome = suite.test(
        TRACED
        + f"\nasync def test_it():\n    asyncio.create_task({body}())\n    await asyncio.sleep(0.01)\n"
    )

    waits = outcome.only()["waits"]
    functions = [place["function"] for place in waits]
    assert functions == [*([body] if body != "poll" else []), "poll", "inner"]
    assert waits[-1]["line"] == suite.line_of("waits")
    if first:
        assert waits[0]["line"] == suite.line_of(first)


def test_what_does_not_wait_has_no_chain(suite: Suite) -> None:
    finding = suite.test("async def work(): pass\n\ndef test_it():\n    work()\n").only()

    assert finding["trace"] == []
    assert finding["waits"] == []
