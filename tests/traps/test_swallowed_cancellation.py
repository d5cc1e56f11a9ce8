"""Tasks that were cancelled and returned."""

from __future__ import annotations

from ..run import Suite
from .variants import check


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        async def stubborn():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                return 1

        async def test_return():
            task = asyncio.create_task(stubborn())  # here
            await work()
            task.cancel()
            assert await task == 1

        async def test_suppress():
            async def quiet():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(3600)
            task = asyncio.create_task(quiet())  # here
            await work()
            task.cancel()
            await task

        async def test_goes_on_first():
            async def goes_on():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(3600)
                await asyncio.sleep(0.001)
            task = asyncio.create_task(goes_on())  # here
            await work()
            task.cancel()
            await task

        async def test_in_a_group():
            async with asyncio.TaskGroup() as group:
                task = group.create_task(stubborn())  # here
                await work()
                task.cancel()
        """,
        "swallowed-cancellation",
        "--asyncio-strict",
    )


def test_near_misses(suite: Suite) -> None:
    """Not fooled by those who cancel and take it back."""
    outcome = suite.test(
        """
        import asyncio
        import contextlib
        import anyio
        import pytest

        async def fail():
            await asyncio.sleep(0)
            raise ZeroDivisionError

        async def stubborn():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

        async def test_plain():
            task = asyncio.create_task(asyncio.sleep(3600))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        async def test_timeout():
            async def run():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await asyncio.sleep(3600)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.sleep(3600), 0.001)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await stubborn()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stubborn(), 0.001)
            await asyncio.create_task(run())

        async def test_group():
            async def run():
                with contextlib.suppress(BaseExceptionGroup):
                    async with asyncio.TaskGroup() as group:
                        group.create_task(fail())
                        await asyncio.sleep(3600)
                with contextlib.suppress(BaseExceptionGroup):
                    async with asyncio.TaskGroup() as group:
                        group.create_task(fail())
                        group.create_task(asyncio.sleep(3600))
            await asyncio.create_task(run())

        async def test_gather():
            async def run():
                with contextlib.suppress(ZeroDivisionError):
                    await asyncio.gather(fail(), asyncio.sleep(0.01))
            await asyncio.create_task(run())
            await asyncio.sleep(0.05)

        async def test_shield():
            inner = asyncio.create_task(asyncio.sleep(0.01))
            async def run():
                await asyncio.shield(inner)
            task = asyncio.create_task(run())
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await inner

        async def test_uncancel():
            async def run():
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    asyncio.current_task().uncancel()
            task = asyncio.create_task(run())
            await asyncio.sleep(0)
            task.cancel()
            await task

        async def test_ends_in_an_exception():
            async def run():
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    raise ZeroDivisionError from None
            task = asyncio.create_task(run())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(ZeroDivisionError):
                await task

        async def test_anyio():
            async def run():
                with anyio.move_on_after(0.001):
                    await anyio.sleep(3600)
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep, 3600)
                    await asyncio.sleep(0)
                    group.cancel_scope.cancel()
            await asyncio.create_task(run())

        async def test_interrupted_group():
            async def run():
                with contextlib.suppress(KeyboardInterrupt):
                    async with asyncio.TaskGroup() as group:
                        group.create_task(stubborn())
                        raise KeyboardInterrupt
            await asyncio.create_task(run())

        async def test_asyncios_own():
            from asyncio.staggered import staggered_race
            async def first():
                await asyncio.sleep(3600)
            async def second():
                return 2
            await staggered_race([first, second], 0.001)

        async def test_cancelled_when_done():
            task = asyncio.create_task(asyncio.sleep(0))
            await task
            task.cancel()
        """,
        "--asyncio-strict",
    )

    outcome.clean()


def test_a_task_that_a_runner_cancels_is_pending(suite: Suite) -> None:
    """One cause, one finding: it was left pending."""
    outcome = suite.test(
        """
        import asyncio
        import contextlib

        async def stubborn():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

        async def test_it():
            asyncio.create_task(stubborn())
            await asyncio.sleep(0)
        """,
        "--asyncio-strict",
    )

    assert outcome.only()["kind"] == "pending-task"


def test_a_callback_that_answers_no_question(suite: Suite) -> None:
    outcome = suite.test(
        """
        import asyncio

        class Proxy:
            def __call__(self): called.append(self)
            def __getattr__(self, name): raise RuntimeError("outside of any context")

        called = []

        async def test_call_soon():
            asyncio.get_running_loop().call_soon(Proxy())
            await asyncio.sleep(0)
            assert called
        """,
        "--asyncio-strict",
    )

    outcome.clean()
