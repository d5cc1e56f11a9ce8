"""Results and exceptions set on futures that were already done."""

from __future__ import annotations

import asyncio
from typing import Any

from ..core.contexts import TOO_LATE, subject
from ..core.double_completion import double_completion_of
from ..core.harness import user_has_handler
from ..core.objects import class_name, traceback_of
from ..core.places import place_of, raised_at
from ..core.stacks import is_user
from ..core.trap import BuiltinTrap
from ..model.finding import Finding


class InvalidState(BuiltinTrap):
    """A callback or a protocol lets the error through to the loop's exception handler.

    The futures that ``loop.create_future()`` returns note who completed them before.
    """

    kind = "invalid-state"
    title = "a future was completed twice"
    advice = (
        "Check future.done() before setting a result or exception: the waiter may have given "
        "up (a timeout, a cancellation), or already have its answer."
    )

    def exception_handler_called(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        watch = self.watch
        if subject(context) != TOO_LATE or user_has_handler(loop):
            return
        exc: BaseException = context["exception"]
        completion = double_completion_of(exc)
        scheduled_at, tenure = watch.responsible_for(loop, context)
        origin, label = (place_of(completion.again) if completion is not None else None), "set at"
        if origin is None:
            origin = raised_at(traceback_of(exc))
        if origin is None:
            origin, label = place_of(scheduled_at), "set by a callback that was scheduled at"
        cancelled = completion is not None and completion.cancelled
        before = "cancelled" if cancelled else "completed"
        location = None
        if completion is not None and is_user(completion.before):
            location = place_of(completion.before)
        watch.report(
            Finding(
                self.kind,
                "a result or exception was set on a future that was already "
                + ("cancelled" if cancelled else "done"),
                self.advice,
                tenure.owner,
                origin=origin,
                origin_label=label,
                location=location,
                location_label=f"{before} before at",
                exception=class_name(exc),
            )
        )
