"""The wording of a task tree: which loops there are, and which task waits for what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ..compat.pytest_asyncio import makes_loops
from ..model.finding import Owner, Place
from ..model.task_tree import Branch, LoopRecord, Snapshot, TaskRecord, find_cycle, leaves
from ..model.text import clean, shorten

#: The most lines of a report.
PAGE: Final = 60
#: The most lines of a chain of awaits that are shown.
_CHAIN: Final = 6

#: What would have to happen for a task to go on, by the kind of its `Wait`.
REMEDIES: Final[dict[str, str]] = {
    "queue": "another task has to use the queue",
    "event": "somebody has to set the event",
    "condition": "somebody has to notify the condition",
    "semaphore": "somebody has to release the semaphore",
    "lock": "somebody has to release the lock",
    "barrier": "more tasks have to arrive at the barrier",
    "tasks": "the tasks that it waits for have to end",
    "transport": "the other end of the connection has to answer",
    "process": "the child process has to go on or end",
    "server": "somebody has to close the server",
    "sleep": "the sleep has to end",
    "executor": "the job in the thread has to end",
    "future": "somebody has to complete the future",
    "call": "the call has to return",
    "ready": "the loop has to run",
    "running": "its step has to end",
}
#: Of these, the kinds that may end without another task: what they lead to is named first.
_GOES_ON: Final = {"sleep", "executor", "process", "transport", "ready", "running", "call"}
_QUEUES: Final = {
    "get": "somebody has to put an item into the queue",
    "put": "somebody has to take an item from the queue",
    "join": "somebody has to call task_done() for each item of the queue",
}


def lines(
    snapshot: Snapshot,
    branches: Sequence[Sequence[Branch]],
    ending: str,
    width: int = 80,
    shown: Callable[[str], str] = str,
    page: int = PAGE,
) -> list[str]:
    """``snapshot`` as lines of at most ``width`` characters, at most ``page`` of them.

    ``branches`` are its `task_tree.trees`, and ``ending`` is its `verdict`. ``shown`` turns an
    absolute path into the one to show.
    """
    writer = _Writer(width, shown)
    for loop, own in zip(snapshot.loops, branches, strict=True):
        writer.loop(loop, own)
    if snapshot.main_thread is not None:
        writer.add(0, f"main thread: at {writer.place(snapshot.main_thread)}")
    if snapshot.omitted:
        writer.add(0, f"{snapshot.omitted:,} more tasks were not read")
    if not writer.lines:
        writer.add(0, "no event loop is open")
    last = wrapped(f"To go on: {ending}.", width, 0) if ending else []
    room = page - len(last)
    if len(writer.lines) > room:
        left_out = len(writer.lines) - room + 1
        writer.lines[room - 1 :] = [f"... {left_out:,} more lines"]
    return writer.lines + last


def framed(title: str, text: Sequence[str], width: int = 80) -> str:
    """``text`` between two rules, the first of which has ``title``."""
    head = wrapped(title, width - 8, 0)
    rule = [f" {line} ".center(width, "=") for line in head]
    return "\n".join(["", *rule, *text, "=" * width, ""])


class _Writer:
    def __init__(self, width: int, shown: Callable[[str], str]) -> None:
        self.lines: list[str] = []
        self._width = width
        self._shown = shown

    def add(self, indent: int, text: str) -> None:
        """Add ``text``, broken between words where it is too long."""
        indent = min(indent, self._width // 2)
        self.lines += wrapped(clean(text), self._width, indent)

    def place(self, place: Place) -> str:
        return place_text(place, self._shown)

    # -- loops ------------------------------------------------------------

    def loop(self, loop: LoopRecord, branches: Sequence[Branch]) -> None:
        owner = owner_text(loop)
        self.add(0, f"{loop.name}{owner and ' '}{owner}: {state_text(loop, self._shown)}")
        if loop.hidden:
            self.add(2, f"it does not show {loop.hidden}")
        if not loop.tasks:
            self.add(2, "no tasks")
        for branch in branches:
            self._branch(branch, 2)

    # -- tasks ------------------------------------------------------------

    def _branch(self, branch: Branch, indent: int) -> None:
        task = branch.task
        name = task.name if branch.number == 1 else f"{task.name} and {branch.number - 1:,} like it"
        prefix = "held by " if branch.holds else ""
        if branch.again:
            why = "a cycle" if branch.again == "cycle" else "shown elsewhere"
            self.add(indent, f"* {prefix}{name}, {task.coroutine}: {why}")
            return
        self.add(indent, f"* {prefix}{name}, {task.coroutine}{_idle(task)}")
        if task.origin is not None:
            self.add(indent + 4, f"{task.origin_label} {self.place(task.origin)}")
        chain = task.chain
        if len(chain) > _CHAIN:
            self.add(indent + 4, f"at {self.place(chain[0])}")
            self.add(indent + 4, f"... {len(chain) - _CHAIN} more")
            chain = chain[1 - _CHAIN :]
        for place in chain:
            self.add(indent + 4, f"at {self.place(place)}")
        self.add(indent + 4, _waits_for(task))
        for inner in branch.branches:
            self._branch(inner, indent + 4)
        if branch.deeper:
            self.add(indent + 4, f"... {branch.deeper:,} more tasks below")


def place_text(place: Place, shown: Callable[[str], str] = str) -> str:
    """``place`` in words; ``shown`` turns an absolute path into the one to show."""
    return f"{shown(place.path)}:{place.line} in {place.function}"


def state_text(loop: LoopRecord, shown: Callable[[str], str] = str) -> str:
    """What ``loop`` does."""
    if loop.state == "stopped":
        return "does not run"
    if loop.state == "step":
        since = f" for {seconds(loop.since)}" if loop.since is not None else ""
        at = f", at {place_text(loop.place, shown)}" if loop.place is not None else ""
        return f"in a step{since}{at}"
    parts = []
    if loop.ready:
        parts.append(f"{loop.ready:,} callbacks are ready")
    if loop.timer is not None:
        callback = f" ({loop.timer_text})" if loop.timer_text else ""
        parts.append(f"next timer in {seconds(loop.timer)}{callback}")
    if loop.descriptors:
        parts.append(f"waits on descriptors {', '.join(loop.descriptors)}")
    if not parts:
        parts.append("no timer, no descriptor" if not loop.hidden else "waits")
    return f"asleep; {'; '.join(parts)}"


def owner_text(loop: LoopRecord) -> str:
    """What ``loop`` belongs to, and the thread in which it runs if that is not the main one."""
    owner = [f"of {_owner_name(loop.owner)}"] if loop.owner is not None else []
    thread = [f"in {loop.thread}"] if loop.thread and loop.thread != "MainThread" else []
    return " ".join(owner + thread)


def _owner_name(owner: Owner) -> str:
    name = clean(owner.name)
    if owner.type != "fixture":
        return name or f"the {owner.type}"
    return f"scope {owner.scope}" if makes_loops(name) else f"the {owner.scope} fixture {name}"


def _idle(task: TaskRecord) -> str:
    return f", no step for {seconds(task.idle)} or more" if task.idle is not None else ""


def _waits_for(task: TaskRecord) -> str:
    wait = task.wait
    detail = f" ({wait.detail})" if wait.detail else ""
    count = len(wait.awaits)
    tasks = f", {count:,} tasks" if count > 1 else ""
    return f"waits for {wait.text}{detail}{tasks}"


def seconds(number: float) -> str:
    """A duration, with a precision that fits its size."""
    return f"{number:.1f} s" if number < 100 else f"{number:,.0f} s"


# -- the last line -------------------------------------------------------------------------------


def verdict(snapshot: Snapshot, shown: Callable[[str], str] = str) -> str:
    """What would have to happen for the test's own task to go on; empty if there is no task."""

    def at(place: Place) -> str:
        return place_text(place, shown)

    for loop in snapshot.loops:
        if (
            loop.state == "step"
            and loop.place is not None
            and not loop.thread.startswith("asyncio_")
        ):
            return f"the step at {at(loop.place)} has to return"
    known = snapshot.tasks()
    mains = [task for task in known.values() if task.main] or list(known.values())[:1]
    for main in mains:
        cycle = find_cycle(main, known)
        if cycle:
            names = ", ".join(_names(cycle))
            if len(cycle) == 1:
                return f"{names} has to be cancelled, since it waits for itself"
            return f"one of {names} has to be cancelled, since they wait for each other"
    reasons: dict[str, None] = {}
    for main in mains:
        for leaf in sorted(leaves(main, known), key=lambda leaf: leaf.wait.kind not in _GOES_ON):
            where = f", for {leaf.name} at {at(leaf.chain[-1])}" if leaf.chain else ""
            reasons.setdefault(f"{_remedy(leaf)}{where}")
    if not reasons:
        return ""
    first, *others = reasons
    more = f" (and {len(others):,} more)" if others else ""
    return f"{first}{more}"


def _remedy(task: TaskRecord) -> str:
    wait = task.wait
    if wait.kind == "queue":
        method = wait.text.rpartition(".")[2].removesuffix("()")
        return _QUEUES.get(method, REMEDIES["queue"])
    return REMEDIES.get(wait.kind, REMEDIES["call"])


def _names(tasks: Sequence[TaskRecord]) -> list[str]:
    names = [task.name for task in tasks[:4]]
    return names if len(tasks) <= 4 else [*names, f"{len(tasks) - 4:,} more"]


def wrapped(text: str, width: int, indent: int) -> list[str]:
    """``text`` in lines of at most ``width`` characters, the first indented by ``indent``."""
    found: list[str] = []
    line, room = " " * indent, indent
    for word in text.split(" "):
        word = _cut(word, max(10, width - room - 4))
        if len(line) > room and len(line) + 1 + len(word) > width:
            found.append(line)
            room = indent + 4
            line = " " * room
        line += word if len(line) == room else f" {word}"
    found.append(line)
    return found


def _cut(word: str, limit: int) -> str:
    """``word`` with at most ``limit`` characters. Of a path, the end stays, with its line."""
    if len(word) > limit and "/" in word:
        return f"...{word[3 - limit :]}"
    return shorten(word, limit)
