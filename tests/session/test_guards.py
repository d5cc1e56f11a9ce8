"""Hooks without their faults, called as pytest calls them."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pluggy
import pytest

from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.session.guards import Guarded

spec, impl = pluggy.HookspecMarker("guards"), pluggy.HookimplMarker("guards")


class Specs:
    @spec(firstresult=True)
    def pytest_work(self, arg: int) -> object:
        """The hook."""


class Inner:
    def __init__(self, does: Callable[[int], object]) -> None:
        self.does = does
        self.calls = 0

    @impl
    def pytest_work(self, arg: int) -> object:
        self.calls += 1
        return self.does(arg)


def call(plugin: Guarded, does: Callable[[int], object]) -> tuple[object, int]:
    """What the hook returns with ``plugin`` around ``does``, and how often that was called."""
    manager = pluggy.PluginManager("guards")
    manager.add_hookspecs(Specs)
    inner = Inner(does)
    manager.register(inner)
    manager.register(plugin)
    try:
        return manager.hook.pytest_work(arg=1), inner.calls
    except BaseException as exc:
        return exc, inner.calls


def returns(arg: int) -> object:
    return arg + 1


class Sound(Guarded):
    @impl(wrapper=True)
    def pytest_work(self, arg: int) -> Generator[None, int, int]:
        return (yield) * 10


class FailsBefore(Guarded):
    @impl(wrapper=True)
    def pytest_work(self, arg: int) -> Generator[None, int, int]:
        raise KeyError("before")
        return (yield)


class FailsAfter(Guarded):
    @impl(wrapper=True)
    def pytest_work(self, arg: int) -> Generator[None, int, int]:
        try:
            return (yield)
        finally:
            raise KeyError("after")


class FailsPlainly(Guarded):
    @impl(tryfirst=True)
    def pytest_work(self, arg: int) -> object:
        raise KeyError("plainly")


FAILING = [FailsBefore, FailsAfter, FailsPlainly]


def test_without_a_fault() -> None:
    faults = Faults()

    assert call(Sound(faults), returns) == (20, 1)
    assert faults.texts == {}


@pytest.mark.parametrize("cls", FAILING)
def test_a_fault_leaves_what_is_wrapped_as_it_is(cls: type[Guarded]) -> None:
    """It is called once, and what it returns is returned; the next time, the hook is off."""
    faults = Faults()
    plugin = cls(faults)

    assert call(plugin, returns) == (2, 1)
    (text,) = faults.texts.values()
    assert "KeyError" in text
    assert call(plugin, returns) == (2, 1)


@pytest.mark.parametrize("cls", [Sound, *FAILING])
@pytest.mark.parametrize(
    "exc", [LookupError("theirs"), pytest.skip.Exception("theirs"), KeyboardInterrupt()]
)
def test_what_is_wrapped_may_raise(cls: type[Guarded], exc: BaseException) -> None:
    """The very exception comes through, and is no fault of ours."""

    def raises(arg: int) -> object:
        raise exc

    faults = Faults()

    assert call(cls(faults), raises) == (exc, 1)
    assert [*faults.texts] == ([] if cls is Sound else ["pytest_work"])


@pytest.mark.parametrize(
    "exc", [pytest.fail.Exception("an outcome"), pytest.UsageError("an answer"), SystemExit(3)]
)
def test_what_is_no_fault_passes(exc: BaseException) -> None:
    class Answers(Guarded):
        @impl(wrapper=True)
        def pytest_work(self, arg: int) -> Generator[None, object, object]:
            yield
            raise exc

    faults = Faults()
    faults.passes = (pytest.UsageError,)

    assert call(Answers(faults), returns) == (exc, 1)
    assert faults.texts == {}


def test_what_the_code_of_others_raises_is_theirs() -> None:
    class Calls(Guarded):
        @impl(tryfirst=True)
        def pytest_work(self, arg: int) -> object:
            with self.faults.guard("a part"), self.faults.user_code:
                raise exc
            return 0

    exc = LookupError("theirs")
    faults = Faults()

    assert call(Calls(faults), returns) == (exc, 0)
    assert faults.texts == {}


def test_a_part_that_others_rely_on() -> None:
    """What fails apart leaves the rest on."""
    faults = Faults()
    told: list[str] = []
    faults.on_fault.append(told.append)
    faults.isolated.add("apart")

    faults.record("apart", ValueError())
    assert not faults.is_all_off()
    faults.record("core", ValueError())
    faults.record("core", ValueError())

    assert faults.is_all_off()
    assert told == ["apart", "core"]
