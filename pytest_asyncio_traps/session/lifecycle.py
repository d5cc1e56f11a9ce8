"""One run of pytest: the parts that follow it, put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest

from ..compat.pytest import print_past_capture
from ..compat.xdist import is_worker
from ..core.faults import Faults
from ..core.watch import Watch
from ..model.finding import Finding
from ..model.task_tree import Snapshot, trees
from ..options import Settings
from ..policy import markers
from ..policy.kinds import Kinds
from ..reports.task_tree import lines, verdict
from .arming import Arming
from .asyncio_log import AsyncioLog
from .hangs import Hangs
from .owners import Owners
from .phases import Phases
from .pipeline import FindingPipeline
from .run_end import RunEnd

#: Where a run keeps its `Lifecycle`.
lifecycle_key: pytest.StashKey[Lifecycle] = pytest.StashKey()


#: The most lines of the task tree in a finding.
_TREE: Final = 40


class Lifecycle:
    """One run of pytest, from configure to unconfigure."""

    watch: Watch
    log: AsyncioLog
    arming: Arming
    owners: Owners
    pipeline: FindingPipeline
    phases: Phases
    hangs: Hangs
    end: RunEnd
    #: What is wrong with a marker, in a worker of pytest-xdist: each of its tests fails with that.
    usage_error: str | None

    def __init__(
        self, config: pytest.Config, settings: Settings, faults: Faults, kinds: Kinds
    ) -> None:
        self.config = config
        self.settings = settings
        self.kinds = kinds
        self.watch = watch = Watch(faults)
        watch.third_party = kinds.faults
        faults.isolated |= {
            *("baseline", "warning filters", "report sections", "disarm", "summary"),
            # Where these fail, a kind (see `SlowCallback`), some lines or log records are missing.
            *(
                "watchdog",
                "hang timer",
                "futures",
                "the asyncio logger",
                "the fixture asyncio_traps",
            ),
        }
        faults.current_phase = kinds.faults.current_phase = self._moment
        faults.isolated |= {f"report {path}" for path in settings.reports}
        self.log = AsyncioLog(faults)
        self.arming = Arming(watch, settings, kinds, self.log)
        self.owners = Owners(watch, self.arming.runner_hooks, settings.slow_after)
        self.pipeline = FindingPipeline(config, settings, faults, kinds, self.owners.find_item)
        watch.decide = self.pipeline.action_of
        watch.describe = self._describe
        watch.tell = self._tell
        self.phases = Phases(config, watch, self.log, self.arming, self.owners, self.pipeline)
        relative = self.pipeline.reporter.relative
        self.hangs = Hangs(config, watch, settings, self.owners, self.phases, relative)
        self.end = RunEnd(config, settings, watch, kinds, self.pipeline, self.hangs.records)
        self.usage_error = None
        self._finished = False

    @property
    def is_worker(self) -> bool:
        """Whether this process is a worker of pytest-xdist. Known once pytest is configured."""
        return is_worker(self.config)

    def _describe(self, seen: Snapshot) -> list[str]:
        """The task tree in ``seen`` as lines of a finding."""
        relative = self.pipeline.reporter.relative
        return lines(seen, trees(seen), verdict(seen, relative), 76, relative, _TREE)

    def _tell(self, finding: Finding) -> None:
        """Print ``finding``, whose test goes on, past output capture."""
        reporter = self.pipeline.reporter
        text = "\n".join(["", reporter.headline(finding), *reporter.details(finding), ""])
        print_past_capture(self.config, text)

    def _moment(self) -> str:
        """What the run is doing now: a fault is reported with it."""
        if self._finished:
            return "the end of the run"
        if self.owners.item is None:
            return "the start of the run"
        nodeid = self.owners.nodeid
        return f"{nodeid}" if self.phases.running else f"the end of {nodeid}"

    # -- the items of the run ---------------------------------------------

    def items_selected(self, items: list[pytest.Item]) -> None:
        """The tests that will run are known. Raises `pytest.UsageError` for a wrong marker."""
        try:
            self.owners.thresholds = markers.check(items, self.settings.strict)
        except pytest.UsageError as exc:
            if not self.is_worker:
                raise
            # If a worker ends, its error does not reach the user; failures of its tests do.
            self.usage_error = str(exc)
        self.owners.items = {item.nodeid: item for item in items}
        self._expect_markers(items)

    def items_deselected(self, items: Sequence[pytest.Item]) -> None:
        """These tests will not run, so that their markers are not known to be unused."""
        self._expect_markers(items)

    def _expect_markers(self, items: Sequence[pytest.Item]) -> None:
        # Only a run that has all tests of a class or module can tell that a marker is unused.
        if self.settings.strict and not any("::" in arg for arg in self.config.args):
            self.pipeline.usage.expect(items)

    # -- the end of the run -----------------------------------------------

    def finish(self, session: pytest.Session, interrupted: bool = False) -> None:
        """After the last test: judge what is left, and decide about the run as a whole."""
        if not self._finished:
            with self.watch.faults.guard("the end of the run"):
                self.finish_worker()
            self.end.finish(session, interrupted)

    def finish_worker(self) -> None:
        """The part of `finish` that concerns this process alone."""
        if self._finished:
            return
        self._finished = True
        self.owners.item = None
        self.watch.ownership.session.ended = True
        self.arming.judge(final=True)
        self.arming.judge_third_party(final=True)
        self.pipeline.process(self.watch.take(), "late", None)
