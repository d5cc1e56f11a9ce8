"""A thread of the plugin's makes objects, and none of them has the collector begin."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from pytest_asyncio_traps.profiler.gc_reserve import GCReserve


@pytest.fixture
def headroom() -> Iterator[GCReserve]:
    headroom = GCReserve()
    gc.collect()
    yield headroom
    gc.set_threshold(*THRESHOLD)


THRESHOLD = gc.get_threshold()


def spend(left: int) -> list[list[None]]:
    """Make objects until the next collection is ``left`` more away."""
    made: list[list[None]] = []
    while gc.get_threshold()[0] - gc.get_count()[0] > left:
        made.append([])
    return made


def room() -> int:
    return gc.get_threshold()[0] - gc.get_count()[0]


def test_what_is_let_go_of_makes_room(headroom: GCReserve) -> None:
    headroom.fill()
    kept = spend(left=5)

    headroom.make()

    assert kept
    assert room() >= GCReserve.ROOM - 2


def test_the_reserve_is_made_anew_when_there_is_room(headroom: GCReserve) -> None:
    """And never so much of it that it would bring about a collection itself."""
    headroom.fill()
    kept = spend(left=5)
    headroom.make()
    short = len(headroom._reserve)
    headroom.make()
    assert len(headroom._reserve) == short < GCReserve.RESERVE

    kept.clear()
    gc.collect()
    headroom.make()

    assert len(headroom._reserve) == GCReserve.RESERVE
    assert room() > 0


@pytest.mark.parametrize("threshold", [0, 1, GCReserve.ROOM, 2 * GCReserve.ROOM])
def test_other_thresholds(headroom: GCReserve, threshold: int) -> None:
    """With 0, there are no collections, and nothing to do."""
    headroom.fill()
    gc.set_threshold(threshold)

    for _ in range(3):
        headroom.make()

    if threshold == 0:
        assert len(headroom._reserve) == GCReserve.RESERVE
    if threshold == 2 * GCReserve.ROOM:
        assert room() >= GCReserve.ROOM - 2


def test_the_collector_lists_none_of_the_reserve(headroom: GCReserve) -> None:
    """Whoever counts all objects does not find it coming and going."""
    headroom.fill()
    gc.collect()

    listed = {id(obj) for obj in gc.get_objects()}

    assert not [obj for obj in headroom._reserve if id(obj) in listed]
