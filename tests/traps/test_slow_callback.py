"""slow-callback, in its variants."""

from __future__ import annotations

from ..run import Suite
from .variants import check

KIND = "slow-callback"


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_sleep():
            time.sleep(0.3)  # here

        async def test_python():
            end = time.thread_time() + 0.3
            while time.thread_time() < end: pass  # here

        async def test_in_a_helper():
            def helper():
                time.sleep(0.3)  # here
            await asyncio.sleep(0)
            helper()

        async def test_task():
            async def job():
                await asyncio.sleep(0)
                time.sleep(0.3)  # here
            await asyncio.create_task(job())

        async def test_callback():
            def callback():
                time.sleep(0.3)  # here
            asyncio.get_running_loop().call_soon(callback)
            await asyncio.sleep(0.01)

        async def test_most_of_it():
            time.sleep(0.06)
            time.sleep(0.3)  # here
            time.sleep(0.06)

        async def test_in_c_that_lets_nobody_else_run():
            await asyncio.sleep(0)
            sum(range(30_000_000))  # here

        def test_thread():
            async def main():
                time.sleep(0.3)  # here
            thread = threading.Thread(target=lambda: asyncio.run(main()))
            thread.start()
            thread.join()

        async def test_ends_in_an_exception():
            async def job():
                time.sleep(0.3)  # here
                raise ValueError
            with pytest.raises(ValueError):
                await asyncio.create_task(job())
        """,
        KIND,
    )


def test_near_misses(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_sleeping_well(): await asyncio.sleep(0.3)
        async def test_to_thread(): await asyncio.to_thread(time.sleep, 0.3)
        def test_sync(): time.sleep(0.3)

        @pytest.fixture
        def slow():
            time.sleep(0.2)
            yield
            time.sleep(0.2)

        async def test_slow_fixture(slow): await work()

        def test_between_two_runs():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(work())
            time.sleep(0.3)
            loop.run_until_complete(work())
            loop.close()
        """,
        KIND,
    )


def test_a_collectors_pause_is_not_the_steps(suite: Suite) -> None:
    """However long the collector takes, the step did not do it."""
    outcome = suite.test(
        """
        import asyncio, gc

        HEAP = [[[]] for _ in range(1_000_000)]

        async def test_it():
            await asyncio.sleep(0)
            for _ in range(5):
                gc.collect()
        """
    )

    outcome.clean()


def test_a_callback_that_cancels_itself(suite: Suite) -> None:
    """It forgets what it called; the finding does not."""
    outcome = suite.test("""
        import asyncio
        import time

        async def test_it():
            def callback():
                handle.cancel()
                time.sleep(0.3)
            handle = asyncio.get_running_loop().call_later(0.001, callback)
            await asyncio.sleep(0.01)

        async def test_of_c():
            asyncio.get_running_loop().call_later(0.001, time.sleep, 0.3)  # scheduled
            await asyncio.sleep(0.01)
    """)

    first, second = outcome.findings
    assert "'test_it.<locals>.callback'" in first["summary"]
    assert second["origin"]["line"] == suite.line_of("scheduled")


def test_what_is_done_once_is_named(suite: Suite) -> None:
    """Another call of the same code would not be slow: the reader is to know."""
    suite.write(heavy="import time\ntime.sleep(0.4)\n")
    outcome = suite.test(
        """
        import asyncio, re, time

        async def test_import():
            import heavy

        async def test_regex():
            parts = "|".join(f"(a{n}b*|c{n}[d-x]+?)" for n in range(6000))
            re.compile(parts)  # regex

        async def test_neither():
            time.sleep(0.3)
        """
    )

    notes = {
        finding["nodeid"].rpartition("::")[2]: finding["summary"] for finding in outcome.findings
    }
    assert set(notes) == {"test_import", "test_regex", "test_neither"}
    text = outcome.result.stdout.str()
    assert text.count("went into importing a module, which is done once") == 1
    assert text.count("went into compiling a regular expression, which is done once") == 1
