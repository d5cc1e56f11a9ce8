"""``_start_serving``, with which a server's connections begin to belong to its owner."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ...core.watch import Watch

#: Modules of asyncio, each with its class that has a method ``_start_serving``.
_CLASSES: Final = (
    ("selector_events", "BaseSelectorEventLoop"),
    ("proactor_events", "BaseProactorEventLoop"),
)


def arm(watch: Watch) -> None:
    """Replace ``_start_serving`` of the classes that this system has."""
    for module, name in _CLASSES:
        if f"asyncio.{module}" not in sys.modules:
            continue  # of another system
        server_loop = getattr(sys.modules[f"asyncio.{module}"], name, None)
        if server_loop is not None and "_start_serving" in vars(server_loop):
            watch.patches.wrap(server_loop, "_start_serving", partial(_make_start_serving, watch))
        else:
            watch.blind("which test a server serves", f"asyncio.{module}.{name} serves otherwise")


def _make_start_serving(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    guarded = watch.faults.guard("loops")

    def _start_serving(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not watch.active:
            return original(self, *args, **kwargs)
        before: Any = None
        with guarded:
            before = watch.ownership.begin_serving("a server")
        try:
            return original(self, *args, **kwargs)
        finally:
            with guarded:
                watch.ownership.end_serving(before)

    return _start_serving
