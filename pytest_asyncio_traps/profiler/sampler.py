"""Looks at running loops from another thread, only as long as a loop runs.

For every loop that runs, the watchdog looks about 40 times a second whether it
is still in the step it was in at the last look. If so, it notes the user's line
at which the loop's thread stands, so that a slow step can be blamed on the line
that blocks rather than on its end. It also reads how long the thread has waited
for a processor, which is not the step's fault (Linux's ``schedstat``; elsewhere
that is guessed, from the processor time that the step has used).
"""

from __future__ import annotations

import _thread
import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from ..core.clock import KNOWS_WAITING, REAL, WORKED
from ..core.faults import Faults
from ..core.objects import ask
from ..core.places import place_of
from ..core.thread_stacks import Stack, first_time, marks_of, stack_of, user_mark_of
from ..model.finding import Place
from .gc_reserve import GCReserve
from .samples import SampleBuffer

#: Not by the lock's attribute: what detects calls that block replaces that, and would
#: take the watchdog's own for the user's.
_acquire = _thread.LockType.acquire
#: Nor by these attributes: it forbids them in the thread of a loop.
_open, _close, _read_some = os.open, os.close, os.read
_read_from: Any = getattr(os, "pread", None)  # not on Windows

_NATIVE = hasattr(_thread, "get_native_id") and KNOWS_WAITING


#: Seconds waited and seconds paused, as they stood shortly before a step began, and how often the
#: thread had been given a processor.
Baseline = tuple[float, float, int]
_NOTHING: Final = (0.0, 0.0, -1)
_NEVER: Final = float("inf")


class ThreadSampler:
    """What the watchdog knows of one thread that runs a loop."""

    __slots__ = (
        "_last",
        "_looks",
        "baseline",
        "due",
        "film",
        "looked",
        "loop",
        "native_id",
        "rested",
        "seen",
        "slept",
        "step",
        "stepping",
        "thread_id",
        "turns",
        "worked",
    )

    loop: Any
    thread_id: int
    native_id: int | None
    step: float
    baseline: Baseline
    due: float
    seen: float
    slept: float
    rested: float
    looked: float
    turns: int
    worked: float

    def __init__(self, loop: Any, thread_id: int, native_id: int | None) -> None:
        self.thread_id = thread_id
        self.native_id = native_id
        self.watch(loop)
        self.baseline = _NOTHING
        # From when on the baseline is too old for a step that begins.
        self.due = 0.0
        # Waiting time as it stood at the last look, and how much of it since the baseline
        # was no waiting: Linux may count the beginning of a sleep as such.
        self.seen = 0.0
        self.slept = 0.0
        # Seconds of the step in which its thread has not waited, for certain; and when the last
        # look was, and how often it had been given a processor by then.
        self.rested = 0.0
        self.looked = 0.0
        self.turns = -1
        # Seconds that its thread had worked when the baseline was read.
        self.worked = 0.0

    def watch(self, loop: Any) -> None:
        """Look at ``loop`` from now on."""
        self.loop = loop
        # What shows when the step of the loop began that runs: the loop itself, where it can.
        self.stepping: Any = ask(loop, "_asyncio_traps_runner", loop)
        self.step = 0.0
        # The user's lines, and what is done there for the first time only, by number of looks.
        self._looks: _Looks | None = None
        self._last: Stack | None = None
        # The looks themselves, once there is one.
        self.film: SampleBuffer | None = None

    def forget(self) -> None:
        """Another step has begun."""
        self._looks = self._last = None

    def filmed(self) -> SampleBuffer:
        """The looks at the loop so far."""
        if self.film is None:
            self.film = SampleBuffer()
        return self.film

    def note(self, stack: Stack) -> None:
        """The step stands at ``stack``.

        Which line that is, is found out later: it means to look up files, which lets the
        thread go on, and the step may be over, and judged, before there is an answer.
        """
        before, self._last = self._last, stack
        if before is not None:
            if self._looks is None:
                self._looks = Counter()
            self._looks[_said_by(before)] += 1

    def looks(self) -> _Looks:
        """At what the step was seen, and how often."""
        looks = Counter(self._looks)
        if self._last is not None:
            looks[_said_by(self._last)] += 1
        return looks

    def lines(self) -> Counter[Place]:
        """The user's lines at which the step was seen, and how often."""
        lines: Counter[Place] = Counter()
        for (place, _), count in self.looks().items():
            if place is not None:
                lines[place] += count
        return lines

    def first_time(self) -> str:
        """What most looks found the step at that is done once only; empty if there is none."""
        reasons: Counter[str] = Counter()
        for (_, reason), count in self.looks().items():
            reasons[reason] += count
        reason, count = max(reasons.items(), key=lambda item: item[1], default=("", 0))
        return reason if 2 * count > sum(reasons.values()) else ""


