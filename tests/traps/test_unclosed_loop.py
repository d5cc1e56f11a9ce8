"""unclosed-loop, in its variants."""

from __future__ import annotations

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
