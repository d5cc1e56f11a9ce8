"""Which objects are alive, and whose they are."""

from __future__ import annotations

import abc
import gc
import sys
import threading
import types
from collections.abc import Iterator

import pytest

from pytest_asyncio_traps.core import census as census_module
from pytest_asyncio_traps.core.census import Census
from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.core.ownership import Ownership, Tenure


class Thing:
    """Of interest."""

    def __init__(self) -> None:
        self.wanted = True


def tenure(name: str) -> Tenure:
    return Tenure("test", name, "function", name)


@pytest.fixture
def census() -> Iterator[Census]:
    census = Census(Ownership(), Faults())
    if census.blind:
        pytest.skip("a free-threaded build does not keep new objects apart")
    census.watch_type(Thing, lambda thing: thing.wanted)
    census.arm()
    yield census
    census.disarm()


def owners(census: Census) -> list[str]:
    return [tenure.owner.name for _, tenure in census.living()]


def test_a_marker_parts_what_was_made(census: Census) -> None:
    census.mark(tenure("a"))
    kept = [Thing()]
    census.mark(tenure("b"))
    kept += [Thing(), Thing()]
    census.scan()

    assert owners(census) == ["a", "b", "b"]
    assert len(kept) == 3


def test_an_automatic_collection_in_between(census: Census) -> None:
    """The collector reorders its list; what is there is read before."""
    census.mark(tenure("a"))
    kept = [Thing()]
    gc.collect(0)
    kept.append(Thing())
    census.mark(tenure("b"))
    kept.append(Thing())
    gc.collect()
    kept.append(Thing())
    census.scan()

    assert owners(census) == ["a", "a", "b", "b"]


def test_a_cycle_keeps_its_owner_in_its_destructor(census: Census) -> None:
    """Weak references are cleared first; the tenure is still to be had."""
    seen = []

    class Dying(Thing):
        def __del__(self) -> None:
            found = census.tenure_of(self)
            seen.append(found and found.owner.name)

    census.mark(tenure("a"))
    thing = Dying()
    thing.itself = thing  # type: ignore[attr-defined]
    del thing
    census.mark(tenure("b"))
    gc.collect()

    assert seen == ["a"]


def test_what_is_not_wanted_is_not_kept(census: Census) -> None:
    thing = Thing()
    thing.wanted = False
    census.scan()

    assert owners(census) == []


def test_nothing_is_kept_alive(census: Census) -> None:
    census.mark(tenure("a"))
    thing = Thing()
    census.scan()
    assert len(owners(census)) == 1
    del thing

    assert owners(census) == []
    census.scan()
    assert census.seen == {}


def test_pauses_are_counted(census: Census) -> None:
    before = census.paused()
    gc.collect()

    assert census.paused() > before
    assert not census.collecting


def test_it_is_off_when_disarmed(census: Census) -> None:
    callbacks = len(gc.callbacks)
    census.disarm()

    assert len(gc.callbacks) == callbacks - 1


def test_a_pause_counts_before_it_is_over(census: Census) -> None:
    """The thread that was kept from running may go on before the one that collects."""
    during: list[float] = []

    def look(phase: str, info: dict[str, int]) -> None:
        during.append(census.paused())

    before = census.paused()
    gc.callbacks.insert(gc.callbacks.index(census._collector) + 1, look)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(look)

    at_start, at_stop = during
    assert before < at_start < at_stop
    assert census.paused() == at_stop


def test_after_a_collection_in_the_thread_of_the_watchdog(census: Census) -> None:
    """Nothing is read then; what is made afterwards is not taken for what came before."""
    census.mark(tenure("a"))
    kept = [Thing()]
    census.scan()
    census.mark(tenure("b"))
    kept.append(Thing())
    census.bystander = threading.get_ident
    gc.collect(0)
    census.bystander = lambda: None
    kept.append(Thing())
    census.mark(tenure("c"))
    kept.append(Thing())
    census.scan()

    assert sorted(owners(census)) == ["a", "b", "b", "c"]
    assert census.tenure_of(kept[1]) == census.tenure_of(kept[2])


async def coroutine() -> None: ...


def test_a_collection_during_a_reading(census: Census) -> None:
    """What is read twice is met once."""

    def keep(obj: object) -> bool:
        gc.collect(0)
        return True

    census.watch_type(types.CoroutineType, keep)
    depth = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(1)
    try:
        census.mark(tenure("a"))
        kept = [coroutine()]
        census.mark(tenure("b"))
        kept.append(coroutine())
    finally:
        sys.set_coroutine_origin_tracking_depth(depth)
    census.scan()

    assert owners(census) == ["a", "b"]
    for coro, name in zip(kept, "ab", strict=True):
        found = census.tenure_of(coro)
        assert found is not None
        assert found.owner.name == name
        coro.close()


