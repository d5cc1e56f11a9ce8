"""What asyncio's transports and servers are classes of."""

from __future__ import annotations

import sys
from asyncio import base_events, base_subprocess, selector_events, sslproto


def base_classes() -> list[type]:
    """Those whose constructor every transport, server and subprocess goes through."""
    classes: list[type] = [
        selector_events._SelectorTransport,  # type: ignore[attr-defined]
        base_subprocess.BaseSubprocessTransport,
        sslproto._SSLProtocolTransport,
        base_events.Server,
    ]
    if sys.platform == "win32":
        from asyncio import proactor_events

        classes.append(proactor_events._ProactorBasePipeTransport)
    else:
        from asyncio import unix_events

        classes += [unix_events._UnixReadPipeTransport, unix_events._UnixWritePipeTransport]  # type: ignore[attr-defined]
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
