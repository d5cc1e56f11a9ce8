"""Fails the test that caused an asyncio bug, and shows the line, the reason and the fix.

PYTEST_DONT_REWRITE: see `pytest_asyncio_traps_loader.finder`.
"""

from .core.trap import CallSite, Trap
from .fixtures import TrapRecorder
from .model.finding import DROP, Drop, Finding, Owner, Place
from .policy.filters import AsyncioTrapWarning
from .session.phases import TrapsFound

#: The same class, under the name that conftest.py files may import.
Here = CallSite

__all__ = [
    "DROP",
    "AsyncioTrapWarning",
    "CallSite",
    "Drop",
    "Finding",
    "Here",
    "Owner",
    "Place",
    "Trap",
    "TrapRecorder",
    "TrapsFound",
]
