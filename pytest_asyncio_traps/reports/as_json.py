"""The JSON report, as ``docs/reports.rst`` specifies it."""

from __future__ import annotations

import json
from typing import Any

from ..model.finding import Place
from .run import Run

SCHEMA = 1


def render(run: Run) -> bytes:
    """The report as ASCII-only JSON."""
    text = json.dumps(_report(run), indent=1, ensure_ascii=True) + "\n"
    return text.encode()


def _report(run: Run) -> dict[str, Any]:
    def place(value: Place | None) -> dict[str, Any] | None:
        if value is None:
            return None
        return {"path": run.relative(value.path), "line": value.line, "function": value.function}

    entries = []
    for finding, count in run.findings:
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
                "trace": [place(line) for line in finding.trace],
                "waits": [place(line) for line in finding.waits],
                "notes": list(finding.notes),
            }
        )
    return {
        "schema": SCHEMA,
        "tool": {"name": "pytest-asyncio-traps", "version": run.versions["tool"]},
        "python": run.python,
        "pytest": run.versions["pytest"],
        "counts": run.counts,
        "findings": entries,
        "blind_spots": [
            {"what": what, "reason": reason} for what, reason in sorted(run.blind_spots.items())
        ],
        "faults": [fault._asdict() for fault in run.faults],
    }
