"""Counts the threads of the process that could wake a loop which another thread runs.

Python cannot tell whether a thread may ever go on, and does not know all threads. The kernel knows
what each of them waits for. A thread that waits for a lock, a semaphore, a condition or the end of
a thread, without a time limit, goes on only if another thread of the process lets it: idle workers
of executors are such threads, and those of numerical libraries. Any other thread may go on by
itself, as it sleeps, reads or runs.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Collection
from types import CodeType
from typing import Any, Final, cast

from ..compat import cpython
from ..core.objects import ask, class_path, function_code, is_a
from ..core.paths import HARNESS, LIBRARY, STDLIB
from ..core.stacks import KINDS
from ..core.thread_stacks import frames_of, stack_of, thread_ids
from .gc_reserve import gc_reserve

#: Tests replace these functions, by those of a fake file system for example.
_listdir, _open, _read, _close = os.listdir, os.open, os.read, os.close

#: By machine, the number of the system call with which threads wait for each other.
_NUMBERS: Final = {"x86_64": 202, "aarch64": 98}
_FUTEX: Final = (
    _NUMBERS.get(os.uname().machine) if hasattr(os, "uname") and sys.maxsize > 2**32 else None
)
#: Its operations that wait, FUTEX_WAIT and FUTEX_WAIT_BITSET, and flags of its operations: no other
#: process can wake the thread, and which clock the time limit is for.
_WAITS: Final = (0, 9)
_PRIVATE: Final = 128
_CLOCK: Final = 256

#: The module of pytest-rerunfailures, whose thread counts for the workers of pytest-xdist.
_COUNTERS: Final = frozenset({"pytest_rerunfailures.py"})
#: The module of pytest-timeout, which ends a test by a timer of the system or of a thread.
TIMEOUT: Final = frozenset({"pytest_timeout.py"})
#: The package, class and method with which a worker of pytest-xdist listens to its controller,
#: and the method in which that waits.
_EXECNET: Final = frozenset({"execnet"})
_LISTENER: Final = "execnet.gateway_base.WorkerGateway"
_LISTENS: Final = "BaseGateway._thread_receiver"
_READS: Final = "Popen2IO.read"


def tasks() -> list[int]:
    """The system's ids of the threads of this process; empty where the system has no list."""
    try:
        return [int(name) for name in _listdir("/proc/self/task")]
    except OSError:
        return []


def count_wakers(harmless: Collection[int | None]) -> int:
    """The number of threads that may go on by themselves, and then might wake a loop.

    ``harmless`` are the system's ids of threads that are known to wake no loop. Those of test
    runners are known here.
    """
    known, unnamed = _runners()
    others = [
        task
        for task in tasks()
        if task not in harmless and task not in known and not waits_for_a_thread(task)
    ]
    return max(0, len(others) - unnamed)


def waits_for_a_thread(native_id: int) -> bool:
    """Whether only another thread of the process can end what a thread waits for.

    False if the system does not say so.
    """
    try:
        words = read_proc(f"task/{native_id}/syscall").split()
        number, _, operation, _, limit = (int(word, 0) for word in words[:5])
    except ValueError:  # the thread runs or has ended, or there is no such file
        return False
    operation &= 0xFFFF_FFFF
    return (
        number == _FUTEX
        and bool(operation & _PRIVATE)
        and operation & ~(_PRIVATE | _CLOCK) in _WAITS
        and limit == 0
    )


def read_proc(name: str) -> bytes:
    """The beginning of a file of ``/proc/self``; empty if it cannot be read."""
    try:
        descriptor = _open(f"/proc/self/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return _read(descriptor, 4_000)
    except OSError:
        return b""
    finally:
        _close(descriptor)
        gc_reserve.make_room()  # other threads have allocated objects during the read


# -- threads of test runners -----------------------------------------------------------------------


def _runners() -> tuple[set[int], int]:
    """The threads of test runners, which wake no loop: the system's ids of those that have one.

    The second value is the number of those whose id is unknown. These are certain not to be among
    the threads that wait for another thread.
    """
    active = getattr(threading, cpython.ACTIVE_THREADS, None)
    threads: dict[int, Any] = dict(active) if type(active) is dict else {}
    known: set[int] = set()
    unnamed = 0
    for thread_id in thread_ids():
        thread = threads.get(thread_id)
        native_id = ask(thread, "native_id")
        if type(native_id) is int and (_is_timer(thread) or _is_counter(thread_id)):
            known.add(native_id)
        elif _is_listener(thread_id):
            if type(native_id) is int:
                known.add(native_id)
            else:
                unnamed += 1
    return known, unnamed


def _is_timer(thread: Any) -> bool:
    """Whether ``thread`` is the timer of pytest-timeout."""
    if not is_a(thread, threading.Timer):
        return False
    function = ask(thread, "function")
    while is_a(function, functools.partial):
        function = function.func
    return is_in(function_code(function), TIMEOUT)


def _is_counter(thread_id: int) -> bool:
    """Whether only pytest-rerunfailures and the standard library run in the thread."""
    codes = [code for code in _codes(thread_id) if KINDS[code.co_filename] != STDLIB]
    return bool(codes) and all(is_in(code, _COUNTERS) for code in codes)


def _is_listener(thread_id: int) -> bool:
    """Whether the thread is the one in which a worker of pytest-xdist listens, and reads."""
    codes = _codes(thread_id)
    if not codes or codes[0].co_qualname != _READS or not is_in(codes[0], _EXECNET):
        return False
    for frame in frames_of(thread_id):
        if frame.f_code.co_qualname == _LISTENS:
            return class_path(frame.f_locals.get("self")) == _LISTENER
    return False


def _codes(thread_id: int) -> list[CodeType]:
    """What the thread runs, the innermost first."""
    return cast("list[CodeType]", stack_of(thread_id)[::2])


def is_in(code: CodeType | None, names: frozenset[str]) -> bool:
    """Whether ``code`` is in an installed package or module of one of ``names``."""
    if code is None or KINDS[code.co_filename] not in (HARNESS, LIBRARY):
        return False
    return not names.isdisjoint(code.co_filename.replace("\\", "/").split("/"))
