"""The time that passes, whatever clock the test fakes.

freezegun replaces `time.perf_counter` and its like wherever a module has them
as an attribute, so the real one is kept in a tuple, where nobody looks. Take it
out into a local name, a default or an instance: ``now = REAL[0]``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: The real clock, in seconds since some moment. Hardly ever faked in C, too.
REAL: Final[tuple[Callable[[], float]]] = (time.perf_counter,)

#: The processor time of the current thread, in seconds.
WORKED: Final[tuple[Callable[[], float]]] = (time.thread_time,)

#: Whether the system tells for how long a thread has waited for a processor.
KNOWS_WAITING: Final = Path("/proc/self/schedstat").exists()
