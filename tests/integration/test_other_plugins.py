"""Other plugins of pytest's: the findings are the same with them as without."""

from __future__ import annotations

import re
import signal
import sys

import pytest

from ..cases import cases
from ..run import Suite
from .mixed import MIXED, NAMED, OTHERS, need, reference, run_of

#: For each plugin: the module it needs, what to load it by, and its arguments.
PLUGINS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "timeout-signal": (
        "pytest_timeout",
        ("pytest_timeout",),
        ("--timeout=100", "--timeout-method=signal"),
    ),
    "timeout-thread": (
        "pytest_timeout",
        ("pytest_timeout",),
        ("--timeout=100", "--timeout-method=thread"),
    ),
    "rerunfailures": ("pytest_rerunfailures", ("pytest_rerunfailures",), ()),
    "cov": ("pytest_cov", ("pytest_cov",), ("--cov=.", "--cov-branch", "--cov-report=")),
    "randomly-1": ("pytest_randomly", ("pytest_randomly",), ("--randomly-seed=1",)),
    "randomly-2": ("pytest_randomly", ("pytest_randomly",), ("--randomly-seed=2",)),
    "randomly-3": ("pytest_randomly", ("pytest_randomly",), ("--randomly-seed=3",)),
    "subtests": ("pytest_subtests", ("pytest_subtests.plugin",), ()),
    "repeat": ("pytest_repeat", ("pytest_repeat",), ("--count=1",)),
    "aiohttp": ("aiohttp", ("aiohttp.pytest_plugin",), ()),
    "pytest-aiohttp": ("pytest_aiohttp", ("pytest_aiohttp.plugin",), ()),
    "tornasync": ("pytest_tornasync", ("pytest_tornasync.plugin",), ()),
    "time-machine": ("time_machine", ("time_machine",), ()),
    "hypothesis": ("_hypothesis_pytestplugin", ("_hypothesis_pytestplugin",), ()),
    "crowd": (
        "pytest_cov",
        ("pytest_timeout", "pytest_cov", "pytest_randomly", "pytest_rerunfailures"),
        ("--timeout=100", "--cov=.", "--cov-report=", "--randomly-seed=4"),
    ),
}


def test_the_run_that_others_are_compared_with(suite: Suite) -> None:
    """It has each finding once, charged as it should be: where it is wrong, all would be."""
    run = reference(suite)
    lines = {
        text.rpartition("# ")[2]: number
        for number, text in enumerate(MIXED.strip().splitlines(), 1)
        if "  # " in text
    }

    assert sorted((kind, line) for kind, _, _, line, _, _ in run.findings) == sorted(
        (OTHERS.get(tag, tag), line) for tag, line in lines.items()
    )
    for _, nodeid, when, line, owner, name in run.findings:
        tag = nodeid.rpartition("::test_")[2].replace("_", "-")
        assert line == lines[tag]
        assert (owner, name) == (("fixture", "leaky") if tag == "fixture" else ("test", nodeid))
        assert (when == "late") == (tag == "late")
    assert run.code == 1


QUICK = ("timeout-thread", "rerunfailures", "randomly-1", "aiohttp", "hypothesis", "crowd")


@pytest.mark.parametrize("plugin", cases(PLUGINS, QUICK))
def test_the_same_with(suite: Suite, plugin: str) -> None:
    """The same findings, charged to the same, the same outcomes, the same exit code."""
    module, plugins, args = PLUGINS[plugin]
    need(module, *(name.partition(".")[0] for name in plugins))
    expected = reference(suite)

    outcome = suite.test(MIXED, "-rA", *NAMED, *args, plugins=plugins)

    assert run_of(outcome) == expected


@pytest.mark.parametrize("core", cases(["ctrace", "pytrace", "sysmon"], ["ctrace"]))
def test_the_same_with_each_core_of_coverage(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, core: str
) -> None:
    """However coverage follows the code, with branches, and in two processes."""
    need("pytest_cov", "xdist")
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("there is no sys.monitoring")
    # It measures branches from Python 3.14 on, and coverage falls back on another core before.
    branches = () if core == "sysmon" and sys.version_info < (3, 14) else ("--cov-branch",)
    expected = reference(suite)
    monkeypatch.setenv("COVERAGE_CORE", core)

    outcome = suite.test(
        MIXED,
        "-rA",
        *NAMED,
        "-n2",
        "--cov=.",
        "--cov-report=",
        *branches,
        plugins=("xdist", "pytest_cov"),
    )

    assert run_of(outcome) == expected
    assert "sysmon" not in outcome.result.stdout.str()  # coverage warns when it falls back


# -- pytest-timeout -----------------------------------------------------------

