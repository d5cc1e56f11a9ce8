"""However a run ends: it does end, what was found is told, and nothing of the plugin is left."""

from __future__ import annotations

import importlib.util
import os
import sys
import textwrap
import xml.etree.ElementTree as ElementTree

import pytest

from ..run import Outcome, Suite

#: A test that springs a trap comes first; then what ends the run, or is to end well.
HEAD = """
import asyncio, os, signal, sys, threading, time
import pytest, pytest_asyncio

LOOPS = [asyncio.new_event_loop]
try:
    import uvloop
    LOOPS.append(uvloop.new_event_loop)
except ImportError:
    pass

def interrupt(): os.kill(os.getpid(), signal.SIGINT)
async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)
KEPT = []

async def test_first():
    work()  # first
"""

CONFTEST = """
import _thread, atexit, os, signal, sys

# A job that a shell has started in the background ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

def left():
    # Executors of the user's may take a moment to let go of theirs.
    from time import monotonic
    until = monotonic() + 5
    while _thread._count() and monotonic() < until:
        pass
    from pytest_asyncio_traps.session import arming
    with open("left.txt", "w") as file:
        print(_thread._count(), len(arming._watches), file=file)

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        atexit.register(left)
"""


def end(
    suite: Suite, text: str, *args: str, plugins: tuple[str, ...] = (), unnamed: bool = True
) -> Outcome:
    """Run ``text`` behind `HEAD`, and check what holds for every ending."""
    suite.pytester.makeconftest(CONFTEST)
    suite.write(test_it=HEAD + textwrap.dedent(text))
    outcome = suite.run(
        "--junitxml=junit.xml", "-rA", *args, plugins=("asyncio", "asyncio_traps", *plugins)
    )

    line = suite.line_of("first")
    (first,) = [f for f in outcome.findings if f["origin"]["line"] == line]
    assert (first["kind"], first["nodeid"]) == ("never-awaited", "test_it.py::test_first")
    failed = {
        case.get("name")
        for case in ElementTree.parse(suite.pytester.path / "junit.xml").iter("testcase")
        if case.find("failure") is not None
    }
    assert "test_first" in failed
    if outcome.result.ret in tuple(pytest.ExitCode):  # else pytest has no summary
        outcome.result.stdout.fnmatch_lines(["FAILED test_it.py::test_first - never-awaited: *"])
    quiet(outcome, unnamed)
    assert (suite.pytester.path / "left.txt").read_text().split() == ["0", "0"]
    return outcome


def quiet(outcome: Outcome, unnamed: bool = True) -> None:
    """Nothing of ours is told that is no finding, and no file of ours is ``unnamed``."""
    outcome.no_fault()
    signs = ["INTERNALERROR", "ResourceWarning", "Exception ignored"]
    for text in (outcome.result.stdout.str(), outcome.result.stderr.str()):
        assert not [sign for sign in signs if sign in text], text
        assert not unnamed or "pytest_asyncio_traps" not in text, text


def others(outcome: Outcome) -> list[tuple[str, str]]:
    """Kind and test of what was found beside the first."""
    found = [(f["kind"], f["nodeid"].rpartition("::")[2]) for f in outcome.findings]
    return [one for one in found if one[1] != "test_first"]


AFTER = "def test_after(): pass"

CTRL_C = {
    "setup": """
        @pytest.fixture
        def interrupted(): interrupt()
        def test_it(interrupted): pass
    """,
    "setup, async": """
        @pytest_asyncio.fixture
        async def interrupted():
            interrupt()
            await poll()
        async def test_it(interrupted): pass
    """,
    "call": """
        def test_it(): interrupt()
    """,
    "call, async": """
        async def test_it():
            task = asyncio.create_task(poll())
            interrupt()
            await poll()
    """,
    "call, in a callback": """
        async def test_it():
            asyncio.get_running_loop().call_soon(interrupt)
            await poll()
    """,
    "call, in a loop of its own": """
        @pytest.mark.parametrize("make", LOOPS)
        def test_it(make):
            async def main():
                asyncio.get_running_loop().call_soon(interrupt)
                await poll()
            with asyncio.Runner(loop_factory=make) as runner:
                runner.run(main())
    """,
    "call, in a task": """
        async def boom(): raise KeyboardInterrupt
        async def test_it():
            task = asyncio.create_task(boom())
            await poll()
    """,
    "call, another loop in a thread": """
        def test_it():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_until_complete, args=(work(),))
            thread.start()
            thread.join()
            loop.close()
            interrupt()
    """,
    "teardown": """
        @pytest.fixture
        def interrupted():
            yield
            interrupt()
        def test_it(interrupted): pass
    """,
    "teardown, async": """
        @pytest_asyncio.fixture
        async def interrupted():
            yield
            interrupt()
            await poll()
        async def test_it(interrupted): await work()
    """,
}


