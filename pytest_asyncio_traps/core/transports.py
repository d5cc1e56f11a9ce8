"""The base classes of asyncio's transports, servers and subprocesses."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

from ..compat.asyncio import TRANSPORT_CLASSES

Missing = Callable[[str, str], None]


def _pass(what: str, reason: str) -> None:
    pass


def base_classes(missing: Missing = _pass) -> list[type]:
    """The base classes that exist in this version of Python.

    For each class that is missing, calls ``missing`` with what cannot be watched and the reason.
    """
    system = "win32" if sys.platform == "win32" else "posix"
    classes: list[type] = []
    for module, name, what, where in TRANSPORT_CLASSES:
        if where not in ("", system):
            continue
        try:
            cls = getattr(importlib.import_module(f"asyncio.{module}"), name)
        except (ImportError, AttributeError):
            cls = None
        if isinstance(cls, type):
            classes.append(cls)
        else:
            missing(what, f"this Python has no class asyncio.{module}.{name}")
    return classes


def all_classes() -> list[type]:
    """The result of `base_classes` and asyncio's own subclasses of these."""
    found: list[type] = []
    waiting = base_classes()
    while waiting:
        cls = waiting.pop()
        if cls.__module__.startswith("asyncio.") and cls not in found:
            found.append(cls)
            waiting += cls.__subclasses__()
    return found
