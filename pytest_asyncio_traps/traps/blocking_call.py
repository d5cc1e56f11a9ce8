"""Blocking calls on the thread of a running loop, however short they are."""

from __future__ import annotations

import asyncio
import builtins
import functools
import io
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar

from ..core.paths import LIBRARY, STDLIB
from ..core.places import place_of
from ..core.stacks import KINDS, Mark, is_user, user_mark
from ..core.threads import PASS_ON
from ..core.trap import BuiltinTrap, When
from ..model.finding import Finding

Blocks = Callable[..., bool]

#: Modules that open files on behalf of others, to import a module or to show a line of source.
_HELPERS = (
    "importlib", "linecache", "traceback", "warnings", "inspect", "logging", "tokenize", "pdb",
    "bdb", "pkgutil", "zipimport", "faulthandler", "tracemalloc", "unittest",
)  # fmt: skip


def _always(*args: Any, **kwargs: Any) -> bool:
    return True


def _sleeps(seconds: Any = 0, *args: Any) -> bool:
    return bool(seconds > 0)


def _socket_waits(sock: Any, *args: Any, **kwargs: Any) -> bool:
    return bool(sock.gettimeout() != 0)


def _resolves_name(host: Any = None, *args: Any, **kwargs: Any) -> bool:
    """Whether ``host`` is a name that has to be resolved, and not an address."""
    if not host or not isinstance(host, (str, bytes)):
        return False
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return False
    return True


def _waitpid_waits(pid: Any = 0, options: Any = 0, *args: Any) -> bool:
    flag: int = getattr(os, "WNOHANG", 1)
    return not int(options) & flag


def _select_waits(r: Any = (), w: Any = (), x: Any = (), timeout: Any = None) -> bool:
    return bool(timeout != 0)


def _condition_waits(condition: Any, timeout: Any = None, *args: Any, **kwargs: Any) -> bool:
    return timeout is None or timeout > 0


def _thread_runs(thread: Any, timeout: Any = None) -> bool:
    return bool(thread.is_alive()) and timeout != 0


def _process_runs(process: Any, *args: Any, **kwargs: Any) -> bool:
    return process.returncode is None


#: The calls that block: the object that holds the function, the name of its attribute there, the
#: name for reports, and a predicate that says of the arguments whether the call blocks.
_CALLS: tuple[tuple[Any, str, str, Blocks], ...] = (
    (time, "sleep", "time.sleep", _sleeps),
    (builtins, "open", "open", _always),
    (io, "open", "open", _always),
    (builtins, "input", "input", _always),
    (os, "system", "os.system", _always),
    (os, "waitpid", "os.waitpid", _waitpid_waits),
    (os, "wait", "os.wait", _always),
    (select, "select", "select.select", _select_waits),
    (socket, "getaddrinfo", "socket.getaddrinfo", _resolves_name),
    (socket, "gethostbyname", "socket.gethostbyname", _resolves_name),
    (socket, "gethostbyname_ex", "socket.gethostbyname_ex", _resolves_name),
    (socket, "gethostbyaddr", "socket.gethostbyaddr", _always),
    *(
        (socket.socket, name, f"socket.{name}", _socket_waits)
        for name in (
            "accept", "connect", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg",
            "recvmsg_into", "send", "sendall", "sendfile", "sendmsg", "sendto",
        )
    ),
    (subprocess.Popen, "__init__", "subprocess.Popen", _always),
    (subprocess.Popen, "wait", "Popen.wait", _process_runs),
    (subprocess.Popen, "communicate", "Popen.communicate", _process_runs),
    (threading.Thread, "join", "Thread.join", _thread_runs),
    (threading.Condition, "wait", "Condition.wait", _condition_waits),
)  # fmt: skip


def _database_calls() -> list[tuple[Any, str, str, Blocks]]:
    """Calls of a module that a build of Python may lack."""
    try:
        import sqlite3
    except ImportError:
        return []
    return [(sqlite3, "connect", "sqlite3.connect", _always)]


class _Function(staticmethod):  # type: ignore[type-arg]
    """Replaces a C function. Like one, it does not become a method, and is pickled by name."""

    def __get__(self, instance: Any, owner: type | None = None, /) -> Any:
        return self

    def __reduce__(self) -> str:
        name: str = self.__name__
        return name


class BlockingCall(BuiltinTrap):
    """The usual blocking functions are replaced by wrappers that check the caller.

    The blockbuster library raises inside the code that it watches; the wrappers here do not.
    CPython's audit hooks miss waits for sockets and locks, and cannot be removed.
    """

    kind = "blocking-call"
    enabled: ClassVar[When] = "named"
    title = "a blocking call was made on the loop's thread"
    advice = (
        "While it blocks, nothing else on the loop runs. Use asyncio's own counterpart, or "
        "await asyncio.to_thread(...)."
    )

    def arm(self) -> None:
        self._busy = threading.local()
        patches = self.watch.patches
        functions: dict[object, _Function] = {}  # by original: open() has two names
        for target, name, shown, blocks in (*_CALLS, *_database_calls()):
            original = getattr(target, name, None)
            make = self._make_watched(shown, blocks)
            if original is None:
                continue
            # A plain function may replace what becomes a method where a class holds it.
            if hasattr(original, "__get__") and not isinstance(original, _Function):
                patches.wrap(target, name, make)
                continue
            if original not in functions:
                watched = _Function(functools.update_wrapper(make(original), original))
                watched.__module__ = target.__name__
                functions[original] = watched
            patches.set(target, name, functions[original])

    def _make_watched(
        self, shown: str, blocks: Blocks
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        watch, busy = self.watch, self._busy
        running_loop = asyncio._get_running_loop

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def watched(*args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                if running_loop() is None or not watch.active or getattr(busy, "now", False):
                    return original(*args, **kwargs)
                busy.now = True  # calls that this call makes in turn are a part of it
                try:
                    if not watch.faults.is_off(self.kind):
                        with watch.faults.guard(self.kind):
                            if _is_blocking(blocks, args, kwargs):
                                self._called(shown, sys._getframe(1))
                    return original(*args, **kwargs)
                finally:
                    busy.now = False

            return watched

        return make

    def _called(self, shown: str, frame: FrameType) -> None:
        mark = self._caller(frame)
        if mark is None:
            return
        watch = self.watch
        task = asyncio.current_task()
        origin = watch.origin_of(task) if task is not None else None
        watch.report(
            Finding(
                self.kind,
                f"{shown}() was called on the thread of a running loop",
                self.advice,
                watch.ownership.now().owner,
                origin=origin,
                origin_label="in the task created at",
                location=place_of(mark),
                location_label="called at",
                at_location=True,
                subject=shown,
            )
        )

    def _caller(self, frame: FrameType) -> Mark | None:
        """The user's line, unless code between it and the call is responsible for the call."""
        inner: FrameType | None = frame
        while inner is not None:
            kind = KINDS[inner.f_code.co_filename]
            if kind >= LIBRARY:
                return user_mark(inner)
            ours = inner.f_code in PASS_ON  # a replacement of one of Python's functions
            if not ours and (kind != STDLIB or _is_helper(inner)):
                break
            inner = inner.f_back
        # The loop itself makes the call: it was scheduled with call_soon() or the like.
        mark = self.watch.scheduled_in(frame)
        return mark if is_user(mark) else None


def _is_blocking(blocks: Blocks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        return blocks(*args, **kwargs)
    except TypeError:
        return False  # wrong arguments: the call itself raises for them


def _is_helper(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in (*_HELPERS, "_frozen_importlib", "_frozen_importlib_external")
