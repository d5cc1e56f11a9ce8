"""Other plugins of pytest's: the findings are the same with them as without."""

from __future__ import annotations

import functools
import importlib.util
import re
import signal
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from ..run import AT_LOCATION, Outcome, Suite

#: One test for each kind, one late, one in a fixture, one expected to fail; innocent ones between.
#: What is slow here computes, since Linux may count the sleep of a thread as a wait for a processor.
MIXED = """
import asyncio
import time
import unittest

import pytest
import pytest_asyncio

KEPT = []

async def work():
    await asyncio.sleep(0)

async def poll():
    while True:
        await asyncio.sleep(3600)

async def boom():
    raise ValueError("nobody reads this")

async def test_never_awaited():
    work()  # never-awaited

async def test_innocent_1():
    await work()

async def test_unretrieved_exception():
    task = asyncio.create_task(boom())  # unretrieved-exception
    await asyncio.sleep(0.01)

def test_innocent_2():
    asyncio.run(work())

async def test_pending_task():
    task = asyncio.create_task(poll())  # pending-task
    await work()

@pytest.fixture
def nothing():
    yield

async def test_innocent_3(nothing):
    await asyncio.gather(work(), work())

async def test_unclosed_transport():
    server = await asyncio.start_server(print, "127.0.0.1", 0)  # unclosed-transport

class TestInnocent(unittest.IsolatedAsyncioTestCase):
    async def test_innocent_4(self):
        await work()

def test_unclosed_loop():
    KEPT.append(asyncio.new_event_loop())  # unclosed-loop

async def test_innocent_5():
    await asyncio.to_thread(time.sleep, 0.2)

async def test_slow_callback():
    await work()
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # slow-callback

async def test_innocent_6():
    await work()

async def test_invalid_state():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.cancel()
    loop.call_soon(future.set_result, 1)  # invalid-state
    await work()

async def test_callback_exception():
    def callback():
        raise ValueError("nobody is there")  # callback-exception
    asyncio.get_running_loop().call_soon(callback)
    await work()

async def numbers():
    yield 1
    yield 2

async def test_unclosed_asyncgen():
    async for _ in numbers():  # unclosed-asyncgen
        break
    await asyncio.sleep(0.01)

async def test_wrong_thread():
    loop = asyncio.get_running_loop()
    def touch():
        loop.call_soon(print)  # wrong-thread
    await asyncio.to_thread(touch)

async def test_blocking_call():
    open(__file__).close()  # blocking-call

async def test_lingering_timer():
    asyncio.get_running_loop().call_later(3600, print)  # lingering-timer

async def stubborn():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        return

async def test_swallowed_cancellation():
    task = asyncio.create_task(stubborn())  # swallowed-cancellation
    await work()
    task.cancel()
    await task

async def test_late():
    KEPT.append(work())  # late

def test_innocent_7():
    pass

@pytest_asyncio.fixture
async def leaky():
    yield
    task = asyncio.create_task(poll())  # fixture

async def test_fixture(leaky):
    await work()

@pytest.mark.xfail(strict=True)
async def test_expected():
    work()  # expected

async def test_innocent_8():
    await work()
"""

#: Turns on the kinds that are off unless a rule names them.
NAMED = tuple(
    f"--asyncio-traps=fail:{kind}"
    for kind in ("blocking-call", "lingering-timer", "swallowed-cancellation")
)

#: The kinds of those marked by something else than their kind.
OTHERS = {"late": "never-awaited", "fixture": "pending-task", "expected": "never-awaited"}

#: A finding, as far as it is the same in every run.
Seen = tuple[str, str, str, int, str, str]

