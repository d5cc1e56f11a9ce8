"""The task tree of a test that hangs: while it runs, and when something ends it."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest

from ..run import Outcome, Suite

HEAD = """
import asyncio, os, signal, threading, time
import pytest

# A job that a shell has started in the background ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def consumer(queue):
    await queue.get()  # consumes

async def hang(seconds=3600):
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as group:  # enters
        tasks = [group.create_task(consumer(queue)) for _ in range(3)]  # makes
        asyncio.get_running_loop().call_later(seconds, lambda: [t.cancel() for t in tasks])

def later(action, seconds=0.5):
    thread = threading.Timer(seconds, action)
    thread.daemon = True
    thread.start()

def kill(number): os.kill(os.getpid(), number)
"""

#: Lines of the tree of `hang`, wherever it is shown.
TREE = [
    "*waits for the tasks of a TaskGroup, 3 tasks",
    "*and 2 like it, consumer*",
    "*waits for Queue.get() (0 items)",
]
HANGS = ("--asyncio-traps-hang=0.3",)


def run(suite: Suite, text: str, *args: str, plugins: tuple[str, ...] = ()) -> Outcome:
    return suite.test(HEAD + text, *args, plugins=plugins)


def heads(outcome: Outcome) -> list[str]:
    lines = outcome.result.outlines + outcome.result.errlines
    return [line.strip("= ") for line in lines if "asyncio task tree: " in line]


def test_a_test_that_takes_longer(suite: Suite) -> None:
    """Its tree is printed once, past the capture, and the test passes all the same."""
    outcome = run(suite, "async def test_it(): await hang(1.0)", *HANGS)

    outcome.clean()
    outcome.result.stderr.fnmatch_lines(
        ["=* asyncio task tree: test_it.py::test_it has run for 0.3 s =*", *TREE]
    )
    outcome.result.stderr.fnmatch_lines(["To go on: somebody has to put an item into the queue*"])
    outcome.result.stderr.fnmatch_lines(["*: asleep; next timer in 0.[67] s"])
    assert heads(outcome) == ["asyncio task tree: test_it.py::test_it has run for 0.3 s"]
    assert max(map(len, outcome.result.errlines)) <= 80


def test_by_the_ini_file(suite: Suite) -> None:
    """The command line overrules it."""
    text = "async def test_it(): await hang(0.7)"
    ini = ("-o", "asyncio_traps_hang=0.3")

    assert len(heads(run(suite, text, *ini))) == 1
    assert heads(run(suite, text, *ini, "--asyncio-traps-hang=0")) == []


def test_what_ends_in_time_prints_nothing(suite: Suite) -> None:
    """Each test has its own time, fixtures included; without the option there is none."""
    text = """
async def test_slow(): await asyncio.sleep(0.4)
async def test_slow_too(): await asyncio.sleep(0.4)
"""
    assert heads(run(suite, text, "--asyncio-traps-hang=0.6")) == []
    assert heads(run(suite, text)) == []


def test_each_test_and_each_fixture(suite: Suite) -> None:
    outcome = run(
        suite,
        """
import pytest_asyncio

@pytest_asyncio.fixture
async def slow():
    await hang(0.6)
    yield

async def test_one(slow): pass
async def test_two(): await hang(0.6)
def test_sync(): time.sleep(0.6)
""",
        *HANGS,
    )

    assert [head.split("::")[1] for head in heads(outcome)] == [
        "test_one has run for 0.3 s",
        "test_two has run for 0.3 s",
        "test_sync has run for 0.3 s",
    ]
    outcome.result.stderr.fnmatch_lines(["main thread: at test_it.py:*test_sync"])


def test_a_step_that_does_not_end(suite: Suite) -> None:
    """The line that blocks is named, and since when."""
    outcome = run(
        suite,
        "async def test_it():\n    await asyncio.sleep(0)\n    time.sleep(0.8)  # blocks",
        *HANGS,
        "--asyncio-traps=off:slow-callback",
    )

    line = suite.line_of("blocks")
    text = " ".join(word for line in outcome.result.errlines for word in line.split())
    assert f"in a step for 0.3 s, at test_it.py:{line} in test_it" in text
    assert f"To go on: the step at test_it.py:{line} in test_it has to return." in text


def test_a_loop_in_a_thread(suite: Suite) -> None:
    """On which the main thread waits."""
    outcome = run(
        suite,
        """
