"""Transports that stay open until a destructor of user code closes them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .objects import call, class_path, function_code
from .paths import USER
from .resources import held_by, is_transport
from .stacks import KINDS

if TYPE_CHECKING:
    from .watch import Watch


def before_destructor(watch: Watch, obj: Any, function: Any) -> Callable[[], None] | None:
    """The destructor ``function`` of ``obj`` is about to run. What to call when it has run."""
    code = function_code(function)
    if not watch.transports or code is None or KINDS[code.co_filename] != USER:
        return None
    transports = [held for held in held_by(obj) if is_transport(held) and _is_open(held)]
    if not transports:
        return None
    return functools.partial(_after_destructor, watch, transports, class_path(obj))


def _after_destructor(watch: Watch, transports: list[Any], name: str) -> None:
    for transport in transports:
        if not _is_open(transport):
            watch.events.transport_closed_late(transport, name)


def _is_open(transport: Any) -> bool:
    return call(transport, "is_closing", True) is False
