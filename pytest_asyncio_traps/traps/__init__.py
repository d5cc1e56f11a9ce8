"""The kinds of traps, one module for each."""

from __future__ import annotations

from ..core.trap import Trap
from .blocking_call import BlockingCall
from .callback_exception import CallbackException
from .deadlock import Deadlock
from .invalid_state import InvalidState
from .lingering_timer import LingeringTimer
from .never_awaited import NeverAwaited
from .pending_task import PendingTask
from .slow_callback import SlowCallback
from .swallowed_cancellation import SwallowedCancellation
from .unclosed_asyncgen import UnclosedAsyncgen
from .unclosed_loop import UnclosedLoop
from .unclosed_resource import UnclosedResource
from .unclosed_transport import UnclosedTransport
from .unretrieved_exception import UnretrievedException
from .wrong_loop import WrongLoop
from .wrong_thread import WrongThread

#: Every kind, in the order in which they are armed and listed. Events go to them in this order,
#: too. Tasks come before coroutines and generators, so that a task that never ran is reported
#: as a task; transports come before the exceptions of their destructors.
TRAPS: tuple[type[Trap], ...] = (
    PendingTask,
    NeverAwaited,
    InvalidState,
    UnclosedTransport,
    CallbackException,
    UnretrievedException,
    UnclosedLoop,
    UnclosedAsyncgen,
    UnclosedResource,
    WrongThread,
    WrongLoop,
    SlowCallback,
    Deadlock,  # after the kind that starts the sampler thread
    BlockingCall,
    LingeringTimer,
    SwallowedCancellation,
)

#: Their ids.
KINDS: tuple[str, ...] = tuple(trap.kind for trap in TRAPS)
