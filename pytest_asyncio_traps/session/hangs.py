"""When the task tree of a test is shown: while it hangs, and when something ends it.

With ``--asyncio-traps-hang``, or a timeout of pytest's faulthandler plugin, a timer runs with each
test. Otherwise nothing happens until Ctrl-C, `pytest.exit` or pytest-timeout ends a test.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

from ..compat import asyncio as private
from ..compat.pytest_timeout import DUMP_STACKS, timeout_module
from ..core.events import Listener
from ..core.watch import Watch
from ..options import Settings
from ..profiler import forks
from ..profiler.alarm import PART, Alarm
from .guards import Guarded
from .owners import Owners

if TYPE_CHECKING:
    from ..core.task_tree import Progress

#: So much earlier than faulthandler, which may end the process, the tree is printed: a quarter of
#: the timeout, at most this many seconds.
_EARLIER: Final = 1.0


class Hangs:
    """Shows the task tree of the test that runs, once for each test."""

    def __init__(
        self,
        config: pytest.Config,
        watch: Watch,
        settings: Settings,
        owners: Owners,
        relative: Callable[[str], str],
    ) -> None:
        self._config = config
        self._watch = watch
        self._settings = settings
        self._owners = owners
        self._relative = relative
        self._guard = watch.faults.guard(PART)
        #: The test whose tree was taken last, and that tree, as lines.
        self._taken: tuple[str, list[str]] = ("", [])

    def arm(self) -> None:
        """Hook into what ends tests, and start timers if the run asks for them."""
        with self._guard:
            self._arm()

    def _arm(self) -> None:
        watch = self._watch
        if private.SIGINT_HANDLER.holds:
            watch.patches.wrap(asyncio.Runner, private.ON_SIGINT, self._make_on_sigint)
        timeouts = timeout_module()
        if timeouts is not None:
            watch.patches.wrap(timeouts, DUMP_STACKS, self._make_dump_stacks)
        watch.events.add(_CutShort(self))
        seconds = _seconds(self._config, self._settings)
        if seconds:
            timed = TimedHangs(self._config, self, watch, self._owners, seconds)
            self._config.pluginmanager.register(timed, "asyncio_traps_hangs")
            self._config.add_cleanup(timed.stop)

    def tree(self, progress: Progress | None = None, always: bool = False) -> list[str]:
        """The task tree of this moment, as lines.

        Without ``always``, it is empty if no loop is open: then asyncio has no part in this.
        """
        from ..core.task_tree import snapshot, undisturbed  # not needed in most runs
        from ..reports.task_tree import lines

        with undisturbed():
            taken = snapshot(self._watch, progress)
            if not (taken.loops or always):
                return []
            return lines(taken, shown=self._relative)

    def framed(self, why: str, text: list[str]) -> str:
        """The tree ``text`` for a terminal, in a frame; ``why`` follows the name of the test."""
        from ..reports.task_tree import framed

        return framed(f"asyncio task tree: {self._owners.nodeid} {why}", text)

    def take(self) -> None:
        """Take the tree now, to be shown later, unless it was taken in this test."""
        with self._guard:
            if self._taken[0] != self._owners.nodeid:
                self._taken = self._owners.nodeid, self.tree()

    def interrupted(self) -> None:
        """Ctrl-C or `pytest.exit` has ended the test: its tree joins the summary of the run."""
        with self._guard:
            self.take()
            name = "asyncio_traps_interrupted"
            if self._taken[1] and not self._config.pluginmanager.has_plugin(name):
                text = self.framed("was interrupted", self._taken[1])
                self._config.pluginmanager.register(_Summary(text), name)

    def _make_on_sigint(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _on_sigint(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            if self._watch.active:
                self.take()
            return original(*args, **kwargs)

        return _on_sigint

    def _make_dump_stacks(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def dump_stacks(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            result = original(*args, **kwargs)
            with self._guard:
                self._timed_out(*args)
            return result

        return dump_stacks

    def _timed_out(self, terminal: Any = None, *_: Any) -> None:
        item, text = self._owners.item, self.tree()
        if not text:
            return
        if _is_main_thread() and item is not None:
            item.add_report_section("call", "asyncio task tree", "\n".join(text))
        elif terminal is not None:
            # pytest-timeout has ended the capture, and will end the process.
            terminal.write(self.framed("timed out", text))


class _CutShort(Listener):
    """Takes the tree while an interruption leaves a loop, whose tasks are still there."""

    def __init__(self, hangs: Hangs) -> None:
        self._hangs = hangs

    def loop_cut_short(self, loop: Any) -> None:
        if isinstance(sys.exc_info()[1], (KeyboardInterrupt, pytest.exit.Exception)):
            self._hangs.take()


class _Summary:
    """Prints a tree at the end of a run that was interrupted."""

    def __init__(self, text: str) -> None:
        self._text = text

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self._text.strip().splitlines():
            terminalreporter.line(line)


def _seconds(config: pytest.Config, settings: Settings) -> float:
    """After how many seconds of a test the tree is printed; 0 for never."""
    times = [settings.hang] if settings.hang else []
    if config.pluginmanager.hasplugin("faulthandler"):
        try:
            timeout = float(config.getini("faulthandler_timeout") or 0)
        except (ValueError, KeyError):  # it is not for the plugin to say so
            timeout = 0.0
        if timeout > 0:
            times.append(timeout - min(_EARLIER, timeout / 4))
    return min(times, default=0.0)


class TimedHangs(Guarded):
    """The hooks of a run that prints the tree of each test that takes too long."""

    def __init__(
        self, config: pytest.Config, hangs: Hangs, watch: Watch, owners: Owners, seconds: float
    ) -> None:
        super().__init__(watch.faults)
        self._hangs = hangs
        self._watch = watch
        self._owners = owners
        self._seconds = seconds
        self._alarm = Alarm(self._ring, watch.faults)
        self._progress: Progress | None = None
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
        self._progress = None
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
            from ..core.task_tree import Progress

            self._progress = Progress(self._watch)
        else:
            self._print(f"has run for {self._seconds:g} s")

    def _print(self, why: str) -> None:
        if self._terminal is not None:
            text = self._hangs.framed(why, self._hangs.tree(self._progress, always=True))
            data = text.encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(self._terminal, data) :]

    # -- in the main thread -------------------------------------------------

    def _terminated(self) -> None:
        with self.faults.guard(PART):
            if self._watch.active:
                self._print("was ended by SIGTERM")


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
        if _is_main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._handle)

    def stop(self) -> None:
        """Remove it, if it is still there."""
        if _is_main_thread() and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def forget_other_threads(self) -> None:
        """In a child, it stays away."""

    def _handle(self, signum: int, frame: object) -> None:
        # A child that another thread has forked has inherited this.
        if os.getpid() == self._process:
            self._terminated()
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _duplicate_stderr() -> int | None:
    """A descriptor of the terminal, or of the file that stands for it, past the capture."""
    for stream in (sys.stderr, sys.__stderr__):
        try:
            return os.dup(stream.fileno()) if stream is not None else None
        except (OSError, ValueError, AttributeError):  # not a file, or closed
            pass
    return None