LINES = re.compile(r"^(FAILED|ERROR|PASSED|XFAIL|XPASS) (\S+::\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What a run has come to, whatever the order of its tests."""

    findings: tuple[Seen, ...]
    outcomes: tuple[tuple[str, str], ...]
    code: int


def seen(finding: dict[str, Any]) -> Seen:
    """Kind, test, phase, line, and the owner's type and name."""
    place = finding["location" if finding["kind"] in AT_LOCATION else "origin"]
    owner = finding["owner"]
    nodeid, name = finding["nodeid"], owner["name"]
    return finding["kind"], nodeid, finding["when"], place["line"], owner["type"], name


def run_of(outcome: Outcome) -> Run:
    """What ``outcome``, of a run with ``-rA``, amounts to."""
    outcome.no_fault()
    return Run(
        tuple(sorted(seen(finding) for finding in outcome.findings)),
        tuple(sorted(LINES.findall(outcome.result.stdout.str()))),
        int(outcome.result.ret),
    )


_reference: list[Run] = []


def reference(suite: Suite) -> Run:
    """The run of ``MIXED`` without any other plugin, made once."""
    if not _reference:
        _reference.append(run_of(suite.test(MIXED, "-rA", *NAMED)))
    return _reference[0]


def need(*modules: str) -> None:
    """Skip where one of ``modules`` cannot be imported."""
    for module in modules:
        if not is_there(module):
            pytest.skip(f"{module} is not installed")


@functools.cache
def is_there(module: str) -> bool:
    """Whether ``module`` is installed. Nothing is imported that pytest would rewrite."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


def names(outcome: Outcome, kind: str | None = None) -> list[str]:
    """The tests that findings (of ``kind``) are charged to, by their short names, in order."""
    return sorted(
        finding["nodeid"].rpartition("::")[2]
        for finding in outcome.findings
        if kind in (None, finding["kind"])
    )


def in_summary(outcome: Outcome) -> list[tuple[str, str]]:
    """The outcome and short name of each line of a summary made by ``-rA``."""
    found = LINES.findall(outcome.result.stdout.str())
    return sorted((word, nodeid.rpartition("::")[2]) for word, nodeid in found)


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


@pytest.mark.parametrize("plugin", PLUGINS)
def test_the_same_with(suite: Suite, plugin: str) -> None:
    """The same findings, charged to the same, the same outcomes, the same exit code."""
    module, plugins, args = PLUGINS[plugin]
    need(module, *(name.partition(".")[0] for name in plugins))
    expected = reference(suite)

    outcome = suite.test(MIXED, "-rA", *NAMED, *args, plugins=plugins)

    assert run_of(outcome) == expected


@pytest.mark.parametrize("core", ["ctrace", "pytrace", "sysmon"])
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


# -- pytest-rerunfailures -----------------------------------------------------

RERUN = """
import asyncio, pytest, pytest_asyncio

KEPT = []
TRIES = {}

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)

@pytest.fixture
def first(request):
    TRIES[request.node.name] = TRIES.get(request.node.name, 0) + 1
    return TRIES[request.node.name] == 1
"""


def rerun(suite: Suite, text: str, *args: str) -> Outcome:
    """Run ``text`` with one rerun."""
    need("pytest_rerunfailures")
    plugins = ("pytest_rerunfailures", "xdist") if "-n1" in args else ("pytest_rerunfailures",)
    outcome = suite.test(RERUN + text, "-rA", "--reruns=1", *args, plugins=plugins)
    outcome.no_fault()
    return outcome


FLAKY = """
async def test_in_call(first):
    if first:
        work()

async def test_in_teardown(first):
    if first:
        task = asyncio.create_task(poll())
        await work()

def test_in_loop(first):
    if first:
        KEPT.append(asyncio.new_event_loop())

async def test_innocent(first): await work()
"""


@pytest.mark.parametrize("args", [(), ("-n1",)], ids=["alone", "xdist"])
def test_a_trap_sprung_the_first_time_only(suite: Suite, args: tuple[str, ...]) -> None:
    """It is found, the test runs again, and the run ends well."""
    if args:
        need("xdist")
    outcome = rerun(suite, FLAKY, *args)

    assert names(outcome) == ["test_in_call", "test_in_loop", "test_in_teardown"]
    assert [finding["count"] for finding in outcome.findings] == [1, 1, 1]
    assert outcome.result.parseoutcomes()["rerun"] == 3
    assert {word for word, _ in in_summary(outcome)} == {"PASSED"}
    assert outcome.result.ret == 0


def test_a_trap_sprung_each_time(suite: Suite) -> None:
    """Each try has its finding; the last one fails the run."""
    outcome = rerun(
        suite,
        """
async def test_in_call(): work()
async def test_in_teardown():
    task = asyncio.create_task(poll())
    await work()
