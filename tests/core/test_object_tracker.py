"""Which objects are alive, and who owns them."""

from __future__ import annotations

import abc
import gc
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_asyncio_traps.compat import cpython
from pytest_asyncio_traps.core import type_filter
from pytest_asyncio_traps.core.faults import Faults
from pytest_asyncio_traps.core.object_tracker import ObjectTracker
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
    assert tracker.tracked == {}


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
    gc.callbacks.insert(gc.callbacks.index(tracker._on_collection) + 1, look)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(look)

    at_start, at_stop = during
    assert before < at_start < at_stop
    assert tracker.paused() == at_stop


def test_after_a_collection_in_the_thread_of_the_sampler(tracker: ObjectTracker) -> None:
    """Nothing is read then; what is made afterwards is not taken for what came before."""
    tracker.mark(tenure("a"))
    kept = [Thing()]
    tracker.scan()
    tracker.mark(tenure("b"))
    kept.append(Thing())
    tracker.sampler_thread = threading.get_ident
    gc.collect(0)
    tracker.sampler_thread = lambda: None
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
    monkeypatch.setattr("pytest_asyncio_traps.core.gc_reader.KNOWS_WAITING", True)
    clock = {"now": 100.0, "worked": 7.0}
    tracker._pauses._now = lambda: clock["now"]
    tracker._pauses._worked = lambda: clock["worked"]
    before = tracker.paused()

    tracker._on_collection("start", {"generation": 0})
    clock["now"] += 1.0
    clock["worked"] += 0.25
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(tracker.paused() - before))
    tracker._on_collection("stop", {"generation": 0})
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
        tracker.mark_judged()
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
    """Not even of one that was created at the address of another that has died."""
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
        pytest.skip("no class was created at the address of another")


