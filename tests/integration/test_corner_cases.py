"""Cases that went wrong once, or would without special care."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from ..run import Suite

HEAD = """
import asyncio, gc, logging, os, threading, time, unittest, warnings
import pytest, pytest_asyncio

HELD = []

async def work(): pass
async def boom(): raise ValueError("x")
async def poll(): await asyncio.sleep(3600)
"""


def test_a_reused_address_is_another_object(suite: Suite) -> None:
    """A coroutine at the address of one that ended quietly is not that one."""
    outcome = suite.test(
        HEAD
        + """
def test_a():
    HELD.append(work())
    gc.collect()

def test_b():
    HELD.pop().close()
    work()  # here
"""
    )

    finding = outcome.only()
    assert finding["nodeid"].endswith("test_b")
    assert finding["origin"]["line"] == suite.line_of("here")


def test_a_background_task_of_a_fixture_works_for_the_fixture(suite: Suite) -> None:
    """Also in what it makes and keeps, while somebody's test runs."""
    outcome = suite.test(
        HEAD
        + """
pytestmark = pytest.mark.asyncio(loop_scope="session")

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def background():
    go = asyncio.Event()

    async def pump():
        await go.wait()
        HELD.append(work())  # here
        await asyncio.sleep(3600)

    task = asyncio.create_task(pump())
    yield go
    task.cancel()
    await asyncio.wait([task])

async def test_a(background): pass

async def test_b(background):
    background.set()
    await asyncio.sleep(0.01)
"""
    )

    finding = outcome.only()
    assert finding["owner"]["name"] == "background"
    assert finding["nodeid"].endswith("test_a")
    assert finding["origin"]["line"] == suite.line_of("here")