TIMEOUT = """
import asyncio, pytest

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)

async def test_before(): await work()

@pytest.mark.timeout(0.3)
async def test_waits():
    work()  # dropped
    await asyncio.Event().wait()

async def test_after_1(): await work()

@pytest.mark.timeout(1)
async def test_blocks():
    await work()
    while True: pass  # blocks

async def test_after_2(): await work()

@pytest.mark.timeout(0.3)
async def test_sound():
    task = asyncio.create_task(poll())
    try:
        await asyncio.Event().wait()
    finally:
        task.cancel()

@pytest.mark.timeout(0.3, func_only=True)
def test_run():
    asyncio.run(poll())

def test_after_3(): asyncio.run(work())
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no alarms")
def test_a_test_that_times_out(suite: Suite) -> None:
    """The time-out is the failure; what the test had done before joins it.

    What it had no time for is no trap, and nothing is charged to those after it.
    """
    need("pytest_timeout")
    outcome = suite.test(TIMEOUT, "-rA", "--timeout-method=signal", plugins=("pytest_timeout",))

    outcome.result.assert_outcomes(passed=4, failed=4)
    text = outcome.result.stdout.str()
    assert len(re.findall(r"^FAILED \S+ - Failed: Timeout", text, re.MULTILINE)) == 4
    assert {(f["kind"], f["nodeid"], f["when"]) for f in outcome.findings} == {
        ("never-awaited", "test_it.py::test_waits", "call"),
        ("slow-callback", "test_it.py::test_blocks", "call"),
    }
    (slow,) = (f for f in outcome.findings if f["kind"] == "slow-callback")
    assert slow["location"]["line"] == suite.line_of("blocks")
    outcome.result.stdout.fnmatch_lines(["*asyncio traps (call)*", "never-awaited: *"])
    outcome.no_fault()


def test_a_time_out_that_ends_the_process(suite: Suite) -> None:
    """By the method thread, pytest-timeout ends the whole process; nothing is in its way."""
    need("pytest_timeout")
    outcome = suite.test(
        TIMEOUT, "--timeout-method=thread", "-k", "test_waits", plugins=("pytest_timeout",)
    )

    assert outcome.result.ret == 1
    text = outcome.result.stdout.str() + outcome.result.stderr.str()
    assert "+ Timeout +" in text
    assert "a fault of pytest-asyncio-traps" not in text


# -- tools that forbid calls ----------------------------------------------------


def test_tools_that_forbid_calls_which_block(suite: Suite) -> None:
    """As blockbuster does: whatever the plugin calls in the thread of a loop is not to fail there."""
    suite.write(
        conftest="""
        import asyncio, builtins, functools, io, os, time
        import pytest

        FORBIDDEN = {
            os: ["read", "pread", "open", "close", "stat", "lstat", "readlink", "getcwd", "access",
                 "listdir", "scandir"],
            os.path: ["abspath", "realpath", "exists", "isfile", "isdir", "islink", "samefile"],
            builtins: ["open"], io: ["open"], time: ["sleep"],
        }

        class BlockingError(Exception): pass

        def forbidden(function):
            @functools.wraps(function)
            def call(*args, **kwargs):
                try:
                    asyncio.get_running_loop()
                except RuntimeError:
                    return function(*args, **kwargs)
                raise BlockingError(function.__name__)
            return call

        @pytest.fixture(autouse=True)
        def forbid(monkeypatch):
            for module, names in FORBIDDEN.items():
                for name in names:
                    if hasattr(module, name):
                        monkeypatch.setattr(module, name, forbidden(getattr(module, name)))
        """,
        helper="""
        def boom(): raise ValueError("x")
        """,
        test_it="""
        import asyncio, os, threading, time, pytest

        async def work(): pass

        def busy():
            end = time.thread_time() + 0.3
            while time.thread_time() < end: pass

        async def test_never_awaited(): work()
        async def test_pending(): test_pending.kept = asyncio.create_task(asyncio.sleep(100))
        async def test_slow(): busy()
        async def test_callback():
            import helper
            asyncio.get_running_loop().call_soon(helper.boom)
            await asyncio.sleep(0)
        async def test_lost():
            future = asyncio.get_running_loop().create_future()
            future.set_exception(ValueError("x"))
        async def test_transport():
            test_transport.kept = await asyncio.start_server(print, "127.0.0.1", 0)
        def test_sound_in_a_thread():
            async def main():
                for _ in range(5):
                    await asyncio.sleep(0.02)
            thread = threading.Thread(target=lambda: asyncio.run(main()))
            thread.start()
            thread.join()
        async def test_they_are_forbidden():
            with pytest.raises(Exception, match="getcwd"):
                os.getcwd()
        """,
    )
    outcome = suite.run()

    outcome.no_fault()
    assert {
        finding["nodeid"].rpartition("::")[2]: finding["kind"] for finding in outcome.findings
    } == {
        "test_never_awaited": "never-awaited",
        "test_pending": "pending-task",
        "test_slow": "slow-callback",
        "test_callback": "callback-exception",
        "test_lost": "unretrieved-exception",
        "test_transport": "unclosed-transport",
    }
