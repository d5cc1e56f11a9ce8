"""Where objects were made or scheduled, and in whose tenure.

Hooks note a mark on the object itself, under the attributes named here. Where an object
allows no attributes, the context that it keeps or the object tracker may still tell its owner.
"""

from __future__ import annotations

import asyncio
import contextvars
from types import CodeType, FrameType
from typing import Any

from ..compat import asyncio as private
from ..model.finding import Place
from .handover import Handovers
from .object_tracker import ObjectTracker
from .objects import ask, code_of, context_of, coroutine_of, is_a, loop_of, put
from .ownership import TENURE, Ownership, Tenure
from .paths import LIBRARY, USER
from .places import coroutine_origin, place_of, place_of_code, places_of
from .stacks import KINDS, STEP_CODES, Mark, is_made_by_library, user_mark, user_stack

#: Where, and in whose tenure, an object was made.
Creation = tuple[Mark | None, Tenure]

#: On an object: its `Creation`.
CREATION = "_asyncio_traps_made"
#: ... the user's frames that led to that line, the innermost first, as codes and offsets in turn:
#: see `user_stack`.
OUTER = "_asyncio_traps_outer"
#: ... the words before that line in a report, if not the usual ones.
CREATION_LABEL = "_asyncio_traps_made_as"
#: ... on a loop or task: whether installed code made it on its own behalf.
LIBRARYS = "_asyncio_traps_librarys"
#: ... on a loop that has run: the thread in which it last did; True for the only one.
RAN_IN = "_asyncio_traps_ran"

#: On a task or handle made on the fast path: its mark in two parts. The context of a task says
#: whose it is; up to Python 3.11, which does not show that context, a third attribute does.
_CODE = "_asyncio_traps_code"
_LASTI = "_asyncio_traps_lasti"
_TENURE = "_asyncio_traps_tenure"

#: On any other handle: its mark.
_SCHEDULED_AT = "_asyncio_traps_asked"
#: On a loop whose handles show nothing: the mark and the tenure of the step that just failed.
_FAILED_STEP = "_asyncio_traps_failed"

#: The most entries of `OUTER` that a task takes over from the task that made it.
_DEEPEST = 64


