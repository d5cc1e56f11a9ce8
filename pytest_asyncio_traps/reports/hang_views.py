"""The words and lines of a task tree on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ..model.finding import Place
from ..model.hang import Hang, LoopEntry, TaskEntry
from ..model.lines import line_at
from .run import Run
from .task_tree import owner_text, seconds, state_text

#: What ended a test, or that nothing did, by the reason. ``{}`` stands for a duration.
_REASONS: Final = {
    "hang": "has run for {}",
    "faulthandler": "has run for {}",
    "interrupt": "interrupted by Ctrl-C",
    "exit": "ended by pytest.exit",
    "timeout": "ended by pytest-timeout",
}


class LineView(NamedTuple):
    """A line: what it is to the task, its ``path:line``, and its code."""

    label: str
    where: str
    function: str
    code: str


class TaskView(NamedTuple):
    """A task. ``again`` says that it is shown elsewhere, at ``anchor`` if that is not empty."""

    task: TaskEntry
    anchor: str
    again: str
    lines: Sequence[LineView]
    idle: str
    tasks: Sequence[TaskView]


class LoopView(NamedTuple):
    """A loop: its class, what it belongs to and where it runs, and what it does."""

    name: str
    of: str
    state: str
    hidden: str
    tasks: Sequence[TaskView]
    omitted: int


class HangView(NamedTuple):
    """A test that hung. ``main_thread`` is a line of the main thread, if that runs no loop."""

    nodeid: str
    when: str
    why: str
    verdict: str
    loops: Sequence[LoopView]
    main_thread: LineView | None
    omitted: int
    unread: int


def views_of(run: Run) -> Iterator[HangView]:
    """The tests of ``run`` that hung, as the page shows them."""
    for number, hang in enumerate(run.hangs, 1):
        maker = _Maker(run, f"tree-{number}", hang)
        place = hang.main_thread
        yield HangView(
            hang.nodeid,
            hang.when,
            _why(hang),
            hang.verdict,
            [maker.loop(entry) for entry in hang.loops],
            None if place is None else maker.line("at", place),
            hang.omitted,
            hang.unread,
        )


def _why(hang: Hang) -> str:
    words = _REASONS.get(hang.reason, hang.reason)
    duration = "too long" if hang.seconds is None else seconds(hang.seconds)
    if "{}" in words:
        return words.format(duration)
    return words if hang.seconds is None else f"{words} after {duration}"


class _Maker:
    """Makes the views of one tree."""

    def __init__(self, run: Run, anchor: str, hang: Hang) -> None:
        self._run = run
        self._anchor = anchor
        self._full = {task.key for loop in hang.loops for task in _full(loop.tasks)}

    def line(self, label: str, place: Place) -> LineView:
        code = line_at(place).strip()
        return LineView(label, self._run.where(place), place.function, code)

    def loop(self, entry: LoopEntry) -> LoopView:
        loop = entry.loop
        return LoopView(
            loop.name,
            owner_text(loop),
            state_text(loop, self._run.relative),
            loop.hidden,
            [self._task(task) for task in entry.tasks],
            entry.omitted,
        )

    def _task(self, task: TaskEntry) -> TaskView:
        again = {"": "", "cycle": "a cycle: it is above", "seen": "shown elsewhere"}[task.again]
        lines = [] if task.origin is None else [self.line(task.origin_label, task.origin)]
        lines += [self.line("at", place) for place in task.chain]
        return TaskView(
            task,
            f"{self._anchor}-task-{task.key}" if task.key in self._full else "",
            again,
            lines,
            "" if task.idle is None else seconds(task.idle),
            [self._task(below) for below in task.tasks],
        )


def _full(tasks: Sequence[TaskEntry]) -> Iterator[TaskEntry]:
    """The entries that show what their task waits for."""
    for task in tasks:
        if not task.again:
            yield task
        yield from _full(task.tasks)