async def test_innocent(): await work()
""",
    )

    assert names(outcome) == ["test_in_call"] * 2 + ["test_in_teardown"] * 2
    assert outcome.result.parseoutcomes()["rerun"] == 2
    red = [entry for entry in in_summary(outcome) if entry[0] in ("FAILED", "ERROR")]
    assert red == [("ERROR", "test_in_teardown"), ("FAILED", "test_in_call")]
    assert outcome.result.ret == 1


def test_a_trap_that_shows_when_no_rerun_can_come(suite: Suite) -> None:
    """A late finding is told once, as a failure of the test, whichever try it is from."""
    outcome = rerun(
        suite,
        """
async def test_passed(first):
    if first:
        KEPT.append(work())
async def test_failed(first):
    if first:
        KEPT.append(work())
        assert 1 == 2
async def test_innocent(first): await work()
""",
    )

    assert names(outcome) == ["test_failed", "test_passed"]
    assert {finding["when"] for finding in outcome.findings} == {"late"}
    assert outcome.result.parseoutcomes() == {"failed": 2, "passed": 3, "rerun": 1}
    assert outcome.result.ret == 1


def test_reruns_may_leave_traps_out(suite: Suite) -> None:
    """The name of what a trap raises can be given to --rerun-except."""
    outcome = rerun(suite, FLAKY, "--rerun-except=TrapsFound")

    assert "rerun" not in outcome.result.parseoutcomes()
    assert names(outcome) == ["test_in_call", "test_in_loop", "test_in_teardown"]
    assert outcome.result.ret == 1


# -- subtests, pytest-repeat --------------------------------------------------


def test_a_trap_within_a_subtest(suite: Suite) -> None:
    """It is the test's, and the subtest's own failure stays what it is."""
    plugins: tuple[str, ...] = ()
    if not hasattr(pytest, "Subtests"):
        need("pytest_subtests")
        plugins = ("pytest_subtests.plugin",)
    outcome = suite.test(
        """
        import asyncio

        KEPT = []

        async def work(): await asyncio.sleep(0)
        async def poll(): await asyncio.sleep(3600)

        async def test_one_of_two(subtests):
            with subtests.test("first"):
                work()  # one
            with subtests.test("second"):
                await work()

        async def test_both(subtests):
            for number in range(2):
                with subtests.test("each", number=number):
                    task = asyncio.create_task(poll())  # both
                    await work()

        def test_late(subtests):
            for number in range(2):
                with subtests.test("each", number=number):
                    KEPT.append(work())  # late

        async def test_fails_as_well(subtests):
            with subtests.test("first"):
                work()  # fails as well
                assert 1 == 2

        async def test_innocent(subtests):
            for number in range(2):
                with subtests.test("each", number=number):
                    await work()
        """,
        "-rA",
        plugins=plugins,
    )

    assert [
        (f["kind"], f["nodeid"].rpartition("::")[2], f["count"], f["origin"]["line"])
        for f in outcome.findings
    ] == [
        ("never-awaited", "test_one_of_two", 1, suite.line_of("one")),
        ("pending-task", "test_both", 2, suite.line_of("both")),
        ("never-awaited", "test_fails_as_well", 1, suite.line_of("fails as well")),
        ("never-awaited", "test_late", 2, suite.line_of("late")),
    ]
    red = [entry for entry in in_summary(outcome) if entry[0] in ("FAILED", "ERROR")]
    assert red == [
        ("ERROR", "test_both"),
        ("FAILED", "test_fails_as_well"),
        ("FAILED", "test_late"),
        ("FAILED", "test_one_of_two"),
    ]
    assert ("PASSED", "test_innocent") in in_summary(outcome)
    outcome.result.stdout.fnmatch_lines(
        [
            "*SUBFAIL* test_it.py::test_fails_as_well*assert 1 == 2",
            "FAILED test_it.py::test_fails_as_well - never-awaited: *",
        ]
    )
    outcome.no_fault()


def test_each_repetition_has_its_own(suite: Suite) -> None:
    need("pytest_repeat")
    once = reference(suite)

    outcome = suite.test(MIXED, "-rA", *NAMED, "--count=3", plugins=("pytest_repeat",))

    thrice = run_of(outcome)
    assert len(thrice.findings) == 3 * len(once.findings)
    # unittest's tests are not repeated.
    assert len(thrice.outcomes) == 3 * len(once.outcomes) - 2
    for number in ("[1-3]", "[2-3]", "[3-3]"):
        assert once.findings == tuple(
            (kind, nodeid.replace(number, ""), when, line, owner, name.replace(number, ""))
            for kind, nodeid, when, line, owner, name in thrice.findings
            if nodeid.endswith(number)
        )
    assert thrice.code == once.code


# -- aiohttp ------------------------------------------------------------------

AIOHTTP = """
import asyncio, time
import aiohttp
from aiohttp import web

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)
async def boom(): raise ValueError("nobody reads this")

