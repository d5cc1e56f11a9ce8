"""Coroutines that were handed to another thread, or made there for the code that waits."""

from __future__ import annotations

import weakref
from types import CodeType
from typing import Any, NamedTuple

from .objects import code_of
from .ownership import Tenure
from .refs import IdKeyedRef
from .stacks import Mark


class Handover(NamedTuple):
    """A coroutine was handed over: where, in whose tenure, and to what (a name)."""

    ref: weakref.ref[Any]
    code: CodeType | None
    mark: Mark | None
    tenure: Tenure
    to: str


class Handovers:
    """The coroutines that were handed over and have not been awaited since."""

    __slots__ = ("living", "recently_dead")

    def __init__(self) -> None:
        #: By the coroutine's id.
        self.living: dict[int, Handover] = {}
        #: Coroutines whose weak references are cleared: Python may still warn about them.
        self.recently_dead: dict[int, Handover] = {}

    def add(self, coroutine: Any, mark: Mark | None, tenure: Tenure, to: str) -> None:
        """Code at ``mark`` handed ``coroutine`` over to what ``to`` names, in ``tenure``."""
        try:
            ref = IdKeyedRef(coroutine, self._dies)
        except TypeError:  # not one of Python's coroutines
            return
        ref.key = id(coroutine)
        self.living[id(coroutine)] = Handover(ref, code_of(coroutine), mark, tenure, to)

    def _dies(self, ref: IdKeyedRef) -> None:
        handover = self.living.get(ref.key)
        if handover is not None and handover.ref is ref:
            self.recently_dead[ref.key] = self.living.pop(ref.key)

    def of(self, coroutine: Any) -> Handover | None:
        """The handover of ``coroutine``, if there was one. It may be in its destructor."""
        key = id(coroutine)
        handover = self.living.get(key) or self.recently_dead.pop(key, None)
        # Another coroutine may have had the same address before.
        return handover if handover is not None and handover.code is code_of(coroutine) else None

    def awaited(self, coroutine: Any) -> None:
        """``coroutine`` runs in a task now: forget it."""
        self.living.pop(id(coroutine), None)

    def forget_dead(self) -> None:
        """A test has ended: what died in it without a warning gives none later."""
        self.recently_dead.clear()