def test_a_metaclass_that_is_made_while_those_are_looked_at(
    tracker: ObjectTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another thread, say, or by a destructor."""
    asked: list[type] = []
    made: list[type] = []
    is_plain = type_filter._is_plain

    def ask(cls: type) -> int:
        asked.append(cls)
        return 1

    def make_one_and_look(meta: type) -> bool:
        if not made:
            made.append(type("Odd", (type,), {"__hash__": ask}))
        return is_plain(meta)

    monkeypatch.setattr(type_filter, "_is_plain", make_one_and_look)
    first = type("Meta", (type,), {})
    tracker.scan()
    thing = made[0]("Class", (), {})()
    tracker.scan()

    assert first
    assert thing
    assert asked == []


@pytest.fixture
def shared_origins(tracker: ObjectTracker) -> ObjectTracker:
    """A tracker for a Python in which coroutines share their ``cr_origin``."""
    tracker.origins_unique = False
    tracker.watch_type(types.CoroutineType, _is_new)
    return tracker


def _is_new(coro: Any) -> bool:
    return coro.cr_frame is not None and not coro.cr_suspended


@contextmanager
def dying_coroutines(tracker: ObjectTracker) -> Iterator[list[str | None]]:
    """Collects the owners of coroutines that are destroyed before they were awaited."""
    found: list[str | None] = []

    def hook(coro: Any) -> None:
        tenure = tracker.tenure_of(coro)
        found.append(tenure.owner.name if tenure is not None else None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings._warn_unawaited_coroutine", hook)
        yield found


async def f() -> None: ...


@pytest.mark.parametrize("function", [coroutine, f])
def test_coroutines_with_shared_origins_keep_their_owners(
    shared_origins: ObjectTracker, function: Callable[[], Any]
) -> None:
    """While they live, and when a count of zero or a collection destroys them."""
    tracker = shared_origins
    tracker.mark(tenure("a"))
    first, cycle = function(), [function()]
    cycle.append(cycle)
    tracker.mark(tenure("b"))
    second = function()
    tracker.scan()
    tracker.mark(tenure("c"))

    assert owners(tracker) == ["a", "a", "b"]
    with dying_coroutines(tracker) as found:
        del first
        del second
        del cycle
        gc.collect()
    assert found == ["a", "b", "a"]


def test_a_coroutine_at_the_address_of_a_dead_one_does_not_get_its_owner(
    shared_origins: ObjectTracker,
) -> None:
    tracker = shared_origins
    met = 0
    with dying_coroutines(tracker) as found:
        for function in [coroutine, f] * 10:
            tracker.mark(tenure("a"))
            first = function()
            tracker.scan()
            tracker.mark(tenure("b"))
            address = id(first)
            first.close()
            del first
            second = function()
            met += id(second) == address
            del second

    assert found == [None] * 20
    if not met:
        pytest.skip("no coroutine was created at the address of another")


def test_a_name_of_a_tracked_coroutine_stays_the_same(shared_origins: ObjectTracker) -> None:
    tracked: list[Any] = [coroutine(), f()]
    shared_origins.scan()

    for coro in tracked:
        assert type(coro.__qualname__) is str
        coro.close()
    assert [coro.__qualname__ for coro in tracked] == ["coroutine", "f"]


def test_a_coroutine_that_is_read_twice_keeps_its_first_owner(
    shared_origins: ObjectTracker,
) -> None:
    """A collection in the sampler's thread has everything read again."""
    tracker = shared_origins
    tracker.mark(tenure("a"))
    coro = coroutine()
    tracker.scan()
    tracker.mark(tenure("b"))
    tracker.sampler_thread = threading.get_ident
    gc.collect(0)
    tracker.sampler_thread = lambda: None
    tracker.scan()

    assert owners(tracker) == ["a"]
    with dying_coroutines(tracker) as found:
        del coro
    assert found == ["a"]


def test_origins_are_unique() -> None:
    assert cpython.UNIQUE_ORIGINS.probe()


def test_without_generations_a_collection_is_preceded_by_a_reading(
    tracker: ObjectTracker,
) -> None:
    tracker.generational = False
    tracker.mark(tenure("a"))
    tracker.scan()
    kept = [Thing()]
    gc.collect(0)

    assert owners(tracker) == ["a"]
    kept.append(Thing())
    tracker.mark(tenure("b"))
    kept.append(Thing())
    tracker.scan()
    assert owners(tracker) == ["a", "a", "b"]


def test_collections_while_a_debugger_is_open(tracker: ObjectTracker) -> None:
    """They run no code of the tracker; what they have moved is read later."""
    tracker.mark(tenure("a"))
    tracker.scan()
    kept = [Thing()]
    tracker.suspend()
    gc.collect(0)
    assert owners(tracker) == []
    gc.collect()
    kept.append(Thing())
    tracker.mark(tenure("b"))
    tracker.resume()
    kept.append(Thing())
    tracker.scan()

    assert owners(tracker) == ["a", "a", "b"]
    assert len(kept) == 3


def test_a_debugger_without_a_collection(tracker: ObjectTracker) -> None:
    tracker.mark(tenure("a"))
    tracker.scan()
    kept = [Thing()]
    tracker.mark(tenure("b"))
    gc.disable()
    tracker.suspend()
    tracker.resume()
    kept.append(Thing())
    tracker.scan()
    gc.enable()

    assert owners(tracker) == ["a", "b"]
    assert len(kept) == 2


def test_what_is_created_during_a_reading_is_read_next(tracker: ObjectTracker) -> None:
    """By another thread, for example."""
    created: list[Thing] = []

    def keep(obj: object) -> bool:
        if not created:
            created.append(Thing())
        return True

    class Other: ...

    tracker.watch_type(Other, keep)
    tracker.mark(tenure("a"))
    kept = [Other()]
    tracker.scan()
    tracker.mark(tenure("b"))
    tracker.scan()

    assert kept
    assert owners(tracker) == ["a", "a"]


def test_many_dead_objects_are_forgotten(tracker: ObjectTracker) -> None:
    tracker.mark_judged()
    for _ in range(5):
        kept = [Thing() for _ in range(1_000)]
        tracker.scan()
        del kept
    living = [Thing()]
    tracker.scan()

    assert len(tracker.arrived()) < 2_100
    assert [obj for obj, _ in tracker.living()] == living


def test_a_class_is_released_with_its_last_object(tracker: ObjectTracker) -> None:
    cls = type("Local", (Thing,), {})
    thing = cls()
    tracker.scan()
    died = weakref.ref(cls)
    del thing, cls
    tracker.scan()
    gc.collect()

    assert died() is None