def test_waiting_for_a_processor_in_a_pause_counts_once(
    census: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine makes pauses long; that time is known as waiting already."""
    monkeypatch.setattr("pytest_asyncio_traps.core.census.KNOWS_WAITING", True)
    clock = {"now": 100.0, "worked": 7.0}
    census._now = lambda: clock["now"]
    census._worked = lambda: clock["worked"]
    before = census.paused()

    census._collector("start", {"generation": 0})
    clock["now"] += 1.0
    clock["worked"] += 0.25
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(census.paused() - before))
    census._collector("stop", {"generation": 0})
    thread.start()
    thread.join()

    assert census.paused() - before == pytest.approx(0.25)
    assert elsewhere == [pytest.approx(1.0)]  # whoever waited for the interpreter did so that long


def test_what_one_tenure_made_is_read_when_it_ends(census: Census) -> None:
    """Collections of the youngest in between are passed over, however many there are."""
    census.mark(tenure("a"))
    census.scan()
    kept = [Thing()]
    gc.collect(0)
    kept.append(Thing())
    gc.collect(0)
    assert owners(census) == []
    census.mark(tenure("b"))
    kept.append(Thing())
    census.scan()

    assert owners(census) == ["a", "a", "b"]


def test_a_cycle_that_dies_unread_keeps_its_owner(census: Census) -> None:
    """A collection that nothing is read for destroys what only its tenure has made."""
    seen = []

    class Dying(Thing):
        def __del__(self) -> None:
            found = census.tenure_of(self)
            seen.append(found and found.owner.name)

    census.mark(tenure("a"))
    census.scan()
    thing = Dying()
    thing.itself = thing  # type: ignore[attr-defined]
    del thing
    gc.collect(0)

    assert seen == ["a"]
    assert census.tenure_of(Thing()) is None


def test_a_second_generation_is_read_before_it_is_collected(census: Census) -> None:
    census.mark(tenure("a"))
    census.scan()
    kept = [Thing()]
    gc.collect(0)
    gc.collect(1)
    census.mark(tenure("b"))
    kept.append(Thing())
    census.scan()

    assert owners(census) == ["a", "b"]
    assert len(kept) == 2


@pytest.mark.parametrize("offset", range(-3, 8))
def test_a_collection_while_a_tenure_begins(census: Census, offset: int) -> None:
    """It begins at the very allocation of the marker, or of what stands next to it."""
    gc.disable()
    try:
        gc.collect()
        census.mark(tenure("first"))
        census.scan()
        gc.collect(0)
        census.scan()
        before = [[] for _ in range(50)]  # type: ignore[var-annotated]
        thresholds = gc.get_threshold()
        gc.set_threshold(max(1, gc.get_count()[0] + offset), 1000, 1000)
        try:
            gc.enable()
            census.mark(tenure("second"))
            gc.disable()
        finally:
            gc.set_threshold(*thresholds)
        thing = Thing()
        census.scan()
    finally:
        gc.enable()

    assert before
    owners = [t.owner.name for obj, t in census.living() if obj is thing]
    assert owners == ["second"]


def test_a_marker_is_found_where_most_before_it_have_died(census: Census) -> None:
    gc.disable()
    try:
        census.mark(tenure("first"))
        census.scan()
        junk = [[] for _ in range(30_000)]  # type: ignore[var-annotated]
        census.scan()
        first = Thing()
        census.scan()
        census.settle()
        census.mark(tenure("second"))
        del junk
        second = Thing()
        census.scan()
    finally:
        gc.enable()

    arrived = [(ref(), t.owner.name) for ref, t, _ in census.arrived()]
    assert arrived == [(second, "second")]
    assert first.wanted


def test_no_code_of_a_metaclass_runs(census: Census) -> None:
    """Not even of one that was made at the address of another that has died."""
    asked: list[type] = []

    def ask(cls: type) -> int:
        asked.append(cls)
        return 1

    for _ in range(10):
        meta = type("Plain", (type,), {})
        objects = [meta("Class", (), {})() for _ in range(2)] * 400
        census.scan()
        del meta, objects
        gc.collect()
        odd = type("Odd", (type,), {"__hash__": ask})
        made = odd("Class", (), {})
        kept = [made() for _ in range(400)]
        census.scan()
        del odd, made, kept
        gc.collect()

    assert asked == []


def test_no_code_of_a_metaclass_of_a_metaclass_s_runs(census: Census) -> None:
    asked: list[type] = []

    def ask(cls: type) -> int:
        asked.append(cls)
        return 1

    base = type("Base", (abc.ABCMeta,), {})
    plain = [base("Class", (), {})()]
    census.scan()
    odd = type("Odd", (base,), {"__hash__": ask})
    made = odd("Class", (), {})
    kept = [made()]
    thing = Thing()
    census.scan()

    assert asked == []
    assert owners(census) == ["session"]
    assert plain
    assert kept
    assert thing.wanted


def test_a_class_in_the_place_of_a_dead_one(census: Census) -> None:
    places: set[int] = set()
    met = 0
    for _ in range(20):
        census.mark(tenure("a"))
        dull = type("Class", (), {})
        places.add(id(dull))
        kept = dull()
        census.scan()
        del dull, kept
        gc.collect()
        wanted = type("Class", (Thing,), {})
        if id(wanted) in places:
            census.mark(tenure("b"))
            thing = wanted()
            census.scan()
            assert [t.owner.name for obj, t in census.living() if obj is thing] == ["b"]
            met += 1
            del thing
        del wanted
        gc.collect()

    if not met:
        pytest.skip("no class was made at the address of another")


def test_classes_that_have_died_are_forgotten(census: Census) -> None:
    for _ in range(6):
        kept = [type("Class", (), {})() for _ in range(1_000)]
        census.scan()
        del kept
        gc.collect()

    assert len(census._dull) < 4_000


def test_a_metaclass_that_is_made_while_those_are_looked_at(
    census: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another thread, say, or by a destructor."""
    asked: list[type] = []
    made: list[type] = []
    is_plain = census_module._is_plain

    def ask(cls: type) -> int:
        asked.append(cls)
        return 1

    def make_one_and_look(meta: type) -> bool:
        if not made:
            made.append(type("Odd", (type,), {"__hash__": ask}))
        return is_plain(meta)

    monkeypatch.setattr(census_module, "_is_plain", make_one_and_look)
    first = type("Meta", (type,), {})
    census.scan()
    thing = made[0]("Class", (), {})()
    census.scan()

    assert first
    assert thing
    assert asked == []
