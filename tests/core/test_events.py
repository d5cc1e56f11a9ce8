"""The events of a run go to the listeners that override them, and to no others."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_asyncio_traps import Trap
from pytest_asyncio_traps.core.events import EVENTS, Listener
from pytest_asyncio_traps.core.trap import BuiltinTrap
from pytest_asyncio_traps.core.watch import Watch
from pytest_asyncio_traps.traps import TRAPS

from ..run import Suite


class Closings(Listener):
    """Notes the loops that close."""

    def __init__(self, kind: str = "closings", notes: list[Any] | None = None) -> None:
        self.kind = kind
        self.notes = notes if notes is not None else []

    def loop_closing(self, loop: Any) -> None:
        self.notes.append((self.kind, loop))


class Failing(Closings):
    """Raises at each loop that closes."""

    def loop_closing(self, loop: Any) -> None:
        super().loop_closing(loop)
        raise ZeroDivisionError("made up")


@pytest.fixture
def watch() -> Watch:
    watch = Watch()
    watch.active = True
    return watch


def test_an_event_goes_to_those_that_override_it(watch: Watch) -> None:
    closings = Closings()
    watch.events.add(closings)

    watch.events.loop_closing("a loop")  # type: ignore[arg-type]
    watch.events.loop_created("another", None)  # type: ignore[arg-type]

    assert closings.notes == [("closings", "a loop")]
    assert [name for name in EVENTS if watch.events.listening[name]] == ["loop_closing"]


def test_listeners_are_called_in_the_order_in_which_they_came(watch: Watch) -> None:
    notes: list[Any] = []
    for kind in ("first", "second", "third"):
        watch.events.add(Closings(kind, notes))

    watch.events.loop_closing("a loop")  # type: ignore[arg-type]

    assert [kind for kind, _ in notes] == ["first", "second", "third"]


def test_a_fault_is_that_of_one_listener(watch: Watch) -> None:
    """It is called no more; the others are, also those that come after it."""
    notes: list[Any] = []
    watch.faults.isolated |= {"failing", "closings"}
    watch.events.add(Failing("failing", notes))
    watch.events.add(Closings("closings", notes))

    for loop in ("one", "two"):
        watch.events.loop_closing(loop)  # type: ignore[arg-type]

    assert notes == [("failing", "one"), ("closings", "one"), ("closings", "two")]
    assert list(watch.faults.texts) == ["failing"]
    assert watch.active


def test_a_run_that_is_not_active_has_no_events(watch: Watch) -> None:
    closings = Closings()
    watch.events.add(closings)
    watch.active = False

    watch.events.loop_closing("a loop")  # type: ignore[arg-type]

    assert closings.notes == []


def test_who_heard_that_a_loop_is_entered_hears_that_it_is_left(watch: Watch) -> None:
    """A run may become inactive in between."""
    notes: list[str] = []

    class Runs(Listener):
        def loop_enters(self, loop: Any) -> None:
            notes.append("enters")

        def loop_leaves(self, loop: Any) -> None:
            notes.append("leaves")

    watch.events.add(Runs())
    tracked = watch.loop_enters("a loop")  # type: ignore[arg-type]
    watch.active = False
    watch.loop_leaves("a loop", tracked)  # type: ignore[arg-type]

    assert notes == ["enters", "leaves"]


def test_each_event_is_heard_by_a_kind() -> None:
    """An event without a listener is not worth its call."""
    heard = {
        name
        for trap in TRAPS
        for name in EVENTS
        if getattr(trap, name) is not getattr(Listener, name)
    }
    heard |= {"loop_enters", "loop_leaves", "step_due"}  # by the sampler: see `SlowCallback`

    assert heard == set(EVENTS)
    assert all(issubclass(trap, BuiltinTrap) for trap in TRAPS)


def test_events_do_not_collide_with_what_kinds_of_others_have() -> None:
    assert not set(EVENTS) & set(dir(Trap))


def test_a_kind_of_others_may_have_a_method_of_the_same_name(suite: Suite) -> None:
    suite.write(
        conftest="""
        import pytest
        from pytest_asyncio_traps import Trap

        class Kind(Trap):
            kind, title, advice = "a-kind", "it happened", "Do not."

            def arm(self):
                pass

            def loop_closing(self):
                raise AssertionError("this is no event")

        @pytest.hookimpl(optionalhook=True)
        def pytest_asyncio_traps_kinds():
            return [Kind]
        """
    )
    outcome = suite.test("async def test_it(): pass")

    outcome.clean()
    outcome.no_fault()


def test_a_kind_whose_arm_fails_listens_to_nothing(suite: Suite) -> None:
    """What it hooked before is undone, and the other kinds are armed."""
    suite.write(
        broken="""
        from asyncio import runners
        from pathlib import Path
        from pytest_asyncio_traps.session.lifecycle import lifecycle_key
        from pytest_asyncio_traps.traps.pending_task import PendingTask

        original = PendingTask.arm

        def arm(self):
            original(self)
            self.watch.at_end.append(lambda: print("undone"))
            raise ZeroDivisionError("made up")

        PendingTask.arm = arm

        def pytest_runtest_teardown(item):
            watch = item.config.stash[lifecycle_key].watch
            kinds = [handler.__self__.kind for handler in watch.events.listening["loop_closing"]]
            wrappers, function = [], runners._cancel_all_tasks
            while hasattr(function, "__wrapped__"):
                wrappers.append(Path(function.__code__.co_filename).stem)
                function = function.__wrapped__
            print("closings:", *kinds, "wrappers:", *wrappers)
        """
    )
    outcome = suite.test("async def test_it(): pass", "-s", plugins=("broken",))

    stdout = outcome.result.stdout
    stdout.fnmatch_lines(["*closings: *unclosed-loop* wrappers: unclosed_asyncgen"])
    stdout.fnmatch_lines(["Its part 'pending-task' failed*", "ZeroDivisionError: made up"])
    stdout.no_fnmatch_line("*closings:*pending-task*wrappers*")
    assert stdout.str().count("undone") == 1
