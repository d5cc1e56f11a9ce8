"""Tells what a test runner or asyncio does on its own behalf from what the user asked for."""

from __future__ import annotations

import asyncio
import sys
from types import CodeType
from typing import Any

from ..compat.runners import ANYIO_ON_ASYNCIO
from .objects import ask, call, code_of, function_code
from .paths import ASYNCIO, HARNESS, LIBRARY
from .places import coroutine_origin
from .stacks import KINDS, Mark


def is_harness(coroutine: object, origin: Mark | None) -> bool:
    """Whether a task's coroutine belongs to a test runner or to asyncio itself.

    ``origin`` is where the task was made. A coroutine of asyncio's that the user scheduled,
    such as ``queue.get()``, is the user's.
    """
    code = code_of(coroutine)
    if code is None:
        # A coroutine in C: asyncio runs aclose() of async generators without being asked.
        return origin is None
    if is_anyio_runner(code) or is_anyio_shutdown(code):
        return True
    kind = KINDS[code.co_filename]
    if kind == HARNESS:
        return True
    if kind != ASYNCIO:
        return False
    created_at = coroutine_origin(coroutine)
    path = created_at.path if created_at else None
    if origin is not None:
        path = origin[0].co_filename
    return path is None or KINDS[path] < LIBRARY


def is_anyio_runner(code: Any) -> bool:
    """Whether ``code`` belongs to the part of anyio that runs tests."""
    return code.co_qualname.startswith("TestRunner.") and _is_anyios(code)


def is_anyio_shutdown(code: Any) -> bool:
    """Whether ``code`` is anyio's that waits for a runner's cancellation, to end worker processes.

    The caller of ``to_process.run_sync()`` has no means to end that task.
    """
    return code.co_name == "_shutdown_process_pool_on_exit" and _is_anyios(code)


def _is_anyios(code: CodeType) -> bool:
    """Whether ``code`` is in anyio's backend for asyncio."""
    module = sys.modules.get(ANYIO_ON_ASYNCIO.module)
    return module is not None and code.co_filename == ask(module, "__file__")


def user_has_handler(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the code under test set an exception handler on ``loop``."""
    handler = call(loop, "get_exception_handler")
    if handler is None:
        return False
    code = function_code(handler)
    if code is None:
        return True
    kind = KINDS[code.co_filename]
    # anyio sets a handler for each of its test runners.
    return kind != HARNESS and not is_anyio_runner(code)
