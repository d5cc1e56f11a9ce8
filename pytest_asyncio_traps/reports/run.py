"""The data of a report."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from ..core.faults import Fault
from ..core.trap import Trap
from ..model.causes import Counted, Group, grouped
from ..model.finding import Place
from ..model.hang import Hang
from ..model.run_error import RunError
from ..traps import TRAPS


@dataclass(frozen=True)
class Run:
    """A finished run.

    ``blind_spots`` maps what could not be watched to the reason. ``faults`` are those of the plugin
    and of its extensions. ``versions`` has the keys ``tool`` and ``pytest``. ``relative`` makes a
    path below ``root`` relative to it.
    """

    findings: Sequence[Counted]
    blind_spots: Mapping[str, str]
    faults: Sequence[Fault]
    versions: Mapping[str, str]
    root: Path
    relative: Callable[[str], str]
    #: All kinds, including those of extensions.
    traps: Sequence[type[Trap]] = TRAPS
    #: The tests that took too long or were ended, in the order in which their trees were taken.
    hangs: Sequence[Hang] = ()
    #: What failed the run and belongs to no test.
    errors: Sequence[RunError] = ()
    python: str = field(default_factory=platform.python_version)
    #: The time at which the run ended.
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def groups(self) -> list[Group]:
        """The findings by cause. The cause that affects most tests comes first."""
        return grouped(self.findings)

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of findings by action: fail, warn, allow and baseline."""
        counts = Counter({"fail": 0, "warn": 0, "allow": 0, "baseline": 0})
        for finding, count in self.findings:
            counts[finding.action] += count
        return dict(counts)

    def where(self, place: Place) -> str:
        """``place`` as ``path:line``, relative to ``root`` if it lies below it."""
        return f"{self.relative(place.path)}:{place.line}"