def test_it():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="far")
    thread.start()
    asyncio.run_coroutine_threadsafe(hang(0.8), loop).exception()  # waits
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
""",
        *HANGS,
    )

    outcome.clean()
    outcome.result.stderr.fnmatch_lines(
        ["*EventLoop of test_it.py::test_it in far: asleep;*", *TREE]
    )
    outcome.result.stderr.fnmatch_lines(
        [f"main thread: at test_it.py:{suite.line_of('waits')} in test_it"]
    )


def test_a_loop_in_a_thread_in_a_step(suite: Suite) -> None:
    """What blocks is named in any thread."""
    outcome = run(
        suite,
        """
async def blocks():
    time.sleep(0.8)  # blocks

def test_it():
    thread = threading.Thread(target=asyncio.run, args=(blocks(),), name="far")
    thread.start()
    thread.join()
""",
        *HANGS,
        "--asyncio-traps=off:slow-callback",
    )

    outcome.clean()
    text = " ".join(" ".join(outcome.result.errlines).split())
    at = f"test_it.py:{suite.line_of('blocks')} in blocks"
    assert re.search(
        rf"EventLoop of test_it.py::test_it in far: in a step for 0\.\d s, at {at}", text
    )
    assert f"To go on: the step at {at} has to return." in text


@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="needs uvloop")
def test_uvloop(suite: Suite) -> None:
    """Its tasks are shown; its timers and descriptors are not, which is said."""
    outcome = run(
        suite,
        """
import uvloop
def test_it():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(hang(0.8))
""",
        *HANGS,
    )

    outcome.clean()
    outcome.result.stderr.fnmatch_lines(["*it does not show its timers and descriptors", *TREE])


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_function_of_a_job(suite: Suite, loop: str) -> None:
    """Of a job of a thread pool on any loop, and of any executor's on asyncio's."""
    pytest.importorskip(loop)
    outcome = run(
        suite,
        f"""
import concurrent.futures, {loop}

class Remote(concurrent.futures.Executor):
    def submit(self, *args): return concurrent.futures.Future()

def work(seconds): time.sleep(seconds)

async def jobs():
    loop = asyncio.get_running_loop()
    far = loop.run_in_executor(Remote(), work, 1)
    near = loop.run_in_executor(None, work, 0.9)
    async def wait(): await near
    task = asyncio.create_task(wait())
    await asyncio.wait([far], timeout=0.6)
    await task
    far.cancel()

def test_it():
    with asyncio.Runner(loop_factory={loop}.new_event_loop) as runner:
        runner.run(jobs())
""",
        *HANGS,
    )

    outcome.clean()
    text = " ".join(" ".join(outcome.result.errlines).split())
    assert "waits for an executor that runs work" in text
    assert ("waits for asyncio.wait() (an executor that runs work)" in text) is (loop == "asyncio")


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="needs pytest-xdist")
def test_in_a_worker(suite: Suite) -> None:
    outcome = run(suite, "async def test_it(): await hang(0.8)", *HANGS, "-n1", plugins=("xdist",))

    assert len(heads(outcome)) == 1
    outcome.result.stderr.fnmatch_lines(TREE)


def test_fork_while_the_timer_runs(suite: Suite) -> None:
    """Nobody warns of threads, the child prints nothing, and the timer goes on."""
    outcome = run(
        suite,
        """
async def test_it():
    child = os.fork()
    if not child:
        time.sleep(0.6)
        os._exit(0)
    await hang(0.9)
    os.waitpid(child, 0)
""",
        *HANGS,
        "-Werror",
    )

    outcome.clean()
    assert len(heads(outcome)) == 1


# -- what ends a test ----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    "test",
    [
        "async def test_it(): later(lambda: kill(signal.SIGINT)); await hang()",
        "def test_it(): later(lambda: kill(signal.SIGINT)); asyncio.run(hang())",
        "async def test_it(): later(lambda: kill(signal.SIGINT), 0.2); await asyncio.wait_for(hang(), 9)",
    ],
)
def test_interrupted(suite: Suite, test: str) -> None:
    """Ctrl-C: the tree is that of the moment before asyncio cancels the test."""
    outcome = run(suite, test)

    assert outcome.result.ret == pytest.ExitCode.INTERRUPTED
    outcome.result.stdout.fnmatch_lines(
        ["=* asyncio task tree: test_it.py::test_it was interrupted =*", *TREE]
    )
    assert len(heads(outcome)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted_in_a_loop_without_a_runner(suite: Suite) -> None:
    outcome = run(
        suite,
        """
