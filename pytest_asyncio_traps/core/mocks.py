"""The coroutines that calls of an `unittest.mock.AsyncMock` return."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

from .objects import call, frame_of, is_a


def is_mock_call(code: CodeType) -> bool:
    """Whether ``code`` is that of the coroutine which a call of an AsyncMock returns."""
    mock = sys.modules.get("unittest.mock")  # slow to import: leave that to those who use it
    return mock is not None and code is mock.AsyncMockMixin._execute_mock_call.__code__


def mock_name(coro: Any) -> str:
    """The name of the mock whose call returned ``coro``, as its ``repr`` has it: ``mock.add``."""
    frame = frame_of(coro)
    mock = frame.f_locals.get("self") if frame is not None else None
    name = call(mock, "_extract_mock_name")
    return str.__str__(name) if is_a(name, str) else "mock"
