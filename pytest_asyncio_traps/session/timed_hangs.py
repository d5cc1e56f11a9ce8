"""Shows the task tree of a test that takes too long, while it runs; and before SIGTERM ends it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator

import pytest

from ..core.clock import REAL
from ..core.watch import Watch
from ..profiler import forks
from ..profiler.alarm import PART, Alarm
from .guards import Guarded
from .hangs import Hangs, is_main_thread


class TimedHangs(Guarded):
    """The hooks of a run that prints the tree of each test that takes too long."""

    def __init__(self, hangs: Hangs, watch: Watch, seconds: float, reason: str) -> None:
        super().__init__(watch.faults)
        self._hangs = hangs
        self._watch = watch
        self._seconds = seconds
        self._reason = reason
        self._now = REAL[0]
        self._alarm = Alarm(self._ring, watch.faults)
        self._terminal = _duplicate_stderr()
        self._sigterm = _SigtermHandler(self._terminated)
        forks.register(self._alarm)
        forks.register(self._sigterm)

    def stop(self) -> None:
        """The run ends: undo everything."""
        forks.unregister(self._alarm)
        forks.unregister(self._sigterm)
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    # -- hooks ------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self._hangs.progress = None
        self._hangs.began = self._now()
        self._alarm.set(self._seconds / 2, self._seconds)
        self._sigterm.resume()
        try:
            return (yield)
        finally:
            self._alarm.clear()
            self._sigterm.stop()

    def pytest_enter_pdb(self) -> None:
        self._alarm.clear()

    # -- in the thread of the alarm -----------------------------------------

    def _ring(self, index: int) -> None:
        if not self._watch.active:
            return
        if index == 0:
            self._hangs.note_progress()
        else:
            self._show(self._reason, f"has run for {self._seconds:g} s")

    def _show(self, reason: str, why: str) -> None:
        """Print the tree, and keep it for the reports; ``why`` follows the name of the test."""
        picture = self._hangs.look(reason, always=True)
        if picture is None:
            return
        if reason:
            self._hangs.records.add(picture.hang)
        if self._terminal is not None:
            data = self._hangs.framed(why, picture.text).encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(self._terminal, data) :]

    # -- in the main thread -------------------------------------------------

    def _terminated(self) -> None:
        with self.faults.guard(PART):
            if self._watch.active:
                self._show("", "was ended by SIGTERM")


class _SigtermHandler:
    """Calls ``terminated`` before SIGTERM ends the process, unless others handle the signal.

    A child process begins without it: a signal that arrives before Python is ready in a child gets
    lost if there is a handler. So it is not installed while a fork is made.
    """

    def __init__(self, terminated: Callable[[], None]) -> None:
        self._terminated = terminated
        self._process = os.getpid()

    def resume(self) -> None:
        """Install it, if the signal would end the process."""
        if is_main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._handle)

    def stop(self) -> None:
        """Remove it, if it is still there."""
        if is_main_thread() and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def forget_other_threads(self) -> None:
        """In a child, it stays away."""

    def _handle(self, signum: int, frame: object) -> None:
        # A child that another thread has forked has inherited this.
        if os.getpid() == self._process:
            self._terminated()
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)


def _duplicate_stderr() -> int | None:
    """A descriptor of the terminal, or of the file that stands for it, past the capture."""
    for stream in (sys.stderr, sys.__stderr__):
        try:
            return os.dup(stream.fileno()) if stream is not None else None
        except (OSError, ValueError, AttributeError):  # not a file, or closed
            pass
    return None
