"""The kinds of traps, one module for each."""

from __future__ import annotations

from ..core.trap import Trap
from .never_awaited import NeverAwaited
from .pending_task import PendingTask
from .slow_callback import SlowCallback
from .unclosed_loop import UnclosedLoop
from .unclosed_transport import UnclosedTransport
from .unretrieved_exception import UnretrievedException

#: Every kind, in the order in which they are armed and listed. Tasks come before
#: coroutines, so that a task which never ran is told as a task.
TRAPS: tuple[type[Trap], ...] = (
    PendingTask,
    NeverAwaited,
    UnretrievedException,
    UnclosedTransport,
    UnclosedLoop,
    SlowCallback,
)

#: Their ids.
KINDS: tuple[str, ...] = tuple(trap.kind for trap in TRAPS)
