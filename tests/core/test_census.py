"""Which objects are alive, and whose they are."""

from __future__ import annotations

import abc
import gc
import sys
import threading
import types
from collections.abc import Iterator

import pytest
from pytest_asyncio_traps.core.object_tracker import ObjectTracker

from pytest_asyncio_traps.core import tracker as census_module
from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.core.ownership import Ownership, Tenure


class Thing:
    """Of interest."""

    def __init__(self) -> None:
        self.wanted = True


def tenure(name: str) -> Tenure:
    return Tenure("test", name, "function", name)


@pytest.fixture
def tracker() -> Iterator[ObjectTracker]:
    tracker = ObjectTracker(Ownership(), Faults())
    if tracker.blind:
        pytest.skip("a free-threaded build does not keep new objects apart")
    tracker.watch_type(Thing, lambda thing: thing.wanted)
    tracker.arm()
    yield tracker
    tracker.disarm()


def owners(tracker: ObjectTracker) -> list[str]:
    return [tenure.owner.name for _, tenure in tracker.living()]


def test_a_marker_parts_what_was_made(tracker: ObjectTracker) -> None:
    tracker.mark(tenure("a"))
    kept = [Thing()]
    tracker.mark(tenure("b"))
    kept += [Thing(), Thing()]
    tracker.scan()

    assert owners(tracker) == ["a", "b", "b"]
    assert len(kept) == 3


def test_an_automatic_collection_in_between(tracker: ObjectTracker) -> None:
    """The collector reorders its list; what is there is read before."""
    tracker.mark(tenure("a"))
    kept = [Thing()]
    gc.collect(0)
    kept.append(Thing())
    tracker.mark(tenure("b"))
    kept.append(Thing())
    gc.collect()
    kept.append(Thing())
    tracker.scan()

    assert owners(tracker) == ["a", "a", "b", "b"]


def test_a_cycle_keeps_its_owner_in_its_destructor(tracker: ObjectTracker) -> None:
    """Weak references are cleared first; the tenure is still to be had."""
    seen = []

    class Dying(Thing):
        def __del__(self) -> None:
            found = tracker.tenure_of(self)
            seen.append(found and found.owner.name)

    tracker.mark(tenure("a"))
    thing = Dying()
    thing.itself = thing  # type: ignore[attr-defined]
    del thing
    tracker.mark(tenure("b"))
    gc.collect()

    assert seen == ["a"]


def test_what_is_not_wanted_is_not_kept(tracker: ObjectTracker) -> None:
    thing = Thing()
    thing.wanted = False
    tracker.scan()

    assert owners(tracker) == []


def test_nothing_is_kept_alive(tracker: ObjectTracker) -> None:
    tracker.mark(tenure("a"))
    thing = Thing()
    tracker.scan()
    assert len(owners(tracker)) == 1
    del thing

    assert owners(tracker) == []
    tracker.scan()
    assert tracker.seen == {}


def test_pauses_are_counted(tracker: ObjectTracker) -> None:
    before = tracker.paused()
    gc.collect()

    assert tracker.paused() > before
    assert not tracker.collecting


def test_it_is_off_when_disarmed(tracker: ObjectTracker) -> None:
    callbacks = len(gc.callbacks)
    tracker.disarm()

    assert len(gc.callbacks) == callbacks - 1


def test_a_pause_counts_before_it_is_over(tracker: ObjectTracker) -> None:
    """The thread that was kept from running may go on before the one that collects."""
    during: list[float] = []

    def look(phase: str, info: dict[str, int]) -> None:
        during.append(tracker.paused())

    before = tracker.paused()
    gc.callbacks.insert(gc.callbacks.index(tracker._collector) + 1, look)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(look)

    at_start, at_stop = during
    assert before < at_start < at_stop
    assert tracker.paused() == at_stop


