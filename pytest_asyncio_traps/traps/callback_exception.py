"""Exceptions that reach a loop's exception handler because no caller can catch them."""

from __future__ import annotations

import asyncio
from re import match as _match  # tests may replace it
from types import CodeType, TracebackType
from typing import Any, Final

from ..compat import asyncio as private
from ..core.contexts import RAISED, UNRETRIEVED, subject
from ..core.harness import is_harness, user_has_handler
from ..core.objects import ask, class_name, coroutine_of, is_a, traceback_of
from ..core.ownership import Tenure
from ..core.places import called_at, describe, name_of, place_of, place_of_code, raised_at
from ..core.reported import is_reported, set_reported
from ..core.reprs import text_of
from ..core.trap import BuiltinTrap
from ..model.finding import Finding, Place
from ..model.text import shorten

#: How uvloop, whose handles do not show their callbacks, describes one.
_CALLBACK: Final = r"Exception in callback <(?:function|bound method) (\S+)"


class CallbackException(BuiltinTrap):
    """Callbacks, protocols, ``client_connected_cb`` and finalizers have no caller to raise to.

    asyncio passes their exceptions to the loop's exception handler. Those of the destructors
    of its own objects reach only `sys.unraisablehook`.
    """

    kind = "callback-exception"
    title = "an exception in a callback was lost"
    advice = (
        "A callback, protocol method or finalizer is never awaited: catch the exception there, "
        "or do the work in a task that is awaited."
    )

    def arm(self) -> None:
        self.watch.hook_unraisable()

    def exception_handler_called(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        about = subject(context)
        if about not in (RAISED, UNRETRIEVED) or user_has_handler(loop):
            return
        if about == UNRETRIEVED:
            self._check_finalizer(context)
            return
        if text_of(context.get("message")) == private.REFUSED_CLIENT and "protocol" in context:
            return  # without a protocol, the user's factory of protocols raised
        exc: BaseException = context["exception"]
        watch = self.watch
        if is_a(exc, asyncio.CancelledError) and _is_of_reported(context.get("handle")):
            return
        task = context.get("task")
        if is_a(task, asyncio.Task):
            # A runner cancelled the task, which then raised.
            if is_reported(task) or is_harness(coroutine_of(task), watch.creation_mark(task)):
                return
            origin, label = watch.origin_of_task(task)
            name = f"task running {name_of(coroutine_of(task))!r}"
            self._report(name, exc, watch.tenure_of(task), origin, label)
            return
        scheduled_at, tenure = watch.responsible_for(loop, context)
        origin, label = place_of(scheduled_at), "scheduled at"
        if origin is None:
            origin, label = self._other_origin(context, exc)
        self._report(_name(context), exc, tenure, origin, label)

    def _other_origin(
        self, context: dict[str, Any], exc: BaseException
    ) -> tuple[Place | None, str]:
        """A line of the user's that has to do with ``exc``, for want of one that scheduled it."""
        watch = self.watch
        origin: Place | None = None
        label = "scheduled at"
        transport = context.get("transport")
        if transport is None:
            transport = _loses_connection(context)
        if transport is not None:
            origin, label = watch.origin_of(transport), "its transport was created at"
            server = ask(transport, private.SERVER)
            if origin is None and server is not None:
                origin, label = watch.origin_of(server), "its server was created at"
        if origin is None and context.get("handle") is not None:
            # asyncio scheduled a done callback. This is the line in it that raised, or that
            # retrieved the exception of a task.
            origin, label = called_at(traceback_of(exc)), "came out in the callback at"
        code = ask(context.get("asyncgen"), "ag_code")
        if origin is None and type(code) is CodeType:
            origin, label = place_of_code(code), "defined at"
        return origin, label

    def _check_finalizer(self, context: dict[str, Any]) -> None:
        """asyncio closes a dropped async generator in a task that it does not await."""
        watch = self.watch
        task, exc = context.get("future"), context.get("exception")
        if not is_a(task, asyncio.Task) or not is_a(exc, BaseException):
            return
        coroutine = coroutine_of(task)
        if "async_generator" not in class_name(coroutine) or watch.origin_of(task) is not None:
            return
        set_reported(task)
        if "already running" in (text_of(exc) or "") and is_a(exc, RuntimeError):
            return  # dropped while a task ran in it: the task, or the drop, is the cause
        self._report("the closing of an async generator", exc, watch.tenure_of(task), None, "")

    def unraisable_raised(self, unraisable: Any) -> None:
        function = unraisable.object
        if (
            ask(function, "__name__") != "__del__"
            or not str(ask(function, "__module__")).startswith("asyncio.")
            or not is_a(unraisable.exc_value, BaseException)
        ):
            return
        obj = _self_of(unraisable.exc_traceback)
        obj = ask(obj, private.WRITER_TRANSPORT, obj)
        watch = self.watch
        creation = watch.created_at(obj)
        if creation is None or is_reported(obj):
            return  # not the user's, or part of what was reported
        self._report(
            f"the destructor of {class_name(obj)}",
            unraisable.exc_value,
            creation[1],
            place_of(creation[0]),
            "created at",
        )

    def _report(
        self, name: str, exc: BaseException, tenure: Tenure, origin: Place | None, label: str
    ) -> None:
        described = describe(exc)
        self.watch.report(
            Finding(
                self.kind,
                f"{name} raised {described}",
                self.advice,
                tenure.owner,
                origin=origin,
                origin_label=label,
                location=raised_at(traceback_of(exc)),
                location_label="raised at",
                at_location=True,
                exception=described,
                subject=name,
            )
        )


def _name(context: dict[str, Any]) -> str:
    """What raised, in words that the reader knows."""
    if _loses_connection(context) is not None:
        return "protocol method 'connection_lost'"  # the transport has dropped its protocol
    handle = context.get("handle")
    callback = ask(handle, private.HANDLE_CALLBACK)
    if callback is not None:
        return f"callback {name_of(callback)!r}"
    message = shorten(text_of(context.get("message", "")) or "", 200)
    named = _match(_CALLBACK, message)
    if named is not None:
        return f"callback {named[1]!r}"
    protocol = context.get("protocol")
    if protocol is not None and "protocol." in message:
        method = message.partition("protocol.")[2].partition("(")[0]
        return f"protocol method {class_name(protocol) + '.' + method!r}"
    if "client_connected_cb" in message:
        return "client_connected_cb"
    if "asyncgen" in context:
        return f"the closing of async generator {name_of(context['asyncgen'])!r}"
    # A library called the handler about an exception that it caught, with its own message.
    return f"what was told as {message!r}" if message else "what the loop called"


def _loses_connection(context: dict[str, Any]) -> Any:
    """The transport whose callback called ``connection_lost()`` of its protocol, if one did."""
    callback = ask(context.get("handle"), private.HANDLE_CALLBACK)
    name = ask(callback, "__name__")
    if type(name) is not str or name != private.CONNECTION_LOST:
        return None
    return ask(callback, "__self__")


def _self_of(traceback: TracebackType | None) -> Any:
    """The object whose destructor raised."""
    while traceback is not None:
        names = traceback.tb_frame.f_locals
        for name in ("self", "self_"):
            if name in names:
                return names[name]
        traceback = traceback.tb_next
    return None


def _is_of_reported(handle: object) -> bool:
    """Whether ``handle`` calls a done callback of asyncio's for a task that was reported.

    Up to Python 3.12.1, that of a stream's handler raises if the handler was cancelled.
    """
    args = ask(handle, private.HANDLE_ARGS)
    return type(args) is tuple and any(is_a(arg, asyncio.Task) and is_reported(arg) for arg in args)
