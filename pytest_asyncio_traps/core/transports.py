"""What asyncio's transports and servers are classes of."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Final

#: The private classes through whose constructor every transport, server and subprocess goes: the
#: module, the name, what is made of it, and the system it is of, if only of one.
_CLASSES: Final = (
    ("selector_events", "_SelectorTransport", "sockets", ""),
    ("base_subprocess", "BaseSubprocessTransport", "subprocesses", ""),
    ("sslproto", "_SSLProtocolTransport", "connections over TLS", ""),
    ("base_events", "Server", "servers", ""),
    ("proactor_events", "_ProactorBasePipeTransport", "sockets and pipes", "win32"),
    ("unix_events", "_UnixReadPipeTransport", "pipes that are read", "posix"),
    ("unix_events", "_UnixWritePipeTransport", "pipes that are written", "posix"),
)

Missing = Callable[[str, str], None]


def _pass(what: str, reason: str) -> None:
    pass


def base_classes(missing: Missing = _pass) -> list[type]:
    """The classes that this Python has.

    ``missing`` is called with what cannot be watched for lack of one of them, and the reason.
    """
    system = "win32" if sys.platform == "win32" else "posix"
    classes: list[type] = []
    for module, name, what, where in _CLASSES:
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
    """Those, and asyncio's own subclasses of them."""
    found: list[type] = []
    waiting = base_classes()
    while waiting:
        cls = waiting.pop()
        if cls.__module__.startswith("asyncio.") and cls not in found:
            found.append(cls)
            waiting += cls.__subclasses__()
    return found