@pytest.mark.parametrize("phase", CTRL_C)
def test_ctrl_c(suite: Suite, phase: str) -> None:
    """Whatever it interrupts: the run ends, and says so."""
    # Of a task that an interrupt has ended, asyncio prints the traceback, with the frames of all
    # that it went through: pytest's, and those of every plugin.
    unnamed = phase != "call, in a task"
    outcome = end(suite, textwrap.dedent(CTRL_C[phase]) + AFTER, unnamed=unnamed)

    assert outcome.result.ret == pytest.ExitCode.INTERRUPTED
    outcome.result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert "::test_after" not in outcome.result.stdout.str()
    assert others(outcome) == []


def test_ctrl_c_while_collecting(suite: Suite) -> None:
    """Before any test: what the import has left is told all the same."""
    suite.pytester.makeconftest(CONFTEST)
    suite.write(
        test_a="""
        async def work(): pass
        work()  # here
        """,
        test_b="""
        import os, signal
        os.kill(os.getpid(), signal.SIGINT)
        """,
    )
    outcome = suite.run()

    assert outcome.result.ret == pytest.ExitCode.INTERRUPTED
    assert outcome.only()["origin"]["line"] == suite.line_of("here", "test_a.py")
    quiet(outcome)
    assert (suite.pytester.path / "left.txt").read_text().split() == ["0", "0"]


EXITS = {
    "pytest.exit in a test": ("def test_it(): pytest.exit('enough')", 2),
    "pytest.exit in a coroutine": (
        """
        async def test_it():
            task = asyncio.create_task(poll())
            await work()
            pytest.exit("enough")
        """,
        2,
    ),
    "pytest.exit with a status": ("def test_it(): pytest.exit('enough', returncode=7)", 7),
    "pytest.exit in a fixture": (
        """
        @pytest.fixture
        def leaves(): pytest.exit("enough")
        def test_it(leaves): pass
        """,
        2,
    ),
    "pytest.exit in a teardown": (
        """
        @pytest.fixture
        def leaves():
            yield
            pytest.exit("enough")
        def test_it(leaves): pass
        """,
        2,
    ),
    "Session.shouldstop": ("def test_it(request): request.session.shouldstop = 'enough'", 2),
}


@pytest.mark.parametrize("how", EXITS)
def test_a_run_that_is_told_to_end(suite: Suite, how: str) -> None:
    text, status = EXITS[how]
    outcome = end(suite, f"{textwrap.dedent(text)}\n{AFTER}")

    assert outcome.result.ret == status
    outcome.result.stdout.fnmatch_lines(["*enough*"])
    assert "::test_after" not in outcome.result.stdout.str()
    assert others(outcome) == []


GOES_ON = {
    "SystemExit in a task": """
        async def leave(): sys.exit(3)
        async def test_it():
            task = asyncio.create_task(leave())
            await poll()
    """,
    "SystemExit in a callback": """
        async def test_it():
            asyncio.get_running_loop().call_soon(sys.exit, 3)
            await poll()
    """,
    "SystemExit in a loop of its own": """
        @pytest.mark.parametrize("make", LOOPS[:1])
        def test_it(make):
            async def main(): sys.exit(3)
            with asyncio.Runner(loop_factory=make) as runner:
                runner.run(main())
    """,
    "SystemExit in a thread": """
        def test_it():
            thread = threading.Thread(target=sys.exit)
            thread.start()
            thread.join()
            assert 0
    """,
    "a crash in a fixture": """
        @pytest_asyncio.fixture
        async def crashes():
            await work()
            raise LookupError("in a fixture")
        async def test_it(crashes): pass
    """,
    "a crash in a teardown": """
        @pytest_asyncio.fixture
        async def crashes():
            yield
            await work()
            raise LookupError("in a teardown")
        async def test_it(crashes): assert 0
    """,
    "a crash in a fixture of the module": """
        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def crashes():
            await work()
            yield
            raise LookupError("in a teardown")
        @pytest.mark.asyncio(loop_scope="module")
        async def test_it(crashes): assert 0
    """,
}


