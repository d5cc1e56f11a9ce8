"""asyncio's own loops and all their subclasses: `arm` replaces methods of their base classes.

One module per concern makes the replacements. A function ``make_NAME(watch, original)`` returns
what replaces the method ``NAME``. The replacements run at every operation of a loop, so they are
written for speed:

* Python copies each variable of a closure at each call, so the replacements read everything that
  never changes from globals of their modules.
* A call of a function costs more than what most of them do, so the hot paths are written out.
* ``try`` costs nothing until something is raised, unlike ``with``.
"""

from __future__ import annotations

import asyncio
from asyncio import base_events, events
from collections.abc import Callable
from functools import partial
from typing import Any

from ...compat import asyncio as private
from ...core.objects import function_code
from ...core.watch import Watch
from .. import generators, handles
from ..tasks import make_create_task
from . import debug_mode, futures, lifecycle, scheduling, servers, steps


def arm(watch: Watch) -> None:
    """Replace methods of `asyncio.BaseEventLoop` and of handles, and the classes of handles."""
    loop_class = base_events.BaseEventLoop
    # Both are looked up before the methods are replaced.
    init_code = function_code(loop_class.__init__)
    plain_call_soon = handles.known_call_soon(loop_class)
    makers: dict[str, Callable[..., Any]] = {
        "__init__": partial(lifecycle.make_init, plain_call_soon=plain_call_soon),
        "run_forever": lifecycle.make_run_forever,
        "stop": lifecycle.make_stop,
        "close": lifecycle.make_close,
        "call_exception_handler": lifecycle.make_call_exception_handler,
        "create_task": make_create_task,
        **generators.makers(),
    }
    if private.LOOPS.holds:
        makers |= {
            "get_debug": debug_mode.make_get_debug,
            "set_debug": partial(debug_mode.make_set_debug, init_code=init_code),
            "call_soon": scheduling.make_call_soon,
            "call_at": scheduling.make_call_at,
            "create_future": futures.make_create_future,
        }
    for name, make in makers.items():
        watch.patches.wrap(loop_class, name, partial(make, watch))
    _replace_handles(watch)
    servers.arm(watch)


def _replace_handles(watch: Watch) -> None:
    """Replace the classes of handles, and the method by which a handle runs its callback."""
    if private.HANDLES.holds:
        handles.FAULTS.append(watch.faults)
        watch.at_end.append(lambda: handles.FAULTS.remove(watch.faults))
        for name, cls in handles.CLASSES.items():
            watch.patches.set(events, name, cls)
            if hasattr(asyncio, name):
                watch.patches.set(asyncio, name, cls)
    if private.STEPS.holds:
        watch.patches.wrap(handles.BASE, private.STEP, partial(steps.make_run, watch))
