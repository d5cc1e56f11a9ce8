"""unclosed-loop, in its variants."""

from __future__ import annotations

import sys

import pytest

from ..run import Suite
from .variants import check

KIND = "unclosed-loop"


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        def test_destroyed():
            loop = asyncio.new_event_loop()  # here
            loop.run_until_complete(work())

        def test_kept():
            KEPT.append(asyncio.new_event_loop())  # here

        def test_set():
            loop = asyncio.new_event_loop()  # here
            asyncio.set_event_loop(loop)
            loop.run_until_complete(work())

        def test_by_class():
            asyncio.SelectorEventLoop()  # here

        def test_runner_that_nobody_closes():
            runner = asyncio.Runner()
            runner.run(work())  # here
            KEPT.append(runner)

        def test_in_a_thread():
            def run():
                loop = asyncio.new_event_loop()  # here
                loop.run_until_complete(work())
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()

        def test_left_running():
            loop = asyncio.new_event_loop()  # here
            threading.Thread(target=loop.run_forever, daemon=True).start()
        """,
        KIND,
    )


def test_near_misses(suite: Suite) -> None:
    check(
        suite,
        """
        def test_closed():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(work())
            loop.close()

        def test_run(): asyncio.run(work())

        @pytest.fixture(scope="module")
        def loop():
            loop = asyncio.new_event_loop()
            yield loop
            loop.close()

        def test_fixture(loop): loop.run_until_complete(work())
        def test_fixture_again(loop): loop.run_until_complete(work())

        def test_thread_that_is_stopped():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            asyncio.run_coroutine_threadsafe(work(), loop).result(5)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        """,
        KIND,
    )


def test_jobs_in_an_executor(suite: Suite) -> None:
    """A thread that is still at work when its loop is closed, and that nobody waits for."""
    check(
        suite,
        """
        async def start(*args):
            job = asyncio.get_running_loop().run_in_executor(None, *args)  # handed over
            await asyncio.sleep(0.01)
            return job

        def test_left():
            go_on = threading.Event()
            async def main():
                loop = asyncio.get_running_loop()
                KEPT.append(loop.run_in_executor(None, go_on.wait, 20))  # here
            loop = asyncio.new_event_loop()
            loop.run_until_complete(main())
            loop.close()
            go_on.set()

        def test_done():
            loop = asyncio.new_event_loop()
            job = loop.run_until_complete(start(print))
            loop.run_until_complete(job)
            loop.close()

        def test_waited_for():
            async def main():
                await start(time.sleep, 0.05)
            asyncio.run(main())

        def test_shut_down():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(start(time.sleep, 0.05))
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
        """,
        KIND,
    )


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="get_event_loop() makes none any more")
@pytest.mark.parametrize("method", ["new_event_loop", "_loop_factory"])
def test_a_loop_that_a_policy_of_the_user_s_makes(suite: Suite, method: str) -> None:
    """It serves whoever asks next, as one of asyncio's own policy does."""
    suite.write(
        test_it="""
        import asyncio, pytest

        class Loop(asyncio.SelectorEventLoop):
            def __init__(self):
                super().__init__()

        class Policy(asyncio.DefaultEventLoopPolicy):
            def METHOD(self):
                return Loop()

        pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

        def test_made():
            asyncio.set_event_loop_policy(Policy())
            asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))

        def test_used(): asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))

        def test_closed():
            asyncio.get_event_loop().close()
            asyncio.set_event_loop_policy(None)
        """.replace("METHOD", method)
    )

    suite.run().clean()
