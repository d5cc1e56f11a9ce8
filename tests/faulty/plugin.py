"""The plugin of pytest's that injects a fault, or surveys which points a run reaches.

It is named before ``asyncio_traps``, so that the fault is there when that one is loaded, and in
each process: the workers of pytest-xdist load it as well. What it is to do stands in the
environment.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.faulty import points

#: The point to fail, or ``*`` for a survey.
POINT = "ASYNCIO_TRAPS_FAULT"
#: How: ``once`` only, ``blocks`` where it is guarded itself.
HOW = "ASYNCIO_TRAPS_HOW"
#: The folder in which each process leaves the points that it has reached.
FOLDER = "ASYNCIO_TRAPS_REACHED"

#: What stands for whatever catches and tells faults.
GUARD = "a guard"

#: The points that were reached, and those that reached them; None for somebody else.
reached: dict[str, set[str | None]] = {}
#: Those that stand in the place of somebody else's.
stand_ins: set[str] = set()


def _survey(point: str) -> None:
    frame = sys._getframe(1).f_back
    while frame is not None and frame.f_code.co_filename.endswith("contextlib.py"):
        frame = frame.f_back
    caller = points.point_of(frame.f_code) if frame is not None else None
    if caller is not None and caller.startswith(points.GUARDS):
        caller = GUARD
    reached.setdefault(point, set()).add(caller)


def _fail(point: str) -> None:
    if point in reached and "once" in os.environ[HOW]:
        return
    if not reached:
        reached[point] = set()
        _leave()
    raise points.InjectedError(f"injected into {point}")


def _leave() -> None:
    """Under a name of its own, as there may be several processes; soon, as they may be killed."""
    found = {
        "reached": {point: list(callers) for point, callers in reached.items()},
        "stand-ins": sorted(stand_ins),
    }
    # Not by open(), which would be a call that blocks, made by a file that is nobody's.
    path = Path(os.environ[FOLDER], f"{os.getpid()}.json")
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(file, json.dumps(found).encode())
    os.close(file)


def end_survey() -> None:
    """Leave what was reached: after pytest has put the plugin out of work."""
    if os.environ.get(POINT) == "*":
        _leave()


def _note_stand_ins() -> None:
    from pytest_asyncio_traps.core.patches import Patches

    put = Patches.set

    def note(self: Any, target: Any, name: str, value: Any) -> None:
        functions = [value, getattr(value, "__wrapped__", None), getattr(value, "__func__", None)]
        functions += vars(value).values() if isinstance(value, type) else []
        for function in functions:
            code = getattr(function, "__code__", None)
            point = points.point_of(code) if code is not None else None
            if point is not None:
                stand_ins.add(point)
        put(self, target, name, value)

    Patches.set = note  # type: ignore[method-assign]


def _begin() -> None:
    point, how = os.environ.get(POINT), os.environ.get(HOW, "")
    if point == "*":
        atexit.register(end_survey)
        points.inject(points.all_points(), _survey)
        _note_stand_ins()
    elif point:
        points.inject([point], _fail, [point] if "blocks" in how else [])


_begin()
