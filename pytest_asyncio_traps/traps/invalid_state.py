"""Results and exceptions set on futures that were done already."""

from __future__ import annotations

import asyncio
from typing import Any

from ..core.contexts import TOO_LATE, subject
from ..core.objects import class_name, traceback_of
from ..core.places import place_of, raised_at
from ..core.stacks import is_user
from ..core.trap import Trap
from ..model.finding import Finding


class InvalidState(Trap):
    """The error reaches the loop's handler where a callback or a protocol let it through.

    What of asyncio's futures are ours has noted who completed it before.
    """

    kind = "invalid-state"
    title = "a future was completed twice"
    advice = (
        "Ask future.done() before setting a result or exception: whoever waited may have given "
        "up (a timeout, a cancellation), or been answered already."
    )

    def arm(self) -> None:
        self.watch.on_context.append(self._context)

    def _context(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        watch = self.watch
        if subject(context) != TOO_LATE or watch.user_has_handler(loop):
            return
        exc: BaseException = context["exception"]
        late = watch.lateness(exc)
        asked, tenure = watch.blame(loop, context)
        origin, label = (place_of(late.again) if late is not None else None), "set at"
        if origin is None:
            origin = raised_at(traceback_of(exc))
        if origin is None:
            origin, label = place_of(asked), "set by a callback that was scheduled at"
        cancelled = late is not None and late.cancelled
        before = "cancelled" if cancelled else "completed"
        location = place_of(late.before) if late is not None and is_user(late.before) else None
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
