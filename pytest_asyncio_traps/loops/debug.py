"""What ``get_debug()`` answers.

asyncio's own debug mode takes a whole traceback for each task, future and
handle. The plugin makes that mode's checks without those: on a watched loop user
code reads True, while asyncio reads False and takes no tracebacks. If the code
under test or the environment sets debug mode, the loop keeps what was set.
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


def _of_asyncio(*names: str) -> frozenset[str]:
    """The full names of modules of asyncio.

    Where a module is loaded, the string is its own ``__name__``: a set finds that without a
    comparison.
    """
    paths = [f"asyncio.{name}" for name in names]
    return frozenset(getattr(sys.modules.get(path), "__name__", path) for path in paths)


#: The plugin's modules whose functions replace asyncio's: all of this package.
_OURS: Final = (
    "debug", "futures", "generators", "handles", "tasks",
    "stdlib", "stdlib.debug_mode", "stdlib.futures", "stdlib.lifecycle", "stdlib.scheduling",
    "stdlib.servers", "stdlib.steps",
    "uvloop", "uvloop.callbacks", "uvloop.debug_mode", "uvloop.endpoints", "uvloop.futures",
    "uvloop.lifecycle", "uvloop.runner", "uvloop.scheduling",
)  # fmt: skip

#: Modules that call ``get_debug()``, or make futures and tasks, on asyncio's behalf: they read
#: False, unless debug mode was set.
QUIET: Final = _of_asyncio(
    "base_events", "base_subprocess", "events", "futures", "locks", "proactor_events", "queues",
    "runners", "selector_events", "sslproto", "staggered", "streams", "subprocess", "taskgroups",
    "tasks", "threads", "timeouts", "unix_events", "windows_events", "graph",
) | {
    *(f"{__package__}.{name}" for name in _OURS),
    "uvloop.loop",  # the ``__module__`` of what replaces its methods
}  # fmt: skip

#: Modules of asyncio that keep the futures which they make: only they await and complete them.
KEEPS_ITS_FUTURES: Final = _of_asyncio("locks", "queues", "selector_events", "streams", "tasks")


#: Whether C code that asks for debug mode is making a future at this moment. Only set while there
#: is one thread: another thread's call of ``get_debug()`` would get the answer meant for that code.
MAKING: Final = [False]


def shown(loop: Any, depth: int = 2) -> bool:
    """Whether the code ``depth`` frames up the stack reads that ``loop`` is in debug mode."""
    if module_of(depth) in QUIET:
        return False
    # C code that makes a future or task has no frame: the caller's is found. The question is the
    # caller's own only if its code contains the name.
    if "get_debug" not in sys._getframe(depth).f_code.co_names:
        return False
    return bool(ask(loop, EXPLICIT, True))


def by_harness(frame: FrameType | None) -> bool:
    """Whether a call of ``set_debug``, made in ``frame``, comes from a test runner.

    pytest-asyncio passes a value to its ``asyncio.Runner`` even if the user gave none.
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


def hide_frame(obj: Any) -> None:
    """Drop the plugin's frame from the traceback that asyncio's own debug mode took for ``obj``."""
    frames = ask(obj, "_source_traceback")
    if frames:
        del frames[-1]
