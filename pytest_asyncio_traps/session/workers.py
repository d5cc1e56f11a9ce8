"""Sends the findings of a worker of pytest-xdist, and its task trees, to the controller.

They travel with the next report of a test, so that little is lost with a worker that dies, and the
rest when the worker ends. A worker may send reports only of the test that it is running: what
fails an earlier test travels in the same way, and the controller reports it.

They travel as JSON, since they may hold text that pytest-xdist's own format refuses.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from ..compat import xdist
from ..model.finding import from_plain, to_plain
from ..policy.rules import WARN
from .guards import Guarded
from .lifecycle import Lifecycle

if TYPE_CHECKING:
    from ..model.causes import Counted
    from ..model.hang import Hang

#: The attribute of a report, and the key of a worker's output, that holds the findings.
_KEY = "_asyncio_traps"
#: The key by which the controller has the first worker that it starts say what was collected.
_FIRST = "asyncio_traps_first"


class WorkerHooks(Guarded):
    """The hook of a worker of pytest-xdist."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        send_with(report, self.lifecycle)


class ControllerHooks(Guarded):
    """The hooks of the controller of pytest-xdist."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.watch.faults)
        self.lifecycle = lifecycle
        self._nodes = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        xdist.input_of(node)[_FIRST] = self._nodes == 0
        self._nodes += 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        yield
        receive_with(report, self.lifecycle)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        receive_rest(node, self.lifecycle)


def send_with(report: pytest.TestReport, lifecycle: Lifecycle) -> None:
    """In a worker: send with ``report`` what was decided, and what hung, since the last one."""
    decided = lifecycle.pipeline.decided.take_unsent()
    hangs = lifecycle.hangs.records.take_unsent()
    if decided or hangs:
        setattr(report, _KEY, _pack(lifecycle, decided, hangs))


def send_rest(lifecycle: Lifecycle) -> None:
    """In a worker that ends: send what no report has taken along."""
    output = xdist.output_of(lifecycle.config)
    if output is None:
        return
    expected = lifecycle.pipeline.usage.expected
    markers = {name: sorted(nodeids) for name, nodeids in expected.items()}
    # All workers have collected the same, so that one of them is enough to say what.
    baseline = lifecycle.pipeline.baseline
    first = baseline and baseline.follows and xdist.input_of(lifecycle.config).get(_FIRST)
    coverage = baseline.pack() if baseline and first else None
    decided = lifecycle.pipeline.decided.take_unsent()
    hangs = lifecycle.hangs.records.take_unsent()
    output[_KEY] = _pack(lifecycle, decided, hangs, markers, coverage)


def receive_with(report: pytest.TestReport, lifecycle: Lifecycle) -> None:
    """In the controller: take over what came with ``report``."""
    text = report.__dict__.pop(_KEY, None)
    if text is not None:
        _unpack(lifecycle, text, xdist.node_of(report))


def receive_rest(node: Any, lifecycle: Lifecycle) -> None:
    """In the controller: take over what the worker behind ``node`` has sent at its end."""
    text = (xdist.output_of(node) or {}).get(_KEY)
    if text is not None:
        _unpack(lifecycle, text, node)
    elif lifecycle.pipeline.baseline is not None:
        lifecycle.pipeline.baseline.coverage.broken = "a worker died"


def _pack(
    lifecycle: Lifecycle,
    decided: list[Counted],
    hangs: list[Hang],
    markers: dict[str, list[str]] | None = None,
    coverage: dict[str, Any] | None = None,
) -> str:
    config: Any = lifecycle.config
    pipeline, watch = lifecycle.pipeline, lifecycle.watch
    return json.dumps(
        {
            "worker": xdist.worker_id(config),
            "decided": [(to_plain(finding), count) for finding, count in decided],
            "hangs": hangs,
            "deferred": [
                config.hook.pytest_report_to_serializable(config=config, report=report)
                for report in pipeline.deferred.take_reports()
            ],
            "blind_spots": watch.blind_spots,
            "faults": watch.faults.all(),
            "third_party": watch.third_party.all(),
            "rules": [rule.text for rule in pipeline.policy.rulebook.matched],
            "markers": markers or {},
            "used": sorted(pipeline.usage.used),
            "coverage": coverage,
        }
    )


def _unpack(lifecycle: Lifecycle, text: str, node: Any) -> None:
    config, pipeline, watch = lifecycle.config, lifecycle.pipeline, lifecycle.watch
    data = json.loads(text)
    for plain, count in data["decided"]:
        finding = from_plain(plain)
        new = pipeline.decided.add(finding, count, data["worker"])
        if new and finding.action == WARN and not finding.owner.nodeid:
            pipeline.warn(finding, count)
    if data["hangs"]:
        from ..model.hang import from_plain as hang_from_plain  # not needed in most runs

        for plain in data["hangs"]:
            lifecycle.hangs.records.add(hang_from_plain(plain))
    for what, reason in data["blind_spots"].items():
        watch.blind(what, reason)
    watch.faults.receive(data["faults"])
    watch.third_party.receive(data["third_party"])
    rulebook = pipeline.policy.rulebook
    rulebook.matched.update(rule for rule in rulebook.rules if rule.text in data["rules"])
    pipeline.usage.add_of_worker(data["markers"], data["used"])
    if data["coverage"] is not None and pipeline.baseline is not None:
        pipeline.baseline.unpack(data["coverage"])
    for plain in data["deferred"]:
        report = config.hook.pytest_report_from_serializable(config=config, data=plain)
        xdist.set_node(report, node)
        config.hook.pytest_runtest_logreport(report=report)