_Looks = Counter[tuple[Place | None, str]]


def _said_by(stack: Stack) -> tuple[Place | None, str]:
    marks = marks_of(stack)
    return place_of(user_mark_of(marks)), first_time(marks)


def _read(native_id: int | None, name: str) -> bytes:
    """What Linux has to say of one of this process's threads; empty where it says nothing."""
    if native_id is None:
        return b""
    try:
        if native_id == _main_thread.native_id:
            told: bytes = _read_from(_main_thread.files[name], 999, 0)
            return told
        # Not open(), which makes objects between the moments at which other threads run.
        file = _open(f"/proc/self/task/{native_id}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read_some(file, 999)
        finally:
            _close(file)
    except OSError:
        return b""
    finally:
        _headroom.make()  # while the file was read, others have made objects


def waited(native_id: int | None) -> tuple[float, int]:
    """Seconds for which a thread was ready to run and had no processor, so far.

    And how often it was given one; -1 where the system does not say.
    """
    try:
        _, nanoseconds, turns = _read(native_id, "schedstat").split()
        return int(nanoseconds) / 1e9, int(turns)
    except ValueError:
        return 0.0, -1


#: The share of a processor below which a thread is taken to sleep, where nothing tells that it
#: waits for one.
_ASLEEP_BELOW = 0.2


def _guess(lasted: float, worked: float) -> float:
    """Seconds of ``lasted`` for which a thread that ``worked`` so long waited for a processor.

    A guess, for systems that do not say: a step that works has to wait on a busy machine, but
    gets its share of it. One that blocks gets hardly anything.
    """
    return lasted - worked if worked >= _ASLEEP_BELOW * lasted else 0.0


def asleep(native_id: int | None) -> bool:
    """Whether a thread sleeps at this moment, or waits for a disk."""
    # The state follows the program's name, which stands in parentheses and may hold any.
    return _read(native_id, "stat").rpartition(b")")[2].split()[:1] in ([b"S"], [b"D"])


class _MainThread:
    """The main thread's files, kept open: they are read for each run of a loop."""

    def __init__(self) -> None:
        self.native_id: int | None = None
        self.files: dict[str, int] = {}

    def open(self) -> None:
        if not _NATIVE or threading.current_thread() is not threading.main_thread():
            return
        native_id = _thread.get_native_id()
        try:
            for name in ("schedstat", "stat"):
                self.files[name] = _open(f"/proc/self/task/{native_id}/{name}", os.O_RDONLY)
        except OSError:
            self.close()
            return
        self.native_id = native_id

    def close(self) -> None:
        self.native_id = None
        while self.files:
            _close(self.files.popitem()[1])


_main_thread = _MainThread()
_headroom = GCReserve()


class Watchdog:
    """The thread that looks. It stands still while no loop runs."""

    #: Seconds between two looks.
    TICK = 0.025
    #: Looks without a running loop, after which the thread stands still.
    PATIENCE = 8
    #: Seconds for which a reading of how long a thread has waited will do.
    FRESH = 0.01

    def __init__(
        self, paused: Callable[[], float], faults: Faults, due: list[float] | None = None
    ) -> None:
        self._due = due if due is not None else [_NEVER]
        self._paused = paused
        self._knows_waiting = KNOWS_WAITING
        self._worked = WORKED[0]
        self._faults = faults
        self._now = REAL[0]
        self._samplers: dict[int, list[ThreadSampler]] = {}
        # The main thread runs one loop after another, and needs but one sampler for them.
        self._spare: dict[int, ThreadSampler] = {}
        self._main_id = threading.main_thread().ident
        self._alarm = _thread.allocate_lock()
        self._gone = _thread.allocate_lock()
        # When, in which thread, and with what result a baseline was read.
        self._last_reading: tuple[float, int, Baseline] = 0.0, 0, _NOTHING
        self._last_worked = 0.0
        #: Whether the thread has to be started, or woken, before it looks.
        self._parked = True
        self._stopping = False
        self._started = False
        #: The identity of the thread, while it runs.
        self.thread_id: int | None = None

    def enter(self, loop: Any) -> None:
        """The current thread is about to run ``loop``."""
        thread_id = _thread.get_ident()
        sampler = self._spare.pop(thread_id, None)
        if sampler is None:
            sampler = ThreadSampler(loop, thread_id, _thread.get_native_id() if _NATIVE else None)
        else:
            sampler.watch(loop)
        # Whoever runs loops one after another, as a test runner does, need not have the file
        # read for each.
        since, read_in, sampler.baseline = self._last_reading
        sampler.worked = self._last_worked
        sampler.due = since + self.FRESH if read_in == thread_id else 0.0
        samplers = self._samplers
        if samplers:
            samplers.setdefault(thread_id, []).append(sampler)
            self._set_due()
        else:
            samplers[thread_id] = [sampler]
            self._due[0] = sampler.due
            if len(samplers) > 1:  # another thread did the same just now
                self._set_due()
        if self._parked:
            if self._started:
                self._wake()
            else:
                self.start()

    def renew(self, loop: Any, began: float) -> None:
        """A step of ``loop`` begins, and the baseline is too old to tell what is the step's.

        What came before the step, and is excused nevertheless, is less than `FRESH`.
        """
        sampler = self.sampler()
        if sampler is not None and sampler.loop is loop and began >= sampler.due:
            stood, turns = self._reading(sampler.native_id)
            sampler.baseline = stood, self._paused(), turns
            self._last_reading = began, sampler.thread_id, sampler.baseline
            self._last_worked = sampler.worked = self._worked()
            sampler.due = began + self.FRESH
            self._set_due()

    def _set_due(self) -> None:
        # One moment will do for one loop. Where there are several, each step asks.
        due = [sampler.due for stack in list(self._samplers.values()) for sampler in stack]
        self._due[0] = due[0] if len(due) == 1 else 0.0 if due else _NEVER

    def leave(self, loop: Any = None) -> None:
        """The current thread has stopped to run ``loop``, the one that it entered last."""
        thread_id = _thread.get_ident()
        stack = self._samplers.get(thread_id)
        if stack:
            sampler = stack.pop()
            # Whoever looks at it just now must not be the last to let go of the loop.
            sampler.loop = sampler.stepping = None
            if not stack:
                del self._samplers[thread_id]
                if thread_id == self._main_id:
                    self._spare[thread_id] = sampler
            if self._samplers:
                self._set_due()
            else:
                self._due[0] = _NEVER

    def sampler(self) -> ThreadSampler | None:
        """What is known of the current thread."""
        stack = self._samplers.get(_thread.get_ident())
        return stack[-1] if stack else None

    def excused(self, sampler: ThreadSampler, step: float) -> float:
        """Seconds of the step begun at ``step`` in which its thread was kept from running."""
        return sum(self.kept(sampler, step))

    def kept(self, sampler: ThreadSampler, step: float) -> tuple[float, float]:
        """Seconds in which the step begun at ``step`` waited for a processor, and was paused."""
        wait, pause, _ = sampler.baseline
        if not self._knows_waiting:
            wait = _guess(self._now() - step, self._worked() - wait)
        else:
            wait = waited(sampler.native_id)[0] - wait
            at_most = self._now() - step
            if sampler.step == step:
                wait -= sampler.slept
                at_most -= sampler.rested
            wait = min(wait, at_most)
        return max(0.0, wait), max(0.0, self._paused() - pause)

    def is_doubtful(self, sampler: ThreadSampler, step: float, duration: float) -> bool:
        """Whether nothing but the clock says that the step begun at ``step`` took ``duration``.

        No look has met it, so that the watchdog did not run either, and its thread has hardly
        worked, which C code that holds the interpreter does: the whole machine stood still.
        """
        if sampler.step == step and sampler.looks():
            return False
        return self._worked() - sampler.worked < _ASLEEP_BELOW * duration

    def _reading(self, native_id: int | None) -> tuple[float, int]:
        """What `kept` has to know of the moment at which a step begins."""
        return waited(native_id) if self._knows_waiting else (self._worked(), -1)

    def start(self) -> None:
        """Start the thread. It is no `threading.Thread`, so that those who count them miss none."""
        self._stopping = False
        self._alarm = _thread.allocate_lock()
        _acquire(self._alarm)
        self._gone = _thread.allocate_lock()
        _acquire(self._gone)
        self._started = True
        self._parked = False  # last: whoever is interrupted before starts it again
        _headroom.fill()
        try:
            _thread.start_new_thread(self._run, (self._alarm, self._gone))
        except RuntimeError as exc:  # no more threads to be had
            self._started, self._parked = False, True
            self._faults.record("watchdog", exc)

    def stop(self) -> None:
        """End the thread and wait for it, at a fork or at the end of the run."""
        if not self._started:
            return
        self._stopping = True
        self._wake()
        _acquire(self._gone, timeout=5)
        self._started, self._parked = False, True

    def resume(self) -> None:
        """Start the thread again, if loops are running."""
        if self._samplers and not self._started:
            self.start()

    def forget(self) -> None:
        """In a forked child: other threads, and the loops that they ran, are gone."""
        mine = _thread.get_ident()
        self._samplers = {key: value for key, value in self._samplers.items() if key == mine}

    def _wake(self) -> None:
        try:
            self._alarm.release()
        except RuntimeError:
            pass  # it is awake

    def _run(self, alarm: _thread.LockType, gone: _thread.LockType) -> None:
        self.thread_id = _thread.get_ident()
        try:
            idle = 0
            while not self._stopping and not self._faults.is_off("watchdog"):
                _headroom.make()
                if self._samplers:
                    idle = 0
                    with self._faults.guard("watchdog"):
                        self._look()
                    _acquire(alarm, timeout=self.TICK)
                    continue
                idle += 1
                if idle < self.PATIENCE:
                    _acquire(alarm, timeout=self.TICK)
                    continue
                self._parked = True
                # A loop that began to run just now found `_parked` false and woke nobody.
                if not self._samplers:
                    _acquire(alarm)
                self._parked = self._stopping
                idle = 0
        finally:
            self.thread_id = None
            gone.release()

    def _look(self) -> None:
        for stack in list(self._samplers.values()):
            if not stack:
                continue
            sampler = stack[-1]
            self._look_at(sampler)
            # Reading files has let the thread go on, and another step may have held the
            # interpreter since: this may be the only moment to look at it.
            step = ask(sampler.stepping, "_asyncio_traps_step", 0.0)
            if step and step != sampler.step and self._now() - step >= self.TICK:
                self._look_at(sampler)

    def _look_at(self, sampler: ThreadSampler) -> None:
        step = ask(sampler.stepping, "_asyncio_traps_step", 0.0)
        fresh = not step or step != sampler.step
        if fresh:
            sampler.step = step
            sampler.forget()
            sampler.filmed().cut(self._now(), step)
        # The stack comes first: to read a file lets other threads run, and the step may
        # be over then. At the first look, too: C code that holds the interpreter may
        # leave no other.
        if step:
            self._sample(sampler)
        # First whether it sleeps. If it has had no turn since the look before, and sleeps, it has
        # not waited for one in between, whatever Linux says: that may, from 6.12 on, count a whole
        # sleep as waiting, once it is over.
        sleeps = bool(step) and asleep(sampler.native_id)
        wait, turns = waited(sampler.native_id)
        now = self._now()
        if fresh:
            sampler.slept = sampler.rested = 0.0
            since, turns_then = step, sampler.baseline[2]
        else:
            since, turns_then = sampler.looked, sampler.turns
            if sleeps:
                sampler.slept += wait - sampler.seen
        if sleeps and turns == turns_then:
            sampler.rested += now - since
        sampler.seen, sampler.turns, sampler.looked = wait, turns, now

    def _sample(self, sampler: ThreadSampler) -> None:
        step = sampler.step
        stack = stack_of(sampler.thread_id)
        if ask(sampler.stepping, "_asyncio_traps_step", 0.0) == step:
            sampler.note(stack)
            sampler.filmed().add(self._now(), step, stack)


_alive: list[Watchdog] = []


def _before_fork() -> None:
    for watchdog in _alive:
        watchdog.stop()


def _in_parent() -> None:
    for watchdog in _alive:
        watchdog.resume()


def _in_child() -> None:
    _main_thread.close()  # it tells of the parent's thread
    for watchdog in _alive:
        watchdog.forget()


# A process that forks while threads run is warned by Python 3.12 and later. What
# is registered cannot be taken back, so it is done once, for whatever is alive.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)


def employ(watchdog: Watchdog) -> None:
    """Have ``watchdog`` stand down at each fork."""
    if not _alive:
        _main_thread.open()
    _alive.append(watchdog)


def dismiss(watchdog: Watchdog) -> None:
    """Stop ``watchdog`` for good."""
    watchdog.stop()
    if watchdog in _alive:
        _alive.remove(watchdog)
        if not _alive:
            _main_thread.close()