@pytest.mark.parametrize("how", GOES_ON)
def test_a_run_that_goes_on(suite: Suite, how: str) -> None:
    """What ends a test does not end the run, and is not a trap besides."""
    outcome = end(suite, textwrap.dedent(GOES_ON[how]) + AFTER)

    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    outcome.result.stdout.fnmatch_lines(["PASSED test_it.py::test_after"])
    assert others(outcome) == []


@pytest.mark.parametrize("option", ["-x", "--maxfail=2", "--exitfirst"])
def test_a_run_that_stops_at_a_failure(suite: Suite, option: str) -> None:
    """A trap counts as a failure; and the fixtures of the run are judged before it ends."""
    outcome = end(
        suite,
        """
        @pytest_asyncio.fixture(scope="module", autouse=True, loop_scope="module")
        async def shared():
            yield
            KEPT.append(asyncio.create_task(poll()))  # shared

        async def test_second(): work()
        async def test_third(): work()
        async def test_after(): pass
        """,
        option,
    )

    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    text = outcome.result.stdout.str()
    assert "::test_third" not in text
    assert "::test_after" not in text
    assert ("::test_second" in text) == (option == "--maxfail=2")
    pending = [f for f in outcome.findings if f["kind"] == "pending-task"]
    assert [finding["origin"]["line"] for finding in pending] == [suite.line_of("shared")]


def test_a_time_out_by_signal(suite: Suite) -> None:
    """The test fails by it, what was found before is told, and the run goes on."""
    if importlib.util.find_spec("pytest_timeout") is None or not hasattr(os, "fork"):
        pytest.skip("needs pytest-timeout, and signals")
    outcome = end(
        suite,
        """
        @pytest.mark.timeout(0.2)
        async def test_it():
            task = asyncio.create_task(poll())
            await poll()
        def test_after(): pass
        """,
        "--timeout-method=signal",
        plugins=("pytest_timeout",),
        unnamed=False,  # it dumps the stack of each thread
    )

    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    outcome.result.stdout.fnmatch_lines(["PASSED *::test_after", "FAILED *::test_it *Timeout*"])
    assert others(outcome) == []