async def hello(request):
    await work()
    return web.Response(text="hello")

async def forgets(request):
    work()  # forgets
    return web.Response(text="hello")

async def leaves(request):
    task = asyncio.create_task(poll())  # leaves
    return web.Response(text="hello")

async def blocks(request):
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # blocks
    return web.Response(text="hello")

async def fails(request):
    task = asyncio.create_task(boom())  # fails
    await asyncio.sleep(0.01)
    return web.Response(text="hello")

async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket

def app():
    made = web.Application()
    for handler in (hello, forgets, leaves, blocks, fails, echo):
        made.router.add_get("/" + handler.__name__, handler)
    return made

async def get(aiohttp_client, path):
    client = await aiohttp_client(app())
    response = await client.get(path)
    assert await response.text() == "hello"

async def test_innocent_client(aiohttp_client): await get(aiohttp_client, "/hello")
async def test_forgets(aiohttp_client): await get(aiohttp_client, "/forgets")

async def test_innocent_unread(aiohttp_client):
    client = await aiohttp_client(app())
    assert (await client.get("/hello")).status == 200

async def test_leaves(aiohttp_client): await get(aiohttp_client, "/leaves")

async def test_innocent_socket(aiohttp_client):
    client = await aiohttp_client(app())
    async with client.ws_connect("/echo") as socket:
        await socket.send_str("hello")
        assert (await socket.receive()).data == "hello"

async def test_blocks(aiohttp_client): await get(aiohttp_client, "/blocks")

async def test_innocent_server(aiohttp_server):
    server = await aiohttp_server(app())
    async with aiohttp.ClientSession() as session:
        async with session.get(server.make_url("/hello")) as response:
            assert await response.text() == "hello"

async def test_fails(aiohttp_client): await get(aiohttp_client, "/fails")

async def test_innocent_raw(aiohttp_raw_server, aiohttp_client):
    client = await aiohttp_client(await aiohttp_raw_server(hello))
    assert await (await client.get("/")).text() == "hello"

async def test_itself(aiohttp_client):
    work()  # itself

async def test_innocent_last(aiohttp_client): await get(aiohttp_client, "/hello")
"""


@pytest.mark.parametrize("how", ["pytest-aiohttp", "aiohttp alone", "aiohttp, asyncio strict"])
def test_an_app_and_its_client(suite: Suite, how: str) -> None:
    """What a handler does is the test's that asked; apps, clients and servers are silent."""
    if how == "pytest-aiohttp":
        need("aiohttp", "pytest_aiohttp")
        outcome = suite.test(AIOHTTP, plugins=("pytest_aiohttp.plugin",))
    else:
        need("aiohttp")
        if not is_there("aiohttp.pytest_plugin"):
            pytest.skip("this aiohttp has no plugin")
        if how == "aiohttp alone":
            suite.pytester.makeini("[pytest]\n")
            suite.write(test_it=AIOHTTP)
            outcome = suite.run(plugins=("asyncio_traps", "aiohttp.pytest_plugin"))
        else:
            outcome = suite.test(
                AIOHTTP, "--asyncio-mode=strict", plugins=("aiohttp.pytest_plugin",)
            )

    assert {
        (f["kind"], f["nodeid"].rpartition("::")[2].partition("[")[0], seen(f)[3])
        for f in outcome.findings
    } == {
        ("never-awaited", "test_forgets", suite.line_of("forgets")),
        ("pending-task", "test_leaves", suite.line_of("leaves")),
        ("slow-callback", "test_blocks", suite.line_of("blocks")),
        ("unretrieved-exception", "test_fails", suite.line_of("fails")),
        ("never-awaited", "test_itself", suite.line_of("itself")),
    }
    # A task that is left fails the teardown of a test that has passed.
    outcome.result.assert_outcomes(passed=7, failed=4, errors=1)
    outcome.no_fault()


