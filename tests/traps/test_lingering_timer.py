"""Timers that are left scheduled."""

from __future__ import annotations

from ..run import Suite
from .variants import check


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_call_later():
            asyncio.get_running_loop().call_later(3600, print)  # here

        async def test_call_at():
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time() + 3600, print)  # here

        async def test_of_a_future():
            loop = asyncio.get_running_loop()
            loop.call_later(3600, loop.create_future().set_result, None)  # here

        def test_loop_made_by_hand():
            loop = asyncio.new_event_loop()
            loop.call_later(3600, print)  # here
            loop.close()

        @pytest.mark.asyncio(loop_scope="module")
        async def test_on_a_module_loop():
            asyncio.get_running_loop().call_later(3600, print)  # here

        async def test_one_of_two():
            loop = asyncio.get_running_loop()
            loop.call_later(3600, print).cancel()
            loop.call_later(7200, print)  # here
        """,
        "lingering-timer",
        "--asyncio-strict",
    )


def test_near_misses(suite: Suite) -> None:
    """Cancelled, due, or asyncio's own."""
    outcome = suite.test(
        """
        import asyncio
        import contextlib
        import pytest

        async def test_cancelled():
            asyncio.get_running_loop().call_later(3600, print).cancel()

        async def test_due():
            asyncio.get_running_loop().call_later(0, print)
            await asyncio.sleep(0.01)

        async def test_asyncios_own():
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)
            await asyncio.wait_for(asyncio.sleep(0), 3600)
            await asyncio.wait({asyncio.create_task(asyncio.sleep(0))}, timeout=3600)
            task = asyncio.create_task(asyncio.sleep(3600))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        @pytest.mark.asyncio(loop_scope="module")
        async def test_cancelled_by_a_later_test():
            loop = asyncio.get_running_loop()
            loop.timer = loop.call_later(3600, print)

        @pytest.mark.asyncio(loop_scope="module")
        async def test_that_cancels_it():
            asyncio.get_running_loop().timer.cancel()
        """,
        "--asyncio-strict",
    )

    outcome.clean()


def test_it_is_on_in_strict_or_where_a_rule_names_it(suite: Suite) -> None:
    suite.write(
        test_it="""
        import asyncio

        async def test_it():
            asyncio.get_running_loop().call_later(3600, print)
        """
    )

    assert suite.run().kinds == []
    assert suite.run("--asyncio-traps=fail").kinds == []
    assert suite.run("--asyncio-traps=warn:lingering-timer").kinds == ["lingering-timer"]
    assert suite.run("--asyncio-strict").kinds == ["lingering-timer"]
