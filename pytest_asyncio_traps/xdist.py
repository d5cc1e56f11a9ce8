"""Findings from a worker of pytest-xdist to the controller.

A worker may send reports only of the test that it is running. What shows late
therefore travels with the worker's last words, and the controller reports it.
"""

from __future__ import annotations

from typing import Any

import pytest

from .core.finding import from_plain, to_plain
from .lifecycle import Lifecycle

_KEY = "asyncio_traps"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workeroutput")


def pack(config: Any, lifecycle: Lifecycle) -> None:
    """In a worker: hand over all findings."""
    config.workeroutput[_KEY] = {
        "settled": [(to_plain(finding), count) for finding, count in lifecycle.verdicts.settled],
        "late": {
            nodeid: [(to_plain(finding), count) for finding, count in findings]
            for nodeid, findings in lifecycle.verdicts.late.items()
        },
        "blind_spots": dict(lifecycle.watch.blind_spots),
        "faults": dict(lifecycle.watch.faults.texts),
        "idle": lifecycle.verdicts.idle(),
    }


def unpack(output: dict[str, Any], lifecycle: Lifecycle) -> None:
    """In the controller: take over what a worker found, and report what came late."""
    data = output.get(_KEY)
    if data is None:
        return
    known = {finding for finding, _ in lifecycle.verdicts.settled if not finding.owner.nodeid}
    for plain, count in data["settled"]:
        finding = from_plain(plain)
        # Each worker imports every module: what belongs to no test is found by all of them.
        if finding not in known:
            lifecycle.verdicts.settled.append((finding, count))
    for nodeid, findings in data["late"].items():
        lifecycle.verdicts.late.setdefault(nodeid, []).extend(
            (from_plain(finding), count) for finding, count in findings
        )
    for what, reason in data["blind_spots"].items():
        lifecycle.watch.blind(what, reason)
    for part, text in data["faults"].items():
        lifecycle.watch.faults.texts.setdefault(part, text)
    # A rule is idle when no worker has used it.
    idle = set(data["idle"])
    lifecycle.verdicts.rulebook.matched.update(
        rule for rule in lifecycle.verdicts.rulebook.rules if rule.text not in idle
    )
    lifecycle.emit_late()