def test_aiohttps_check_of_warnings_leaves_a_tests_own_alone(suite: Suite) -> None:
    """A test that asserts the warning has still dealt with it."""
    need("aiohttp")
    if not is_there("aiohttp.pytest_plugin"):
        pytest.skip("this aiohttp has no plugin")
    suite.pytester.makeini("[pytest]\n")
    suite.write(
        test_it="""
        import asyncio, pytest

        async def work(): pass

        async def test_it(loop):
            with pytest.warns(RuntimeWarning, match="never awaited"):
                work()
        """
    )

    outcome = suite.run(plugins=("asyncio_traps", "aiohttp.pytest_plugin"))

    outcome.clean()


# -- tornado ------------------------------------------------------------------

TORNADO = """
import asyncio, gc, time
import tornado.gen, tornado.ioloop, tornado.web, tornado.websocket
from tornado.testing import AsyncHTTPTestCase, AsyncTestCase, gen_test

async def work(): await asyncio.sleep(0)
async def poll(): await asyncio.sleep(3600)
async def boom(): raise ValueError("nobody reads this")

class Hello(tornado.web.RequestHandler):
    async def get(self):
        await work()
        self.write("hello")

class Forgets(tornado.web.RequestHandler):
    def get(self):
        work()  # http-forgets

class Leaves(tornado.web.RequestHandler):
    def get(self):
        task = asyncio.create_task(poll())  # http-leaves

class Blocks(tornado.web.RequestHandler):
    async def get(self):
        end = time.thread_time() + 0.3
        while time.thread_time() < end: pass  # http-blocks

class Slow(tornado.web.RequestHandler):
    async def get(self):
        await asyncio.sleep(3600)

class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message): self.write_message(message)

def make_app():
    return tornado.web.Application([
        ("/hello", Hello), ("/forgets", Forgets), ("/leaves", Leaves), ("/blocks", Blocks),
        ("/slow", Slow), ("/echo", Echo),
    ])
"""

TORNADO_CASES = (
    TORNADO
    + """
class TestPlain(AsyncTestCase):
    @gen_test
    def test_a_innocent_generator(self):
        yield tornado.gen.sleep(0.01)
        yield work()

    @gen_test
    async def test_forgets(self):
        work()  # forgets

    @gen_test
    async def test_g_innocent(self): await work()

    @gen_test
    async def test_leaves(self):
        task = asyncio.create_task(poll())  # leaves
        await work()

    def test_m_innocent_collection(self): gc.collect()

    @gen_test
    async def test_raises(self):
        task = asyncio.create_task(boom())  # raises
        await asyncio.sleep(0.01)

    def test_s_innocent_callback(self):
        self.io_loop.call_later(0.01, self.stop)
        self.wait()

    @gen_test
    async def test_sleeps(self):
        await work()
        end = time.thread_time() + 0.3
        while time.thread_time() < end: pass  # sleeps

    @gen_test
    async def test_t_innocent_cancelled(self):
        task = asyncio.create_task(poll())
        await work()
        task.cancel()

class TestHTTP(AsyncHTTPTestCase):
    def get_app(self): return make_app()

    def test_a_innocent(self): assert self.fetch("/hello").body == b"hello"
    def test_http_forgets(self): self.fetch("/forgets")
    def test_http_i_innocent(self): assert self.fetch("/hello").body == b"hello"
    def test_http_leaves(self): self.fetch("/leaves")
    def test_http_blocks(self): self.fetch("/blocks")

    @gen_test
    async def test_z_innocent_socket(self):
        url = f"ws://127.0.0.1:{self.get_http_port()}/echo"
        socket = await tornado.websocket.websocket_connect(url)
        await socket.write_message("hello")
        assert await socket.read_message() == "hello"

    @gen_test
    async def test_z_innocent_impatience(self):
        try:
            await self.http_client.fetch(self.get_url("/slow"), request_timeout=0.05)
        except Exception:
            pass
"""
)


@pytest.mark.parametrize("asyncio_too", [True, False], ids=["with asyncio", "alone"])
def test_tornados_test_cases(suite: Suite, asyncio_too: bool) -> None:
    """Traps are found in them and in what they fetch; the innocent stay silent."""
    need("tornado")
    suite.write(test_it=TORNADO_CASES)
    if not asyncio_too:
        suite.pytester.makeini("[pytest]\n")

    outcome = suite.run(plugins=(("asyncio",) if asyncio_too else ()) + ("asyncio_traps",))

    kinds = {
        "forgets": "never-awaited",
        "leaves": "pending-task",
        "raises": "unretrieved-exception",
        "sleeps": "slow-callback",
        "http-forgets": "never-awaited",
        "http-leaves": "pending-task",
        "http-blocks": "slow-callback",
    }
    assert {(f["kind"], f["nodeid"].rpartition("::")[2], seen(f)[3]) for f in outcome.findings} == {
        (kind, f"test_{tag.replace('-', '_')}", suite.line_of(tag)) for tag, kind in kinds.items()
    }
    outcome.result.assert_outcomes(passed=9, failed=7)
    outcome.no_fault()


