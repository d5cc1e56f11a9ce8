"""Arms and disarms what watches a run, and calls the kinds at the turns of tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import pytest

from .. import loops
from ..compat import assumptions
from ..compat.missing import MISSING
from ..core import threads
from ..core.events import Listener
from ..core.faults import Faults
from ..core.ownership import TENURE, Tenure
from ..core.trap import Trap
from ..core.watch import Watch
from ..options import Settings
from ..policy.kinds import Kinds
from ..traps import TRAPS
from ..traps.deadlock import Deadlock
from ..traps.slow_callback import SlowCallback
from .asyncio_log import AsyncioLog
from .runners import RunnerHooks

#: The watches of nested runs, the innermost last. Only that one is active.
_watches: list[Watch] = []


class Arming:
    """The kinds that are armed in a run, and everything that they rely on."""

    traps: list[Trap]
    runner_hooks: RunnerHooks
    #: The kinds of others that judge, as far as they are armed.
    third_party_judges: list[Trap]

    def __init__(self, watch: Watch, settings: Settings, kinds: Kinds, log: AsyncioLog) -> None:
        self._watch = watch
        self._settings = settings
        self._kinds = kinds
        self._log = log
        self.runner_hooks = RunnerHooks(watch)
        self.traps = [trap(watch) for trap in TRAPS if settings.turns_on(trap)]
        # Only the kinds that define these methods are called at every test.
        self._refreshed = [t for t in self.traps if type(t).refresh is not Trap.refresh]
        self._judges = [t for t in self.traps if type(t).judge is not Trap.judge]
        #: The kinds of others that are on, with None for those that could not be armed.
        self._third_party: dict[type[Trap], Trap | None] = {}
        self.third_party_judges = []
        self._tenure_before: Tenure | None = None

    # -- start and stop ---------------------------------------------------

    def start(self) -> None:
        """Arm everything. If a part that all kinds rely on fails, undo what is armed, and raise."""
        watch = self._watch
        if _watches:
            _watches[-1].active = False
        _watches.append(watch)
        self._tenure_before = TENURE.get()
        try:
            # The probes look at Python as it is before anything is replaced.
            for what, reason in (*MISSING.items(), *assumptions.blind_spots()):
                watch.blind(what, reason)
            watch.origins.arm(watch.patches)
            watch.tracker.arm()
            watch.warning_monitor.arm(watch.patches)
            loops.arm(watch)
            threads.arm(watch)
            self.traps = [trap for trap in self.traps if self._arm(trap, watch.faults)]
            self._refreshed = [t for t in self._refreshed if t in self.traps]
            self._judges = [t for t in self._judges if t in self.traps]
            watch.slow_after = self._settings.slow_after
            watch.still_after = self._settings.still_after
            self._log.arm(watch.patches)
            watch.active = not watch.failed
            self.arm_third_party()
        except BaseException:
            self.stop()
            raise

    def arm_third_party(self) -> None:
        """Arm the kinds of others that are new since the last call; a fault in one is its own."""
        watch = self._watch
        for cls in self._kinds.added:
            if cls in self._third_party or not self._settings.turns_on(cls):
                continue
            self._third_party[cls] = None
            with watch.third_party.guard(cls.kind):
                trap = cls(watch)
                if self._arm(trap, watch.third_party):
                    self._third_party[cls] = trap
                    if cls.judge is not Trap.judge:
                        self.third_party_judges.append(trap)

    def _arm(self, trap: Trap, faults: Faults) -> bool:
        """Arm one kind; returns False where it has failed, and nothing of it is left.

        Other kinds are not affected.
        """
        watch = self._watch
        patched, ending = watch.patches.depth, len(watch.at_end)
        with faults.guard(trap.kind):
            trap.arm()
            if isinstance(trap, Listener):
                watch.events.add(trap)  # last, so that a kind which fails listens to nothing
            return True
        while len(watch.at_end) > ending:  # the thread of a sampler, for example
            with faults.guard(trap.kind):
                watch.at_end.pop()()
        watch.patches.undo(down_to=patched)
        return False

    def stop(self) -> None:
        """Put everything back, in reverse. What fails in this does not keep the rest from it."""
        watch = self._watch
        if watch not in _watches:
            return
        watch.active = False
        for undo in (
            self._log.disarm,
            *reversed(watch.at_end),
            watch.origins.disarm,
            watch.patches.undo,
            watch.warning_monitor.disarm,
            watch.tracker.disarm,
        ):
            with watch.faults.guard("disarm"):
                undo()
        TENURE.set(self._tenure_before)
        _watches.remove(watch)
        if _watches:
            _watches[-1].active = not _watches[-1].failed

    # -- tests ------------------------------------------------------------

    def begin_test(self) -> None:
        """Before a test: put back in place what others have replaced, and refresh the kinds."""
        watch = self._watch
        if len(sys.modules) != self.runner_hooks.known:
            self.runner_hooks.refresh()
        for kept in watch.patches.kept:
            if kept.namespace.get(kept.name) is not kept.value:
                watch.patches.renew()
                break
        while watch.at_next_test:
            watch.at_next_test.pop()()
        for trap in self._refreshed:
            trap.refresh()
        if self._third_party:
            self._call_third_party(lambda trap: trap.refresh(), self._third_party.values())

    def judge(self, final: bool) -> None:
        """Have the plugin's kinds report what a test or, where ``final``, the run has left."""
        if self._watch.failed:
            return
        faults = self._watch.faults
        # Written out, since this runs at every test: a guard costs two calls.
        try:
            self._watch.tracker.scan()
        except Exception as exc:
            faults.record("tracker", exc)
        for trap in self._judges:
            if trap.kind not in faults.texts:
                try:
                    trap.judge(final)
                except Exception as exc:
                    faults.record(trap.kind, exc)
        try:
            self._watch.tracker.mark_judged()
        except Exception as exc:
            faults.record("tracker", exc)

    def judge_third_party(self, final: bool) -> None:
        """Have the kinds of others report what is left. They may watch something without loops."""
        self._call_third_party(lambda trap: trap.judge(final=final), self.third_party_judges)

    def _call_third_party(self, call: Callable[[Trap], None], traps: Iterable[Trap | None]) -> None:
        third_party = self._watch.third_party
        for trap in traps:
            if trap is not None and not third_party.is_off(trap.kind):
                try:
                    call(trap)
                except (Exception, pytest.fail.Exception, pytest.skip.Exception) as exc:
                    third_party.record(trap.kind, exc)

    # -- debuggers --------------------------------------------------------

    def pause_for_debugger(self) -> None:
        """A debugger starts: until the next test, no step is slow, and the tracker is suspended.

        Otherwise the debugger would stop in the tracker's code.
        """
        self._watch.tracker.suspend()
        if self._debugger_left not in self._watch.at_next_test:
            self._watch.at_next_test.append(self._debugger_left)
        for trap in self.traps:
            if isinstance(trap, SlowCallback):
                trap.exempt()
            elif isinstance(trap, Deadlock):
                trap.stand_down()

    def _debugger_left(self) -> None:
        self._watch.tracker.resume()
