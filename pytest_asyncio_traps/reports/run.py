"""What there is to report about a run."""

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
from ..traps import TRAPS


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    ``versions`` are those of ``tool`` and ``pytest``. ``faults`` are the plugin's own, and those of
    what extends it.
    ``relative`` makes a path one that a reader knows, relative to ``root`` where it lies there.
    """

    findings: Sequence[Counted]
    blind_spots: Mapping[str, str]
    faults: Sequence[Fault]
    versions: Mapping[str, str]
    root: Path
    relative: Callable[[str], str]
    #: The kinds that there are.
    traps: Sequence[type[Trap]] = TRAPS
    python: str = field(default_factory=platform.python_version)
    #: When the run ended.
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def groups(self) -> list[Group]:
        """The findings by cause, what most tests sprang first."""
        return grouped(self.findings)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many findings there were, by what was done about them."""
        counts = Counter({"fail": 0, "warn": 0, "allow": 0, "baseline": 0})
        for finding, count in self.findings:
            counts[finding.action] += count
        return dict(counts)

    def where(self, place: Place) -> str:
        """``path:line``, as a reader knows it."""
        return f"{self.relative(place.path)}:{place.line}"
