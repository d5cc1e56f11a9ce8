"""When the task tree of a test is shown: while it hangs, and when something ends it.

With ``--asyncio-traps-hang``, or a timeout of pytest's faulthandler plugin, a timer runs with each
test, see `timed_hangs`. Otherwise nothing happens until Ctrl-C, `pytest.exit` or pytest-timeout
ends a test.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pytest

from ..compat import asyncio as private
from ..compat.pytest_timeout import DUMP_STACKS, timeout_module
from ..compat.xdist import is_worker
from ..core.clock import REAL
from ..core.events import Listener
from ..core.watch import Watch
from ..model.text import as_writable
from ..options import Settings
from ..profiler.alarm import PART
from .owners import Owners
from .phases import Phases

if TYPE_CHECKING:
    from ..core.task_tree import Progress
    from ..model.hang import Hang


#: So much earlier than faulthandler, which may end the process, the tree is printed: a quarter of
#: the timeout, at most this many seconds.
_EARLIER: Final = 1.0


class Picture:
    """The task tree of one moment: as lines for a terminal, and as data for the reports."""

    __slots__ = ("hang", "text")

    text: list[str]
    hang: Hang

    def __init__(self, text: list[str], hang: Hang) -> None:
        self.text = text
        self.hang = hang


class HangRecords:
    """What the reports show of tests that hung, in a worker with what the controller lacks."""

    all: list[Hang]

    def __init__(self) -> None:
        self.all = []
        self._sent = 0

    def add(self, hang: Hang) -> None:
        """Keep ``hang``. Safe in any thread."""
        self.all.append(hang)

    def take_unsent(self) -> list[Hang]:
        """What was added since the last call."""
        begin, self._sent = self._sent, len(self.all)
        return self.all[begin : self._sent]


class Hangs:
    """Takes the task tree of the test that runs, once for each reason."""

    #: What is known of the progress of tasks in this test, if anything.
    progress: Progress | None
    #: When the test began; None in a run without a timer.
    began: float | None
    #: The trees that the reports show.
    records: HangRecords

    def __init__(
        self,
        config: pytest.Config,
        watch: Watch,
        settings: Settings,
        owners: Owners,
        phases: Phases,
        relative: Callable[[str], str],
    ) -> None:
        self._config = config
        self._watch = watch
        self._settings = settings
        self._owners = owners
        self._phases = phases
        self._relative = relative
        self._guard = watch.faults.guard(PART)
        self._now = REAL[0]
        #: The test whose tree `take` has taken last, and that tree, None if there was no loop.
        self._taken: tuple[str, Picture | None] = ("", None)
        self.progress = None
        self.began = None
        self.records = HangRecords()

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
        seconds, reason = _time_limit(self._config, self._settings)
        if seconds:
            from .timed_hangs import TimedHangs  # not needed in most runs

            timed = TimedHangs(self, watch, seconds, reason)
            self._config.pluginmanager.register(timed, "asyncio_traps_hangs")
            self._config.add_cleanup(timed.stop)

    def note_progress(self) -> None:
        """Note what each task waits for, so that a later tree shows which have taken no step."""
        from ..core.task_tree import Progress  # not needed in most runs

        self.progress = Progress(self._watch)

    def look(self, reason: str, always: bool = False) -> Picture | None:
        """The task tree of this moment; for ``reason`` see `Hang`.

        Without ``always``, it is None if no loop is open: then asyncio has no part in this.
        """
        # Not needed in most runs.
        from ..core.task_tree import snapshot, undisturbed
        from ..model.hang import make_hang
        from ..model.task_tree import trees
        from ..reports.task_tree import lines, verdict

        with undisturbed():
            taken = snapshot(self._watch, self.progress)
            if not (taken.loops or always):
                return None
            branches, ending = trees(taken), verdict(taken, self._relative)
            text = lines(taken, branches, ending, shown=self._relative)
            seconds = self._now() - self.began if self.began is not None else None
            nodeid, when = self._owners.nodeid, self._phases.when
            hang = make_hang(taken, branches, nodeid, when, reason, seconds, ending)
            return Picture(text, hang)

    def framed(self, why: str, text: list[str]) -> str:
        """The tree ``text`` for a terminal, in a frame; ``why`` follows the name of the test."""
        from ..reports.task_tree import framed

        return framed(f"asyncio task tree: {self._owners.nodeid} {why}", text)

    def take(self) -> None:
        """Take the tree now, to be shown later, unless it was taken in this test."""
        with self._guard:
            if self._taken[0] != self._owners.nodeid:
                self._taken = self._owners.nodeid, self.look("interrupt")

    def interrupted(self, raised: BaseException) -> None:
        """Ctrl-C or `pytest.exit` has ended the test: its tree joins the summary and reports."""
        with self._guard:
            self.take()
            name, picture = "asyncio_traps_interrupted", self._taken[1]
            if picture is None or self._config.pluginmanager.has_plugin(name):
                return
            if isinstance(raised, pytest.exit.Exception):
                picture.hang = picture.hang._replace(reason="exit")
            self.records.add(picture.hang)
            text = self.framed("was interrupted", picture.text)
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
        item, picture = self._owners.item, self.look("timeout")
        if picture is None:
            return
        if is_main_thread() and item is not None:
            self.records.add(picture.hang)
            text = "\n".join(picture.text)
            item.add_report_section(self._phases.when, "asyncio task tree", text)
        elif terminal is not None:
            # pytest-timeout has ended the capture, and will end the process.
            text = self.framed("timed out", picture.text)
            terminal.write(text)
            if is_worker(self._config) and sys.__stderr__ is not None:
                # There, that terminal is nowhere.
                sys.__stderr__.write(as_writable(text, sys.__stderr__))
                sys.__stderr__.flush()


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


def _time_limit(config: pytest.Config, settings: Settings) -> tuple[float, str]:
    """After how many seconds of a test the tree is shown, 0 for never; and the `Hang.reason`."""
    limits = [(settings.hang, "hang")] if settings.hang else []
    if config.pluginmanager.hasplugin("faulthandler"):
        try:
            timeout = float(config.getini("faulthandler_timeout") or 0)
        except (ValueError, KeyError):  # it is not for the plugin to say so
            timeout = 0.0
        if timeout > 0:
            limits.append((timeout - min(_EARLIER, timeout / 4), "faulthandler"))
    return min(limits, default=(0.0, ""))


def is_main_thread() -> bool:
    """Whether the caller runs in the main thread."""
    return threading.current_thread() is threading.main_thread()
