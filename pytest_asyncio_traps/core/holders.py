"""Whether anything but asyncio and installed code's own globals refers to an object.

A task that installed code has begun and keeps nowhere, or in its globals, is one that the user has
no means to end. It takes a look at all objects, so ask it of what is about to be reported only.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterable
from types import BuiltinMethodType, FrameType, ModuleType
from typing import Any, Final

from ..compat import asyncio as private
from .objects import ask_text, is_any
from .paths import LIBRARY, USER
from .stacks import KINDS

#: Containers, and what goes through them, that may be held by nothing but a module or a frame.
_CONTAINERS: Final = (
    *(dict, list, set, tuple, deque),
    *(type(iter(each())) for each in (dict, list, set, tuple, deque)),
    *(type(iter({}.values())), type(iter({}.items()))),
)
#: How many containers are followed to whatever holds them.
_MOST: Final = 20


def is_held(obj: object, own: Iterable[object]) -> bool:
    """Whether something refers to ``obj`` by which the user can reach it.

    ``own`` are containers of the caller's, which do not count.
    """
    skipped = {id(each) for each in own}
    looked_at = 0
    waiting: list[Any] = [obj]
    skipped.add(id(waiting))
    while waiting and looked_at < _MOST:
        looked_at += 1
        held = waiting.pop()
        referrers = gc.get_referrers(held)
        skipped.add(id(referrers))
        for referrer in referrers:
            if id(referrer) in skipped or _is_asyncios(referrer):
                continue
            skipped.add(id(referrer))
            if type(referrer) is dict and (module := _module_of(referrer)) is not None:
                if _kind_of(module) == USER:
                    return True
            elif type(referrer) in _CONTAINERS:
                waiting.append(referrer)
            else:
                return True
        del referrers
    return bool(waiting)  # more than could be followed


def _is_asyncios(obj: object) -> bool:
    """Whether ``obj`` is a part of asyncio's by which a task is run, or a frame."""
    if is_any(obj, FrameType):
        return True
    if type(obj) is BuiltinMethodType:  # the wake-up of a C task, which a future keeps
        return ask_text(type(obj.__self__), "__module__") == private.C_MODULE
    module = ask_text(type(obj), "__module__")
    return module == private.C_MODULE or module.startswith("asyncio.")


def _module_of(names: dict[str, Any]) -> ModuleType | None:
    """The module whose globals ``names`` are."""
    name = names.get("__name__")
    module = sys.modules.get(name) if type(name) is str else None
    return module if module is not None and vars(module) is names else None


def _kind_of(module: ModuleType) -> int:
    file = ask_text(module, "__file__")
    return KINDS[file] if file else LIBRARY
