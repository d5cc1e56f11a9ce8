"""The names that pytest-xdist gives to what its processes exchange, each in this file only.

A worker is a process of pytest-xdist that runs tests, the controller the one that has started it
and reports to the user. Where a later pytest-xdist renames ``workeroutput``, a worker takes itself
for a run of one process: its findings still fail its tests, but the controller does not list them.
"""

from __future__ import annotations

from typing import Any

import pytest

_INPUT = "workerinput"
_OUTPUT = "workeroutput"
_ID = "workerid"
#: The attribute by which the controller notes on a report which worker has sent it.
_NODE = "node"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker. Known once pytest is configured."""
    return hasattr(config, _OUTPUT)


def worker_id(config: pytest.Config) -> str:
    """The name of this worker, such as ``gw0``."""
    return str(input_of(config)[_ID])


def input_of(source: Any) -> dict[str, Any]:
    """What the controller gives a worker: ``source`` is its node or, in the worker, the config."""
    given: dict[str, Any] = getattr(source, _INPUT)
    return given


def output_of(source: Any) -> dict[str, Any] | None:
    """What a worker sends when it ends: ``source`` is its config or, in the controller, its node.

    None where the process is no worker, or where the worker has died.
    """
    output: dict[str, Any] | None = getattr(source, _OUTPUT, None)
    return output


def node_of(report: pytest.TestReport) -> Any:
    """The node of the worker that has sent ``report``, or None."""
    return getattr(report, _NODE, None)


def set_node(report: pytest.TestReport, node: Any) -> None:
    """Have ``report`` pass for one that the worker behind ``node`` has sent itself."""
    setattr(report, _NODE, node)
