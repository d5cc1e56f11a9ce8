"""What the methods of a kind, also of somebody else's, are put through."""

from __future__ import annotations

import asyncio
import inspect
import sys

import pytest

from pytest_asyncio_traps import DROP, Drop, Finding, Trap
from pytest_asyncio_traps.core.checking import checked
from pytest_asyncio_traps.core.watch import Watch
from pytest_asyncio_traps.model.finding import Owner, Place


class Quiet(Trap):
    kind = "quiet"
    title = "it is quiet"
    advice = "Listen."

    def arm(self) -> None:
        """Nothing to hook into."""


def test_what_is_told_of_cannot_be_changed() -> None:
    """Static methods, class methods, async functions and inherited ones stay what they are."""

    class Base:
        def plain(self, x: int) -> int:
            return x

    class Thing(Base):
        @staticmethod
        def static(x: int) -> int:
            return x

        @classmethod
        def cls(cls, x: int) -> tuple[type, int]:
            return cls, x

        async def work(self, x: int) -> int:
            return x

        def fail(self, x: int) -> int:
            raise KeyError(x)

    watch = Watch()
    trap, told = Quiet(watch), []
    for name in ("plain", "static", "cls", "work", "fail"):
        trap.before(Thing, name, lambda *args: told.append(("before", args[-1])))
        trap.after(Thing, name, lambda *args: told.append(("after", args[-1])))

    assert Thing().plain(1) == 1
    assert Base().plain(0) == 0
    assert Thing.static(2) == Thing().static(2) == 2
    assert Thing.cls(3) == (Thing, 3)
    # Python 3.11 has no way to say so for inspect.iscoroutinefunction().
    is_async = inspect.iscoroutinefunction if sys.version_info >= (3, 12) else _is_async
    assert is_async(Thing.work)
    assert asyncio.run(Thing().work(4)) == 4
    with pytest.raises(KeyError):
        Thing().fail(5)
    assert Thing.plain.__name__ == "plain"
    numbers = [("before", n) for n in (1, 2, 2, 3, 4)]
    assert [entry for entry in told if entry[0] == "before"] == [*numbers, ("before", 5)]
    assert [entry for entry in told if entry[0] == "after"] == [("after", n) for _, n in numbers]

    watch.patches.undo()
    assert "plain" not in vars(Thing)
    assert isinstance(vars(Thing)["static"], staticmethod)
    assert Thing.cls(3) == (Thing, 3)


def _is_async(function: object) -> bool:
    return asyncio.iscoroutinefunction(function)


def test_a_class_that_takes_its_arguments_in_new() -> None:
    """``object.__init__`` forgives them as long as nothing stands in its place."""

    class Point(tuple[int, ...]):
        def __new__(cls, *args: int) -> Point:
            return super().__new__(cls, args)

    watch, made = Watch(), []
    Quiet(watch).after(Point, "__init__", lambda *args: made.append(args[1:]))

    assert Point(1, 2) == (1, 2)
    assert made == [(1, 2)]
    watch.patches.undo()
    assert "__init__" not in vars(Point)


def test_checked_makes_plain_values() -> None:
    """A class of somebody's own does what it likes when it is compared or printed."""

    class Loud(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise ValueError

    owner = Owner("session", "session", "session", "")
    place = Place(Loud("a.py"), True, Loud("f"))
    finding = Finding(Loud("k"), Loud("s"), "a", owner, place, notes=(Loud("n"),), duration=1)
    plain = checked(finding)

    assert (plain.kind, plain.summary, plain.notes) == ("k", "s", ("n",))
    assert {type(plain.kind), type(plain.summary), type(plain.notes[0])} == {str}
    assert plain.origin == Place("a.py", 1, "f")
    assert type(plain.duration) is float
    for name, value in {
        "origin_label": 1,
        "at_location": 1,
        "exception": b"",
        "owner": None,
    }.items():
        with pytest.raises(TypeError, match=name):
            checked(finding._replace(**{name: value}))  # type: ignore[arg-type]
    for seconds in (True, float("inf"), float("nan"), -0.1, "1"):
        with pytest.raises(TypeError, match="duration"):
            checked(finding._replace(duration=seconds))  # type: ignore[arg-type]


def test_drop_is_one_value() -> None:
    assert DROP is Drop.DROP
    assert list(Drop) == [DROP]
