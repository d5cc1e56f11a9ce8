"""Clocks that tell the real time, even while a test fakes the clock.

freezegun replaces `time.perf_counter` and similar functions wherever it finds them as the attribute
of a module. It does not search tuples, so each real function is kept in one. Take the function out
into a local name, a default or an instance attribute: ``now = REAL[0]``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: The real clock, in seconds since an arbitrary moment. Tools that patch C code rarely fake it.
REAL: Final[tuple[Callable[[], float]]] = (time.perf_counter,)

#: The processor time that the current thread has used, in seconds.
WORKED: Final[tuple[Callable[[], float]]] = (time.thread_time,)

#: Whether the system counts for how long each thread has waited for a processor.
KNOWS_WAITING: Final = Path("/proc/self/schedstat").exists()
