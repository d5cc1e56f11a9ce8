"""uvloop: `hook` replaces methods of ``uvloop.Loop``. Imported only if a run imports uvloop.

uvloop's loop is a Python class whose base class is in C. Methods that are called through the class
can be replaced; calls within the C code cannot be seen. One module per concern makes the
replacements, as in the package `loops.stdlib`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ...core.watch import Watch
from .. import generators
from ..tasks import make_create_task
from . import debug_mode, endpoints, futures, lifecycle, scheduling
from .callbacks import make_step

#: What of a uvloop cannot be watched, and why.
BLIND_SPOTS: Final = {
    "uvloop: slow-callback in methods of protocols": (
        "uvloop calls data_received and its like from C, where no step can be timed; "
        "tasks and scheduled callbacks are timed"
    ),
    "uvloop: unclosed-transport of connections that a server accepts": (
        "they are made in C; what the loop's own methods make is watched"
    ),
    "uvloop: unclosed-loop of a loop that is destroyed before its test ends": (
        "its destructor is in C; a loop that is still referred to is found"
    ),
    "uvloop: wrong-thread on transports": (
        "their methods are in C; the loop's methods, futures, queues and locks are watched"
    ),
}


def hook(watch: Watch, loop_class: Any) -> None:
    """Replace the methods of ``uvloop.Loop`` that its C code, or its users, call by name."""
    is_debug = loop_class.get_debug  # before it is replaced
    step = make_step(watch)
    makers: dict[str, Callable[..., Any]] = {
        "__init__": partial(lifecycle.make_init, is_debug=is_debug, blind_spots=BLIND_SPOTS),
        "run_forever": lifecycle.make_run,
        "run_until_complete": lifecycle.make_run,
        "stop": lifecycle.make_stop,
        "close": lifecycle.make_close,
        "call_exception_handler": lifecycle.make_call_exception_handler,
        "get_debug": debug_mode.make_get_debug,
        "set_debug": debug_mode.make_set_debug,
        "call_soon": partial(scheduling.make_call_soon, step=step, is_debug=is_debug),
        "call_soon_threadsafe": partial(scheduling.make_call_soon_threadsafe, step=step),
        "call_later": partial(scheduling.make_call_later, step=step, is_debug=is_debug),
        "create_task": make_create_task,
        "create_future": futures.make_create_future,
        **generators.makers(),
        **endpoints.MAKERS,
    }
    watch.patches.set(loop_class, "_asyncio_traps_failed", None)
    for name, make in makers.items():
        watch.patches.wrap(loop_class, name, partial(make, watch))
