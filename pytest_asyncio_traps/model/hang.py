"""A test that took too long or was ended, with its task tree, for the reports of the run.

Plain values of a bounded size, whatever number of tasks there was.
"""

# No `from __future__ import annotations`: NamedTuple would compile the annotation of each field.
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from .finding import Owner, Place, bounded_place
from .task_tree import Branch, LoopRecord, Snapshot
from .text import shorten

#: The most loops, and the most tasks, that are kept of a tree.
LIMIT: Final = 60


class TaskEntry(NamedTuple):
    """A task of the tree, and below it those that it waits for.

    ``key`` identifies the task within its tree. ``number`` is how many equal tasks this one stands
    for. ``main`` is whether it is the test's own task, or a fixture's. ``holds`` is whether
    the one above waits for something that this one holds, rather than for its end. ``again`` is
    "cycle" if the task is also above this entry, and "seen" if it is shown elsewhere; then nothing
    is below. ``chain`` is where it is suspended, outermost line first, and ``idle`` for how many
    seconds at least. ``kind``, ``text`` and ``detail`` say what it waits for, see
    `task_tree.Wait`, and ``awaits`` for how many tasks. ``omitted`` is how many of those below are
    left out.
    """

    key: int
    number: int
    name: str
    coroutine: str
    main: bool
    holds: bool
    again: str
    origin: Place | None
    origin_label: str
    chain: tuple[Place, ...]
    idle: float | None
    kind: str
    text: str
    detail: str
    awaits: int
    tasks: "tuple[TaskEntry, ...]"
    omitted: int


class LoopEntry(NamedTuple):
    """A loop, without its tasks in ``loop``, and the ``tasks`` that no other task waits for.

    ``omitted`` is how many of these are left out.
    """

    loop: LoopRecord
    tasks: tuple[TaskEntry, ...]
    omitted: int


class Hang(NamedTuple):
    """A test that took too long, or was ended.

    ``when`` is the phase of the test. ``reason`` is "hang" if it took longer than
    ``--asyncio-traps-hang`` and "faulthandler" if it was about to take longer than
    ``faulthandler_timeout``; "interrupt", "exit" or "timeout" if Ctrl-C, `pytest.exit` or
    pytest-timeout ended it. ``seconds`` is how long it had run, if that is known. ``verdict`` is
    what would have to happen for it to go on. ``main_thread`` is where the main thread is, if it
    runs no loop. ``omitted`` is the number of loops that are left out, and ``unread`` that of tasks
    that were not looked at because there are too many.
    """

    nodeid: str
    when: str
    reason: str
    seconds: float | None
    verdict: str
    loops: tuple[LoopEntry, ...]
    main_thread: Place | None
    omitted: int
    unread: int


def make_hang(
    snapshot: Snapshot,
    branches: Sequence[Sequence[Branch]],
    nodeid: str,
    when: str,
    reason: str,
    seconds: float | None,
    verdict: str,
) -> Hang:
    """The record of the test ``nodeid``, with at most `LIMIT` loops and tasks of ``snapshot``.

    ``branches`` are its `task_tree.trees`.
    """
    maker = _Maker()
    return Hang(
        nodeid,
        when,
        reason,
        seconds,
        shorten(verdict),
        tuple(map(maker.loop, snapshot.loops[:LIMIT], branches)),
        bounded_place(snapshot.main_thread),
        max(0, len(snapshot.loops) - LIMIT),
        snapshot.omitted,
    )


class _Maker:
    """Makes entries of branches, as long as there is room."""

    def __init__(self) -> None:
        self._room = LIMIT
        self._keys: dict[int, int] = {}

    def loop(self, loop: LoopRecord, branches: Sequence[Branch]) -> LoopEntry:
        plain = loop._replace(
            key=0,
            name=shorten(loop.name),
            thread=shorten(loop.thread),
            place=bounded_place(loop.place),
            descriptors=tuple(map(shorten, loop.descriptors)),
            tasks=(),
        )
        return LoopEntry(plain, *self._some(branches))

    def _some(self, branches: Sequence[Branch]) -> tuple[tuple[TaskEntry, ...], int]:
        """The entries of ``branches``, and the number of tasks that are left out."""
        entries, omitted = [], 0
        for branch in branches:
            if self._room > 0:
                self._room -= 1
                entries.append(self._entry(branch))
            else:
                omitted += branch.number
        return tuple(entries), omitted

    def _entry(self, branch: Branch) -> TaskEntry:
        task, wait = branch.task, branch.task.wait
        key = self._keys.setdefault(task.key, len(self._keys) + 1)
        tasks, omitted = self._some(branch.branches)
        return TaskEntry(
            key=key,
            number=branch.number,
            name=task.name,
            coroutine=shorten(task.coroutine),
            main=task.main,
            holds=branch.holds,
            again=branch.again,
            origin=bounded_place(task.origin),
            origin_label=task.origin_label,
            chain=tuple(place for line in task.chain if (place := bounded_place(line))),
            idle=task.idle,
            kind=wait.kind,
            text=shorten(wait.text),
            detail=shorten(wait.detail),
            awaits=len(wait.awaits),
            tasks=tasks,
            omitted=omitted + branch.deeper,
        )


# -- between processes ---------------------------------------------------------------------------


def from_plain(data: Sequence[Any]) -> Hang:
    """A `Hang` that was sent to another process as JSON, which makes lists of tuples."""
    hang = Hang(*data)
    return hang._replace(loops=tuple(map(_loop, hang.loops)), main_thread=_place(hang.main_thread))


def _loop(data: Sequence[Any]) -> LoopEntry:
    fields, tasks, omitted = data
    loop = LoopRecord(*fields)
    loop = loop._replace(
        owner=None if loop.owner is None else Owner(*loop.owner),
        place=_place(loop.place),
        descriptors=tuple(loop.descriptors),
        tasks=(),
    )
    return LoopEntry(loop, tuple(map(_task, tasks)), omitted)


def _task(data: Sequence[Any]) -> TaskEntry:
    task = TaskEntry(*data)
    return task._replace(
        origin=_place(task.origin),
        chain=tuple(Place(*line) for line in task.chain),
        tasks=tuple(map(_task, task.tasks)),
    )


def _place(data: Sequence[Any] | None) -> Place | None:
    return None if data is None else Place(*data)