@pytest.mark.parametrize("how", ["os._exit(9)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_worker_that_is_killed(suite: Suite, how: str) -> None:
    """In the middle of a loop: what it had found is told, and the rest is run by another."""
    if importlib.util.find_spec("xdist") is None or not hasattr(os, "fork"):
        pytest.skip("needs pytest-xdist, and signals")
    outcome = end(
        suite,
        f"""
        async def test_it():
            asyncio.get_running_loop().call_soon(lambda: {how})
            await poll()
        def test_after(): pass
        """,
        "-n1",
        plugins=("xdist",),
    )

    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    outcome.result.stdout.fnmatch_lines(
        ["PASSED test_it.py::test_after", "FAILED test_it.py::test_it - worker *"]
    )
    assert others(outcome) == []


#: A debugger in which a person takes their time.
DEBUGGER = """
import pdb, time

class Slow(pdb.Pdb):
    def cmdloop(self, *args):
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            pass
        super().cmdloop(*args)
"""

DEBUGGED = {
    "breakpoint() in a coroutine": (
        """
        async def test_it():
            breakpoint()
            await work()
        """,
        ("--pdbcls=debugger:Slow",),
    ),
    "breakpoint() in a task": (
        """
        async def stop():
            breakpoint()
        async def test_it():
            await asyncio.create_task(stop())
        """,
        ("--pdbcls=debugger:Slow",),
    ),
    "pytest.set_trace() in a callback": (
        """
        async def test_it():
            asyncio.get_running_loop().call_soon(pytest.set_trace)
            await work()
            await work()
        """,
        ("--pdbcls=debugger:Slow",),
    ),
    "breakpoint() on uvloop": (
        """
        async def stop():
            breakpoint()
        def test_it():
            with asyncio.Runner(loop_factory=LOOPS[-1]) as runner:
                runner.run(stop())
        """,
        ("--pdbcls=debugger:Slow",),
    ),
    "--trace": ("async def test_it(): await work()", ("--trace", "--pdbcls=debugger:Slow")),
}


@pytest.mark.parametrize("how", DEBUGGED)
def test_somebody_debugs(suite: Suite, how: str) -> None:
    """A person's time is not the code's: the sampler stands down."""
    text, args = DEBUGGED[how]
    suite.write(debugger=DEBUGGER)
    outcome = debug(suite, text, *args)

    assert "(Pdb)" in outcome.result.stdout.str()
    assert others(outcome) == []
    outcome.result.stdout.fnmatch_lines(["PASSED test_it.py::test_it"])


def test_a_failure_that_is_debugged(suite: Suite) -> None:
    """With --pdb, the debugger opens for a failing test, and for a trap too."""
    suite.write(debugger=DEBUGGER)
    outcome = debug(
        suite,
        """
        async def test_it():
            await work()
            assert 0, "the test's own"
        async def test_after(): await work()
        """,
        "--pdb",
        "--pdbcls=debugger:Slow",
        unnamed=False,  # it opens where the trap has failed the test
    )

    text = outcome.result.stdout.str()
    assert text.count("entering PDB") == 2
    assert others(outcome) == []
    outcome.result.stdout.fnmatch_lines(["PASSED test_it.py::test_after"])


def debug(suite: Suite, text: str, *args: str, unnamed: bool = True) -> Outcome:
    """`end`, with somebody at the keyboard who says continue."""
    suite.stdin = b"c\n" * 50
    return end(suite, text, *args, unnamed=unnamed)


PROCESSES = """
    import concurrent.futures, multiprocessing

    def plain(number): return number + 1

    def loops(number):
        async def main():
            await asyncio.sleep(0)
            return number + 1
        return asyncio.run(main())

    def traps(number):
        async def main(): pass
        main()
        asyncio.new_event_loop()
        return number + 1

    @pytest.mark.parametrize("function", [plain, loops, traps])
    @pytest.mark.parametrize("how", multiprocessing.get_all_start_methods())
    async def test_pool(how, function):
        context = multiprocessing.get_context(how)
        loop = asyncio.get_running_loop()
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            assert await loop.run_in_executor(pool, function, 1) == 2

    @pytest.mark.parametrize("how", multiprocessing.get_all_start_methods())
    def test_process(how):
        process = multiprocessing.get_context(how).Process(target=loops, args=(1,))
        process.start()
        process.join()
        assert process.exitcode == 0

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
    async def test_fork():
        pid = os.fork()
        if pid == 0:
            try:
                # A loop runs: another thread's work is done by a new one.
                thread = threading.Thread(target=loops, args=(1,))
                thread.start()
                thread.join()
                os._exit(5)
            finally:
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 5
        await work()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
    def test_fork_that_exits():
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            import atexit
            atexit._clear()
            sys.stdout = sys.stderr = open(os.devnull, "w")
            try:
                asyncio.run(work())
            finally:
                os._exit(6)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 6

    async def test_after(): await work()
    """


def test_processes(suite: Suite) -> None:
    """Each way to start one; what a child leaves is its own, and it says nothing of ours."""
    # To start a process takes its time, and is done on the loop's thread.
    slow = "--asyncio-slow-callback-duration=60"
    outcome = end(suite, PROCESSES, slow, "-W", "ignore::DeprecationWarning")

    counts = outcome.result.parseoutcomes()
    assert counts["failed"] == 1
    assert counts["passed"] >= 4
    assert others(outcome) == []


def test_pools_of_interpreters(suite: Suite) -> None:
    """A second interpreter in the process, while loops run in both."""
    if sys.version_info < (3, 14):
        pytest.skip("came with Python 3.14")
    outcome = end(
        suite,
        """
        import concurrent.futures
        from concurrent import interpreters

        async def test_pool():
            loop = asyncio.get_running_loop()
            with concurrent.futures.InterpreterPoolExecutor(2) as pool:
                jobs = [loop.run_in_executor(pool, sum, [1, 2]) for _ in range(4)]
                assert await asyncio.gather(*jobs) == [3] * 4

        async def test_exec():
            interpreter = interpreters.create()
            await asyncio.to_thread(interpreter.exec, "import asyncio; asyncio.run(asyncio.sleep(0.05))")
            interpreter.close()

        async def test_after(): await work()
        """,
    )

    outcome.result.assert_outcomes(passed=3, failed=1)
    assert others(outcome) == []
