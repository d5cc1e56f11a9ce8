"""uvloop tells of callbacks, in texts and logs, as if nobody watched."""

from __future__ import annotations

import pytest

from ..run import Suite

pytest.importorskip("uvloop")

HEAD = """
import asyncio, functools, logging
import pytest, uvloop

@pytest.fixture
def loop():
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()

def cb(*args): pass

class Odd:
    __name__ = "odd"
    def __call__(self): pass
    def __repr__(self): return "<an odd one>"
    def method(self): pass

def fails(): raise ValueError("no")
"""


def test_handles_name_the_callback(suite: Suite) -> None:
    """Whatever uvloop asks of it."""
    outcome = suite.test(
        HEAD
        + """
CALLBACKS = {
    cb: "cb",
    Odd().method: "Odd.method",
    Odd(): "odd",
    functools.partial(cb, 1): "functools.partial(",
    print: "print",
    len.__call__: "builtin_function_or_method.__call__",
}

@pytest.mark.parametrize("callback", CALLBACKS)
@pytest.mark.parametrize("way", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_it(loop, callback, way):
    args = (60,) if way == "call_later" else ()
    handle = getattr(loop, way)(*args, callback)
    name = "TimerHandle" if args else "Handle"
    assert repr(handle).startswith(f"<{name} {CALLBACKS[callback]}")
    assert "step" not in repr(handle)
    handle.cancel()
    assert repr(handle) == f"<{name} cancelled>"
"""
    )

    outcome.clean()


def test_debug_mode_names_the_line_that_scheduled(suite: Suite) -> None:
    """Not the plugin's, in uvloop's own debug mode."""
    outcome = suite.test(
        HEAD
        + """
@pytest.mark.parametrize("way", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_it(loop, way):
    loop.set_debug(True)
    args = (60,) if way == "call_later" else ()
    handle = getattr(loop, way)(*args, cb)
    assert handle._source_traceback[-1].name == "test_it"
    assert f"cb created at {__file__}:" in repr(handle)
    handle.cancel()

def test_slow(loop, caplog):
    import time
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    loop.call_soon(cb)
    async def work(): pass
    loop.run_until_complete(loop.create_task(work(), name="busy"))
    texts = [record.getMessage() for record in caplog.records]
    assert any("<Handle cb created at " in text for text in texts)
    assert any("<Task finished name='busy'" in text for text in texts)
    assert not any("step" in text for text in texts)
"""
    )

    outcome.clean()


def test_exceptions_name_the_callback(suite: Suite) -> None:
    """What the exception handler is told is what it is told without the plugin."""
    outcome = suite.test(
        HEAD
        + """
@pytest.mark.parametrize("callback", [fails, functools.partial(fails)])
def test_it(loop, callback):
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
    loop.call_soon(callback)
    loop.call_later(0, callback)
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert told == [f"Exception in callback {callback}"] * 2
"""
    )

    outcome.clean()


def test_a_finding_names_the_callback(suite: Suite) -> None:
    """As on asyncio's own loop, and without an address, by which nobody could find it again."""
    outcome = suite.test(
        HEAD
        + """
def test_it(loop):
    loop.call_soon(fails)
    loop.call_soon(loop.stop)
    loop.run_forever()
"""
    )

    assert outcome.only()["summary"] == "callback 'fails' raised ValueError: no"


def test_a_subclass_is_watched(suite: Suite) -> None:
    """A class of the user's own on top of uvloop's has the same hooks, and is no blind spot."""
    outcome = suite.test(
        """
        import uvloop

        KEPT = []

        class Mine(uvloop.Loop):
            pass

        def test_it():
            KEPT.append(Mine())
            KEPT[0].close()
        """
    )

    outcome.clean()
    assert not any("Mine" in spot["what"] for spot in outcome.report["blind_spots"])


def test_an_exit_that_cuts_a_run_short(suite: Suite) -> None:
    """What was at work then did not have its time, here as on asyncio's own loop."""
    outcome = suite.test(
        """
        import asyncio
        import pytest, uvloop

        @pytest.mark.parametrize("factory", [None, uvloop.new_event_loop])
        @pytest.mark.parametrize("exit", [SystemExit, KeyboardInterrupt])
        def test_it(factory, exit):
            async def leave():
                raise exit

            async def main():
                task = asyncio.create_task(leave())
                try:
                    await asyncio.sleep(3600)
                finally:
                    raise ValueError("on the way out")

            with pytest.raises(exit):
                with asyncio.Runner(loop_factory=factory) as runner:
                    runner.run(main())
        """
    )

    outcome.clean()
    outcome.result.assert_outcomes(passed=4)


def test_an_error_that_ends_a_run(suite: Suite) -> None:
    """What main() raises cuts nothing short: what it has left is found."""
    outcome = suite.test(
        """
        import asyncio
        import pytest, uvloop

        @pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
        def test_it(error):
            async def main():
                asyncio.create_task(asyncio.sleep(3600))
                raise error

            with pytest.raises(error):
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(main())
        """
    )

    assert outcome.kinds == ["pending-task", "pending-task"]