class CreationRecords:
    """Writes and reads the notes on objects."""

    __slots__ = ("handovers", "ownership", "tracker")

    ownership: Ownership
    tracker: ObjectTracker
    handovers: Handovers

    # -- writing notes ----------------------------------------------------

    def remember(self, obj: object, frame: FrameType | None) -> None:
        """Note on ``obj`` that it was made in ``frame``, and in whose tenure."""
        mark, outer = self.line_that_makes(frame)
        # An object with slots takes no note; the tracker may still know whose it is.
        put(obj, CREATION, (mark, self._tenure_here()))
        if outer:
            put(obj, OUTER, outer)

    def remember_task(self, task: Any, frame: FrameType | None) -> None:
        """Note on ``task`` that it was made in ``frame``, in whose tenure, and what led there.

        Where no line of the user's is on the stack, the line that handed the coroutine over to
        another thread counts, or the line that made the task whose step runs.
        """
        mark, outer = user_mark(frame), user_stack(frame)
        tenure = self._tenure_here()
        by_user = mark is not None and KINDS[mark[0].co_filename] == USER
        coroutine = coroutine_of(task)
        handover = None
        if self.handovers.living and not by_user:
            handover = self.handovers.of(coroutine)
        if handover is not None:
            mark, tenure = handover.mark, handover.tenure
            self.handovers.awaited(coroutine)
        else:
            parent = _current_task(loop_of(task))
            parent_mark = self.creation_mark(parent)
            if parent_mark is not None:
                if by_user:
                    outer += parent_mark + _outer_of(parent)
                else:
                    mark, outer = parent_mark, _outer_of(parent)
        put(task, CREATION, (mark, tenure))
        if outer:
            put(task, OUTER, outer)
        if is_made_by_library(frame):
            put(task, LIBRARYS, True)

    def line_that_makes(self, frame: FrameType | None) -> tuple[Mark | None, tuple[Any, ...]]:
        """The user's line that makes an object in ``frame``, and what led there.

        If it is a library's, the line of the user's that made the task whose step runs.
        """
        mark, outer = user_mark(frame), user_stack(frame)
        if mark is not None and KINDS[mark[0].co_filename] != USER:
            task = _current_task(None)
            task_mark = self.creation_mark(task)
            if task_mark is not None and KINDS[task_mark[0].co_filename] == USER:
                return task_mark, _outer_of(task)
        return mark, outer

    def _tenure_here(self) -> Tenure:
        tenure = TENURE.get()
        return tenure if type(tenure) is Tenure else self.ownership.now()

    # -- where and by whom an object was made -----------------------------

    def created_at(self, obj: object) -> Creation | None:
        """Where and in whose tenure ``obj`` was made, if a hook noted it."""
        creation = ask(obj, CREATION)
        # A mock answers for any attribute.
        if type(creation) is tuple:
            return creation
        if type(obj) is not asyncio.Task or (code := ask(obj, _CODE)) is None:
            return None
        tenure: Tenure | None = ask(obj, _TENURE)
        if tenure is None:
            tenure = context_of(obj).get(TENURE)
        tenure = self.ownership.resolve(tenure) if tenure is not None else self.ownership.now()
        return (code, ask(obj, _LASTI)), tenure

    def creation_mark(self, obj: object) -> Mark | None:
        """The user's instruction that made ``obj``, if a hook noted it."""
        creation = self.created_at(obj)
        return creation[0] if creation is not None else None

    def origin_of(self, obj: object) -> Place | None:
        """The user's line that made ``obj``, if a hook noted it."""
        return place_of(self.creation_mark(obj))

    def origin_of_task(self, task: asyncio.Task[Any]) -> tuple[Place | None, str]:
        """The user's line that made ``task``, else its coroutine, else where that is defined.

        Comes with the words that say which of them it is.
        """
        coroutine = coroutine_of(task)
        code = code_of(coroutine)
        origin = self.origin_of(task)
        if origin is None:
            origin = coroutine_origin(coroutine)
            if origin is not None and KINDS[origin.path] != USER:
                origin = None
        if origin is None and code is not None:
            return place_of_code(code), "defined at"
        return origin, "created at"

    def creation_stack(self, task: object) -> tuple[Any, ...]:
        """The mark of ``task`` and those of the frames that led to it, as codes and offsets."""
        mark = self.creation_mark(task)
        return mark + _outer_of(task) if mark is not None else ()

    def trace_of(self, obj: object) -> tuple[Place, ...]:
        """How the test or fixture came to the line that made ``obj``, the outermost call first."""
        mark = self.creation_mark(obj)
        if mark is None:
            return ()
        outer = ask(obj, OUTER)
        pairs = (*mark, *(outer if type(outer) is tuple else ()))
        return tuple(reversed(places_of(pairs)))

    def tenure_of(self, obj: object) -> Tenure:
        """Whose ``obj`` is: by its note, its context or the tracker.

        Else it belongs to the tenure that drops it now.
        """
        creation = self.created_at(obj)
        if creation is not None:
            return creation[1]
        context = context_of(obj) if is_a(obj, asyncio.Future) else None
        if is_a(context, contextvars.Context):
            tenure = context.get(TENURE)
            if isinstance(tenure, Tenure):
                return self.ownership.resolve(tenure)
        return self.tracker.tenure_of(obj) or self.ownership.dropping()

    # -- where and by whom a callback was scheduled ------------------------

    def tenure_of_handle(self, handle: object) -> Tenure | None:
        """In whose tenure a callback was scheduled, if that can be known."""
        context = ask(handle, private.HANDLE_CONTEXT)
        if not is_a(context, contextvars.Context):
            return None
        tenure = context.get(TENURE)
        return self.ownership.resolve(tenure) if isinstance(tenure, Tenure) else None

    def scheduled_at(self, handle: object) -> Mark | None:
        """The user's instruction that scheduled ``handle``, if it is known."""
        mark = ask(handle, _SCHEDULED_AT)
        if type(mark) is tuple:
            return mark
        code = ask(handle, _CODE)
        return scheduled_mark(code, ask(handle, _LASTI)) if type(code) is CodeType else None

    def scheduled_in(self, frame: FrameType | None) -> Mark | None:
        """The user's instruction that scheduled the step which ``frame`` is, if it is one."""
        if frame is None or not any(frame.f_code is code for code in STEP_CODES):
            return None
        names = frame.f_locals
        code = names.get("code")  # in the wrapper in uvloop's queue, whose handles show nothing
        if type(code) is CodeType:
            return scheduled_mark(code, names["lasti"])
        return self.scheduled_at(names.get("self"))

    def responsible_for(self, loop: object, context: dict[str, Any]) -> Creation:
        """Who caused what an exception handler is called about with ``context``.

        The mark and the tenure are those under which the callback was scheduled. Where there is
        none, the tenure is that of the transport, protocol, server or generator concerned.
        """
        handle = context.get("handle")
        tenure = self.tenure_of_handle(handle)
        if tenure is not None:
            return self.scheduled_at(handle), tenure
        failed = ask(loop, _FAILED_STEP)
        if handle is not None:
            if type(failed) is tuple:
                return failed
            return self.scheduled_at(handle), self.ownership.now()
        for name in ("transport", "protocol", "server", "asyncgen"):
            obj = context.get(name)
            for thing in (obj, ask(obj, private.SERVER)):
                creation = self.created_at(thing)
                if creation is not None:
                    return None, creation[1]
                tenure = self.tracker.tenure_of(thing) if thing is not None else None
                if tenure is not None:
                    return None, tenure
        return None, self.ownership.now()


def scheduled_mark(code: CodeType, lasti: int) -> Mark | None:
    """The instruction that scheduled a callback; None where asyncio did on its own behalf."""
    return (code, lasti) if KINDS[code.co_filename] >= LIBRARY else None


def _outer_of(task: object) -> tuple[Any, ...]:
    outer = ask(task, OUTER)
    return outer[:_DEEPEST] if type(outer) is tuple else ()


def _current_task(loop: Any) -> Any:
    try:
        return asyncio.current_task(loop)
    except RuntimeError:  # no loop
        return None
