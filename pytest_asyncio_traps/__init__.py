"""Make the test that sprang an asyncio trap fail, and say which line did it."""

from .core.finding import Finding, Owner, Place
from .filters import AsyncioTrapWarning
from .fixtures import TrapRecorder
from .lifecycle import TrapsFound

__all__ = ["AsyncioTrapWarning", "Finding", "Owner", "Place", "TrapRecorder", "TrapsFound"]
