"""The chain of awaits of a suspended task, and what its coroutines refer to.

The collector lists what an object refers to. So no frame's variables are copied, which would keep
objects alive, and no code of the user's runs.
"""

from __future__ import annotations

import asyncio
import gc
from types import CodeType, CoroutineType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

from .objects import ask, ask_text, class_name, code_of, is_a, owner_of_method
from .paths import ASYNCIO
from .stacks import KINDS

#: The length at which a walk along awaits gives up: a chain that is built by hand may be a ring.
_DEEPEST: Final = 100

#: What a task holds within ``async with``.
_HELD: Final = (asyncio.Lock, asyncio.Semaphore, asyncio.Condition)

#: The names of the classes of coroutines and generators, of Cython's too, and where each of them
#: has what it awaits.
_LINKS: Final = {
    "coroutine": "cr_await",
    "generator": "gi_yieldfrom",
    "async_generator": "ag_await",
}
#: Objects that stand between a coroutine and one that it awaits: ``anext()`` of an async generator,
#: and ``__await__()`` of a coroutine.
_BETWEEN: Final = {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper"}

#: By their ids, since a metaclass of the user's may define what ``in`` calls: classes of which
#: there are many among referents, and that nobody looks for.
_PLAIN: Final = frozenset(
    map(id, (str, int, float, bool, type(None), bytes, CodeType, CoroutineType))
)


class Link(NamedTuple):
    """A coroutine or generator in a chain of awaits."""

    coroutine: Any
    code: CodeType
    #: What it refers to, variables and temporary values included, but no strings and numbers.
    referents: list[Any]

    @property
    def is_asyncios(self) -> bool:
        return KINDS[self.code.co_filename] == ASYNCIO


def links_of(coroutine: Any) -> list[Link]:
    """``coroutine`` and those that it awaits, the outermost first."""
    links: list[Link] = []
    for _ in range(_DEEPEST):
        name = class_name(coroutine)
        if name in _LINKS:
            code = code_of(coroutine)
            if code is None:
                break
            refs = [obj for obj in gc.get_referents(coroutine) if id(type(obj)) not in _PLAIN]
            links.append(Link(coroutine, code, refs))
            coroutine = ask(coroutine, _LINKS[name])
        elif name in _BETWEEN:
            refs = gc.get_referents(coroutine)
            coroutine = next((obj for obj in refs if class_name(obj) in _LINKS), None)
        else:
            break  # a future, or an awaitable of the user's, whose attributes may be code
    return links


def held_by(links: list[Link]) -> list[Any]:
    """The locks, semaphores and conditions in whose ``async with`` block ``links`` are.

    Includes the one for which they still wait.
    """
    held: list[Any] = []
    for link in links:
        if link.is_asyncios:
            continue
        refs = link.referents
        for place, obj in enumerate(refs):
            # Not of any other class: its attributes may be code of the user's.
            if type(obj) not in (MethodType, FunctionType):
                continue
            if ask_text(obj, "__name__") != "__aexit__":
                continue
            # Up to Python 3.13, a bound method; later, the function and then its object.
            own = owner_of_method(obj) if type(obj) is MethodType else None
            for lock in (own, *refs[place + 1 : place + 2]):
                if any(is_a(lock, cls) for cls in _HELD):
                    held.append(lock)
                    break
    return held
