"""Every loop is debug-enabled, without asyncio's debug mode."""

from __future__ import annotations

import importlib.util

import pytest

from ..run import Suite

ALL = """
import asyncio, threading, unittest
import pytest

def check():
    loop = asyncio.get_running_loop()
    assert loop.get_debug() is True
    assert asyncio.get_running_loop().create_future()._source_traceback is None

async def main(): check()

async def test_pytest_asyncio(): check()

@pytest.mark.asyncio(loop_scope="session")
async def test_session_loop(): check()

def test_run(): asyncio.run(main())

def test_new_event_loop():
    loop = asyncio.new_event_loop()
    assert loop.get_debug() is True
    loop.run_until_complete(main())
    loop.close()

def test_thread():
    errors = []
    def run():
        try:
            asyncio.run(main())
        except BaseException as exc:
            errors.append(exc)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []

class TestUnittest(unittest.IsolatedAsyncioTestCase):
    async def test_it(self):
        assert asyncio.get_running_loop().get_debug() is True  # unittest asks for it itself

def test_subclass():
    class Loop(asyncio.SelectorEventLoop):
        pass
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())

def test_fixture(debug_loop):
    assert debug_loop.get_debug() is True
    debug_loop.run_until_complete(main())
"""


def test_every_loop_answers_true(suite: Suite) -> None:
    """Whoever made it; and none takes the tracebacks that debug mode takes."""
    outcome = suite.test(ALL)

    outcome.clean()
    outcome.result.assert_outcomes(passed=8)


def test_uvloop_answers_true(suite: Suite) -> None:
    if importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    outcome = suite.test(
        """
        import asyncio, uvloop

        async def main():
            assert asyncio.get_running_loop().get_debug() is True

        async def quiet():
            assert asyncio.get_running_loop().get_debug() is False

        def test_it():
            uvloop.run(main())
            uvloop.run(quiet(), debug=False)
        """
    )

    outcome.clean()


def test_what_the_code_under_test_sets_is_kept(suite: Suite) -> None:
    outcome = suite.test(
        """
        import asyncio

        async def quiet():
            assert asyncio.get_running_loop().get_debug() is False

        async def loud():
            loop = asyncio.get_running_loop()
            assert loop.get_debug() is True
            future = loop.create_future()
            assert future._source_traceback[-1].name == "create_future"
            assert future._source_traceback[-2].name == "loud"
            handle = loop.call_soon(print)
            assert handle._source_traceback[-1].name == "loud"
            handle.cancel()
            task = loop.create_task(asyncio.sleep(0))
            assert task._source_traceback[-1].name == "loud"
            await task

        def test_run():
            asyncio.run(quiet(), debug=False)
            asyncio.run(loud(), debug=True)

        async def test_set_debug():
            loop = asyncio.get_running_loop()
            loop.set_debug(False)
            assert loop.get_debug() is False
            loop.set_debug(True)
            assert loop.get_debug() is True
        """
    )

    outcome.clean()


def test_debug_modes_checks_are_made(suite: Suite) -> None:
    """Nothing is raised: what a loop in debug mode would refuse is reported."""
    outcome = suite.test(
        """
        import asyncio, pytest

        async def work(): pass

        async def test_coroutine_function():
            loop = asyncio.get_running_loop()
            loop.call_soon(work)  # soon
            loop.call_later(0, work)  # later
            await asyncio.sleep(0.01)

        async def test_coroutine_function_in_debug_mode():
            loop = asyncio.get_running_loop()
            loop.set_debug(True)
            with pytest.raises(TypeError, match="coroutines cannot be used"):
                loop.call_soon(work)

        async def test_thread(asyncio_traps):
            loop = asyncio.get_running_loop()
            with asyncio_traps.expect("wrong-thread", match="call_soon"):
                await asyncio.to_thread(lambda: loop.call_soon(print))
            loop.set_debug(False)  # the plugin's checks stay armed
            with asyncio_traps.expect("wrong-thread", match="call_later"):
                await asyncio.to_thread(lambda: loop.call_later(0, print))
        """
    )

    assert [(f["kind"], f["origin"]["line"]) for f in outcome.findings] == [
        ("never-awaited", suite.line_of("soon")),
        ("never-awaited", suite.line_of("later")),
    ]
    outcome.result.assert_outcomes(passed=2, failed=1)
    outcome.no_fault()


def test_the_asyncio_logger_is_captured_and_nobody_notices(suite: Suite) -> None:
    """At DEBUG for the fixture; other handlers get what they would get without us."""
    outcome = suite.test(
        """
        import asyncio, logging

        async def test_it(asyncio_traps, caplog):
            logging.getLogger("asyncio").debug("hidden")
            logging.getLogger("asyncio").warning("shown")
            assert [r.getMessage() for r in asyncio_traps.records][-2:] == ["hidden", "shown"]
            assert [r.getMessage() for r in caplog.records] == ["shown"]

        async def test_level(asyncio_traps, caplog):
            caplog.set_level(logging.DEBUG, logger="asyncio")
            logging.getLogger("asyncio").debug("asked for")
            assert [r.getMessage() for r in caplog.records] == ["asked for"]
        """
    )

    outcome.clean()


def test_records_and_warnings_join_the_report(suite: Suite) -> None:
    outcome = suite.test(
        """
        import asyncio, logging, warnings

        async def test_it(asyncio_traps):
            logging.getLogger("asyncio").debug("a detail")
            warnings.warn("left open", ResourceWarning)
            assert [str(w.message) for w in asyncio_traps.warnings] == ["left open"]
            assert 0
        """,
        "-Walways",
    )

    outcome.result.stdout.fnmatch_lines(
        [
            "*Captured asyncio log call*",
            "DEBUG a detail",
            "*Captured asyncio warnings call*",
            "ResourceWarning *test_it.py:5 left open",
        ]
    )