def test_after_a_collection_in_the_thread_of_the_watchdog(tracker: ObjectTracker) -> None:
    """Nothing is read then; what is made afterwards is not taken for what came before."""
    tracker.mark(tenure("a"))
    kept = [Thing()]
    tracker.scan()
    tracker.mark(tenure("b"))
    kept.append(Thing())
    tracker.bystander = threading.get_ident
    gc.collect(0)
    tracker.bystander = lambda: None
    kept.append(Thing())
    tracker.mark(tenure("c"))
    kept.append(Thing())
    tracker.scan()

    assert sorted(owners(tracker)) == ["a", "b", "b", "c"]
    assert tracker.tenure_of(kept[1]) == tracker.tenure_of(kept[2])


async def coroutine() -> None: ...


def test_a_collection_during_a_reading(tracker: ObjectTracker) -> None:
    """What is read twice is met once."""

    def keep(obj: object) -> bool:
        gc.collect(0)
        return True

    tracker.watch_type(types.CoroutineType, keep)
    depth = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(1)
    try:
        tracker.mark(tenure("a"))
        kept = [coroutine()]
        tracker.mark(tenure("b"))
        kept.append(coroutine())
    finally:
        sys.set_coroutine_origin_tracking_depth(depth)
    tracker.scan()

    assert owners(tracker) == ["a", "b"]
    for coro, name in zip(kept, "ab", strict=True):
        found = tracker.tenure_of(coro)
        assert found is not None
        assert found.owner.name == name
        coro.close()


