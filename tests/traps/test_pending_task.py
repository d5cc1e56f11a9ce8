"""pending-task, in its variants."""

from __future__ import annotations

import signal

import pytest

from ..run import Suite
from .variants import check

KIND = "pending-task"


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_waiting():
            task = asyncio.create_task(poll())  # here
            await asyncio.sleep(0)

        async def test_named():
            task = asyncio.create_task(poll(), name="poller")  # here
            await asyncio.sleep(0)

        async def test_ensure_future():
            task = asyncio.ensure_future(poll())  # here
            await asyncio.sleep(0)

        async def test_of_asyncio():
            task = asyncio.create_task(asyncio.Queue().get())  # here
            await asyncio.sleep(0)

        async def test_busy():
            async def spin():
                while True:
                    await asyncio.sleep(0)
            task = asyncio.create_task(spin())  # here
            await asyncio.sleep(0)

        async def test_slow_to_end():
            async def stubborn():
                try:
                    await asyncio.sleep(3600)
                finally:
                    await asyncio.sleep(0.05)
            task = asyncio.create_task(stubborn())  # here
            await asyncio.sleep(0)
            task.cancel()

        def test_asyncio_run():
            async def main():
                task = asyncio.create_task(poll())  # here
            asyncio.run(main())

        def test_closed_by_hand():
            loop = asyncio.new_event_loop()
            async def main():
                KEPT.append(asyncio.create_task(poll()))  # here
            loop.run_until_complete(main())
            loop.close()

        def test_destroyed():
            loop = asyncio.new_event_loop()
            async def lost(): await loop.create_future()
            task = loop.create_task(lost())  # here
            loop.run_until_complete(asyncio.sleep(0))
            del task
            gc.collect()
            loop.close()

        def test_never_started():
            loop = asyncio.new_event_loop()
            loop.create_task(poll())  # here
            loop.close()
        """,
        KIND,
    )


def test_near_misses(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_cancelled_and_awaited():
            task = asyncio.create_task(poll())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        async def test_cancelled_last():
            task = asyncio.create_task(poll())
            await asyncio.sleep(0)
            task.cancel()

        async def test_ends_in_the_next_turn():
            task = asyncio.create_task(work())

        async def test_woken_last():
            event = asyncio.Event()
            async def wait(): await event.wait()
            task = asyncio.create_task(wait())
            await asyncio.sleep(0)
            event.set()

        def test_cancelled_between_two_runs():
            loop = asyncio.new_event_loop()
            task = loop.create_task(poll())
            loop.run_until_complete(asyncio.sleep(0))
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            loop.close()

        async def test_shielded():
            inner = asyncio.create_task(asyncio.sleep(0.02))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(inner), 0.001)
            await inner
        """,
        KIND,
    )


def test_a_task_that_never_began_does_not_begin_because_of_us(suite: Suite) -> None:
    """The extra turn of the loop is not given where it would start something."""
    outcome = suite.test(
        """
        import asyncio

        RAN = []

        async def job(): RAN.append(1)

        def test_it():
            async def main():
                loop = asyncio.get_running_loop()
                # Made in the very last turn of the loop, after the main task has ended.
                asyncio.current_task().add_done_callback(lambda task: loop.create_task(job()))
            asyncio.run(main())
            assert RAN == []
        """,
        "--asyncio-traps=warn",
    )

    outcome.result.assert_outcomes(passed=1, warnings=len(outcome.findings))


def test_a_run_that_a_signal_ends(suite: Suite) -> None:
    """Its tasks did not have their time, the one that runs the test among them."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("there are no alarms")
    outcome = suite.test(
        """
        import asyncio, pytest, signal

        class Enough(BaseException): pass

        def enough(*args): raise Enough

        @pytest.fixture(autouse=True)
        def alarm():
            before = signal.signal(signal.SIGALRM, enough)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            yield
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

        async def test_alone():
            await asyncio.Event().wait()

        async def test_group():
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(3600))

        def test_run():
            async def main():
                task = asyncio.create_task(asyncio.sleep(3600))
                try:
                    await asyncio.Event().wait()
                finally:
                    task.cancel()
            with pytest.raises(Enough):
                asyncio.run(main())

        def test_by_hand():
            loop = asyncio.new_event_loop()
            try:
                with pytest.raises(Enough):
                    loop.run_until_complete(asyncio.sleep(3600))
            finally:
                loop.close()
        """
    )

    outcome.result.assert_outcomes(passed=2, failed=2)
    assert outcome.findings == []
    outcome.no_fault()
