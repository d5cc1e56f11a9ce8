"""The wording of a task tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_asyncio_traps.model.finding import Owner, Place
from pytest_asyncio_traps.model.task_tree import LoopRecord, Snapshot, TaskRecord, Wait, trees
from pytest_asyncio_traps.reports.task_tree import PAGE, lines, verdict

OWNER = Owner("test", "test_a.py::test_a", "function", "test_a.py::test_a")
AT = Place("/suite/test_a.py", 12, "test_a")


def task(key: int, wait: Wait, *, main: bool = False, name: str = "") -> TaskRecord:
    place = Place("/suite/test_a.py", key, f"work_{key}")
    return TaskRecord(
        key, name or f"Task-{key}", f"work_{key}", place, "created at", (place,), wait, main=main
    )


def loop(*tasks: TaskRecord, **fields: Any) -> LoopRecord:
    record = LoopRecord(
        1, "_UnixSelectorEventLoop", OWNER, "MainThread", "asleep", None, None, 0,
        None, "", (), tuple(tasks),
    )  # fmt: skip
    return record._replace(**fields)


def worded(taken: Snapshot, shown: Callable[[str], str] = str) -> list[str]:
    return lines(taken, trees(taken), verdict(taken, shown), shown=shown)


def shown(path: str) -> str:
    return path.removeprefix("/suite/")


def test_a_test_that_waits_for_a_queue() -> None:
    taken = Snapshot((loop(task(1, Wait("queue", "Queue.get()", "0 items"), main=True)),))

    assert worded(taken, shown=shown) == [
        "_UnixSelectorEventLoop of test_a.py::test_a: asleep; no timer, no descriptor",
        "  * Task-1, work_1",
        "      created at test_a.py:1 in work_1",
        "      at test_a.py:1 in work_1",
        "      waits for Queue.get() (0 items)",
        "To go on: somebody has to put an item into the queue, for Task-1 at test_a.py:1",
        "    in work_1.",
    ]


def test_a_loop_in_a_step() -> None:
    """What has to end is the step."""
    running = loop(
        task(1, Wait("event", "Event.wait()"), main=True), state="step", since=3.21, place=AT
    )

    text = worded(Snapshot((running,)), shown=shown)

    assert "in a step for 3.2 s, at" in " ".join(text)
    assert text[-1] == "To go on: the step at test_a.py:12 in test_a has to return."


def test_a_cycle() -> None:
    one = task(1, Wait("lock", "Lock.acquire()", subject=7, holders=(2,)), main=True)
    other = task(2, Wait("lock", "Lock.acquire()", subject=8, holders=(1,)))

    text = "\n".join(worded(Snapshot((loop(one, other),)), shown=shown))

    assert "* held by Task-2, work_2\n" in text
    assert "* held by Task-1, work_1: a cycle\n" in text
    assert "To go on: one of Task-1, Task-2 has to be cancelled, since they wait for" in text


def test_it_is_bounded_to_a_page_of_80_columns() -> None:
    """The last line stays."""
    wait = Wait("event", "Event.wait()", "x" * 300)
    tasks = [
        task(key, wait, main=key == 1, name="long " * 60 + "n" * 200) for key in range(1, 5_000)
    ]

    text = worded(Snapshot((loop(*tasks),)), shown=shown)

    assert len(text) <= PAGE
    assert max(map(len, text)) <= 80
    assert any(line.startswith("To go on: ") for line in text)
    assert any(line.endswith(" more lines") for line in text)


def test_nothing_runs() -> None:
    assert worded(Snapshot(())) == ["no event loop is open"]
    text = worded(Snapshot((), main_thread=AT), shown=shown)
    assert text == ["main thread: at test_a.py:12 in test_a"]
