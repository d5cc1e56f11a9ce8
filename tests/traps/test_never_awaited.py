"""never-awaited, in its variants."""

from __future__ import annotations

import sys

import pytest

from ..run import Suite
from .variants import check

KIND = "never-awaited"


def test_variants(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_bare(): work()  # here

        def test_in_a_sync_test(): work()  # here

        async def test_passed_on():
            def take(coroutine): pass
            take(work())  # here

        async def test_in_an_excinfo():
            def fail(coroutine): raise ValueError
            with pytest.raises(ValueError) as excinfo:
                fail(work())  # here
            KEPT.append(excinfo)

        async def test_method():
            class Client:
                async def close(self): pass
            Client().close()  # here

        async def test_of_asyncio():
            asyncio.Queue().get()  # here

        def test_in_a_thread_with_a_loop():
            async def main(): work()  # here
            thread = threading.Thread(target=lambda: asyncio.run(main()))
            thread.start()
            thread.join()

        async def test_ignored():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                work()  # here

        async def test_async_mock():
            from unittest.mock import AsyncMock
            AsyncMock()()  # here

        async def test_dropped_by_a_collection():
            ring = [work()]  # here
            ring.append(ring)
            del ring
            gc.collect()
        """,
        KIND,
    )


@pytest.mark.parametrize("depth", [0, 1])
def test_pythons_own_warning_points_to_the_user(suite: Suite, depth: int) -> None:
    """The plugin's collection destroys the coroutine; its own lines would mean nothing."""
    outcome = suite.test(
        f"""
        import sys
        import pytest

        async def work(): pass

        @pytest.fixture(autouse=True)
        def tracking():
            before = sys.get_coroutine_origin_tracking_depth()
            sys.set_coroutine_origin_tracking_depth({depth})
            yield
            sys.set_coroutine_origin_tracking_depth(before)

        async def test_it():
            cycle = [work()]  # here
            cycle.append(cycle)
        """
    )

    outcome.only()
    text = outcome.result.stdout.str()
    line = suite.line_of("here")
    assert f"test_it.py:{line}: RuntimeWarning: coroutine 'work' was never awaited" in text


def test_near_misses(suite: Suite) -> None:
    check(
        suite,
        """
        async def test_awaited(): await work()
        async def test_closed(): work().close()
        async def test_scheduled(): await asyncio.gather(work(), work())
        async def test_cancelled_before_its_first_step():
            task = asyncio.create_task(work())
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        async def test_awaited_later():
            KEPT.append(work())
        async def test_later():
            await KEPT.pop()
        """,
        KIND,
    )


def test_a_plain_test_case_with_an_async_method(suite: Suite) -> None:
    """unittest calls it, and awaits nothing: the method's definition is the line."""
    outcome = suite.test(
        """
        import unittest

        class TestIt(unittest.TestCase):
            async def test_it(self):  # here
                raise AssertionError("never seen")
        """
    )

    finding = outcome.only()
    assert finding["origin"]["line"] == suite.line_of("here")
    assert outcome.result.ret == 1


def test_addresses_that_are_used_again(suite: Suite) -> None:
    """Coroutines that died told do not stand for those that come to lie where they lay.

    With the warnings ignored, nobody brings the first ones back to life.
    """
    outcome = suite.test(
        """
        import asyncio, gc, pytest

        KEPT = []

        async def work(): pass

        @pytest.mark.filterwarnings("ignore")
        async def test_dropped():
            for _ in range(50):
                work()

        async def test_kept():
            # Python 3.11 may collect in the middle of making a coroutine: another story.
            gc.disable()
            KEPT.extend(work() for _ in range(50))
            gc.enable()
        """
    )

    counts = {
        finding["nodeid"].rpartition("::")[2]: finding["count"] for finding in outcome.findings
    }
    assert counts == {"test_dropped": 50, "test_kept": 50}
    outcome.no_fault()


def test_a_collection_within_the_destructor(suite: Suite) -> None:
    """The tracker then meets a coroutine that is being destroyed."""
    outcome = suite.test(
        """
        import asyncio, gc, pytest

        KEPT = []

        async def work(): pass

        @pytest.mark.filterwarnings("ignore")
        async def test_dropped():
            before = gc.get_threshold()
            gc.set_threshold(1)
            for _ in range(200):
                work()
            gc.set_threshold(*before)

        async def test_kept():
            gc.disable()
            KEPT.extend(work() for _ in range(200))
            gc.enable()
        """
    )

    counts = {
        finding["nodeid"].rpartition("::")[2]: finding["count"] for finding in outcome.findings
    }
    assert counts == {"test_dropped": 200, "test_kept": 200}
    assert len(outcome.findings) == 2
    outcome.no_fault()


@pytest.mark.parametrize("state", ["at work", "after a fault"])
def test_nobody_takes_note_of_a_coroutine_that_is_being_destroyed(suite: Suite, state: str) -> None:
    """CPython would leave a weak reference that is made then to point at freed memory."""
    suite.write(
        test_it="""
        import gc, types, warnings, weakref
        from pytest_asyncio_traps.session import lifecycle

        STATE = "STATE"
        COUNTS = []

        async def work(): pass

        def look(*args, **kwargs):
            gc.collect()
            for obj in gc.get_objects():
                if type(obj) is types.CoroutineType and obj.cr_code is work.__code__:
                    COUNTS.append(weakref.getweakrefcount(obj))

        async def test_it(monkeypatch):
            (watch,) = lifecycle._watches
            if STATE == "after a fault":
                watch.faults.record("loops", ZeroDivisionError("made up"))
            assert watch.active is (STATE == "at work")
            monkeypatch.setattr(warnings, "showwarning", look)
            work()
            assert COUNTS == [0]
        """.replace('"STATE"', repr(state))
    )
    outcome = suite.run()

    kinds = {"at work": [KIND], "after a fault": []}[state]
    assert outcome.kinds == kinds
    assert outcome.result.parseoutcomes().get("failed", 0) == len(kinds)
    assert ("made up" in outcome.result.stdout.str()) is (state == "after a fault")


def test_a_mock_whose_coroutine_is_kept_for_a_while(suite: Suite) -> None:
    """The mock stands between the coroutine and the line that called it: the test is named."""
    outcome = suite.test("""
        from unittest.mock import AsyncMock

        async def test_it():
            coroutine = AsyncMock()()
    """)

    finding = outcome.only()
    assert (finding["kind"], finding["nodeid"]) == (KIND, "test_it.py::test_it")
    outcome.result.stdout.fnmatch_lines(["test_it.py:3: never-awaited"])


@pytest.mark.skipif(sys.version_info < (3, 13), reason="before, Python gives no sign of them")
def test_methods_of_async_generators(suite: Suite) -> None:
    check(
        suite,
        """
        async def numbers():
            yield 1

        async def test_asend():
            numbers().asend(None)  # here

        async def test_athrow():
            numbers().athrow(ValueError())  # here

        async def test_aclose():
            numbers().aclose()  # here

        async def test_awaited():
            generator = numbers()
            await generator.asend(None)
            await generator.aclose()

        async def test_asserted():
            with pytest.warns(RuntimeWarning, match="never awaited"):
                numbers().aclose()
        """,
        KIND,
    )