def test_waiting_for_a_processor_in_a_pause_counts_once(
    tracker: ObjectTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine makes pauses long; that time is known as waiting already."""
    monkeypatch.setattr("pytest_asyncio_traps.core.object_tracker.KNOWS_WAITING", True)
    clock = {"now": 100.0, "worked": 7.0}
    tracker._now = lambda: clock["now"]
    tracker._worked = lambda: clock["worked"]
    before = tracker.paused()

    tracker._collector("start", {"generation": 0})
    clock["now"] += 1.0
    clock["worked"] += 0.25
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(tracker.paused() - before))
    tracker._collector("stop", {"generation": 0})
    thread.start()
    thread.join()

    assert tracker.paused() - before == pytest.approx(0.25)
    assert elsewhere == [pytest.approx(1.0)]  # whoever waited for the interpreter did so that long


def test_what_one_tenure_made_is_read_when_it_ends(tracker: ObjectTracker) -> None:
    """Collections of the youngest in between are passed over, however many there are."""
    tracker.mark(tenure("a"))
    tracker.scan()
    kept = [Thing()]
    gc.collect(0)
    kept.append(Thing())
    gc.collect(0)
    assert owners(tracker) == []
    tracker.mark(tenure("b"))
    kept.append(Thing())
    tracker.scan()

    assert owners(tracker) == ["a", "a", "b"]


def test_a_cycle_that_dies_unread_keeps_its_owner(tracker: ObjectTracker) -> None:
    """A collection that nothing is read for destroys what only its tenure has made."""
    seen = []

    class Dying(Thing):
        def __del__(self) -> None:
            found = tracker.tenure_of(self)
            seen.append(found and found.owner.name)

    tracker.mark(tenure("a"))
    tracker.scan()
    thing = Dying()
    thing.itself = thing  # type: ignore[attr-defined]
    del thing
    gc.collect(0)

    assert seen == ["a"]
    assert tracker.tenure_of(Thing()) is None


def test_a_second_generation_is_read_before_it_is_collected(tracker: ObjectTracker) -> None:
    tracker.mark(tenure("a"))
    tracker.scan()
    kept = [Thing()]
    gc.collect(0)
    gc.collect(1)
    tracker.mark(tenure("b"))
    kept.append(Thing())
    tracker.scan()

    assert owners(tracker) == ["a", "b"]
    assert len(kept) == 2


@pytest.mark.parametrize("offset", range(-3, 8))
def test_a_collection_while_a_tenure_begins(tracker: ObjectTracker, offset: int) -> None:
    """It begins at the very allocation of the marker, or of what stands next to it."""
    gc.disable()
    try:
        gc.collect()
        tracker.mark(tenure("first"))
        tracker.scan()
        gc.collect(0)
        tracker.scan()
        before = [[] for _ in range(50)]  # type: ignore[var-annotated]
        thresholds = gc.get_threshold()
        gc.set_threshold(max(1, gc.get_count()[0] + offset), 1000, 1000)
        try:
            gc.enable()
            tracker.mark(tenure("second"))
            gc.disable()
        finally:
            gc.set_threshold(*thresholds)
        thing = Thing()
        tracker.scan()
    finally:
        gc.enable()

    assert before
    owners = [t.owner.name for obj, t in tracker.living() if obj is thing]
    assert owners == ["second"]


def test_a_marker_is_found_where_most_before_it_have_died(tracker: ObjectTracker) -> None:
    gc.disable()
    try:
        tracker.mark(tenure("first"))
        tracker.scan()
        junk = [[] for _ in range(30_000)]  # type: ignore[var-annotated]
        tracker.scan()
        first = Thing()
        tracker.scan()
        tracker.settle()
        tracker.mark(tenure("second"))
        del junk
        second = Thing()
        tracker.scan()
    finally:
        gc.enable()

    arrived = [(ref(), t.owner.name) for ref, t, _ in tracker.arrived()]
    assert arrived == [(second, "second")]
    assert first.wanted


def test_no_code_of_a_metaclass_runs(tracker: ObjectTracker) -> None:
    """Not even of one that was made at the address of another that has died."""
    asked: list[type] = []

    def ask(cls: type) -> int:
        asked.append(cls)
        return 1

    for _ in range(10):
        meta = type("Plain", (type,), {})
        objects = [meta("Class", (), {})() for _ in range(2)] * 400
        tracker.scan()
        del meta, objects
        gc.collect()
        odd = type("Odd", (type,), {"__hash__": ask})
        made = odd("Class", (), {})
        kept = [made() for _ in range(400)]
        tracker.scan()
        del odd, made, kept
        gc.collect()

    assert asked == []


def test_no_code_of_a_metaclass_of_a_metaclass_s_runs(tracker: ObjectTracker) -> None:
    asked: list[type] = []

    def ask(cls: type) -> int:
        asked.append(cls)
        return 1

    base = type("Base", (abc.ABCMeta,), {})
    plain = [base("Class", (), {})()]
    tracker.scan()
    odd = type("Odd", (base,), {"__hash__": ask})
    made = odd("Class", (), {})
    kept = [made()]
    thing = Thing()
    tracker.scan()

    assert asked == []
    assert owners(tracker) == ["session"]
    assert plain
    assert kept
    assert thing.wanted


def test_a_class_in_the_place_of_a_dead_one(tracker: ObjectTracker) -> None:
    places: set[int] = set()
    met = 0
    for _ in range(20):
        tracker.mark(tenure("a"))
        dull = type("Class", (), {})
        places.add(id(dull))
        kept = dull()
        tracker.scan()
        del dull, kept
        gc.collect()
        wanted = type("Class", (Thing,), {})
        if id(wanted) in places:
            tracker.mark(tenure("b"))
            thing = wanted()
            tracker.scan()
            assert [t.owner.name for obj, t in tracker.living() if obj is thing] == ["b"]
            met += 1
            del thing
        del wanted
        gc.collect()

    if not met:
        pytest.skip("no class was made at the address of another")


def test_classes_that_have_died_are_forgotten(tracker: ObjectTracker) -> None:
    for _ in range(6):
        kept = [type("Class", (), {})() for _ in range(1_000)]
        tracker.scan()
        del kept
        gc.collect()

    assert len(tracker._dull) < 4_000


def test_a_metaclass_that_is_made_while_those_are_looked_at(
    tracker: ObjectTracker, monkeypatch: pytest.MonkeyPatch
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
    tracker.scan()
    thing = made[0]("Class", (), {})()
    tracker.scan()

    assert first
    assert thing
    assert asked == []