def test_a_thread_works_for_the_test_that_started_it(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
GO = threading.Event()

def test_a():
    def run():
        GO.wait(10)
        work()  # here
    HELD.append(threading.Thread(target=run))
    HELD[0].start()

def test_b():
    GO.set()
    HELD[0].join()
"""
    )

    finding = outcome.only()
    assert finding["nodeid"].endswith("test_a")
    assert finding["origin"]["line"] == suite.line_of("here")


def test_anyios_trio_runner(suite: Suite) -> None:
    """A coroutine is as easily forgotten on trio; the fixture's task is not to blame."""
    if not importlib.util.find_spec("anyio") or not importlib.util.find_spec("trio"):
        pytest.skip("anyio or trio is not installed")
    outcome = suite.test(
        """
        import pytest

        @pytest.fixture(scope="module")
        def anyio_backend(): return "trio"

        async def work(): pass

        @pytest.fixture(scope="module")
        async def pool(anyio_backend): yield 1

        @pytest.mark.anyio
        async def test_innocent(pool): pass

        @pytest.mark.anyio
        async def test_guilty(pool): work()  # here
        """,
        "-oasyncio_mode=strict",
        plugins=("anyio",),
    )

    finding = outcome.only()
    assert finding["owner"]["type"] == "test"
    assert finding["nodeid"].endswith("test_guilty")


@pytest.mark.skipif(sys.platform == "win32", reason="UNIX sockets")
def test_a_connection_that_a_closed_server_gives_up(suite: Suite) -> None:
    """asyncio makes such a transport by half; that is not the user's."""
    outcome = suite.test(
        HEAD
        + """
def test_sound(tmp_path):
    async def main():
        async def handle(reader, writer):
            await reader.read()
            writer.close()
        server = await asyncio.start_unix_server(handle, str(tmp_path / "s"))
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        server.close()
        writer.close()
        await writer.wait_closed()
        await server.wait_closed()
    asyncio.run(main())

def test_innocent():
    gc.collect()
"""
    )

    assert "unclosed-transport" not in outcome.kinds
    outcome.no_fault()


def test_asyncios_own_tasks_are_not_the_users(suite: Suite) -> None:
    """Closing an async generator takes a task of asyncio's; gather's cancellation is no error."""
    outcome = suite.test(
        HEAD
        + """
def test_generator():
    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
    async def main():
        async for number in numbers():  # generator
            break
    asyncio.run(main())

def test_gather():
    async def main():
        HELD.append(asyncio.gather(poll(), poll()))  # here
        await asyncio.sleep(0)
    asyncio.run(main())
"""
    )

    assert {(f["kind"], f["origin"]["line"]) for f in outcome.findings} == {
        ("unclosed-asyncgen", suite.line_of("generator")),
        ("pending-task", suite.line_of("here")),
    }


def test_a_task_of_asyncios_coroutine_made_directly(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
def test_it():
    async def main():
        HELD.append(asyncio.Task(asyncio.sleep(3600)))  # here
        await asyncio.sleep(0)
    asyncio.run(main())
"""
    )

    finding = outcome.only()
    assert finding["kind"] == "pending-task"
    assert finding["origin"]["line"] == suite.line_of("here")


def test_a_loop_that_is_entered_again_is_not_blocked(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
def test_nested():
    loop = asyncio.new_event_loop()
    def callback():
        end = loop.time() + 0.3
        loop.call_at(end, lambda: None)
        while loop.time() < end:
            loop._run_once()
    async def main():
        loop.call_soon(callback)
        await asyncio.sleep(0.35)
    loop.run_until_complete(main())
    loop.close()
"""
    )

    outcome.clean()


def test_a_late_finding_of_a_test_that_is_expected_to_fail(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
@pytest.mark.xfail(strict=True)
def test_late():
    HELD.append(work())
    assert 0
"""
    )

    outcome.result.assert_outcomes(xfailed=2)
    assert outcome.result.ret == 0


def test_unittests_skip_hides_nothing(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
class TestIt(unittest.TestCase):
    def test_it(self):
        work()  # here
        self.skipTest("no")
"""
    )

    assert outcome.only()["origin"]["line"] == suite.line_of("here")
    outcome.result.assert_outcomes(failed=1)


def test_nobody_deals_with_somebody_elses_trap(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
def test_guilty():
    gc.disable()
    ring = [work()]
    ring.append(ring)

def test_other():
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        gc.collect()
    gc.enable()
"""
    )

    assert outcome.only()["nodeid"].endswith("test_guilty")


def test_expect_gives_back_what_came_before(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
def test_it(asyncio_traps):
    work()
    with pytest.raises(KeyError):
        with asyncio_traps.expect("never-awaited"):
            raise KeyError
"""
    )

    outcome.only()
    outcome.result.assert_outcomes(failed=1)


def test_a_doctest(suite: Suite) -> None:
    """What is typed into a doctest is the user's."""
    outcome = suite.test(
        '''
        """
        >>> async def work(): pass
        >>> work() and None
        """
        ''',
        "--doctest-modules",
    )

    assert outcome.only()["kind"] == "never-awaited"


def test_a_debugger_excuses_only_its_own_test(suite: Suite) -> None:
    suite.write(
        test_it=HEAD
        + """
def test_a(request): request.config.hook.pytest_enter_pdb(config=request.config, pdb=None)

def test_b():
    async def main(): time.sleep(0.3)  # here
    asyncio.run(main())
"""
    )

    outcome = suite.run()

    assert outcome.only()["nodeid"].endswith("test_b")


def test_an_eagerly_failed_task_is_a_task(suite: Suite) -> None:
    if sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")
    outcome = suite.test(
        HEAD
        + """
def test_it():
    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        asyncio.create_task(boom())  # here
    asyncio.run(main())
"""
    )

    finding = outcome.only()
    assert finding["summary"].startswith("task running 'boom' ended in ValueError")
    assert finding["origin"]["line"] == suite.line_of("here")


def test_a_mock_as_a_slow_callback(suite: Suite) -> None:
    """A mock has every attribute, without end."""
    outcome = suite.test(
        HEAD
        + """
def test_it():
    from unittest.mock import Mock
    async def main():
        asyncio.get_running_loop().call_soon(Mock(side_effect=lambda: time.sleep(0.3)))
        await asyncio.sleep(0.01)
    asyncio.run(main())
"""
    )

    assert outcome.only()["kind"] == "slow-callback"
    outcome.no_fault()


def test_a_record_whose_arguments_do_not_fit(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
def test_it():
    logging.getLogger("asyncio").debug("%d", "x")
    assert 0
"""
    )

    outcome.result.assert_outcomes(failed=1)
    outcome.no_fault()


def test_a_bad_marker_that_comes_too_late(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
@pytest.fixture
def mark(request): request.node.add_marker(pytest.mark.asyncio_allow("bogus"))

def test_now(mark): work()
def test_late(mark): HELD.append(work())
"""
    )

    assert outcome.kinds == ["never-awaited"] * 2
    outcome.result.assert_outcomes(passed=1, failed=2)


def test_a_bad_marker_under_xdist_says_so(suite: Suite) -> None:
    pytest.importorskip("xdist")
    outcome = suite.test(
        "import pytest\n@pytest.mark.asyncio_allow('bogus')\ndef test_it(): pass\n",
        "-n2",
        plugins=("xdist",),
    )

    outcome.result.assert_outcomes(errors=1)
    outcome.result.stdout.fnmatch_lines(["*unknown kind 'bogus'*"])


def test_classes_that_do_not_want_to_be_looked_at(suite: Suite) -> None:
    """The tracker runs no code of the user's."""
    outcome = suite.test(
        HEAD
        + """
class Meta(type):
    def __eq__(cls, other): raise ZeroDivisionError
    def __hash__(cls): raise ZeroDivisionError

class A(metaclass=Meta):
    def __eq__(self, other): raise ZeroDivisionError

class Future(asyncio.Future):
    def done(self): raise ZeroDivisionError

def test_it():
    kept = [A() for _ in range(10)]
    async def main():
        future = Future()
        gc.collect()
    asyncio.run(main())
    gc.collect()
"""
    )

    outcome.clean()


def test_a_loop_whose_constructor_fails(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
class Loop(asyncio.SelectorEventLoop):
    def __init__(self, bad):
        if bad:
            raise KeyError
        super().__init__()

def test_sound():
    with pytest.raises(KeyError):
        Loop(True)
    with pytest.raises(AttributeError):
        asyncio.StreamWriter.__new__(asyncio.StreamWriter).nothing

def test_leak():
    asyncio.new_event_loop()  # here
"""
    )

    assert outcome.only()["origin"]["line"] == suite.line_of("here")
    outcome.no_fault()


def test_an_interrupted_run_writes_what_it_shows(suite: Suite) -> None:
    """JUnit's file has the late findings of a run that was stopped."""
    outcome = suite.test(
        HEAD
        + """
def test_1(): HELD.append(work())
def test_2(): raise KeyboardInterrupt
""",
        "--junitxml=junit.xml",
    )

    assert outcome.only()["nodeid"].endswith("test_1")
    assert 'failures="1"' in (suite.pytester.path / "junit.xml").read_text()


def test_a_reloaded_warnings_module(suite: Suite) -> None:
    """The hook is put back for the next test."""
    outcome = suite.test(
        HEAD
        + """
def test_reload():
    import importlib
    importlib.reload(warnings)

def test_it():
    work()  # here
"""
    )

    assert outcome.only()["origin"]["line"] == suite.line_of("here")


def test_a_loop_without_hooks_is_a_blind_spot(suite: Suite) -> None:
    outcome = suite.test(
        HEAD
        + """
class Foreign(asyncio.AbstractEventLoop):
    pass

def test_it():
    HELD.append(Foreign())
"""
    )

    outcome.clean()
    assert [spot["what"] for spot in outcome.report["blind_spots"]] == ["loops of test_it.Foreign"]


def test_uvloop_in_use(suite: Suite) -> None:
    """Futures, queues and streams work; a stream left open is found."""
    if not importlib.util.find_spec("uvloop"):
        pytest.skip("uvloop is not installed")
    outcome = suite.test(
        HEAD
        + """
import uvloop

async def echo(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()

async def talk(close):
    queue = asyncio.Queue()
    asyncio.get_running_loop().call_later(0.001, queue.put_nowait, 1)
    assert await asyncio.wait_for(queue.get(), 5) == 1
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())  # here
        writer.write(b"x\\n")
        assert await reader.readline() == b"x\\n"
        if close:
            writer.close()
            await writer.wait_closed()

def test_sound(): uvloop.run(talk(True))
def test_leak(): uvloop.run(talk(False))
"""
    )

    finding = outcome.only()
    assert finding["kind"] == "unclosed-transport"
    assert finding["nodeid"].endswith("test_leak")
    assert finding["origin"]["line"] == suite.line_of("here")
    outcome.no_fault()


def test_tasks_that_refuse_attributes(suite: Suite) -> None:
    """Made by a factory of the user's, for the runner's own task as well."""
    suite.write(
        test_it="""
        import asyncio, pytest, pytest_asyncio

        class Task(asyncio.Task):
            def __setattr__(self, name, value):
                if not hasattr(asyncio.Task, name):
                    raise TypeError(f"no {name} for me")
                super().__setattr__(name, value)

        @pytest_asyncio.fixture
        async def factory():
            def make(loop, coro, **kwargs):
                return Task(coro, loop=loop, **kwargs)
            asyncio.get_running_loop().set_task_factory(make)

        async def test_it(factory):
            await asyncio.create_task(asyncio.sleep(0))
        """
    )

    suite.run().clean()
