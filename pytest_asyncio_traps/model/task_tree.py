"""A picture of loops and their tasks at one moment: plain values, safe to keep, pickle and print.

`core.task_tree` takes the picture of living objects, and `reports.task_tree` words it. The
functions here arrange the tasks by who awaits whom.
"""

# No `from __future__ import annotations`: NamedTuple would compile the annotation of each field.
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from .finding import Owner, Place


class Wait(NamedTuple):
    """What a task waits for.

    ``kind`` is one of the keys of `reports.task_tree.REMEDIES`. ``text`` names the call or object,
    and ``detail`` its state. Equal tasks may differ in ``detail``. ``subject`` identifies the
    object: tasks with the same one wait for the same lock or queue; 0 if there is none.
    """

    kind: str
    text: str
    detail: str = ""
    subject: int = 0
    #: The tasks, by `TaskRecord.key`, that have to end first.
    awaits: tuple[int, ...] = ()
    #: The tasks that hold the lock or semaphore.
    holders: tuple[int, ...] = ()


class TaskRecord(NamedTuple):
    """A pending task. ``key`` identifies it in its snapshot.

    ``chain`` is where it and the coroutines that it awaits are suspended, the outermost line first.
    ``idle`` is for how many seconds at least it has taken no step; None if that is not known.
    ``main`` is whether `run_until_complete` waits for it: it is the test's own task, or a
    fixture's.
    """

    key: int
    name: str
    coroutine: str
    origin: Place | None
    origin_label: str
    chain: tuple[Place, ...]
    wait: Wait
    idle: float | None = None
    main: bool = False


class LoopRecord(NamedTuple):
    """A loop that is open. ``owner`` is the test or fixture that made it, if that is known.

    ``state`` is "step" while a callback runs, for ``since`` seconds, at ``place``; "asleep" while
    the loop waits for a timer or a descriptor; "stopped" if it does not run. ``timer`` is the
    number of seconds until the next timer, and ``timer_text`` its callback. ``hidden`` says what
    the loop does not show; empty if that is nothing.
    """

    key: int
    name: str
    owner: Owner | None
    thread: str
    state: str
    since: float | None
    place: Place | None
    ready: int
    timer: float | None
    timer_text: str
    descriptors: tuple[str, ...]
    tasks: tuple[TaskRecord, ...]
    hidden: str = ""


class Snapshot(NamedTuple):
    """The loops of a process at one moment.

    ``main_thread`` is where the main thread is, if it runs no loop. ``omitted`` is the number of
    tasks that were not read because there are too many.
    """

    loops: tuple[LoopRecord, ...]
    main_thread: Place | None = None
    omitted: int = 0

    def tasks(self) -> dict[int, TaskRecord]:
        """All tasks by key."""
        return {task.key: task for loop in self.loops for task in loop.tasks}

    def waits_of(self, key: int) -> list[Place]:
        """The lines at which the task ``key`` and those that it waits for are suspended."""
        tasks = self.tasks()
        places: list[Place] = []
        met: set[int] = set()
        while key in tasks and key not in met:
            met.add(key)
            places += tasks[key].chain
            key = next(iter(tasks[key].wait.awaits), 0)
        return places


class Branch(NamedTuple):
    """A line of the tree: a task, and below it those that it waits for.

    ``number`` is how many equal tasks this one stands for. ``again`` is "cycle" if the
    task is also above this line, "seen" if it is shown elsewhere, else empty; there are no
    ``branches`` then. ``holds`` is whether the task holds what the one above waits for, rather than
    being awaited. ``deeper`` is the number of tasks below that are left out.
    """

    task: TaskRecord
    number: int = 1
    again: str = ""
    holds: bool = False
    branches: "tuple[Branch, ...]" = ()
    deeper: int = 0


#: The deepest level of a tree.
DEEPEST: Final = 12
#: How many levels of what tasks wait for are compared to find equal tasks.
_COMPARED: Final = 3


def needed_by(task: TaskRecord) -> tuple[int, ...]:
    """The tasks that have to take a step before ``task`` can go on."""
    return task.wait.awaits + task.wait.holders


def roots(loop: LoopRecord, awaited: frozenset[int]) -> list[TaskRecord]:
    """The tasks of ``loop`` that no other task waits for; of each cycle without one, the first.

    Those that the test itself waits for come first.
    """
    known = {task.key: task for task in loop.tasks}
    found = [task for task in loop.tasks if task.key not in awaited or task.main]
    found.sort(key=lambda task: not task.main)
    reached = _reached(found, known)
    for task in loop.tasks:
        if task.key not in reached:  # in a cycle, or awaited from one
            start = next(iter(find_cycle(task, known)), task)
            found.append(start)
            reached |= _reached([start, task], known)
    return found