def test_tornasync(suite: Suite) -> None:
    """Its fixtures and its runner are silent, and a trap is the test's."""
    need("tornado", "pytest_tornasync")
    suite.pytester.makeini("[pytest]\n")
    suite.write(
        test_it=TORNADO
        + """
import pytest

@pytest.fixture
def app(): return make_app()

async def test_innocent_1(http_server_client):
    assert (await http_server_client.fetch("/hello")).body == b"hello"

async def test_forgets(http_server_client):
    await http_server_client.fetch("/forgets")

async def test_itself(io_loop):
    work()  # itself

async def test_innocent_2(io_loop): await work()
def test_innocent_3(): gc.collect()
"""
    )

    outcome = suite.run(plugins=("asyncio_traps", "pytest_tornasync.plugin"))

    assert {(f["kind"], f["nodeid"].rpartition("::")[2], seen(f)[3]) for f in outcome.findings} == {
        ("never-awaited", "test_forgets", suite.line_of("http-forgets")),
        ("never-awaited", "test_itself", suite.line_of("itself")),
    }
    outcome.result.assert_outcomes(passed=3, failed=2)
    outcome.no_fault()


# -- freezegun and time-machine -----------------------------------------------

CLOCKS = {
    "freezegun": """
import freezegun

@pytest.fixture(autouse=True)
def clock():
    with freezegun.freeze_time("2020-01-01", real_asyncio=True) as frozen:
        yield frozen
""",
    "freezegun-tick": """
import freezegun

@pytest.fixture(autouse=True)
def clock():
    with freezegun.freeze_time("2020-01-01", tick=True) as frozen:
        yield frozen
""",
    "time-machine": """
import time_machine

@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel("2020-01-01", tick=False) as traveller:
        yield traveller
""",
    "time-machine-tick": """
import time_machine

@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel("2020-01-01", tick=True) as traveller:
        yield traveller
""",
}

JUMPS = """
import asyncio, datetime, time
import pytest

async def test_jumps_ahead(clock):
    await asyncio.sleep(0)
    clock.move_to("2030-01-01")
    await asyncio.sleep(0)
    assert datetime.date.today().year == 2030

async def test_jumps_back(clock):
    await asyncio.sleep(0)
    clock.move_to("1990-01-01")
    await asyncio.sleep(0)

def test_jumps_in_a_loop_of_its_own(clock):
    async def main():
        clock.move_to("2030-01-01")
    asyncio.run(main())

async def test_blocks(clock):
    await asyncio.sleep(0)
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # blocks

async def test_jumps_and_blocks(clock):
    await asyncio.sleep(0)
    clock.move_to("1990-01-01")
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass  # both
"""


@pytest.mark.parametrize("how", CLOCKS)
def test_the_same_whatever_the_clock_says(suite: Suite, how: str) -> None:
    """Each test of the suite runs by a clock that stands, or that tells another time."""
    need(how.removesuffix("-tick").replace("-", "_"))
    expected = reference(suite)
    suite.pytester.makeconftest("import pytest\n" + CLOCKS[how])

    outcome = suite.test(MIXED, "-rA", *NAMED)

    assert run_of(outcome) == expected


@pytest.mark.parametrize("how", CLOCKS)
def test_a_clock_that_jumps(suite: Suite, how: str) -> None:
    """A jump takes no time; a step that blocks is found by the time that does pass."""
    need(how.removesuffix("-tick").replace("-", "_"))
    outcome = suite.test(JUMPS + CLOCKS[how])

    assert {(f["kind"], f["nodeid"].rpartition("::")[2], seen(f)[3]) for f in outcome.findings} == {
        ("slow-callback", "test_blocks", suite.line_of("blocks")),
        ("slow-callback", "test_jumps_and_blocks", suite.line_of("both")),
    }
    assert all(0.2 < finding["duration"] < 60 for finding in outcome.findings)
    outcome.result.assert_outcomes(passed=3, failed=2)
    outcome.no_fault()


