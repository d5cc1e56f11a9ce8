"""The JSON report."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .core.files import write_whole
from .core.finding import Finding, Place

SCHEMA = 1


def render(
    findings: Iterable[tuple[Finding, int]],
    blind_spots: Mapping[str, str],
    versions: Mapping[str, str],
    relative: Callable[[str], str],
) -> dict[str, Any]:
    """The report as the contract words it. ``versions`` are those of ``tool`` and ``pytest``."""

    def place(value: Place | None) -> dict[str, Any] | None:
        if value is None:
            return None
        return {"path": relative(value.path), "line": value.line, "function": value.function}

    entries = []
    counts = Counter({"fail": 0, "warn": 0, "allow": 0, "baseline": 0})
    for finding, count in findings:
        counts[finding.action] += count
        owner = finding.owner
        entries.append(
            {
                "kind": finding.kind,
                "action": finding.action,
                "nodeid": owner.nodeid,
                "when": finding.when,
                "owner": {"type": owner.type, "name": owner.name, "scope": owner.scope},
                "summary": finding.summary,
                "count": count,
                "duration": finding.duration,
                "exception": finding.exception,
                "origin": place(finding.origin),
                "location": place(finding.location),
            }
        )
    return {
        "schema": SCHEMA,
        "tool": {"name": "pytest-asyncio-traps", "version": versions["tool"]},
        "python": platform.python_version(),
        "pytest": versions["pytest"],
        "counts": dict(counts),
        "findings": entries,
        "blind_spots": [
            {"what": what, "reason": reason} for what, reason in sorted(blind_spots.items())
        ],
    }


def write(path: Path, report: Mapping[str, Any]) -> None:
    """Write ``report`` to ``path``, whole or not at all. Raises `OSError`."""
    text = json.dumps(report, indent=1, ensure_ascii=True) + "\n"
    write_whole(path, text.encode())