def test_it():
    later(lambda: kill(signal.SIGINT))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(hang())
""",
    )

    outcome.result.stdout.fnmatch_lines(TREE)


def test_exit(suite: Suite) -> None:
    outcome = run(
        suite,
        """
async def test_it():
    task = asyncio.create_task(hang())
    await asyncio.sleep(0.1)
    pytest.exit("enough")
""",
    )

    assert outcome.result.ret == pytest.ExitCode.INTERRUPTED
    outcome.result.stdout.fnmatch_lines(
        ["=* asyncio task tree: test_it.py::test_it was interrupted =*", *TREE]
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted_without_a_loop(suite: Suite) -> None:
    """asyncio has no part in it, so nothing is shown."""
    outcome = run(suite, "def test_it(): later(lambda: kill(signal.SIGINT)); time.sleep(60)")

    assert outcome.result.ret == pytest.ExitCode.INTERRUPTED
    assert heads(outcome) == []


def test_an_interruption_that_the_test_expects(suite: Suite) -> None:
    """It ends nothing, so nothing is shown."""
    outcome = run(
        suite,
        """
def test_it():
    async def interrupted(): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(interrupted())

def test_next(): pass
""",
    )

    assert heads(outcome) == []
    assert outcome.result.ret == 0


needs_timeout = pytest.mark.skipif(
    importlib.util.find_spec("pytest_timeout") is None, reason="needs pytest-timeout"
)


@needs_timeout
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_pytest_timeout_by_a_signal(suite: Suite) -> None:
    """The tree is a section of the report of the test that fails."""
    outcome = run(
        suite,
        "async def test_it(): await hang()\ndef test_next(): pass",
        "--timeout=0.5",
        "--timeout-method=signal",
        plugins=("pytest_timeout",),
    )

    outcome.result.assert_outcomes(passed=1, failed=1)
    outcome.result.stdout.fnmatch_lines(["-* Captured asyncio task tree call -*", *TREE])


@needs_timeout
def test_pytest_timeout_by_a_thread(suite: Suite) -> None:
    """It ends the process: the tree is on the terminal before."""
    outcome = run(
        suite,
        "async def test_it(): await hang()",
        "--timeout=0.5",
        "--timeout-method=thread",
        plugins=("pytest_timeout",),
    )

    assert outcome.result.ret == 1
    outcome.result.stdout.fnmatch_lines(
        ["=* asyncio task tree: test_it.py::test_it timed out =*", *TREE]
    )


def test_faulthandler_timeout(suite: Suite) -> None:
    """The tree comes shortly before faulthandler ends the process."""
    outcome = run(
        suite,
        "async def test_it(): await hang()",
        *("-o", "faulthandler_timeout=1", "-o", "faulthandler_exit_on_timeout=true"),
    )

    assert outcome.result.ret == 1
    outcome.result.stderr.fnmatch_lines(
        ["=* asyncio task tree: test_it.py::test_it has run for 0.75 s =*", *TREE, "Timeout *"]
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sigterm(suite: Suite) -> None:
    """With the option, the tree is on the terminal before the process ends, by the same signal."""
    suite.fresh = True
    outcome = run(
        suite,
        "async def test_it(): later(lambda: kill(signal.SIGTERM)); await hang()",
        "--asyncio-traps-hang=60",
    )

    assert outcome.result.ret == -15
    outcome.result.stderr.fnmatch_lines(
        ["=* asyncio task tree: test_it.py::test_it was ended by SIGTERM =*", *TREE]
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sigterm_belongs_to_the_test(suite: Suite) -> None:
    """A handler of the test's own works as ever, and a child dies of the signal, silently."""
    outcome = run(
        suite,
        """
async def test_own_handler():
    called = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, called.set)
    kill(signal.SIGTERM)
    await called.wait()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)

def test_child():
    for _ in range(50):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
        os.kill(child, signal.SIGTERM)  # at once: Python may not be ready in the child
        assert os.waitpid(child, 0)[1] == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
""",
        "--asyncio-traps-hang=60",
    )

    outcome.clean()
    assert heads(outcome) == []


# -- the option ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["-1", "soon", "inf", "nan"])
@pytest.mark.parametrize("how", ["--asyncio-traps-hang={}", "-oasyncio_traps_hang={}"])
def test_a_wrong_value(suite: Suite, value: str, how: str) -> None:
    outcome = run(suite, "def test_it(): pass", how.format(value))

    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines([f"ERROR: asyncio-traps: *asyncio*traps*hang: '{value}' *"])
