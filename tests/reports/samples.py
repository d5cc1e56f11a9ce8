"""Findings, and test modules with some, that the tests of several reports share."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_asyncio_traps.model.finding import (
    Earlier,
    Finding,
    Owner,
    Place,
    Span,
    Timeline,
)
from pytest_asyncio_traps.model.hang import Hang, make_hang
from pytest_asyncio_traps.model.task_tree import LoopRecord, Snapshot, TaskRecord, Wait, trees
from pytest_asyncio_traps.reports.run import Run
from pytest_asyncio_traps.reports.writing import write
from pytest_asyncio_traps.traps import KINDS

#: One finding, of the kind pending-task, made in the line that ends in ``# here``.
PENDING_TASK = """
import asyncio

async def poll():
    await asyncio.sleep(3600)

async def test_it():
    task = asyncio.create_task(poll())  # here
    await asyncio.sleep(0)
"""

#: What the parser of HTML is not to take for more than text.
HOSTILE = (
    "<script>window.hurt = 1</script>",
    '"><img src=http://example.invalid/x onerror="top.hurt = 1">',
    "</script></style></title></textarea>--><h1>x</h1>",
    "{{ 1237 * 1237 }}{% raw %}",
    "&lt;&amp;&#60;",
    "x" * 900,
    "\u202ereversed \x1b[31m \ud800",
    "' onmouseover='window.hurt = 1",
)


def make(
    folder: Path,
    findings: list[tuple[Finding, int]],
    suffix: str = ".html",
    change: Callable[[Run], Run] = lambda run: run,
    hangs: Sequence[Hang] = (),
) -> Path:
    """A report of ``findings`` and ``hangs``."""
    run = Run(
        findings,
        {},
        [],
        {"tool": "1.0", "pytest": "9.0"},
        folder,
        lambda path: path.removeprefix(f"{folder}/"),
        hangs=hangs,
        ended=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )
    path = folder / f"traps{suffix}"
    write(path, change(run))
    return path


def finding(number: int, folder: Path, text: str = "plain", **more: Any) -> Finding:
    kind = KINDS[number % len(KINDS)]
    nodeid = f"tests/test_{number}.py::test_{text}"
    place = Place(f"{folder}/app_{number}_{text}.py", number + 1, f"f_{text}")
    summary = f"number {number}: {text}"
    owner = Owner("test", nodeid, "function", nodeid)
    plain = Finding(kind, summary, "Mend it.", owner, origin=place, when="call", action="fail")
    return plain._replace(**more)


def slow(number: int, folder: Path, text: str = "plain") -> Finding:
    """A slow step with a deep stack."""
    places = [Place(f"{folder}/app_{text}.py", n + 1, f"call_{n}_{text}") for n in range(30)]
    timeline = Timeline(
        length=0.5,
        threshold=0.1,
        waited=0.1,
        paused=0.05,
        spans=(
            Span(0.01, 0.2, 8, tuple(places)),
            Span(0.25, 0.45, 8, (*places[:10], Place(socket.__file__, 3, "recv"))),
        ),
        earlier=(Earlier(-0.2, None, None), Earlier(-0.1, -0.12, places[0])),
    )
    return finding(
        number, folder, text, kind="slow-callback", timeline=timeline, duration=0.35, action="fail"
    )


def hang(number: int, folder: Path, text: str = "plain", tasks: int = 20) -> Hang:
    """A test that hung: a chain of tasks, some that are equal, and two that hold locks."""
    places = [Place(f"{folder}/app_{text}.py", n + 1, f"work_{n}_{text}") for n in range(4)]

    def task(key: int, wait: Wait, name: str = "") -> TaskRecord:
        chain = tuple(places[: 1 + key % 4])
        coroutine = f"{name or 'chain'}_{text}"
        label, main = f"{name or key}: {text}", key == 1
        return TaskRecord(
            key, label, coroutine, places[0], "created at", chain, wait, idle=1.5, main=main
        )

    chain = [task(n, Wait("tasks", "a task", awaits=(n + 1,))) for n in range(1, tasks)]
    chain.append(task(tasks, Wait("queue", f"Queue.get() {text}", f"0 items {text}")))
    equal = [task(100 + 4 * n, Wait("sleep", "asyncio.sleep()"), "equal") for n in range(2_000)]
    left = task(10_000, Wait("lock", "Lock.acquire()", subject=1, holders=(10_001,)), "left")
    right = task(10_001, Wait("lock", "Lock.acquire()", subject=2, holders=(10_000,)), "right")
    owner = Owner("fixture", text, "function", "")
    loop = LoopRecord(
        1, f"Loop_{text}", owner, f"thread {text}", "asleep", None, None, 3, 1.5, text,
        (text, "7"), (*chain, *equal, left, right), hidden=text,
    )  # fmt: skip
    taken = Snapshot((loop,), main_thread=places[0], omitted=5)
    reason = ("hang", "interrupt", "exit", "timeout", "faulthandler", f"new {text}")[number % 6]
    seconds = None if number % 2 else 12.5
    nodeid = f"tests/test_{number}.py::test_{text}"
    return make_hang(
        taken, trees(taken), nodeid, "call", reason, seconds, f"something has to happen: {text}"
    )
