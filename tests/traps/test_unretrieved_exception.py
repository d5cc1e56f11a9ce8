"""unretrieved-exception, in its variants."""

from __future__ import annotations

from ..run import Suite
from .variants import check

KIND = "unretrieved-exception"


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_task():
            task = asyncio.create_task(boom())  # here
            await asyncio.sleep(0)

        async def test_ensure_future():
            future = asyncio.ensure_future(boom())  # here
            await asyncio.sleep(0)

        async def test_directly_made_task():
            task = asyncio.Task(boom())  # here
            await asyncio.sleep(0)

        async def test_future():
            future = asyncio.get_running_loop().create_future()
            future.set_exception(ValueError())  # here

        async def test_future_from_a_callback():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            def fail(): future.set_exception(ValueError())  # here
            loop.call_soon(fail)
            await asyncio.sleep(0.01)

        async def test_in_a_global():
            KEPT.append(asyncio.create_task(boom()))  # here
            await asyncio.sleep(0)

        def test_in_a_thread():
            async def main():
                task = asyncio.create_task(boom())  # here
                await asyncio.sleep(0.01)
            thread = threading.Thread(target=lambda: asyncio.run(main()))
            thread.start()
            thread.join()

        def test_kept_beyond_asyncio_run():
            async def main():
                KEPT.append(asyncio.create_task(boom()))  # here
                await asyncio.sleep(0.01)
            asyncio.run(main())

        async def test_with_a_silent_log(caplog):
            import logging
            logging.disable()
            task = asyncio.create_task(boom())  # here
            await asyncio.sleep(0)
            logging.disable(logging.NOTSET)
        """,
        KIND,
    )


def test_near_misses(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_awaited():
            task = asyncio.create_task(boom())
            with pytest.raises(ValueError):
                await task

        async def test_looked_at():
            task = asyncio.create_task(boom())
            await asyncio.wait([task])
            assert task.exception()

        async def test_by_callback():
            task = asyncio.create_task(boom())
            task.add_done_callback(lambda task: task.exception())
            await asyncio.sleep(0.01)

        async def test_gather():
            await asyncio.gather(boom(), boom(), return_exceptions=True)
            with pytest.raises(ValueError):
                await asyncio.gather(boom(), boom())

        async def test_group():
            with pytest.raises(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    group.create_task(boom())

        def test_after_asyncio_run():
            async def main():
                task = asyncio.create_task(boom())
                await asyncio.wait([task])
                return task
            assert asyncio.run(main()).exception()

        async def test_future_cancelled():
            asyncio.get_running_loop().create_future().cancel()

        async def test_own_handler():
            seen = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: seen.append(context))
            future = loop.create_future()
            future.set_exception(ValueError())
            del future
            assert len(seen) == 1

        def test_system_exit():
            async def leave(): sys.exit(3)
            async def main():
                task = asyncio.create_task(leave())
                await asyncio.sleep(1)
            with pytest.raises(SystemExit):
                asyncio.run(main())
        """,
        KIND,
    )


def test_gather(suite: Suite) -> None:
    """Charged at the line that gathered, and once."""
    check(
        suite,
        """
        async def test_dropped():
            asyncio.gather(boom(), work())  # here
            await asyncio.sleep(0.01)

        async def test_kept():
            KEPT.append(asyncio.gather(boom(), boom()))  # here
            await asyncio.sleep(0.01)
        """,
        KIND,
    )


def test_futures_of_other_threads(suite: Suite) -> None:
    """What run_coroutine_threadsafe() returns tells nobody by itself."""
    check(
        suite,
        """
        async def test_dropped():
            asyncio.run_coroutine_threadsafe(boom(), asyncio.get_running_loop())  # here
            await asyncio.sleep(0.01)

        async def test_kept():
            loop = asyncio.get_running_loop()
            KEPT.append(asyncio.run_coroutine_threadsafe(boom(), loop))  # here
            await asyncio.sleep(0.01)

        async def test_from_a_thread():
            loop = asyncio.get_running_loop()
            def start():
                asyncio.run_coroutine_threadsafe(boom(), loop)  # here
            await asyncio.to_thread(start)
            await asyncio.sleep(0.01)

        async def test_result():
            loop = asyncio.get_running_loop()
            def start():
                with pytest.raises(ValueError):
                    asyncio.run_coroutine_threadsafe(boom(), loop).result(20)
            await asyncio.to_thread(start)

        async def test_exception():
            future = asyncio.run_coroutine_threadsafe(boom(), asyncio.get_running_loop())
            await asyncio.sleep(0.01)
            assert isinstance(future.exception(), ValueError)

        async def test_wrapped():
            future = asyncio.run_coroutine_threadsafe(boom(), asyncio.get_running_loop())
            with pytest.raises(ValueError):
                await asyncio.wrap_future(future)

        async def test_callback():
            seen = []
            future = asyncio.run_coroutine_threadsafe(boom(), asyncio.get_running_loop())
            future.add_done_callback(lambda future: seen.append(future.exception()))
            await asyncio.sleep(0.01)
            assert seen

        async def test_cancelled():
            future = asyncio.run_coroutine_threadsafe(poll(), asyncio.get_running_loop())
            await asyncio.sleep(0.01)
            future.cancel()
            await asyncio.sleep(0.01)

        async def test_nothing_raised():
            asyncio.run_coroutine_threadsafe(work(), asyncio.get_running_loop())
            await asyncio.sleep(0.01)
        """,
        KIND,
    )


def test_a_future_whose_constructor_failed(suite: Suite) -> None:
    outcome = suite.test("""
        import asyncio
        import pytest

        class Answer(asyncio.Future):
            def __init__(self, question):
                raise ValueError(question)

        async def test_kept_by_its_traceback():
            with pytest.raises(ValueError) as caught:
                Answer("?")
            kept.append(caught)

        kept = []
    """)

    outcome.clean()
