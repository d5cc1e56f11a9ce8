"""Transports, stream writers, servers, pipes and subprocesses that were left open."""

from __future__ import annotations

import asyncio
import sys
import weakref
from asyncio import sslproto, streams
from asyncio.base_subprocess import WriteSubprocessPipeProto
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from ..compat import asyncio as private
from ..core.creation import Creation
from ..core.objects import ask, call, class_name, class_path, function_code, is_a, is_any, put
from ..core.places import place_of, place_of_code
from ..core.reported import CARRIED, is_reported, set_reported
from ..core.stacks import user_mark
from ..core.transports import base_classes
from ..core.trap import BuiltinTrap
from ..model.finding import Finding
from ..model.text import clean, shorten


class UnclosedTransport(BuiltinTrap):
    """A transport is open when its loop closes, or when it is destroyed.

    All classes share these two moments: ``close()`` of the loop, and the destructor, in which
    asyncio emits a ResourceWarning that is hidden by default.
    """

    kind = "unclosed-transport"
    title = "a transport was left open"
    advice = (
        "Close it before the test or fixture that opened it ends: writer.close() and "
        "await writer.wait_closed(); async with for a server; await process.wait()."
    )

    def arm(self) -> None:
        watch = self.watch
        self._open = watch.transports
        for cls in base_classes(self._blind):
            watch.patches.wrap(cls, "__init__", self._make_init)
            if "__del__" in vars(cls):
                watch.patches.wrap(cls, "__del__", self._make_del(_itself))
        if "__del__" in vars(streams.StreamWriter):
            watch.patches.wrap(streams.StreamWriter, "__del__", self._make_del(_of_writer))

    def _blind(self, what: str, reason: str) -> None:
        self.watch.blind(f"{self.kind} of {what}", reason)

    def _make_init(self, original: Callable[..., None]) -> Callable[..., None]:
        watch = self.watch

        def __init__(transport: Any, *args: Any, **kwargs: Any) -> None:
            try:
                original(transport, *args, **kwargs)
            except BaseException:
                # asyncio gives it up half-made, for example when a server closes meanwhile.
                set_reported(transport)
                raise
            if watch.active:
                with watch.faults.guard(self.kind):
                    watch.events.transport_created(
                        transport, sys._getframe(1), ask(transport, private.LOOP)
                    )

        return __init__

    def _make_del(
        self, transport_of: Callable[[Any], Any]
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        watch = self.watch

        def make(original: Callable[..., None]) -> Callable[..., None]:
            def __del__(self_: Any, *args: Any, **kwargs: Any) -> None:
                finding = delivery = None
                if watch.active and not watch.faults.is_off(self.kind):
                    with watch.faults.guard(self.kind):
                        finding = self._destroyed(transport_of(self_))
                        if finding is not None:
                            delivery = watch.warning_monitor.begin()
                try:
                    original(self_, *args, **kwargs)
                finally:
                    if delivery is not None and finding is not None:
                        reported = finding
                        with watch.faults.guard(self.kind):
                            watch.warning_monitor.end(
                                delivery,
                                lambda: watch.report(reported),
                                watch.is_running(reported),
                            )

            return __del__

        return make

    def transport_created(self, transport: Any, frame: FrameType | None, loop: Any) -> None:
        self.watch.remember(transport, frame)
        creation = None
        if self.watch.created_at(transport) is None:  # a class in C that allows no attributes
            creation = user_mark(frame), self.watch.ownership.now()
        try:
            self._open[transport] = weakref.ref(loop), creation
        except TypeError:
            name = clean(class_path(transport))
            self.watch.blind(
                f"unclosed-transport of a {name}", "its class, in C, allows no weak references"
            )

    def _destroyed(self, transport: Any) -> Finding | None:
        """What to report of a transport that is being destroyed."""
        if not self._is_users(transport) or not _is_open(transport) or _is_part(transport):
            return None
        finding = self._finding(transport, "Garbage-collected while still open.")
        put(transport, CARRIED, finding)
        self._mark(transport)
        return finding

    def transport_closed_late(self, transport: Any, name: str) -> None:
        if _is_part(transport) or not self._is_users(transport):
            return
        how = f"It was open until the destructor of {clean(shorten(name, 200))} closed it."
        self.watch.report(self._finding(transport, how))
        self._mark(transport)

    def loop_closing(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._open:
            return
        self._report_open(
            (transport for transport, (owner, _) in list(self._open.items()) if owner() is loop),
            "Its loop was closed while it was open.",
        )

    def judge(self, final: bool) -> None:
        if final:
            self._report_open(iter(list(self._open)), "Still open at the end of the run.")

    def _report_open(self, transports: Iterator[Any], how: str) -> None:
        left = [
            transport
            for transport in transports
            if _is_open(transport) and not _is_part(transport) and self._is_users(transport)
        ]
        open_ones = list(left)
        if left:
            self.watch.events.transports_left(left, how)
        for transport in left:
            # Connections accepted by a server that is left open, too, are the server's.
            server = ask(transport, private.SERVER)
            if server is not None and any(server is other for other in open_ones):
                continue
            creation = self._created_at(transport)
            finding = self._finding(transport, how)
            if creation is not None and self.watch.reported.is_made_by_task(
                creation[1], creation[0]
            ):
                finding = finding._replace(part_of="pending-task")
            put(transport, CARRIED, finding)
            self.watch.report(finding)
        for transport in open_ones:
            self._mark(transport)

    def _mark(self, transport: Any) -> None:
        if not set_reported(transport):
            self._open.pop(transport, None)  # a class in C: reported once, then forgotten

    def _created_at(self, transport: Any) -> Creation | None:
        creation = self.watch.created_at(transport)
        if creation is None:
            try:
                creation = self._open.get(transport, (None, None))[1]
            except TypeError:
                pass  # no weak references: `transport_created` noted a blind spot
        return creation

    def _is_users(self, transport: Any) -> bool:
        if transport is None or is_reported(transport):
            return False
        creation = self._created_at(transport)
        if creation is None:
            return False
        # Without a user's or a library's frame it is a connection that a server accepted.
        return creation[0] is not None or ask(transport, private.SERVER) is not None

    def _finding(self, transport: Any, how: str) -> Finding:
        watch = self.watch
        creation = self._created_at(transport)
        origin = place_of(creation[0]) if creation is not None else None
        notes: tuple[str, ...] = (how,)
        trace = watch.trace_of(transport)
        server = ask(transport, private.SERVER)
        if origin is None and server is not None:
            origin = watch.origin_of(server)
            notes = ("A connection accepted by the server that was created at that line.", how)
        handler = _handler(transport)
        location = place_of_code(handler) if handler is not None else None
        tenure = creation[1] if creation is not None else watch.tenure_of(transport)
        return Finding(
            self.kind,
            f"{_name(transport)} was left open",
            self.advice,
            tenure.owner,
            origin=origin,
            location=location,
            location_label="handled by",
            notes=notes,
            trace=trace if trace and trace[-1] == origin else (),
        )


def _of_writer(writer: Any) -> Any:
    return ask(writer, private.WRITER_TRANSPORT)


def _itself(transport: Any) -> Any:
    return transport


def _is_server(transport: Any) -> bool:
    return is_any(transport, asyncio.AbstractServer) or class_name(transport) == "Server"


def _is_open(transport: Any) -> bool:
    """Whether ``transport`` is neither closed nor closing."""
    if _is_server(transport):
        return bool(ask(transport, "sockets"))
    if call(transport, "is_closing", True):
        return False
    # A transport that has dropped its socket or pipe has nothing left to close.
    return all(
        ask(transport, name, transport) is not None for name in (private.SOCKET, private.PIPE)
    )


def _is_part(transport: Any) -> bool:
    """Whether ``transport`` belongs to another transport, which is reported instead."""
    return is_any(ask(transport, private.PROTOCOL), sslproto.SSLProtocol, WriteSubprocessPipeProto)


def _protocol_of(transport: Any) -> Any:
    """The user's protocol of ``transport``, over TLS too."""
    tls = ask(transport, private.SSL_PROTOCOL)
    inner = ask(tls, private.APP_PROTOCOL)
    return inner if inner is not None else ask(transport, private.PROTOCOL)


def _handler(transport: Any) -> CodeType | None:
    """The code of the ``client_connected_cb`` of an accepted stream connection."""
    return function_code(ask(_protocol_of(transport), private.CLIENT_CALLBACK))


def _name(transport: Any) -> str:
    """What ``transport`` is, in words that the reader knows."""
    if _is_server(transport):
        return "server"
    name = shorten(class_name(transport), 200)
    protocol = _protocol_of(transport)
    if "Process" in name or "Subprocess" in name:
        return "subprocess"
    if name.startswith(("_UnixRead", "_UnixWrite", "ReadUnixPipe", "WriteUnixPipe")):
        return "pipe transport"
    if "Datagram" in name or "UDP" in name:
        return "datagram transport"
    stream = is_a(protocol, asyncio.StreamReaderProtocol)
    return "stream (its writer)" if stream else "transport"
