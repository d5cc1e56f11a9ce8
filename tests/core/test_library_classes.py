"""What is read of the classes of libraries."""

from __future__ import annotations

from typing import Any

from pytest_asyncio_traps.core.library_classes import definer, member


def test_the_nearest_class_in_the_mro_defines_a_name() -> None:
    class Base:
        def __del__(self) -> None: ...

    class Derived(Base): ...

    assert definer(Derived, "__del__") is Base
    assert member(Derived, "__del__") is vars(Base)["__del__"]
    assert definer(Derived, "close") is None
    assert member(Derived, "close") is None


def test_a_class_that_has_no_mro_yet() -> None:
    found: list[Any] = []

    class Meta(type):
        def mro(cls) -> list[type]:
            found.append((cls.__mro__, definer(cls, "__del__"), member(cls, "__del__")))
            return super().mro()

    class Made(metaclass=Meta): ...

    assert Made.__mro__ == (Made, object)
    assert found == [(None, None, None)]