def awaited_in(snapshot: Snapshot) -> frozenset[int]:
    """The keys of the tasks that another task waits for."""
    return frozenset(
        key
        for loop in snapshot.loops
        for task in loop.tasks
        for key in needed_by(task)
        if key != task.key
    )


def _reached(tasks: Sequence[TaskRecord], known: dict[int, TaskRecord]) -> set[int]:
    reached: set[int] = set()
    waiting = [task.key for task in tasks]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            if key in known:
                waiting += needed_by(known[key])
    return reached


def find_cycle(task: TaskRecord, known: dict[int, TaskRecord]) -> list[TaskRecord]:
    """A cycle of waiting tasks that ``task`` is in or leads to; empty if there is none."""
    path: list[TaskRecord] = []
    position: dict[int, int] = {}
    done: set[int] = set()
    pending: list[Iterator[int]] = [iter((task.key,))]
    while pending:
        key = next(pending[-1], None)
        if key is None:
            pending.pop()
            if path:
                left = path.pop()
                del position[left.key]
                done.add(left.key)
        elif key in position:
            return path[position[key] :]
        elif key in known and key not in done:
            position[key] = len(path)
            path.append(known[key])
            pending.append(iter(needed_by(known[key])))
    return []


def leaves(task: TaskRecord, known: dict[int, TaskRecord], limit: int = 1000) -> list[TaskRecord]:
    """The tasks at the ends of what ``task`` waits for: those that wait for no other task."""
    found: list[TaskRecord] = []
    seen: set[int] = set()
    waiting = [task.key]
    while waiting and len(seen) < limit:
        key = waiting.pop()
        if key in seen or key not in known:
            continue
        seen.add(key)
        inner = [other for other in needed_by(known[key]) if other in known]
        if inner:
            waiting += reversed(inner)
        else:
            found.append(known[key])
    return found


# -- the tree ------------------------------------------------------------------------------------


def trees(snapshot: Snapshot) -> list[list[Branch]]:
    """For each loop, its tasks by who awaits whom, equal ones folded."""
    known, awaited = snapshot.tasks(), awaited_in(snapshot)
    return [_Arranger(known).arrange(roots(loop, awaited)) for loop in snapshot.loops]


class _Arranger:
    """Makes branches of tasks. Each task is shown in full once."""

    def __init__(self, known: dict[int, TaskRecord]) -> None:
        self._known = known
        self._signatures: dict[tuple[int, int], object] = {}
        self._shown: set[int] = set()

    def arrange(self, tasks: Sequence[TaskRecord]) -> list[Branch]:
        return list(self._fold([(task, False) for task in tasks], ()))

    def _fold(
        self, tasks: list[tuple[TaskRecord, bool]], above: tuple[int, ...]
    ) -> Iterator[Branch]:
        groups: dict[object, list[tuple[TaskRecord, bool]]] = {}
        for task, holds in tasks:
            groups.setdefault((self._signature(task, _COMPARED), holds), []).append((task, holds))
        for group in groups.values():
            (task, holds), *others = group
            branch = self._branch(task, holds, above)
            self._shown.update(other.key for other, _ in others)
            yield branch._replace(number=len(group))

    def _branch(self, task: TaskRecord, holds: bool, above: tuple[int, ...]) -> Branch:
        if task.key in above:
            return Branch(task, again="cycle", holds=holds)
        if task.key in self._shown:
            return Branch(task, again="seen", holds=holds)
        self._shown.add(task.key)
        wait = task.wait
        inner = [(self._known[key], False) for key in wait.awaits if key in self._known]
        inner += [
            (self._known[key], True)
            for key in wait.holders
            if key in self._known and key not in wait.awaits
        ]
        if len(above) >= DEEPEST:
            return Branch(task, holds=holds, deeper=len(inner))
        return Branch(task, holds=holds, branches=tuple(self._fold(inner, (*above, task.key))))

    def _signature(self, task: TaskRecord, depth: int) -> object:
        """What equal tasks have in common: everything but names, times and identities."""
        known = self._signatures.get((task.key, depth))
        if known is None:
            wait = task.wait
            inner: tuple[object, ...] = ()
            if depth:
                inner = tuple(
                    self._signature(self._known[key], depth - 1)
                    for key in (*wait.awaits, *wait.holders)[:100]
                    if key in self._known
                )
            known = (
                task.coroutine,
                task.origin,
                task.chain,
                wait.kind,
                wait.text,
                task.main,
                frozenset(inner),
                len(wait.awaits) if not depth else 0,
            )
            self._signatures[task.key, depth] = known
        return known
