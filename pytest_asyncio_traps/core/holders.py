"""Whether user code can reach an object.

The user cannot end a task that a library has started, if the task is referred to by asyncio and by
the library's globals only, or not at all. The search goes through all objects of the process: call
it only for an object that is about to be reported.
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

#: Containers and their iterators. What matters is which object refers to them.
_CONTAINERS: Final = (
    *(dict, list, set, tuple, deque),
    *(type(iter(each())) for each in (dict, list, set, tuple, deque)),
    *(type(iter({}.values())), type(iter({}.items()))),
)
#: For how many objects, the first one and containers, the referrers are searched.
_MOST: Final = 20


def is_held(obj: object, own: Iterable[object]) -> bool:
    """Whether the user can reach ``obj`` through one of its referrers.

    Referrers that are part of asyncio, frames and globals of installed modules do not count, nor do
    those in ``own``: containers of the caller. True if there are too many containers to follow.
    """
    skipped = {id(each) for each in own}
    searched = 0
    waiting: list[Any] = [obj]
    skipped.add(id(waiting))
    while waiting and searched < _MOST:
        searched += 1
        held = waiting.pop()
        referrers = gc.get_referrers(held)
        skipped.add(id(referrers))
        for referrer in referrers:
            if id(referrer) in skipped or _is_asyncio_or_frame(referrer):
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
    return bool(waiting)


def _is_asyncio_or_frame(obj: object) -> bool:
    """Whether ``obj`` is of a class of asyncio's, a method of such an object, or a frame."""
    if is_any(obj, FrameType):
        return True
    if type(obj) is BuiltinMethodType:  # the wake-up method of a C task, held by a future
        return ask_text(type(obj.__self__), "__module__") == private.C_MODULE
    module = ask_text(type(obj), "__module__")
    return module == private.C_MODULE or module.startswith("asyncio.")


def _module_of(names: dict[str, Any]) -> ModuleType | None:
    """The module whose globals are ``names``, or None."""
    name = names.get("__name__")
    module = sys.modules.get(name) if type(name) is str else None
    return module if module is not None and vars(module) is names else None


def _kind_of(module: ModuleType) -> int:
    file = ask_text(module, "__file__")
    return KINDS[file] if file else LIBRARY
