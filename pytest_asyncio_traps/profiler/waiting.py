"""How long a thread has waited for a processor, which is not the fault of the code that it runs.

Linux counts that for each thread, in ``/proc/self/task/<id>/schedstat``. On other systems it is
guessed from the processor time that the thread has used.
"""

from __future__ import annotations

import _thread
import os
import threading
from typing import Any, Final

from ..core.clock import KNOWS_WAITING
from .gc_reserve import gc_reserve

#: Detectors of blocking calls replace these attributes, and forbid the calls in a loop's thread.
_open, _close, _read = os.open, os.close, os.read
_pread: Any = getattr(os, "pread", None)  # Windows has none

_HAS_PROC: Final = hasattr(_thread, "get_native_id") and KNOWS_WAITING

#: A thread that uses a smaller share of a processor than this is taken to be asleep, where the
#: system does not count the waiting time.
ASLEEP_BELOW: Final = 0.2


#: The system's ids of the threads of the plugin that run.
own_threads: Final[set[int | None]] = set()


def current_native_id() -> int | None:
    """The system's id of the current thread, or None where `waited` and `asleep` cannot use it."""
    return _thread.get_native_id() if _HAS_PROC else None


def waited(native_id: int | None) -> tuple[float, int]:
    """How long a thread has been ready to run without a processor since it started, in seconds.

    Also returns how often the thread was given a processor, which is -1 if the system says nothing.
    """
    try:
        _, nanoseconds, turns = _read_proc(native_id, "schedstat").split()
        return int(nanoseconds) / 1e9, int(turns)
    except ValueError:
        return 0.0, -1


def asleep(native_id: int | None) -> bool:
    """Whether a thread sleeps at this moment, or waits for a disk."""
    # The state follows the program's name, which is in parentheses and may contain anything.
    return _read_proc(native_id, "stat").rpartition(b")")[2].split()[:1] in ([b"S"], [b"D"])


def guess_waited(lasted: float, worked: float) -> float:
    """Guess how many of ``lasted`` seconds a thread has waited for a processor.

    The thread has used ``worked`` seconds of processor time. A step that computes has to wait on a
    busy machine but gets its share of a processor. A step that blocks uses next to nothing.
    """
    return lasted - worked if worked >= ASLEEP_BELOW * lasted else 0.0


def _read_proc(native_id: int | None, name: str) -> bytes:
    """A file of ``/proc`` about a thread of this process; empty if it cannot be read."""
    if native_id is None:
        return b""
    try:
        if native_id == main_thread_files.native_id:
            content: bytes = _pread(main_thread_files.descriptors[name], 999, 0)
            return content
        # open() would allocate objects between the moments at which other threads run.
        descriptor = _open(f"/proc/self/task/{native_id}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read(descriptor, 999)
        finally:
            _close(descriptor)
    except OSError:
        return b""
    finally:
        gc_reserve.make_room()  # other threads have allocated objects during the read


class MainThreadFiles:
    """Keeps the main thread's files of ``/proc`` open, which are read for each run of a loop."""

    def __init__(self) -> None:
        #: The system's id of the main thread, while its files are open.
        self.native_id: int | None = None
        self.descriptors: dict[str, int] = {}

    def open(self) -> None:
        """Open the files, if this is the main thread and the system has them."""
        if not _HAS_PROC or threading.current_thread() is not threading.main_thread():
            return
        native_id = _thread.get_native_id()
        try:
            for name in ("schedstat", "stat"):
                path = f"/proc/self/task/{native_id}/{name}"
                self.descriptors[name] = _open(path, os.O_RDONLY)
        except OSError:
            self.close()
            return
        self.native_id = native_id

    def close(self) -> None:
        """Close the files, if they are open."""
        self.native_id = None
        while self.descriptors:
            _close(self.descriptors.popitem()[1])


main_thread_files: Final = MainThreadFiles()
