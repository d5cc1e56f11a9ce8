"""The arrangement of tasks by who awaits whom."""

from __future__ import annotations

from pytest_asyncio_traps.model.finding import Place
from pytest_asyncio_traps.model.task_tree import (
    DEEPEST,
    Branch,
    LoopRecord,
    Snapshot,
    TaskRecord,
    Wait,
    find_cycle,
    leaves,
    trees,
)


def task(
    key: int,
    awaits: tuple[int, ...] = (),
    *,
    coroutine: str = "work",
    holders: tuple[int, ...] = (),
    main: bool = False,
    detail: str = "",
) -> TaskRecord:
    kind = "tasks" if awaits else "lock" if holders else "queue"
    wait = Wait(kind, f"a {kind}", detail, awaits=awaits, holders=holders)
    place = Place("/t.py", 1, coroutine)
    return TaskRecord(key, f"Task-{key}", coroutine, None, "created at", (place,), wait, main=main)


def loop(*tasks: TaskRecord) -> LoopRecord:
    return LoopRecord(
        1, "Loop", None, "MainThread", "asleep", None, None, 0, None, "", (), tuple(tasks)
    )


def tree_of(*tasks: TaskRecord) -> list[Branch]:
    record = loop(*tasks)
    (branches,) = trees(Snapshot((record,)))
    return branches


def test_awaited_tasks_are_below_the_one_that_waits() -> None:
    (branch,) = tree_of(task(1), task(2, (1,), coroutine="main"))

    assert branch.task.key == 2
    assert [inner.task.key for inner in branch.branches] == [1]


def test_the_tests_own_task_comes_first() -> None:
    first, second = tree_of(task(1), task(2, coroutine="test", main=True))

    assert [first.task.key, second.task.key] == [2, 1]


def test_equal_tasks_are_folded() -> None:
    """Names and states may differ."""
    (branch,) = tree_of(*(task(key, detail=f"{key} s left") for key in range(1, 10_001)))

    assert branch.number == 10_000


def test_tasks_that_differ_are_not_folded() -> None:
    """Not by what they wait for, nor by what those wait for."""
    branches = tree_of(
        task(1, (3,)), task(2, (4,)), task(3, coroutine="one"), task(4, coroutine="other")
    )

    assert [branch.number for branch in branches] == [1, 1]


def test_a_cycle_is_marked() -> None:
    (branch,) = tree_of(task(1, (2,), coroutine="one"), task(2, holders=(1,), coroutine="other"))

    (inner,) = branch.branches
    (again,) = inner.branches
    assert (again.task.key, again.again, again.holds) == (1, "cycle", True)


def test_a_task_that_waits_for_itself() -> None:
    (branch,) = tree_of(task(1, (1,)))

    assert [inner.again for inner in branch.branches] == ["cycle"]
    assert [t.key for t in find_cycle(branch.task, {1: branch.task})] == [1]


def test_what_leads_to_a_cycle_is_shown_above_it() -> None:
    (branch,) = tree_of(task(1, (2,)), task(2, (1,)), task(3, (1,), coroutine="main", main=True))

    assert branch.task.key == 3
    assert [inner.task.key for inner in branch.branches] == [1]


def test_a_task_that_two_await_is_shown_once() -> None:
    first, second = tree_of(task(1, (3,), coroutine="a"), task(2, (3,), coroutine="b"), task(3))

    assert first.branches[0].again == ""
    assert second.branches[0].again == "seen"


def test_a_long_chain_is_cut() -> None:
    """A chain of ten thousand tasks is no problem."""
    chain = [task(key, (key + 1,)) for key in range(10_000)] + [task(10_000)]
    (branch,) = tree_of(*chain)

    depth = 0
    while branch.branches:
        (branch,) = branch.branches
        depth += 1
    assert (depth, branch.deeper) == (DEEPEST, 1)
    known = {each.key: each for each in chain}
    assert find_cycle(chain[0], known) == []
    assert [leaf.key for leaf in leaves(chain[0], known, limit=20_000)] == [10_000]


def test_a_cycle_beside_a_leaf_is_found() -> None:
    known = {each.key: each for each in (task(1, (2, 3)), task(2), task(3, (4,)), task(4, (3,)))}

    assert [found.key for found in find_cycle(known[1], known)] == [3, 4]
