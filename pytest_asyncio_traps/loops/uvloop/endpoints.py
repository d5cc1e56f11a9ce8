"""The methods that make transports and servers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from ...core.watch import Watch

_SERVERS: Final = ("create_server", "create_unix_server")


def _make_endpoint(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    guarded = watch.faults.guard("uvloop")

    async def endpoint(self: Any, *args: Any, **kwargs: Any) -> Any:
        if original.__name__ in _SERVERS and watch.active:
            before: Any = None
            with guarded:
                before = watch.ownership.begin_serving("a server")
            try:
                made = await original(self, *args, **kwargs)
            finally:
                with guarded:
                    watch.ownership.end_serving(before)
        else:
            made = await original(self, *args, **kwargs)
        if watch.active:
            with guarded:
                transport = made[0] if isinstance(made, tuple) else made
                watch.events.transport_created(transport, sys._getframe(1), self)
        return made

    return endpoint


#: By the name of a method, what makes its replacement of a watch and the original.
MAKERS: Final[dict[str, Callable[..., Any]]] = dict.fromkeys(
    (
        "create_connection",
        "create_unix_connection",
        "create_datagram_endpoint",
        *_SERVERS,
        "connect_read_pipe",
        "connect_write_pipe",
        "subprocess_exec",
        "subprocess_shell",
        "connect_accepted_socket",
    ),
    _make_endpoint,
)
