"""The lines at the start of a run: which settings are in force, and what is off."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from ..core.trap import Trap
from ..model.text import clean
from ..options import Settings
from ..policy.rules import OFF

#: Why a kind is off, by its `Trap.enabled`.
_REASONS: Final = {"strict": "strict only", "named": "opt-in"}


def header_lines(
    settings: Settings,
    traps: Iterable[type[Trap]],
    blind_spots: Mapping[str, str],
    start: Path,
) -> list[str]:
    """The lines of a run with ``settings``. Paths are relative to ``start``."""
    parts = ["strict"] if settings.strict else []
    parts.append(f"slow {settings.slow_after:g} s")
    if settings.hang:
        parts.append(f"hang {settings.hang:g} s")
    if settings.rules:
        parts.append(f"{len(settings.rules)} rule{'s' * (len(settings.rules) != 1)}")
    if settings.baseline is not None:
        done = "update baseline" if settings.update else "baseline"
        parts.append(f"{done} {_relative(settings.baseline, start)} ({len(settings.known)})")
    lines = [", ".join(parts)]
    if off := _off(settings, traps):
        lines.append("off: " + "; ".join(f"{', '.join(off[why])} ({why})" for why in sorted(off)))
    lines += [f"not watched: {what}: {reason}" for what, reason in sorted(blind_spots.items())]
    return [clean(f"asyncio-traps: {line}") for line in lines]


def _off(settings: Settings, traps: Iterable[type[Trap]]) -> dict[str, list[str]]:
    """The kinds that this run does not fail for, by the reason."""
    off: dict[str, list[str]] = {}
    for trap in traps:
        rules = [
            rule
            for rule in settings.rules
            if rule.pattern is None and rule.kind in (None, trap.kind)
        ]
        if rules and rules[-1].action == OFF:
            off.setdefault(f"rule {rules[-1].text}", []).append(trap.kind)
        elif not settings.turns_on(trap):
            off.setdefault(_REASONS[trap.enabled], []).append(trap.kind)
    return off


def _relative(path: Path, start: Path) -> str:
    try:
        return os.path.relpath(path, start).replace(os.sep, "/")
    except ValueError:  # another drive
        return str(path)
