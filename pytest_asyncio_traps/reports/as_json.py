"""The JSON report, as ``docs/reports.rst`` specifies it."""

from __future__ import annotations

import json
from typing import Any, Final

from ..model.finding import Owner, Place
from ..model.hang import Hang, LoopEntry, TaskEntry
from .run import Run

SCHEMA = 1


def render(run: Run) -> bytes:
    """The report as ASCII-only JSON."""
    text = json.dumps(_report(run), indent=1, ensure_ascii=True) + "\n"
    return text.encode()


def _report(run: Run) -> dict[str, Any]:
    def place(value: Place | None) -> dict[str, Any] | None:
        return _place(run, value)

    entries = []
    for finding, count in run.findings:
        owner = finding.owner
        entries.append(
            {
                "kind": finding.kind,
                "action": finding.action,
                "nodeid": owner.nodeid,
                "when": finding.when,
                "owner": _owner(owner),
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
        "errors": [
            {
                "id": error.id,
                "path": run.relative(error.path) if error.path else None,
                "line": error.line or None,
                "subject": error.subject or None,
                "text": error.text,
            }
            for error in run.errors
        ],
        "hangs": [_hang(run, hang) for hang in run.hangs],
        "blind_spots": [
            {"what": what, "reason": reason} for what, reason in sorted(run.blind_spots.items())
        ],
        "faults": [fault._asdict() for fault in run.faults],
    }


def _owner(owner: Owner) -> dict[str, Any]:
    return {"type": owner.type, "name": owner.name, "scope": owner.scope}


def _place(run: Run, value: Place | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"path": run.relative(value.path), "line": value.line, "function": value.function}


# -- task trees ----------------------------------------------------------------------------------


def _hang(run: Run, hang: Hang) -> dict[str, Any]:
    return {
        "nodeid": hang.nodeid,
        "when": hang.when,
        "reason": hang.reason,
        "seconds": _seconds(hang.seconds),
        "verdict": hang.verdict,
        "main_thread": _place(run, hang.main_thread),
        "loops": [_loop(run, entry) for entry in hang.loops],
        "omitted": hang.omitted,
        "unread": hang.unread,
    }


def _loop(run: Run, entry: LoopEntry) -> dict[str, Any]:
    loop = entry.loop
    timer = None
    if loop.timer is not None:
        timer = {"seconds": _seconds(loop.timer), "callback": loop.timer_text}
    return {
        "class": loop.name,
        "owner": _owner(loop.owner) if loop.owner is not None else None,
        "thread": loop.thread,
        "state": loop.state,
        "since": _seconds(loop.since),
        "location": _place(run, loop.place),
        "ready": loop.ready,
        "timer": timer,
        "descriptors": list(loop.descriptors),
        "hidden": loop.hidden,
        "tasks": [_task(run, task) for task in entry.tasks],
        "omitted": entry.omitted,
    }


def _task(run: Run, task: TaskEntry) -> dict[str, Any]:
    return {
        "id": task.key,
        "name": task.name,
        "coroutine": task.coroutine,
        "count": task.number,
        "main": task.main,
        "holds": task.holds,
        "again": _AGAIN[task.again],
        "origin": _place(run, task.origin),
        "waits": [_place(run, line) for line in task.chain],
        "waits_for": {
            "kind": task.kind,
            "text": task.text,
            "detail": task.detail,
            "tasks": task.awaits,
        },
        "idle": _seconds(task.idle),
        "tasks": [_task(run, below) for below in task.tasks],
        "omitted": task.omitted,
    }


#: How the report names the values of `TaskEntry.again`.
_AGAIN: Final = {"": None, "cycle": "cycle", "seen": "elsewhere"}


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
