"""What others may replace, as it stands at one moment."""

from __future__ import annotations

import _thread
import asyncio
import builtins
import concurrent.futures
import gc
import importlib
import io
import logging
import os
import select
import socket
import subprocess
import sys
import threading
import time
import warnings
from types import BuiltinMethodType, MethodType
from typing import Any

_MODULES = (
    asyncio, builtins, concurrent.futures, gc, io, logging, os, select, socket, subprocess, sys,
    threading, time, warnings,
)  # fmt: skip
_NAMES = (
    "uvloop", "anyio._backends._asyncio", "tornado.testing", "aiohttp.pytest_plugin", "sqlite3",
    "pytest_asyncio.plugin",
)  # fmt: skip
#: What Python or pytest itself changes all the time.
_RESTLESS = {
    "__doc__", "__dict__", "__weakref__", "__abstractmethods__", "_abc_impl", "__annotations__",
    "__annotations_cache__", "__annotate_func__", "__warningregistry__", "last_exc", "last_value",
    "last_type", "last_traceback", "_", "stdout", "stderr", "stdin", "_active", "_limbo",
    "_dangling", "_counter", "_filters_mutated", "environ", "environb", "_shutdown_locks",
    "_active_limbo_lock", "_scheduled_tasks", "_eager_tasks", "_current_tasks", "path_importer_cache",
    "_threads_queues", "_task_name_counter", "argv", "_loggerClass", "_shutdown_on_atexit_handles",
    "__static_attributes__", "__asyncio_traps_point__", "__firstlineno__", "__subclasshook__", "_exithandlers",
}  # fmt: skip


def snapshot() -> dict[str, Any]:
    """Every attribute of the modules and classes concerned, and the state of the interpreter."""
    names = [name for name in sys.modules if name.split(".")[0] == "asyncio"]
    modules = [*map(sys.modules.__getitem__, names), *_MODULES]
    modules += [sys.modules[name] for name in _NAMES if name in sys.modules]
    state: dict[str, Any] = {}
    for module in modules:
        for name, value in list(vars(module).items()):
            if name in _RESTLESS:
                continue
            state[f"{module.__name__}.{name}"] = value
            if isinstance(value, type):
                cls = f"{value.__module__}.{value.__qualname__}"
                for attribute, member in list(vars(value).items()):
                    if attribute not in _RESTLESS:
                        state[f"{cls}.{attribute}"] = member
    logger = logging.getLogger("asyncio")
    for name, value in vars(logger).items():
        if name != "_cache":
            state[f"logger.{name}"] = tuple(value) if isinstance(value, list) else value
    state["gc.callbacks"] = tuple(gc.callbacks)
    state["gc.enabled"] = gc.isenabled()
    state["gc.threshold"] = gc.get_threshold()
    state["sys.meta_path"] = tuple(sys.meta_path)
    state["sys.path_hooks"] = tuple(sys.path_hooks)
    state["depth"] = sys.get_coroutine_origin_tracking_depth()
    state["asyncgen hooks"] = tuple(sys.get_asyncgen_hooks())
    state["switch interval"] = sys.getswitchinterval()
    state["trace"] = sys.gettrace(), sys.getprofile()
    state["threads"] = _thread._count()
    state["steps"] = len(importlib.import_module("pytest_asyncio_traps.core.stacks").STEP_CODES)
    return state


def settled(before: dict[str, Any]) -> dict[str, Any]:
    """A snapshot, once as many threads run as ``before``: one that is told to end takes a moment."""
    until = time.monotonic() + 5
    while _thread._count() != before["threads"] and time.monotonic() < until:
        time.sleep(0.001)
    return snapshot()


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """What is not the same thing, or not there, in both."""
    nothing = object()
    changed = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name, nothing), after.get(name, nothing)
        if old is new or (_is_plain(old) and old == new):
            continue
        changed[name] = f"{_shown(old, nothing)} -> {_shown(new, nothing)}"
    return changed


def _is_plain(value: object) -> bool:
    # Methods are made anew each time; those of one object are equal.
    return isinstance(value, (bool, int, float, str, bytes, tuple, BuiltinMethodType, MethodType))


def _shown(value: object, nothing: object) -> str:
    return "nothing" if value is nothing else repr(value)[:200]