def test_a_clock_that_stands_still_for_asyncio_too(suite: Suite) -> None:
    """freezegun's way when nothing else is asked for, as a decorator and as a block."""
    need("freezegun")
    outcome = suite.test(
        """
        import asyncio, time
        from freezegun import freeze_time

        async def work(): await asyncio.sleep(0)

        @freeze_time("2020-01-01")
        async def test_innocent(): await asyncio.gather(work(), work())

        @freeze_time("2020-01-01", auto_tick_seconds=3600)
        async def test_each_look_takes_an_hour():
            await work()
            time.time(), time.monotonic(), time.perf_counter()
            await work()

        @freeze_time("2020-01-01")
        def test_run(): asyncio.run(work())

        async def test_forgets():
            with freeze_time("2020-01-01") as clock:
                work()  # forgets
                clock.tick(3600)
                await work()

        @freeze_time("2020-01-01")
        def test_blocks():
            async def main():
                end = time.thread_time() + 0.3
                while time.thread_time() < end: pass  # blocks
            asyncio.run(main())

        async def test_after(): await asyncio.sleep(0.01)
        """
    )

    assert {(f["kind"], f["nodeid"].rpartition("::")[2], seen(f)[3]) for f in outcome.findings} == {
        ("never-awaited", "test_forgets", suite.line_of("forgets")),
        ("slow-callback", "test_blocks", suite.line_of("blocks")),
    }
    outcome.result.assert_outcomes(passed=4, failed=2)
    outcome.no_fault()


# -- hypothesis ---------------------------------------------------------------


@pytest.mark.parametrize("seed", ["1", "2"])
def test_examples(suite: Suite, seed: str) -> None:
    """A trap that examples spring is told once, with its count, whether or not one fails."""
    need("hypothesis")
    outcome = suite.test(
        """
        import asyncio, gc
        from hypothesis import given, settings, strategies

        settings.register_profile("all", max_examples=20, deadline=None, database=None)
        settings.load_profile("all")

        KEPT = []

        async def work(): await asyncio.sleep(0)
        async def poll(): await asyncio.sleep(3600)
        async def boom(): raise ValueError("nobody reads this")

        @given(strategies.integers())
        async def test_innocent_1(number): await work()

        @given(strategies.integers(0, 10_000))
        async def test_forgets(number):
            work()  # forgets

        @given(strategies.integers(0, 10_000))
        async def test_leaves(number):
            task = asyncio.create_task(poll())  # leaves
            await work()

        @given(strategies.integers())
        def test_innocent_2(number): asyncio.run(work())

        @given(strategies.integers(0, 10_000))
        def test_raises(number):
            async def main():
                task = asyncio.create_task(boom())  # raises
                await asyncio.sleep(0.001)
            asyncio.run(main())

        @given(strategies.integers(0, 10_000))
        async def test_keeps(number):
            gc.disable()  # Python 3.11 may collect in the middle of making a coroutine
            KEPT.append(work())  # keeps
            gc.enable()

        @given(strategies.integers(0, 10_000))
        async def test_fails_by_itself(number):
            work()  # fails by itself
            assert number < 0

        @given(strategies.integers())
        async def test_innocent_3(number): await work()
        """,
        f"--hypothesis-seed={seed}",
        plugins=("_hypothesis_pytestplugin",),
    )

    found = {f["nodeid"].rpartition("::test_")[2]: f for f in outcome.findings}
    assert len(found) == len(outcome.findings)
    assert {name: found[name]["kind"] for name in found} == {
        "forgets": "never-awaited",
        "leaves": "pending-task",
        "raises": "unretrieved-exception",
        "keeps": "never-awaited",
        "fails_by_itself": "never-awaited",
    }
    for name, finding in found.items():
        assert finding["origin"]["line"] == suite.line_of(name.replace("_", " "))
        if name != "fails_by_itself":
            assert finding["count"] == 20
    assert found["fails_by_itself"]["count"] > 1  # it was tried again
    assert found["keeps"]["when"] == "late"
    outcome.result.stdout.fnmatch_lines(["*never-awaited: *(20 times)*"])
    outcome.result.assert_outcomes(passed=5, failed=4, errors=1)
    outcome.no_fault()


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
