"""Async generators that are left suspended."""

from __future__ import annotations

import pytest

from ..run import Suite
from .variants import check


def test_variants(suite: Suite) -> None:
    """Dropped, kept, or left behind by an exception."""
    check(
        suite,
        """
        async def numbers():
            try:
                yield 1
                yield 2
            finally:
                await work()

        async def test_break():
            async for _ in numbers():  # here
                break
            await work()

        async def test_return():
            async def first():
                async for number in numbers():
                    return number
            async def outer():
                return await first()
            generator = numbers()
            assert await anext(generator) == 1  # here

        async def test_kept():
            generator = numbers()
            KEPT.append(generator)
            await anext(generator)  # here

        async def test_exception():
            with pytest.raises(ZeroDivisionError):
                async for _ in numbers():  # here
                    1 / 0
            await work()

        async def test_cycle():
            generator = numbers()
            ring = [generator]
            ring.append(ring)
            await anext(generator)  # here
            del generator, ring

        async def test_cancelled():
            async def consume():
                async for _ in numbers():  # here
                    await poll()
            task = asyncio.create_task(consume())
            await work()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await work()

        def test_loop_closed():
            loop = asyncio.new_event_loop()
            generator = numbers()
            async def main():
                await anext(generator)  # here
            loop.run_until_complete(main())
            loop.close()

        @pytest.mark.asyncio(loop_scope="module")
        async def test_on_a_module_loop():
            KEPT.append(numbers())
            await anext(KEPT[-1])  # here
        """,
        "unclosed-asyncgen",
    )


def test_where_it_is_suspended(suite: Suite) -> None:
    outcome = suite.test("""
        import asyncio

        async def numbers():
            yield 1  # suspended
            yield 2

        async def test_it():
            async for _ in numbers():  # begun
                break
            await asyncio.sleep(0)
    """)

    finding = outcome.only()
    assert finding["origin"]["line"] == suite.line_of("begun")
    assert finding["location"]["line"] == suite.line_of("suspended")


def test_near_misses(suite: Suite) -> None:
    """Exhausted, closed, never begun, a fixture's, driven by a task that is reported."""
    outcome = suite.test("""
        import asyncio
        import contextlib
        import pytest
        import pytest_asyncio

        async def numbers():
            yield 1
            yield 2

        @pytest_asyncio.fixture
        async def number():
            yield 1

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def shared():
            yield 1

        async def test_exhausted(number):
            assert [n async for n in numbers()] == [1, 2]

        @pytest.mark.asyncio(loop_scope="module")
        async def test_closed(shared):
            async with contextlib.aclosing(numbers()) as generator:
                async for _ in generator:
                    break

        async def test_closed_by_hand():
            generator = numbers()
            await anext(generator)
            await generator.aclose()

        async def test_never_begun():
            generator = numbers()

        async def test_context_manager():
            @contextlib.asynccontextmanager
            async def manager():
                yield 1
            with pytest.raises(ZeroDivisionError):
                async with manager():
                    1 / 0
            async with manager():
                pass

        async def test_raised_within():
            async def bad():
                yield 1
                raise ZeroDivisionError
            with pytest.raises(ZeroDivisionError):
                async for _ in bad():
                    pass
    """)

    outcome.clean()


def test_a_pending_task_is_the_cause(suite: Suite) -> None:
    """A generator that a task left pending was iterating is no second finding."""
    outcome = suite.test("""
        import asyncio

        async def numbers():
            while True:
                yield 1

        async def waits():
            yield 1
            await asyncio.sleep(3600)

        async def consume(generator):
            async for _ in generator:
                if generator.ag_code is numbers.__code__:
                    await asyncio.sleep(3600)

        async def test_in_the_body():
            asyncio.create_task(consume(numbers()))
            await asyncio.sleep(0)

        async def test_in_the_generator():
            asyncio.create_task(consume(waits()))
            await asyncio.sleep(0)

        def test_closed_with_its_loop():
            loop = asyncio.new_event_loop()
            loop.create_task(consume(waits()))
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
    """)

    assert outcome.kinds == ["pending-task"] * 3


def test_what_only_acts_like_an_async_generator(suite: Suite) -> None:
    """Cython's, and those of libraries, call the hooks themselves, and show less."""
    outcome = suite.test("""
        import asyncio, sys

        class Generator:
            def __init__(self):
                hooks = sys.get_asyncgen_hooks()
                hooks.firstiter(self)
                self.drop = hooks.finalizer

            async def aclose(self): pass

        async def test_dropped():
            generator = Generator()
            generator.drop(generator)
            await asyncio.sleep(0)
    """)

    outcome.clean()


def test_a_fixture_that_anyio_gives_up(suite: Suite) -> None:
    """Where a callback has raised, anyio fails the set-up, and iterates its generator no more."""
    pytest.importorskip("anyio")
    suite.write(
        test_it="""
        import asyncio, pytest

        @pytest.fixture
        def anyio_backend(): return "asyncio"

        def fails(): raise ValueError("no")

        @pytest.fixture
        async def resource(anyio_backend):
            asyncio.get_running_loop().call_soon(fails)
            await asyncio.sleep(0)
            yield

        @pytest.mark.anyio
        async def test_it(resource): pass
        """
    )
    outcome = suite.run(plugins=("anyio", "asyncio_traps"))

    outcome.result.assert_outcomes(errors=1)
    assert outcome.kinds == ["callback-exception"]


def test_one_that_is_begun_before_its_loop_runs(suite: Suite) -> None:
    """No loop knows it; that Python cannot close it is proof enough."""
    outcome = suite.test(
        """
        import asyncio

        async def numbers():  # here
            try:
                yield 1
            finally:
                await asyncio.sleep(0)

        def begin(numbers):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(numbers.__anext__())
            loop.close()

        def test_bad():
            begin(numbers())

        def test_good():
            kept = numbers()
            begin(kept)
            loop = asyncio.new_event_loop()
            loop.run_until_complete(kept.aclose())
            loop.close()
        """,
        *("-W", "ignore::pytest.PytestUnraisableExceptionWarning"),
    )

    finding = outcome.only()
    assert finding["kind"] == "unclosed-asyncgen"
    assert finding["nodeid"] == "test_it.py::test_bad"
    assert finding["origin"]["line"] == suite.line_of("here")
