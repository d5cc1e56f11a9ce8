"""The reserve that keeps collections out of the plugin's own thread."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from pytest_asyncio_traps.profiler.gc_reserve import GCReserve


@pytest.fixture
def reserve() -> Iterator[GCReserve]:
    reserve = GCReserve()
    gc.collect()
    yield reserve
    gc.set_threshold(*THRESHOLD)


THRESHOLD = gc.get_threshold()


def spend(left: int) -> list[list[None]]:
    """Allocate objects until ``left`` more start a collection."""
    allocated: list[list[None]] = []
    while gc.get_threshold()[0] - gc.get_count()[0] > left:
        allocated.append([])
    return allocated


def room() -> int:
    return gc.get_threshold()[0] - gc.get_count()[0]


def test_destroying_the_reserve_makes_room(reserve: GCReserve) -> None:
    reserve.fill()
    kept = spend(left=5)

    reserve.make_room()

    assert kept
    assert room() >= GCReserve.ROOM - 2


def test_the_reserve_is_refilled_when_there_is_room(reserve: GCReserve) -> None:
    """Never by so much that refilling it starts a collection."""
    reserve.fill()
    kept = spend(left=5)
    reserve.make_room()
    short = len(reserve._objects)
    reserve.make_room()
    assert len(reserve._objects) == short < GCReserve.SIZE

    kept.clear()
    gc.collect()
    reserve.make_room()

    assert len(reserve._objects) == GCReserve.SIZE
    assert room() > 0


@pytest.mark.parametrize("threshold", [0, 1, GCReserve.ROOM, 2 * GCReserve.ROOM])
def test_other_thresholds(reserve: GCReserve, threshold: int) -> None:
    """A threshold of 0 switches collections off, and there is nothing to do."""
    reserve.fill()
    gc.set_threshold(threshold)

    for _ in range(3):
        reserve.make_room()

    if threshold == 0:
        assert len(reserve._objects) == GCReserve.SIZE
    if threshold == 2 * GCReserve.ROOM:
        assert room() >= GCReserve.ROOM - 2


def test_the_collector_lists_none_of_the_reserve(reserve: GCReserve) -> None:
    """User code that counts all objects does not see the reserve grow and shrink."""
    reserve.fill()
    gc.collect()

    listed = {id(obj) for obj in gc.get_objects()}

    assert not [obj for obj in reserve._objects if id(obj) in listed]
