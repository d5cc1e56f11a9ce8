"""What ``get_debug()`` answers.

asyncio's own debug mode takes a whole traceback for each task, future and
handle. A watched loop has that mode's checks without it: the user's code reads
True, while asyncio, asking for itself, reads False and takes the short way. A
loop on which the code under test (or the environment) has set debug mode is
left exactly as it was set.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Final

from ..core.objects import ask
from ..core.paths import HARNESS
from ..core.stacks import KINDS, module_of

#: On a loop: what the code under test has set, if anything.
EXPLICIT: Final = "_asyncio_traps_debug"


def _asyncio_s(*names: str) -> frozenset[str]:
    """Modules of asyncio's, by the very strings that they are called by, where they are loaded:
    to find one of these takes no comparison."""
    paths = [f"asyncio.{name}" for name in names]
    return frozenset(getattr(sys.modules.get(path), "__name__", path) for path in paths)


#: Modules in which ``get_debug()`` is asked, or futures and tasks are made, on asyncio's behalf.
QUIET: Final = _asyncio_s(
    "base_events", "base_subprocess", "events", "futures", "locks", "proactor_events", "queues",
    "runners", "selector_events", "sslproto", "staggered", "streams", "subprocess", "taskgroups",
    "tasks", "threads", "timeouts", "unix_events", "windows_events", "graph",
) | {
    *(f"pytest_asyncio_traps.loops.{name}" for name in ("stdlib", "uvloop", "futures", "handles")),
    "uvloop.loop",  # so says what stands in for its methods
}  # fmt: skip

#: Modules of asyncio whose futures nobody else ever gets: they await them, and complete them,
#: by themselves.
KEEPS_ITS_FUTURES: Final = _asyncio_s("locks", "queues", "selector_events", "streams", "tasks")


#: Whether a future is being made at this moment, by C code that asks for debug mode. Only while
#: there is one thread: another one's question would get the answer that is meant for that code.
MAKING: Final = [False]


def shown(loop: Any, depth: int = 2) -> bool:
    """Whether the code at ``depth`` frames from here is to read that ``loop`` is in debug mode."""
    if module_of(depth) in QUIET:
        return False
    # C code that makes a future or task asks in the frame of whoever called it. Only
    # code in which the name stands has asked for itself.
    if "get_debug" not in sys._getframe(depth).f_code.co_names:
        return False
    return bool(ask(loop, EXPLICIT, True))


def by_harness(frame: FrameType | None) -> bool:
    """Whether a call of ``set_debug``, made in ``frame``, comes from a test runner.

    pytest-asyncio hands a value to its ``asyncio.Runner`` whether or not the
    user gave one.
    """
    while frame is not None and frame.f_globals.get("__name__") in (
        "asyncio.runners",
        "contextlib",
    ):
        frame = frame.f_back
    if frame is None:
        return False
    filename = frame.f_code.co_filename
    return KINDS[filename] == HARNESS and "unittest" not in filename
