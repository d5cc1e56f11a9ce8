"""What the plugin notes of each loop, in an attribute that is quick to read."""

from __future__ import annotations

from typing import Any

from ...core.ownership import Tenure


class Runner:
    """What a loop in C does not show, or shows slowly.

    In which thread the loop runs, if it runs; when its step began; whether it is in uvloop's own
    debug mode.
    """

    __slots__ = ("_asyncio_traps_last", "_asyncio_traps_step", "_thread_id", "debug")

    def __init__(self) -> None:
        self.debug: bool = False
        self._thread_id: int | None = None
        self._asyncio_traps_step: float = 0.0
        self._asyncio_traps_last: Tenure | None = None


def runner_of(loop: Any) -> Runner:
    """The runner of ``loop``; a new one if the loop was made before the plugin was armed."""
    runner: Runner
    try:
        runner = loop._asyncio_traps_runner
    except AttributeError:
        runner = Runner()
        loop._asyncio_traps_runner = runner
    return runner
