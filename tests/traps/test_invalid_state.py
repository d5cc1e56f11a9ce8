"""Futures that are completed twice."""

from __future__ import annotations

from ..run import Suite
from .variants import check


def test_variants(suite: Suite) -> None:
    """However the second result comes: by a callback, by the loop alone, by a protocol."""
    check(
        suite,
        """
        async def test_in_a_callback():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            future.set_result(1)
            def again():
                future.set_result(2)  # here
            loop.call_soon(again)
            await work()
            await work()

        async def test_call_soon():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            future.cancel()
            loop.call_soon(future.set_result, 1)  # here
            await work()

        async def test_call_later():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            future.cancel()
            loop.call_later(0, future.set_exception, ValueError())  # here
            await asyncio.sleep(0.01)

        async def test_a_future_of_the_class_itself():
            future = asyncio.Future()
            future.cancel()
            asyncio.get_running_loop().call_soon(future.set_result, 1)  # here
            await work()

        async def test_done_callback():
            loop = asyncio.get_running_loop()
            first, second = loop.create_future(), loop.create_future()
            second.cancel()
            first.add_done_callback(lambda _: second.set_result(1))  # here
            first.set_result(1)
            await work()

        async def test_after_a_timeout():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(future, 0.001)
            loop.call_soon(lambda: future.set_result(1))  # here
            await work()

        async def test_protocol():
            loop = asyncio.get_running_loop()
            answer = loop.create_future()
            class Asker(asyncio.Protocol):
                def data_received(self, data):
                    answer.set_result(data)  # here
            ours, theirs = socket.socketpair()
            transport, _ = await loop.create_connection(Asker, sock=ours)
            theirs.send(b"1")
            await answer
            theirs.send(b"2")
            while not transport.is_closing():
                await asyncio.sleep(0.001)
            theirs.close()
        """,
        "invalid-state",
    )


def test_both_lines_are_named(suite: Suite) -> None:
    """The line that came too late, and the one that was first."""
    outcome = suite.test("""
        import asyncio

        async def test_it():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            future.cancel()  # first
            def answer():
                future.set_result(1)  # too late
            loop.call_soon(answer)
            await asyncio.sleep(0)
    """)

    finding = outcome.only()
    assert finding["kind"] == "invalid-state"
    assert finding["origin"]["line"] == suite.line_of("too late")
    assert finding["location"]["line"] == suite.line_of("first")
    assert "already cancelled" in finding["summary"]
    outcome.result.stdout.fnmatch_lines(["*cancelled before at test_it.py:*in test_it"])


def test_near_misses(suite: Suite) -> None:
    """Who asks first, catches the error, or reads too early, has set nothing twice."""
    outcome = suite.test("""
        import asyncio
        import pytest

        async def test_asked():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            future.cancel()
            loop.call_soon(lambda: future.done() or future.set_result(1))
            await asyncio.sleep(0)

        async def test_caught():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            future.set_result(1)
            with pytest.raises(asyncio.InvalidStateError):
                future.set_result(2)
            with pytest.raises(asyncio.InvalidStateError):
                future.set_exception(ValueError())
            assert not future.cancel()
            assert await future == 1

        async def test_a_handler_of_its_own():
            loop = asyncio.get_running_loop()
            told = []
            loop.set_exception_handler(lambda loop, context: told.append(context))
            future = loop.create_future()
            future.cancel()
            loop.call_soon(future.set_result, 1)
            await asyncio.sleep(0)
            assert isinstance(told[0]["exception"], asyncio.InvalidStateError)
    """)

    outcome.clean()


def test_a_result_that_is_read_too_early(suite: Suite) -> None:
    """That raises the same class of error, and is an exception in a callback like any other."""
    outcome = suite.test("""
        import asyncio

        async def test_it():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            loop.call_soon(lambda: future.result())
            await asyncio.sleep(0)
    """)

    assert outcome.only()["kind"] == "callback-exception"


def test_the_same_error_raised_by_somebody_else(suite: Suite) -> None:
    """It says something else, and is an exception in a callback, too."""
    outcome = suite.test("""
        import asyncio

        async def test_it():
            def callback():
                raise asyncio.InvalidStateError("not connected")
            asyncio.get_running_loop().call_soon(callback)
            await asyncio.sleep(0)
    """)

    assert outcome.only()["kind"] == "callback-exception"
