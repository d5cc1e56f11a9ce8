"""Findings from a worker of pytest-xdist to the controller.

They travel with the next report of a test, so that a worker that dies takes
little with it, and the rest with the worker's last words. A worker may send
reports only of the test that it is running: what failed an earlier one travels
in the same way, and the controller reports it.

They travel as JSON, which holds text that pytest-xdist's own format refuses.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from ..model.finding import from_plain, to_plain
from ..policy.rules import WARN
from .guards import Guarded
from .lifecycle import Lifecycle

if TYPE_CHECKING:
    from ..model.causes import Counted

#: Where the news of a worker travel: an attribute of a report, a key of its last words.
_KEY = "_asyncio_traps"
#: What the controller tells the first worker that it sets up: to say what was collected.
_FIRST = "asyncio_traps_first"


class WorkerHooks(Guarded):
    """In a worker of pytest-xdist."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        send_along(self.lifecycle, report)


class ControllerHooks(Guarded):
    """In the controller of pytest-xdist."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle
        self._nodes = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_FIRST] = self._nodes == 0
        self._nodes += 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        yield
        take_from(self.lifecycle, report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        hear_last_words(self.lifecycle, node)


def send_along(lifecycle: Lifecycle, report: pytest.TestReport) -> None:
    """In a worker: hand over with ``report`` what was found since the last one."""
    settled = lifecycle.pipeline.policy.unsent()
    if settled:
        setattr(report, _KEY, _pack(lifecycle, settled))


def say_last_words(lifecycle: Lifecycle) -> None:
    """In a worker: hand over the rest."""
    config: Any = lifecycle.config
    policy = lifecycle.pipeline.policy
    marked = {name: sorted(nodeids) for name, nodeids in policy.marked.items()}
    # Each worker has collected the same, and one of them may say so.
    baseline = lifecycle.pipeline.baseline
    first = baseline and baseline.follows and config.workerinput.get(_FIRST)
    coverage = baseline.pack() if baseline and first else None
    config.workeroutput[_KEY] = _pack(lifecycle, policy.unsent(), marked, coverage)


def take_from(lifecycle: Lifecycle, report: pytest.TestReport) -> None:
    """In the controller: take over what came with ``report``."""
    text = report.__dict__.pop(_KEY, None)
    if text is not None:
        _unpack(lifecycle, text, getattr(report, "node", None))


def hear_last_words(lifecycle: Lifecycle, node: Any) -> None:
    """In the controller: take over what the worker behind ``node`` had left, unless it died."""
    text = getattr(node, "workeroutput", {}).get(_KEY)
    if text is not None:
        _unpack(lifecycle, text, node)
    elif lifecycle.pipeline.baseline is not None:
        lifecycle.pipeline.baseline.coverage.broken = "a worker died"


def _pack(
    lifecycle: Lifecycle,
    settled: list[Counted],
    marked: dict[str, list[str]] | None = None,
    coverage: dict[str, Any] | None = None,
) -> str:
    config: Any = lifecycle.config
    policy, watch = lifecycle.pipeline.policy, lifecycle.watch
    return json.dumps(
        {
            "worker": config.workerinput["workerid"],
            "settled": [(to_plain(finding), count) for finding, count in settled],
            "late": [
                config.hook.pytest_report_to_serializable(config=config, report=report)
                for report in lifecycle.pipeline.late_reports()
            ],
            "blind_spots": watch.blind_spots,
            "faults": watch.faults.all(),
            "third_party": watch.third_party.all(),
            "rules": [rule.text for rule in policy.rulebook.matched],
            "marked": marked or {},
            "used": sorted(policy.used),
            "coverage": coverage,
        }
    )


def _unpack(lifecycle: Lifecycle, text: str, node: Any) -> None:
    config, policy, watch = lifecycle.config, lifecycle.pipeline.policy, lifecycle.watch
    data = json.loads(text)
    for plain, count in data["settled"]:
        finding = from_plain(plain)
        news = policy.take_over(finding, count, data["worker"])
        if news and finding.action == WARN and not finding.owner.nodeid:
            lifecycle.pipeline.warn(finding, count)
    for what, reason in data["blind_spots"].items():
        watch.blind(what, reason)
    watch.faults.receive(data["faults"])
    watch.third_party.receive(data["third_party"])
    policy.rulebook.matched.update(
        rule for rule in policy.rulebook.rules if rule.text in data["rules"]
    )
    for name, nodeids in data["marked"].items():
        policy.marked.setdefault(name, set()).update(nodeids)
    policy.used.update(data["used"])
    if data["coverage"] is not None and lifecycle.pipeline.baseline is not None:
        lifecycle.pipeline.baseline.unpack(data["coverage"])
    for plain in data["late"]:
        report = config.hook.pytest_report_from_serializable(config=config, data=plain)
        report.node = node
        config.hook.pytest_runtest_logreport(report=report)
