"""Fails the test that caused an asyncio bug, and shows the line, the reason and the fix.

PYTEST_DONT_REWRITE: see `pytest_asyncio_traps_loader.finder`.
"""

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
