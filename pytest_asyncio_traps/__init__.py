"""Make the test that sprang an asyncio trap fail, and say which line did it."""

from .core.finding import DROP, Drop, Finding, Owner, Place
from .core.trap import Here, Trap
from .filters import AsyncioTrapWarning
from .fixtures import TrapRecorder
from .lifecycle import TrapsFound

__all__ = [
    "DROP",
    "AsyncioTrapWarning",
    "Drop",
    "Finding",
    "Here",
    "Owner",
    "Place",
    "Trap",
    "TrapRecorder",
    "TrapsFound",
]
