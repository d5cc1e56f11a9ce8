"""Replacing attributes and putting them back."""

from __future__ import annotations

from collections.abc import Callable

from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.core.patches import Patches


class Base:
    def speak(self) -> str:
        return "base"


class Derived(Base):
    pass


def louder(original: Callable[[Base], str]) -> Callable[[Base], str]:
    def speak(self: Base) -> str:
        return original(self).upper()

    return speak


def test_wrapped_and_put_back() -> None:
    """An inherited attribute is taken away again, not copied."""
    before = dict(vars(Base))
    patches = Patches()
    patches.wrap(Base, "speak", louder)
    patches.wrap(Derived, "speak", lambda original: lambda self: original(self) + "!")
    assert Derived().speak() == "BASE!"
    assert Derived.speak.__qualname__ == "Base.speak"

    patches.undo()

    assert Derived().speak() == "base"
    assert "speak" not in vars(Derived)
    assert dict(vars(Base)) == before


def test_what_somebody_else_replaced_meanwhile_is_theirs() -> None:
    class Local(Base):
        def speak(self) -> str:
            return "local"

    patches = Patches()
    patches.wrap(Local, "speak", louder)
    theirs = lambda self: "theirs"  # noqa: E731
    Local.speak = theirs  # type: ignore[method-assign]

    patches.undo()

    assert Local.speak is theirs


def test_a_fault_is_kept_once_and_leaves_no_block() -> None:
    faults = Faults()
    for text in ("first", "second"):
        with faults.guard("part"):
            raise ValueError(text)

    assert faults.is_off("part")
    assert not faults.is_off("other")
    assert "ValueError: first" in faults.texts["part"]
